"""What each member brought, and how it did its part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tclearn.coalition.block import INCREMENT
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.privacy import epsilon_text
from tclearn.coalition.terms import PrivacyTerms
from tclearn.encoding import MemberId
from tclearn.page import text
from tclearn.page.charts import scale_floor
from tclearn.page.facts import SPARED, WAITING, Facts, vote_shown
from tclearn.page.glyphs import bar, sparkline
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import heading, number, row, section, table
from tclearn.protocols.tclearn.history import REVERTED


@dataclass(frozen=True, slots=True)
class Tally:
    """A member's part.

    Attributes:
        member: whose.
        records: D_i, its records in the present model.
        blocks: its accepted increments, reverted ones included.
        offered: its candidates.
        votes: its ballots by name: ``"yes"``, ``"no"``, ``"unavailable"``, ``"missing"``.
        deviating: its results on G that were not the agreed one.
        general: blocks that it made.
        endorsed: blocks that it endorsed.
    """

    member: MemberId
    records: int
    blocks: int
    offered: int
    votes: Counter[str]
    deviating: int
    general: int
    endorsed: int

    @property
    def cast(self) -> int:
        """Votes cast; a missing one is none."""
        return self.votes["yes"] + self.votes["no"] + self.votes["unavailable"]


def tallies(facts: Facts) -> list[Tally]:
    """Every member's part, and that of former ones."""
    votes: dict[MemberId, Counter[str]] = {member: Counter() for member in facts.everybody}
    deviating: Counter[MemberId] = Counter()
    for step in facts.steps:
        if step.status == REVERTED:
            continue  # approvals, not votes
        for ballot in step.ballots:
            shown = vote_shown(step, ballot)
            if shown not in (WAITING, SPARED):
                votes[ballot.member][shown] += 1
                deviating[ballot.member] += ballot.deviating
    blocks = [chained.block for chained in facts.blocks]
    contributed = Counter(block.contributor for block in blocks if block.kind == INCREMENT)
    offered = Counter(candidate.proposer for candidate in facts.candidates)
    general = Counter(block.general for block in blocks)
    endorsed = Counter(member for chained in facts.blocks for member in chained.endorsements)
    return [
        Tally(
            member=member,
            records=facts.tip.block.contributions.get(member, 0),
            blocks=contributed[member],
            offered=offered[member],
            votes=votes[member],
            deviating=deviating[member],
            general=general[member],
            endorsed=endorsed[member],
        )
        for member in facts.everybody
    ]


def members(facts: Facts) -> Html:
    """The section."""
    head: list[Child] = ["member"]
    columns = {
        "records": "its records in the present model",
        "blocks": "its accepted increments, of all that it offered",
        "yes": "votes for a candidate",
        "no": "votes against one",
        "unavail.": "could not load the candidate",
        "missing": "no verdict in time",
        "deviating": "its result on G was not the one agreed on",
        "general": "blocks that it made",
        "endorsed": "blocks that it endorsed",
        "strength": "S after the newest block",
    }
    head += [heading(name, "num", title) for name, title in columns.items()]
    if facts.charter.privacy is not None:
        head.append(heading("ε spent", "num", _budget(facts.charter.privacy)))
    if any(facts.local.values()):
        head.append(heading("on its L", "spark-head", "performance on its local test set, block by block"))
    most = max([*facts.tip.block.contributions.values(), 1])
    rows = [_row(facts, tally, most) for tally in tallies(facts)]
    return section(
        "members",
        "Members: what each brought, and how it did its part",
        table(head, rows, caption="contributions and duties by member", css="members"),
    )


def _row(facts: Facts, tally: Tally, most: int) -> Html:
    strength = facts.tip.block.strengths.get(tally.member)
    cells: list[Child] = [
        el("td", text.whole(tally.records), bar(tally.records / most), class_="num"),
        number(f"{tally.blocks} of {tally.offered}"),
        number(tally.votes["yes"]),
        number(tally.votes["no"]),
        _blame(tally.votes["unavailable"]),
        _blame(tally.votes["missing"]),
        _blame(tally.deviating),
        number(tally.general),
        number(tally.endorsed),
        number(text.NONE if strength is None else f"{strength / MILLION:.4f}"),
    ]
    epsilon = facts.state.epsilon_ppm(tally.member)
    if epsilon is not None:
        cells.append(number(epsilon_text(epsilon)))
    if any(facts.local.values()):
        cells.append(_local(facts, tally.member))
    name: list[Child] = [el("span", text.short(tally.member, 30), title=tally.member)]
    if tally.member not in facts.members:
        name.append(el("small", " has left"))
    return row(el("span", name), *cells)


def _budget(terms: PrivacyTerms) -> str:
    words = "composed over everything that it offered, accepted or not"
    if terms.epsilon_max_ppm is not None:
        words += f"; the budget is {text.ppm(terms.epsilon_max_ppm)}"
    return words


def _blame(count: int) -> Html:
    return el("td", count, class_="num blame" if count else "num quiet")


def _local(facts: Facts, member: MemberId) -> Html:
    own = [local.value for index, local in facts.local[member].items() if index]
    if not own:
        return el("td", text.NONE, class_="num quiet")
    low, high = _range(facts)
    title = f"L of {member}: {own[0]:.4f} at first, {own[-1]:.4f} now"
    drawn = sparkline(own, low=low, high=high, title=title)
    return el("td", drawn, f"{own[-1]:.3f}", class_="num spark-cell")


def _range(facts: Facts) -> tuple[float, float]:
    # One scale for all members; one nonsensical report must not flatten it.
    numbers = [local.value for of in facts.local.values() for index, local in of.items() if index]
    measured = [chained.block.performance for chained in facts.blocks]
    floor = scale_floor([result.candidate / result.scale for result in measured if result])
    return max(min(numbers), floor), max(numbers)
