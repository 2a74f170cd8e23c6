"""``tclearn ledger receipt``: one entry in a file that anybody can check offline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.options import AsJson, Directory
from tclearn.cli.output import count, natural, print_json, say
from tclearn.cli.signed import (
    CharterDigest,
    at,
    call_text,
    digest_of,
    head_json,
    head_text,
    say_charter,
    transaction_json,
)
from tclearn.coalition.digest_text import parse_digest
from tclearn.directory.reading import read_file
from tclearn.directory.record import RecordDirectory
from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError
from tclearn.files import is_folder, write_whole
from tclearn.ledger.receipt import Received, charter_of, check_receipt, write_receipt
from tclearn.limits import RECEIPT_BYTES_MAX
from tclearn.protocols import terms_of


def receipt(
    entry: Annotated[
        str | None, typer.Argument(metavar="ENTRY", help="Index of an entry, or its transaction's id.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write, or a directory to put it in.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this receipt instead of making one.")
    ] = None,
    charter: CharterDigest = None,
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Write one entry into a file that anybody can check offline, or check one. Exit code 3 when it does not hold."""
    if (entry is None) == (check is None):
        raise UsageError(
            Code.USAGE, "an entry and --check together, or neither", expected="one of them", remedy="see --help"
        )
    if (to if check else charter) is not None:
        raise UsageError(
            Code.USAGE,
            "--to with --check" if check else "--charter without --check",
            expected="--to with an entry, --charter with --check",
        )
    file = check if check is not None else _make(directory, entry or "", to)
    data = read_file(file, RECEIPT_BYTES_MAX, "name a receipt of `tclearn ledger receipt`")
    its_charter = charter_of(data)
    received = check_receipt(data, terms_of, digest_of(its_charter, charter))
    told = charter is not None
    if as_json:
        print_json({"receipt": str(file), **_as_json(received), **({"charter_given": told} if check else {})})
        return
    if check is None:
        say(f"{file}: {len(data):,} bytes")
    _print(received)
    say_charter(its_charter, received.coalition, told=told or check is None)


def _make(directory: Path, entry: str, to: Path | None) -> Path:
    with RecordDirectory.open(directory) as record:
        index = _index(record, entry)
        data = write_receipt(record.ledger, record.charter, terms_of, record.log_key(), index)
    name = f"entry-{index}.receipt"
    file = Path(name) if to is None else to / name if is_folder(to) else to
    write_whole(file, data)
    return file


def _index(record: RecordDirectory, entry: str) -> int:
    if re.fullmatch(r"[0-9]{1,18}", entry):
        return int(entry)
    try:
        name = parse_digest(entry)
    except UsageError as error:
        raise UsageError(
            Code.USAGE,
            f"no entry {entry!r}",
            expected="the index of an entry, or the 64 digits of its transaction's id",
            remedy="`tclearn ledger show` lists the entries, with --json also the ids",
        ) from error
    outcome = record.ledger.outcome(Digest(name))
    if outcome is None:
        raise UsageError(
            Code.USAGE, f"the transaction {name.hex()[:16]}… is not in the ledger", remedy="`tclearn ledger show`"
        )
    return outcome.index


def _print(received: Received) -> None:
    sender = received.sender or f"the key {received.transaction.signer.hex()[:16]}…, which the charter does not name"
    names = ", ".join(sorted((member for member, _ in received.cosigners), key=natural))
    enough = "a quorum" if received.by_quorum else f"{received.needed} are a quorum, only the log answers for this"
    say(f"proven: entry {received.entry.index} of the log")
    say(f"said by   {sender}")
    say(f"what      {call_text(received.transaction)}")
    say(f"when      {at(received.entry.time_ms)}, by the log's clock")
    say(f"head      {head_text(received.head)}")
    if names:
        say(f"cosigned  by {names}: {len(received.cosigners)} of {count(received.members, 'member')}, {enough}")
    else:
        say("cosigned  by nobody: only the log answers for this")
    say("outcome   not shown: whether the rules accepted it is in the record")


def _as_json(received: Received) -> dict[str, object]:
    return {
        "verified": True,
        "entry": received.entry.index,
        "time_ms": received.entry.time_ms,
        "member": received.sender,
        **transaction_json(received.transaction),
        "charter": received.coalition.hex(),
        "head": head_json(received.head),
        "cosigned": [{"member": member, "at_seconds": seconds} for member, seconds in received.cosigners],
        "members": received.members,
        "quorum": received.by_quorum,
    }
