"""``tclearn vault journal``, ``who-had``, ``statistics`` and ``check``: who has read which version when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tclearn.cli.keys import Key, oneself
from tclearn.cli.opened import Directory, OpenLedger, Record, opened_ledger
from tclearn.cli.options import AsJson
from tclearn.cli.output import count, natural, print_json, say, table, when
from tclearn.cli.refused import show_refused
from tclearn.cli.signed import CharterDigest, head_json, head_text, told_digest
from tclearn.cli.versions import block_named
from tclearn.directory import LOG_KEY, CoalitionDirectory
from tclearn.directory.reading import open_file, read_file
from tclearn.errors import Code, UsageError
from tclearn.files import write_whole
from tclearn.identity import Signer
from tclearn.limits import JOURNAL_BYTES_MAX
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.journal_file import CheckedJournal, check_journal, write_journal
from tclearn.protocols.tclearn.reading_journal import (
    DELIVERED,
    GRANTED,
    TRAINED,
    Holder,
    Reading,
    journal,
    statistics,
    who_had,
    why_public,
)
from tclearn.protocols.tclearn.state import State

_CERTAIN = {
    TRAINED: "trained it",
    DELIVERED: "has confirmed it",
    GRANTED: "unknown: granted, never confirmed",
}


def show_journal(  # noqa: PLR0913, PLR0917 - each is an option of the command
    member: Annotated[str | None, typer.Option(metavar="NAME", help="Only readings of this member.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="BLOCK", help="Only of this block's model; or newest.")
    ] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Show what the service has refused; only where it runs.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write the journal, signed, into this file.")
    ] = None,
    record: Record = None,
    charter: CharterDigest = None,
    key: Key = None,
    directory: Directory = Path("coalition"),
    as_json: AsJson = False,
) -> None:
    """List the readings that were granted, and which of them the members have confirmed.

    With --export the whole journal is written into a file, signed with the log's key where the service runs, else
    with a member's; `tclearn vault check` holds it against the record.
    """
    if refused:
        if record is not None or export is not None:
            raise UsageError(Code.USAGE, "--refused with --record or --export", expected="one of them")
        show_refused(directory, member, as_json=as_json)
        return
    with opened_ledger(directory, record, charter) as ledger:
        readings = journal(ledger.state)
        wanted = None if version is None else block_named(version, ledger.state.tip)
        public = why_public(ledger.state, ledger.state.tip if wanted is None else wanted)
        if export is not None:
            _export(export, ledger, _signer(directory, key, offline=record is not None), as_json=as_json)
            return
    if public:
        _say_public(public, as_json=as_json)
        return
    _check_known(member, ledger.state, readings)
    shown = [
        each
        for each in readings
        if (member is None or each.member == member) and (wanted is None or wanted in each.versions)
    ]
    if as_json:
        print_json({**ledger.as_json(), "public": False, "readings": [_reading_json(each) for each in shown]})
        return
    table(
        ["reading", "time (UTC)", "member", "of", "to", "confirmed (UTC)"],
        [(each.number, when(each.time_ms), each.member, _what(each), each.purpose, _confirmed(each)) for each in shown],
        right=["reading"],
    )
    of_all = "" if len(shown) == len(readings) else f" of {len(readings):,}"
    say(f"{count(len(shown), 'reading')}{of_all}; {_unknown(shown)}")
    ledger.say()


def _check_known(member: str | None, state: State, readings: list[Reading]) -> None:
    known = {*state.members, *(each.member for each in readings)}
    if member is not None and member not in known:
        raise UsageError(
            Code.USAGE, f"nobody of this coalition is called {member}", expected=", ".join(sorted(known, key=natural))
        )


def _export(to: Path, ledger: OpenLedger, signer: Signer, *, as_json: bool) -> None:
    data = write_journal(ledger.state, ledger.coalition, ledger.head, signer)
    write_whole(to, data)
    readings = ledger.state.accesses
    if as_json:
        print_json({**ledger.as_json(), "export": str(to), "readings": readings, "key": signer.public.hex()})
        return
    say(f"{to}: {count(readings, 'reading')}, {len(data):,} bytes, signed by the key {signer.public.hex()[:16]}…")
    say(f"head      {head_text(ledger.head)}")


def show_who_had(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Index of a block, or newest.")],
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only until then: 2026-03-01T12:00+01:00; without a zone it is UTC."),
    ] = None,
    record: Record = None,
    charter: CharterDigest = None,
    directory: Directory = Path("coalition"),
    as_json: AsJson = False,
) -> None:
    """Say which members had the model of a block: who trained it, who confirmed it, and who may have it or not."""
    before_ms = None if before is None else time_ms(before)
    with opened_ledger(directory, record, charter) as ledger:
        index = block_named(version, ledger.state.tip)
        public = why_public(ledger.state, index)
        holders = [] if public else who_had(ledger.state, index, before_ms)
    if public:
        _say_public(public, as_json=as_json, version=index)
        return
    until = "" if before_ms is None else f", before {when(before_ms)} UTC"
    if as_json:
        print_json(
            {
                **ledger.as_json(),
                "version": index,
                "before_ms": before_ms,
                "public": False,
                "holders": [_holder_json(each) for each in holders],
            }
        )
        return
    say(f"block {index}{until}: {count(len(holders), 'member')} had it or may have had it")
    if holders:
        table(
            ["member", "since (UTC)", "how", "confirmed (UTC)", "readings"],
            [
                (
                    each.member,
                    when(each.since_ms),
                    _CERTAIN[each.how],
                    "" if each.delivered_ms is None else when(each.delivered_ms),
                    ", ".join(map(str, each.readings)),
                )
                for each in holders
            ],
        )
    say("whoever runs the vault has every version; what members hand on to others is in no journal")
    ledger.say()


def show_statistics(
    record: Record = None,
    charter: CharterDigest = None,
    directory: Directory = Path("coalition"),
    as_json: AsJson = False,
) -> None:
    """Count each member's readings, and how many it has left for its own use."""
    with opened_ledger(directory, record, charter) as ledger:
        if ledger.state.charter.vault is None:
            _say_public(why_public(ledger.state, ledger.state.tip), as_json=as_json)
            return
        counted = statistics(ledger.state)
    if as_json:
        print_json(
            {
                **ledger.as_json(),
                "members": [
                    {
                        "member": each.member,
                        "train": each.train,
                        "test": each.test,
                        "use": each.use,
                        "confirmed": each.delivered,
                        "unknown": each.unknown,
                        "left": each.left,
                        "last_ms": each.last_ms,
                    }
                    for each in counted
                ],
            }
        )
        return
    table(
        ["member", "train", "test", "use", "confirmed", "unknown", "left for use", "last (UTC)"],
        [
            (
                each.member,
                each.train,
                each.test,
                each.use,
                each.delivered,
                each.unknown,
                "no member" if each.left is None else each.left,
                "" if each.last_ms is None else when(each.last_ms),
            )
            for each in counted
        ],
        right=["train", "test", "use", "confirmed", "unknown", "left for use"],
    )


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `tclearn vault journal --export`.")],
    record: Annotated[Path, typer.Option("--record", metavar="FILE", help="The exported record to hold it against.")],
    charter: Annotated[
        str,
        typer.Option(
            "--charter",
            metavar="DIGEST",
            help="The charter's digest, as you know it from elsewhere, or a file charter.cbor.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Check that a journal is exactly what a record replays to. Exit code 3 when it is not."""
    digest = told_digest(charter)
    data = read_file(file, JOURNAL_BYTES_MAX, "name a file of `tclearn vault journal --export`")
    with open_file(record, "name an export of `tclearn ledger export`") as stream:
        checked = check_journal(data, stream, terms_of, digest)
    if as_json:
        print_json(
            {
                "verified": True,
                "signed_by": checked.signer,
                "key": checked.file.key.hex(),
                "head": head_json(checked.file.head),
                "entries": checked.entries,
                "readings": len(checked.file.readings),
            }
        )
        return
    say(f"verified: {count(len(checked.file.readings), 'reading')}, all that the record grants until then and no other")
    say(f"signed by {'the log' if checked.signer is None else checked.signer}")
    say(f"head      {head_text(checked.file.head)}")
    _say_newer(checked)


def time_ms(text: str) -> int:
    """A time as a user writes it, in milliseconds since 1970; without a zone it is UTC.

    Raises:
        UsageError: it is no ISO 8601 time.
    """
    try:
        read = datetime.fromisoformat(text)
        return round((read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError(
            Code.USAGE, f"{text[:60]!r} is no time", expected="such as 2026-03-01, 2026-03-01T12:00 or …T12:00+01:00"
        ) from None


def _signer(directory: Path, key: Path | None, *, offline: bool) -> Signer:
    if not offline and key is None and (directory / LOG_KEY).exists():
        with CoalitionDirectory.open(directory) as coalition:
            return coalition.log_key()
    return oneself(key, datetime.now(UTC)).keys.signer


def _say_public(why: str, *, as_json: bool, version: int | None = None) -> None:
    if as_json:
        print_json({"public": True, "why": why, **({} if version is None else {"version": version})})
    else:
        say(why)


def _say_newer(checked: CheckedJournal) -> None:
    later = checked.entries - checked.file.head.size
    if later:
        say(f"          the record goes on for {count(later, 'entry', 'entries')}: a newer journal may have more")


def _what(reading: Reading) -> str:
    if reading.versions:
        return f"block {', '.join(map(str, reading.versions))}"
    return "a hidden part" if reading.candidate is None else f"candidate {reading.candidate}"


def _confirmed(reading: Reading) -> str:
    return "" if reading.delivered_ms is None else when(reading.delivered_ms)


def _unknown(readings: list[Reading]) -> str:
    unknown = sum(each.delivered_ms is None for each in readings)
    return f"{unknown:,} of them not confirmed: unknown whether they were fetched" if unknown else "all confirmed"


def _reading_json(reading: Reading) -> dict[str, Any]:
    return {
        "number": reading.number,
        "member": reading.member,
        "object": reading.object.hex(),
        "purpose": reading.purpose,
        "versions": list(reading.versions),
        "candidate": reading.candidate,
        "entry": reading.entry,
        "time_ms": reading.time_ms,
        "witnessed_ms": reading.witnessed_ms,
        "delivered_ms": reading.delivered_ms,
        "status": reading.status,
    }


def _holder_json(holder: Holder) -> dict[str, Any]:
    return {
        "member": holder.member,
        "how": holder.how,
        "since_ms": holder.since_ms,
        "delivered_ms": holder.delivered_ms,
        "readings": list(holder.readings),
    }
