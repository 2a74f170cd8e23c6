"""``tclearn data journal``: who asked the supervisor for data IDs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tclearn.cli.keys import Key, oneself
from tclearn.cli.options import AsJson
from tclearn.cli.output import count, natural, print_json, say, table, when
from tclearn.coalition.allowance import IdEntry
from tclearn.coalition.digest_text import format_digest
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory import CoalitionDirectory
from tclearn.directory.data_ids import ID_JOURNAL, id_rate, id_terms, open_id_journal

Directory = Annotated[
    Path, typer.Option("--dir", "-C", metavar="DIR", help="The coalition's directory, a member's or the service's.")
]
Member = Annotated[str | None, typer.Option("--member", metavar="NAME", help="Only entries of this member.")]


def journal(
    directory: Directory = Path("coalition"), key: Key = None, member: Member = None, as_json: AsJson = False
) -> None:
    """Show who asked the supervisor for data IDs, when, and for how many records; and check that it kept to the rules.

    In the service's directory the journal is read there. In a member's it is fetched from the service, and every entry
    that this member was ever told of must be in it; --key names the member's key file.
    """
    with CoalitionDirectory.open(directory) as coalition:
        charter = coalition.charter
    id_terms(charter)
    mine: int | None = None
    unnoted: dict[Any, int] = {}
    if (directory / ID_JOURNAL).exists():
        with open_id_journal(directory, charter, read_only=True) as kept:
            entries = kept.entries()
            unnoted = {name: each for name, each in kept.unnoted().items() if member in (None, name)}
    else:
        entries, mine = _fetched(directory, key)
    shown = [entry for entry in entries if member is None or entry.member == member]
    if as_json:
        print_json(
            {
                "entries": [_json(entry) for entry in shown],
                "digest": entries[-1].digest.hex() if entries else None,
                "refused_without_entry": unnoted,
                "told": mine,
            }
        )
        return
    _say(charter, shown, entries, unnoted, mine)


def _fetched(directory: Path, key: Path | None) -> tuple[list[IdEntry], int]:
    from tclearn.service.binding import RECEIPTS
    from tclearn.service.home import MemberHome
    from tclearn.service.remote_ids import IdReceipts, checked_journal, remote_journal

    now = datetime.now(UTC)
    home = MemberHome.open(directory, oneself(key, now))
    receipts = IdReceipts(directory / RECEIPTS).load()
    with home.connection(now) as connection:
        return checked_journal(id_rate(home.charter), remote_journal(connection), receipts), len(receipts)


def _say(
    charter: ResolvedCharter,
    shown: Sequence[IdEntry],
    entries: Sequence[IdEntry],
    unnoted: dict[Any, int],
    mine: int | None,
) -> None:
    terms = id_terms(charter)
    say(f"{charter.name}: a member may ask for {terms.at_once:,} records at once, then for {terms.per_day:,} in a day")
    say()
    if shown:
        rows = [
            (
                entry.number,
                when(entry.time_ms),
                entry.member,
                f"{entry.count:,}",
                "granted" if entry.granted else "refused",
                f"{entry.left:,}",
                f"{entry.unnoted:,}" if entry.unnoted else "",
            )
            for entry in shown
        ]
        numbers = ("entry", "records", "left", "refused before")
        table(("entry", "time (UTC)", "member", "records", "answer", "left", "refused before"), rows, right=numbers)
        say()
    for name in sorted({entry.member for entry in shown} | set(unnoted), key=natural):
        granted = [entry.count for entry in shown if entry.member == name and entry.granted]
        refused = sum(entry.unnoted + 1 - entry.granted for entry in shown if entry.member == name)
        say(
            f"{name}: {count(sum(granted), 'record')} in {count(len(granted), 'request')}, "
            f"{refused + unnoted.get(name, 0):,} refused"
        )
    if not entries:
        say("nobody has asked yet")
        return
    say(f"each of {count(len(entries), 'entry', 'entries')} follows from those before it and from the charter")
    if mine is not None:
        say(f"all {mine:,} that this member was told of are among them")
    say(f"digest {format_digest(entries[-1].digest)}: compare it with what other members are shown")


def _json(entry: IdEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "time_ms": entry.time_ms,
        "member": entry.member,
        "records": entry.count,
        "granted": bool(entry.granted),
        "left": entry.left,
        "refused_before": entry.unnoted,
        "blinded": entry.blinded.hex(),
    }
