"""``tclearn ledger verify --proofs``: what was handed in, looked at again, for people and for programs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from rich.progress import Progress

from tclearn.cli.output import count, messages, say
from tclearn.errors import Code, MessageError, UsageError, VerificationError
from tclearn.ledger.export import ExportReader
from tclearn.ledger.verify import Verified
from tclearn.protocols import protocol_of
from tclearn.protocols.deepchain.findings import Audit, Kind
from tclearn.store.reading import ObjectFolder

PROTOCOL: Final = "deepchain"
_SHOWN: Final = 20
_TITLES: Final = {
    Kind.WRONG: "wrong",
    Kind.MISSING: "missing",
    Kind.CONVICTED: "convicted",
    Kind.REFUSED: "refused",
    Kind.DOUBTFUL: "doubtful",
}


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit, and how long it took.

    Attributes:
        audit: what was found.
        seconds: of wall clock.
    """

    audit: Audit
    seconds: float

    @property
    def fault(self) -> VerificationError | None:
        """See ``Audit.fault``."""
        return self.audit.fault()

    def as_json(self) -> dict[str, Any]:
        """The part of the JSON object."""
        made, fault = self.audit, self.fault
        return {
            "verified": fault is None,
            **({} if fault is None else {"error": {"code": fault.label, "what": fault.what}}),
            "iterations": made.iterations,
            "rounds": made.rounds,
            "running": made.running,
            "dissolved": made.dissolved,
            "gradients": made.gradients,
            "shares": made.shares,
            "proofs": made.proofs,
            "ciphertexts": made.ciphertexts,
            "sums": made.sums,
            "added": made.added,
            "opened": made.opened,
            "unfounded": made.unfounded,
            "seconds": round(self.seconds, 3),
            "remarks": [
                {
                    "kind": remark.kind.value,
                    "iteration": remark.iteration,
                    "member": remark.member,
                    "what": remark.what,
                    "batch": remark.batch,
                    "text": remark.text,
                    "file": remark.file and remark.file.hex(),
                }
                for remark in made.remarks
            ],
        }

    def say(self) -> None:
        """The lines for people."""
        made = self.audit
        say(
            f"proofs    {count(made.proofs, 'proof')} of {count(made.ciphertexts, 'ciphertext')} in "
            f"{count(made.gradients, 'gradient')} and {count(made.shares, 'set')} of shares, {self.seconds:.1f} s"
        )
        say(
            f"sums      {count(made.sums, 'sum')} of {count(made.added, 'ciphertext')} added up again, "
            f"{count(made.opened, 'opened sum')} opened again"
        )
        say(f"training  {_training(made, sound=self.fault is None)}")
        if made.unfounded:
            say(f"          {count(made.unfounded, 'accusation')} on the ledger proved nothing")
        for kind, title in _TITLES.items():
            found = made.of(kind)
            for place, remark in enumerate(found[:_SHOWN]):
                say(f"{'' if place else title:<9} {remark.text}")
            if len(found) > _SHOWN:
                say(f"          and {len(found) - _SHOWN:,} more: --json has all")


def _training(made: Audit, *, sound: bool) -> str:
    # What was checked, and no more: without files, or without a success, no sum fixes a model.
    course = f"{count(made.rounds, 'iteration')} of {made.iterations} succeeded"
    course += ", 1 under way" if made.running else ""
    course += "; the group was dissolved" if made.dissolved else ""
    if not made.rounds:
        return course
    if not sound:
        return f"{course}: not all that their model follows from is here and holds"
    return f"{course}: their opened sums fix the model, given W_0"


def objects_for(stream: BinaryIO, folder: Path) -> ObjectFolder:
    """The folder with a record's files, where its protocol has any; the stream is read from its start, and set back.

    Raises:
        UsageError: the record's protocol has no proofs beside the record.
        UnreachableError: there is no such folder.
    """
    protocol = protocol_in(stream)
    if protocol != PROTOCOL:
        raise UsageError(
            Code.USAGE,
            f"--proofs with a record of the protocol {protocol[:40]}, which has no proofs beside its record",
            expected=f"a record of {PROTOCOL}",
            remedy="without --proofs everything in this record is verified",
        )
    return ObjectFolder(folder)


def protocol_in(stream: BinaryIO) -> str:
    """The protocol of a record, ``PROTOCOL`` where nobody can tell; the stream is read from its start, and set back."""
    charter = ExportReader(stream).charter
    stream.seek(0)
    try:
        return protocol_of(charter)
    except MessageError:
        return PROTOCOL  # whatever it is: verification says so


def audited(stream: BinaryIO, verified: Verified, objects: ObjectFolder, *, as_json: bool) -> Audited:
    """Look at everything that a verified record names, on all cores; on a terminal it is said how far it is.

    Raises:
        StorageError: a file is there and cannot be read.
    """
    from tclearn.protocols.deepchain.agent.auditing import audit

    begun = time.perf_counter()
    with Progress(console=messages, transient=True, disable=as_json or not messages.is_terminal) as progress:
        bar = progress.add_task("proofs", total=None)
        stream.seek(0)
        made = audit(
            stream, verified, objects, progress=lambda done, whole: progress.update(bar, completed=done, total=whole)
        )
    return Audited(made, time.perf_counter() - begun)
