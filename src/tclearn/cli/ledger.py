"""``tclearn ledger``: show, verify and export a coalition's record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from tclearn.cli.evidence import evidence
from tclearn.cli.options import AsJson, Directory
from tclearn.cli.output import count, natural, print_json, say, show_error, table, when
from tclearn.cli.proofs import objects_for
from tclearn.cli.receipt import receipt
from tclearn.cli.remade import check_model, looked_beside
from tclearn.cli.signed import say_warnings, told_digest
from tclearn.coalition.digest_text import format_digest
from tclearn.directory.reading import open_file, read_file
from tclearn.directory.record import RecordDirectory
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, UsageError
from tclearn.files import is_folder, is_there, write_whole
from tclearn.identity import PublicKey
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.export import ExportReader
from tclearn.ledger.transaction import Transaction
from tclearn.ledger.verify import Verified, verify
from tclearn.limits import EXPORT_NOTE_BYTES_MAX
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.history import REVERTED, history
from tclearn.protocols.tclearn.state import State

app = typer.Typer(no_args_is_help=True, help="Show, export and verify the record.")


@app.command(short_help="List the ledger's entries.")
def show(
    directory: Directory = Path("demo"),
    last: Annotated[int, typer.Option(metavar="N", help="Show only so many last entries; 0: all.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List the ledger's entries: when, who, what, and what became of it."""
    if last < 0:
        raise UsageError(Code.USAGE, f"--last is {last}", expected="a number of entries, or 0 for all")
    with RecordDirectory.open(directory) as record:
        state, size = record.ledger.state(), len(record.ledger)
        who: Callable[[PublicKey], MemberId | None] = record.ledger.member_of
        reverts = {}
        if isinstance(state, State):
            who = state.holder  # former members, too
            reverts = {step.entry: step.reason for step in history(state) if step.status == REVERTED}
        rows = []
        for recorded in record.ledger.entries(max(0, size - last) if last else 0, size):
            transaction = Transaction.parse(recorded.entry.transaction)
            outcome = recorded.outcome
            rows.append(
                {
                    "index": recorded.entry.index,
                    "time": when(recorded.entry.time_ms),
                    "member": who(transaction.signer),
                    "method": transaction.call.method,
                    "code": outcome.code,
                    "reason": outcome.reason or reverts.get(recorded.entry.index, ""),
                    "bytes": len(recorded.entry.transaction),
                    "id": transaction.id.hex(),
                }
            )
    if as_json:
        print_json({"coalition": record.coalition.hex(), "protocol": record.protocol, "entries": rows})
        return
    table(
        ["entry", "time (UTC)", "member", "says", "bytes", "outcome"],
        [
            (row["index"], row["time"], row["member"], row["method"], row["bytes"], row["reason"] or "done")
            for row in rows
        ],
        right=["entry", "bytes"],
    )


