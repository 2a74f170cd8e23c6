"""``tclearn ledger``: show, verify and export a coalition's record."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.options import AsJson, Directory
from tclearn.cli.output import print_json, say, table, when
from tclearn.coalition.digest_text import format_digest, parse_digest
from tclearn.directory import CoalitionDirectory
from tclearn.encoding import Digest
from tclearn.errors import Code, UnreachableError, UsageError
from tclearn.files import write_whole
from tclearn.ledger.export import ExportReader
from tclearn.ledger.transaction import Transaction
from tclearn.ledger.verify import Verified, verify
from tclearn.protocols import terms_of

app = typer.Typer(no_args_is_help=True, help="Show, verify and export the record.")


@app.command()
def show(
    directory: Directory = Path("demo"),
    last: Annotated[int, typer.Option(min=0, help="Show only so many last entries; 0: all.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List the ledger's entries: when, who, what, and what became of it."""
    with CoalitionDirectory.open(directory) as coalition:
        names = {member.key: member.id for member in coalition.charter.members}
        size = len(coalition.ledger)
        rows = []
        for recorded in coalition.ledger.entries(max(0, size - last) if last else 0, size):
            transaction = Transaction.parse(recorded.entry.transaction)
            outcome = recorded.outcome
            rows.append(
                {
                    "index": recorded.entry.index,
                    "time": when(recorded.entry.time_ms),
                    "member": names[transaction.signer],
                    "method": transaction.call.method,
                    "code": outcome.code,
                    "reason": outcome.reason,
                    "bytes": len(recorded.entry.transaction),
                    "id": transaction.id.hex(),
                }
            )
    if as_json:
        print_json({"coalition": coalition.charter.digest.hex(), "entries": rows})
        return
    table(
        ["entry", "time (UTC)", "member", "says", "bytes", "outcome"],
        [
            (row["index"], row["time"], row["member"], row["method"], row["bytes"], row["reason"] or "done")
            for row in rows
        ],
        right=["entry", "bytes"],
    )


@app.command()
def export(
    to: Annotated[Path, typer.Argument(help="The file to write.")],
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Write the whole record into one file that anybody can verify offline."""
    with CoalitionDirectory.open(directory) as coalition:
        entries = coalition.export(to).head.size
        digest = coalition.charter.digest
    if as_json:
        print_json({"export": str(to), "entries": entries, "coalition": digest.hex(), "bytes": to.stat().st_size})
    else:
        say(f"{to}: {entries} entries, {to.stat().st_size:,} bytes")
        say(f"charter {format_digest(digest)}")


@app.command("verify")
def verify_command(
    export: Annotated[Path, typer.Argument(help="An exported record.")],
    charter: Annotated[
        str | None,
        typer.Option(help="The charter's digest, as you know it from elsewhere (or a file `charter.cbor`)."),
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="A checkpoint from an earlier verification that the record must extend.")
    ] = None,
    remember: Annotated[
        Path | None, typer.Option(help="Keep the record's checkpoint in this file, for --since.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay a record with public keys only. Exit code 3 when it does not hold, naming the first bad entry."""
    if not export.is_file():
        raise UnreachableError(
            Code.RECORD_FORMAT, f"no file {export}", remedy="name an export of `tclearn ledger export`"
        )
    if remember is not None and remember.exists() and remember.samefile(export):
        raise UsageError(Code.USAGE, f"--remember {remember} is the record itself", expected="another file")
    told = charter is not None
    digest = _digest(charter) if charter is not None else _claimed(export)
    remembered = _checkpoint(since) if since else None
    with export.open("rb") as stream:
        verified = verify(stream, terms_of, digest, since=remembered)
    if as_json:
        print_json(_as_json(verified, told))
    else:
        _print(verified, told)
    if remember is not None:
        write_whole(remember, verified.checkpoint)


def _print(verified: Verified, told: bool) -> None:
    last = f", the last of {when(verified.head.time_ms)} UTC" if verified.entries else ""
    say(f"verified: {verified.entries} entries{last}")
    say(f"charter   {format_digest(verified.coalition)}")
    if not told:
        say("          read from the file itself: compare it with the digest that you know, or give --charter")
    if verified.cosigned is None:
        say("cosigned  by nobody yet: only the sequencer's signature protects this record")
    else:
        members = ", ".join(verified.cosigned.members)
        size, time_ms = verified.cosigned.head.size, verified.cosigned.head.time_ms
        say(f"cosigned  {size} entries, until {when(time_ms)} UTC, by {members}")
        if verified.tail:
            say(f"          the last {verified.tail} entries are covered by the sequencer's signature only")
    if verified.since is None:
        say("since     not checked: a record cut back to an older cosigned head would look the same")
    else:
        say(f"since     extends the remembered {verified.since.size} entries")


def _as_json(verified: Verified, told: bool) -> dict[str, object]:
    cosigned = verified.cosigned
    return {
        "verified": True,
        "entries": verified.entries,
        "time_ms": verified.head.time_ms,
        "charter": verified.coalition.hex(),
        "charter_given": told,
        "root": verified.head.root.hex(),
        "cosigned": cosigned and {"entries": cosigned.head.size, "members": list(cosigned.members)},
        "tail": verified.tail,
        "since": verified.since and verified.since.size,
    }


def _digest(text: str) -> Digest:
    path = Path(text)
    if path.suffix and not path.is_file():
        raise UnreachableError(Code.RECORD_CHARTER, f"no file {path}", remedy="name a charter.cbor, or give its digest")
    if path.is_file():
        return Digest(hashlib.sha256(path.read_bytes()).digest())
    return parse_digest(text)


def _claimed(export: Path) -> Digest:
    with export.open("rb") as stream:
        return Digest(hashlib.sha256(ExportReader(stream).charter).digest())


def _checkpoint(path: Path) -> bytes:
    if not path.is_file():
        raise UnreachableError(Code.RECORD_EXTENSION, f"no file {path}", remedy="keep one with --remember")
    return path.read_bytes()
