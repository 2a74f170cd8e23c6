"""The ledger that a command asks: a coalition's directory, or a record from somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tclearn.cli.options import present
from tclearn.cli.signed import digest_of, head_json, say_charter
from tclearn.directory import CoalitionDirectory
from tclearn.directory.reading import open_file
from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError
from tclearn.ledger import Head
from tclearn.ledger.export import ExportReader
from tclearn.ledger.verify import verify
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.state import State

Directory = Annotated[
    Path,
    typer.Option(
        "--dir", "-C", metavar="DIR", help="The coalition's directory, a member's or the founder's.", callback=present
    ),
]
Record = Annotated[
    Path | None, typer.Option("--record", metavar="FILE", help="An exported record to read, instead of a directory.")
]


@dataclass(frozen=True, slots=True)
class OpenLedger:
    """A ledger to be asked, from a directory or a record.

    Attributes:
        state: what it gives.
        coalition: digest of the charter.
        head: its roots.
        charter: the charter's bytes.
        told: whether the user has given the charter's digest; ``None``: it is that of a directory.
    """

    state: State
    coalition: Digest
    head: Head
    charter: bytes
    told: bool | None

    def as_json(self) -> dict[str, Any]:
        """What every answer names: the coalition, and the head that it follows from."""
        return {"coalition": self.coalition.hex(), "head": head_json(self.head)}

    def say(self) -> None:
        """The lines about the charter, where it came with a record."""
        if self.told is not None:
            say_charter(self.charter, self.coalition, told=self.told)


@contextmanager
def opened_ledger(directory: Path, record: Path | None, charter: str | None) -> Iterator[OpenLedger]:
    """A coalition's ledger: of its directory, or of an exported record, which is verified first.

    Raises:
        UsageError: a digest without a record, or a record of another protocol.
        UnreachableError: there is no such coalition or record.
        VerificationError: the record does not verify.
    """
    if record is None:
        if charter is not None:
            raise UsageError(Code.USAGE, "--charter without --record", expected="a directory, or a record")
        with CoalitionDirectory.open(directory) as coalition:
            ledger = coalition.ledger
            head = ledger.head(len(ledger))
            yield OpenLedger(coalition.state, coalition.charter.digest, head, coalition.charter.encode(), None)
        return
    with open_file(record, "name an export of `tclearn ledger export`") as stream:
        its_charter = ExportReader(stream).charter
        stream.seek(0)
        digest = digest_of(its_charter, charter)
        verified = verify(stream, terms_of, digest)
    state = terms_of(its_charter).contract.view(verified.state)
    if not isinstance(state, State):
        raise UsageError(Code.USAGE, f"{record} is of a protocol that keeps no journal", expected="tclearn")
    yield OpenLedger(state, digest, verified.head, its_charter, charter is not None)