@app.command(short_help="Write the whole record into one file.")
def export(
    to: Annotated[Path, typer.Argument(metavar="TO", help="The file to write, or a directory to put it in.")],
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Write the whole record into one file that anybody can verify offline."""
    with RecordDirectory.open(directory) as record:
        if is_folder(to):
            to /= f"{record.name}.tclearn"
        entries = record.export(to).head.size
        digest = record.coalition
    if as_json:
        print_json({"export": str(to), "entries": entries, "coalition": digest.hex(), "bytes": to.stat().st_size})
    else:
        say(f"{to}: {_entries(entries)}, {to.stat().st_size:,} bytes")
        say(f"charter {format_digest(digest)}")


@app.command("verify", short_help="Check a record, with public keys only.")
def verify_command(
    export: Annotated[Path, typer.Argument(metavar="EXPORT", help="An exported record.")],
    charter: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST", help="The charter's digest, as you know it from elsewhere, or a file charter.cbor."
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A checkpoint from an earlier verification that the record must extend."),
    ] = None,
    remember: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the record's checkpoint in this file, for --since.")
    ] = None,
    proofs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="DeepChain: verify every proof, sum and opening of the objects in here, too."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --proofs and --charter: whether this model (safetensors) is the one that the record gives. "
            "Calls the model code that the charter names.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay a record with public keys only. Exit code 3 when it does not hold, naming the first bad entry."""
    told = charter is not None
    with open_file(export, "name an export of `tclearn ledger export`") as stream:
        if remember is not None and is_folder(remember):
            raise UsageError(Code.USAGE, f"--remember {remember} is a directory", expected="a file to write")
        if remember is not None and is_there(remember) and remember.samefile(export):
            raise UsageError(Code.USAGE, f"--remember {remember} is the record itself", expected="another file")
        remembered = _checkpoint(since) if since is not None else None
        digest = told_digest(charter) if charter is not None else _claimed(stream)
        if model is not None:
            check_model(stream, model, proofs=proofs is not None, charter=told)
        objects = None if proofs is None else objects_for(stream, proofs)
        verified = verify(stream, terms_of, digest, since=remembered)
        if not as_json:
            _print(verified, told, more=objects is not None)
        beside = None if objects is None else looked_beside(stream, verified, objects, model, as_json=as_json)
    if as_json:
        print_json({**_as_json(verified, told), **({} if beside is None else beside.as_json())})
    if remember is not None:
        write_whole(remember, verified.checkpoint)
    if beside is not None and beside.fault is not None:
        show_error(beside.fault, as_json=False)  # the JSON object has it already
        raise typer.Exit(beside.fault.exit_code)


app.command("receipt", short_help="Write one entry into a file that proves it, or check one.")(receipt)
app.command("evidence", short_help="Look for signed contradictions, or check one.")(evidence)


def _print(verified: Verified, told: bool, *, more: bool) -> None:
    # Where more is looked at, the first word does not say yet that all is well.
    last = f", the last of {when(verified.head.time_ms)} UTC" if verified.entries else ""
    say(f"{'the record verifies' if more else 'verified'}: {_entries(verified.entries)}{last}")
    say(f"charter   {format_digest(verified.coalition)}")
    if not told:
        say("          read from the file itself: compare it with the digest that you know, or give --charter")
    say_warnings(verified.terms)
    if verified.cosigned is None:
        say("cosigned  by nobody yet: only the sequencer's signature protects this record")
    else:
        members = ", ".join(sorted(verified.cosigned.members, key=natural))
        size, time_ms = verified.cosigned.head.size, verified.cosigned.head.time_ms
        say(f"cosigned  {_entries(size)}, until {when(time_ms)} UTC, by {members}")
        if verified.tail:
            tail = "entry is" if verified.tail == 1 else f"{verified.tail:,} entries are"
            say(f"          the last {tail} covered by the sequencer's signature only")
    if verified.since is None:
        say("since     not checked: a record cut back to an older cosigned head would look the same")
    else:
        say(f"since     extends the remembered {_entries(verified.since.size)}")


def _as_json(verified: Verified, told: bool) -> dict[str, object]:
    cosigned = verified.cosigned
    return {
        "verified": True,
        "entries": verified.entries,
        "time_ms": verified.head.time_ms,
        "charter": verified.coalition.hex(),
        "charter_given": told,
        "root": verified.head.root.hex(),
        "cosigned": cosigned and {"entries": cosigned.head.size, "members": sorted(cosigned.members, key=natural)},
        "tail": verified.tail,
        "since": verified.since and verified.since.size,
        **verified.terms.facts,
    }


def _entries(number: int) -> str:
    return count(number, "entry", "entries")


def _claimed(stream: BinaryIO) -> Digest:
    charter = ExportReader(stream).charter
    stream.seek(0)
    return Digest(hashlib.sha256(charter).digest())


def _checkpoint(path: Path) -> bytes:
    data = read_file(path, EXPORT_NOTE_BYTES_MAX, "keep one with --remember")
    try:
        Note.parse(data)
    except MessageError as error:
        expected = "a file that --remember has written"
        raise UsageError(Code.USAGE, f"--since {path} is no checkpoint", expected=expected) from error
    return data
