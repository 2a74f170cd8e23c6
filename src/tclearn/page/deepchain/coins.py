"""Coins: what each member began with, earned, paid, and has."""

from __future__ import annotations

from tclearn.page import text
from tclearn.page.deepchain.facts import Facts
from tclearn.page.glyphs import diverging
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import heading, number, row, section, table
from tclearn.protocols.deepchain.history import Balance


def coins(facts: Facts) -> Html:
    """The section."""
    head: list[Child] = ["member", heading("fined | earned", "bars")]
    head += [heading("start", "num", "at the founding"), heading("", "arrow"), heading("end", "num", "now")]
    head += [heading("fined", "num", "deposits that it has lost")]
    head += [heading("rewards", "num", "for its part in iterations that succeeded")]
    head += [heading("from fines", "num", "what it got of the fines of others")]
    balances = {balance.member: balance for balance in facts.balances}
    least = max(balance.fined for balance in facts.balances)
    most = max(balance.paid + balance.received for balance in facts.balances)
    rows = [_row(balances[member], least, most) for member in facts.everybody]
    legend = [
        el("li", el("span", "■", class_=f"coin {css}"), words)
        for css, words in (("bad", "fined"), ("good", "rewards"), ("pale", "from the fines of others"))
    ]
    return section(
        "coins",
        "Coins: who earned, and who paid",
        el("p", _conserved(facts)),
        el("ul", legend, class_="legend"),
        table(head, [*rows, _total(facts)], caption="coins by member", css="coins"),
    )


def _row(balance: Balance, least: int, most: int) -> Html:
    return row(
        el("span", text.short(balance.member, 30), title=balance.member),
        el("td", diverging(balance.fined, (balance.paid, balance.received), least=least, most=most), class_="bars"),
        *_from_to(balance.start, balance.end),
        el("td", _minus(balance.fined), class_="num blame" if balance.fined else "num quiet"),
        number(text.whole(balance.paid)),
        number(text.whole(balance.received)),
    )


def _total(facts: Facts) -> Html:
    balances = facts.balances
    return row(
        "all members",
        el("td", class_="bars"),
        *_from_to(facts.founding, sum(balance.end for balance in balances)),
        number(_minus(sum(balance.fined for balance in balances))),
        number(text.whole(sum(balance.paid for balance in balances))),
        number(text.whole(sum(balance.received for balance in balances))),
        css="total",
    )


def _from_to(start: int, end: int) -> list[Html]:
    return [
        number(text.whole(start)),
        el("td", "→", class_="arrow"),
        el("td", el("b", text.whole(end)), class_="num"),
    ]


def _minus(coins_lost: int) -> str:
    return f"−{text.whole(coins_lost)}" if coins_lost else "0"


def _conserved(facts: Facts) -> list[Child]:
    held, pot = sum(balance.end for balance in facts.balances), facts.accounts.pot
    paid = sum(balance.paid for balance in facts.balances)
    again = f" ({text.whole(paid - facts.minted)} more were paid out of the pot)" if paid > facts.minted else ""
    return [
        "No coin is lost: ",
        el("b", text.whole(facts.founding)),
        " at the founding and ",
        el("b", text.whole(facts.minted)),
        f" minted as rewards since{again} make {text.whole(facts.founding + facts.minted)}. Members hold ",
        el("b", text.whole(held)),
        ", deposits included, and ",
        el("b", text.whole(pot)),
        f" {'is' if pot == 1 else 'are'} in the pot: of fines that nobody was owed, for the next rewards.",
    ]
