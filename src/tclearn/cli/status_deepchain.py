"""``tclearn status`` of a DeepChain coalition: its iterations, who was fined for what, and everybody's coins."""

from __future__ import annotations

from pathlib import Path

from tclearn.cli.output import count, natural, print_json, say, table, when
from tclearn.directory.coalition import kept_charter_bytes
from tclearn.directory.record import RecordDirectory
from tclearn.encoding import MemberId
from tclearn.errors import MessageError
from tclearn.protocols import protocol_of
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.endings import why_dissolved
from tclearn.protocols.deepchain.history import History
from tclearn.protocols.deepchain.records import COMPLETE, DISSOLVED
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.deepchain.as_json import coins_json, course_json, minted_json
from tclearn.simulation.deepchain.options import PROTOCOL
from tclearn.simulation.deepchain.rows import coin_rows, deposits_row, header, rows

_WORDS = {
    "declare": "state its data as an asset",
    "join": "join, and lock its deposits",
    "stake": "lock its deposit again",
    "contribute": "hand in its gradient",
    "verify": "vote on the gradients",
    "attach": "attach its gradient",
    "update": "add up, as leader",
    "check": "vote on the sum",
    "append": "sign the block",
    "take": "say whether it has the sum",
    "share": "hand in its decryption shares",
    "report": "say what was opened",
    "timeout": "say that a deadline has passed",
}


def is_deepchain(directory: Path) -> bool:
    """Whether the coalition in a directory runs DeepChain.

    Raises:
        UnreachableError: there is no coalition in it.
    """
    charter = kept_charter_bytes(directory, "name it with --dir; `tclearn demo` and `tclearn coalition new` make one")
    try:
        return protocol_of(charter) == PROTOCOL
    except MessageError:
        return False


def status_deepchain(directory: Path, *, as_json: bool) -> None:
    """Say what each iteration came to, who has how many coins, and what the coalition waits for.

    Raises:
        StorageError: the ledger is not usable.
        UsageError: gmpy2 is not installed.
    """
    with RecordDirectory.open(directory) as record:
        contract, ledger = record.terms.contract, record.ledger
        if not isinstance(contract, DeepChain):
            raise AssertionError("the entry point of this protocol makes another contract")
        size = len(ledger)
        head = ledger.head(size)
        history = History.replayed(contract, record.coalition, ledger.entries(0, size))
        state = ledger.state()
        duties = [
            duty
            for member in sorted((each.id for each in contract.terms.members), key=natural)
            for duty in contract.duties(state, member, head.time_ms)
            if duty.kind != "declare" or _owes_asset(state, member)
        ]
    accounts, group, terms = state.accounts, state.group, contract.terms
    if as_json:
        print_json(
            {
                "name": terms.name,
                "coalition": record.coalition.hex(),
                "protocol": record.protocol,
                **record.terms.facts,
                "entries": size,
                "time_ms": head.time_ms,
                "status": group.status,
                "rounds": group.rounds,
                "iterations": [course_json(course) for course in history.courses],
                "coins": coins_json(history.balances),
                **minted_json(history.balances, accounts),
                "pot": accounts.pot,
                "waiting": [{"member": duty.member, "for": duty.kind, "until_ms": duty.due_ms} for duty in duties],
            }
        )
        return
    done = f"{group.rounds} of {count(terms.iterations, 'iteration')} done"
    say(f"{terms.name}: {done}, {count(group.blocks, 'block')}, {count(size, 'entry', 'entries')}")
    for warning in record.terms.warnings:
        say(f"warning: {warning}")
    why = f", because {why_dissolved(terms, history.courses)}" if group.status == DISSOLVED else ""
    ended = {COMPLETE: "training is complete", DISSOLVED: f"the group is dissolved{why}"}
    say(ended.get(group.status, "waits for:"))
    if group.status not in ended:
        table(
            ["member", "to", "until (UTC)"],
            [
                (duty.member, _WORDS.get(duty.kind, duty.kind), when(duty.due_ms) if duty.due_ms else "no deadline")
                for duty in duties
            ],
        )
    say()
    say(header(measured=False))
    for course in history.courses:
        for line in rows(course, None, of=len(terms.parties)):
            say(line)
    say()
    for line in coin_rows(history.balances, accounts.pot):
        say(line)
    say(deposits_row(terms.money))


def _owes_asset(state: State, member: MemberId) -> bool:
    # Anybody may state data at any time; parties must state some before they join.
    return member in state.terms.parties and not state.assets_of(member)
