"""``tclearn ledger evidence``: look for two signed things that contradict each other, or check such a file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from tclearn.cli.options import AsJson
from tclearn.cli.output import count, print_json, say
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
from tclearn.directory.reading import open_file, read_file
from tclearn.errors import Code, MessageError, UsageError
from tclearn.files import is_folder, write_whole
from tclearn.ledger import Entry, Transaction
from tclearn.ledger.evidence import Contradiction, Said, charter_of, check_evidence
from tclearn.ledger.export import ExportReader
from tclearn.ledger.searching import Findings, search
from tclearn.limits import EVIDENCE_BYTES_MAX, EXPORT_NOTE_BYTES_MAX
from tclearn.protocols import terms_of

_CHECKPOINT_START: Final = b"tclearn/"


def evidence(
    record: Annotated[Path | None, typer.Argument(metavar="RECORD", help="An exported record.")] = None,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="Another record of the same coalition, or a remembered checkpoint."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write what is found, or a directory.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this evidence instead of looking for some.")
    ] = None,
    charter: CharterDigest = None,
    as_json: AsJson = False,
) -> None:
    """Look for two things that one key signed and no honest one signs, or check such a file.

    Exit code 0 when there is such evidence, 1 when nothing was found, 3 when a file proves nothing.
    """
    if (record is None) == (check is None) or (check is not None and to is not None):
        raise UsageError(
            Code.USAGE,
            "a record and --check together, or neither" if (record is None) == (check is None) else "--to with --check",
            expected="one or two records, or --check with a file",
            remedy="see --help",
        )
    if check is not None:
        _check(check, charter, as_json=as_json)
    elif record is not None:
        _search(record, other, to, charter, as_json=as_json)


def _check(file: Path, charter: str | None, *, as_json: bool) -> None:
    data = read_file(file, EVIDENCE_BYTES_MAX, "name evidence of `tclearn ledger evidence`")
    its_charter = charter_of(data)
    proven = check_evidence(data, terms_of, digest_of(its_charter, charter))
    told = charter is not None
    if as_json:
        print_json({"verified": True, **_as_json(proven), "charter_given": told})
        return
    say(f"proven: {_who(proven)} {proven.what}")
    _print(proven)
    say_charter(its_charter, proven.coalition, told=told)


def _search(record: Path, other: Path | None, to: Path | None, charter: str | None, *, as_json: bool) -> None:
    with ExitStack() as files:
        first = files.enter_context(open_file(record, "name an export of `tclearn ledger export`"))
        second = None if other is None else files.enter_context(_other(other))
        checkpoint = None
        if other is not None and second is not None and _is_checkpoint(second):
            checkpoint, second = read_file(other, EXPORT_NOTE_BYTES_MAX, ""), None
        its_charter = ExportReader(first).charter
        first.seek(0)
        digest = digest_of(its_charter, charter)
        findings = search(first, terms_of, digest, second=second, checkpoint=checkpoint)
    proven = [check_evidence(data, terms_of, digest) for data in findings.evidence]
    written = _write(findings.evidence, proven, to) if to is not None else [None] * len(proven)
    if as_json:
        listed = [{**_as_json(each), "file": file and str(file)} for each, file in zip(proven, written, strict=True)]
        print_json(
            {
                "charter": digest.hex(),
                "charter_given": charter is not None,
                "entries": list(findings.sizes),
                "parted": findings.parted,
                "evidence": listed,
            }
        )
    elif proven:
        for each, file in zip(proven, written, strict=True):
            say(f"{each.kind}: {_who(each)} {each.what}")
            _print(each)
            if file is not None:
                say(f"written   {file}: anybody can check it with `tclearn ledger evidence --check`")
            say()
        say_charter(its_charter, digest, told=charter is not None)
    else:
        _say_nothing_found(findings, checkpoint=checkpoint is not None)
    if not proven:
        raise typer.Exit(1)


def _other(path: Path) -> BinaryIO:
    return open_file(path, "name an export, or a checkpoint that `tclearn ledger verify --remember` has kept")


def _is_checkpoint(stream: BinaryIO) -> bool:
    start = stream.read(len(_CHECKPOINT_START))
    stream.seek(0)
    return start == _CHECKPOINT_START


def _write(found: tuple[bytes, ...], proven: list[Contradiction], to: Path) -> list[Path]:
    if is_folder(to):
        names = [to / f"{each.kind}-{each.member or 'log'}.evidence" for each in proven]
    else:
        names = [to.with_stem(f"{to.stem}-{number}") if number > 1 else to for number in range(1, len(found) + 1)]
    for name, data in zip(names, found, strict=True):
        write_whole(name, data)
    return names


def _say_nothing_found(findings: Findings, *, checkpoint: bool) -> None:
    shorter = count(min(findings.sizes), "entry", "entries")
    if checkpoint:
        say(f"nothing found: the record of {shorter} begins with the entries of the checkpoint")
    elif len(findings.sizes) == 1:
        say(f"nothing found: in {shorter} no member contradicts itself")
    elif len(set(findings.sizes)) == 1:
        say(f"nothing found: both records have the same {shorter}")
    else:
        longer = f"{max(findings.sizes):,} entries"
        say(f"nothing found: the longer record, of {longer}, begins with the {shorter} of the other")
    say("this does not verify a record: `tclearn ledger verify` does")


def _who(proven: Contradiction) -> str:
    return "the log" if proven.member is None else proven.member


def _print(proven: Contradiction) -> None:
    say(f"by key    {proven.key.hex()}")
    for name, said in (("first", proven.first), ("second", proven.second)):
        if said.head is not None:
            say(f"{name:<9} {head_text(said.head)}")
        if said.entry is not None:
            say(f"          entry {proven.index}: {_entry_text(said.entry)}")
        if said.transaction is not None:
            say(f"{name:<9} {call_text(said.transaction)}, number {said.transaction.sequence}")


def _entry_text(data: bytes) -> str:
    try:
        entry = Entry.parse(data)
        said = Transaction.parse(entry.transaction)
    except MessageError:
        return f"{len(data):,} bytes that are no entry"
    return f"{at(entry.time_ms)}, {call_text(said)}, by key {said.signer.hex()[:16]}…"


def _as_json(proven: Contradiction) -> dict[str, object]:
    return {
        "kind": proven.kind.value,
        "member": proven.member,
        "key": proven.key.hex(),
        "what": proven.what,
        "charter": proven.coalition.hex(),
        "index": proven.index,
        "first": _said_json(proven.first),
        "second": _said_json(proven.second),
    }


def _said_json(said: Said) -> dict[str, object]:
    parts: dict[str, object] = {}
    if said.head is not None:
        parts["head"] = head_json(said.head)
    if said.entry is not None:
        parts["entry"] = said.entry.hex()
    if said.transaction is not None:
        parts["transaction"] = transaction_json(said.transaction)
    return parts
