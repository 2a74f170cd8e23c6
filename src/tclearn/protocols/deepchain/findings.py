"""What an audit has looked at, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, VerificationError

GRADIENT: Final = "gradient"
SUM: Final = "sum"
SHARES: Final = "shares"
OPENED: Final = "opened sum"


class Kind(StrEnum):
    """What a remark is."""

    WRONG = "wrong"
    """Wrong, and the ledger took it as right; or right, and convicted."""
    MISSING = "missing"
    """The ledger relied on a file that is not there, or a file is damaged: nobody can say whether it was right."""
    CONVICTED = "convicted"
    """Wrong, and shown to be wrong on the ledger: as it should be."""
    REFUSED = "refused"
    """Wrong or not there, and not relied on."""
    DOUBTFUL = "doubtful"
    """Right and there, and voted down at its member's cost: perhaps it came too late. No file shows it."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that an auditor should know.

    Attributes:
        kind: what it is.
        iteration: its number.
        member: who handed it in; ``None``: what all parties report together.
        what: one of ``GRADIENT``, ``SUM``, ``SHARES``, ``OPENED``.
        batch: the first batch that is wrong, from 0; ``None``: no batch is named.
        text: a sentence about it.
        file: name of a file that is not to be had; ``None``: it is not about one.
    """

    kind: Kind
    iteration: int
    member: MemberId | None
    what: str
    batch: int | None
    text: str
    file: Digest | None = None


@dataclass
class Audit:
    """What was looked at, and what was found.

    Attributes:
        iterations: that were begun; where only their dossiers are known, those in which something was handed in.
        rounds: those that succeeded.
        running: whether one of them goes on.
        dissolved: whether the group was dissolved.
        gradients: gradients whose files were there.
        shares: sets of decryption shares, likewise.
        proofs: proofs of their batches that were verified.
        ciphertexts: ciphertexts and shares that those proofs are of.
        sums: sums that were computed again.
        added: ciphertexts of these.
        opened: opened sums that were computed again.
        unfounded: accusations on the ledger that proved nothing.
        remarks: in the order of the record.
    """

    iterations: int = 0
    rounds: int = 0
    running: bool = False
    dissolved: bool = False
    gradients: int = 0
    shares: int = 0
    proofs: int = 0
    ciphertexts: int = 0
    sums: int = 0
    added: int = 0
    opened: int = 0
    unfounded: int = 0
    remarks: list[Remark] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Remark]:
        """The remarks of some kinds."""
        return [remark for remark in self.remarks if remark.kind in kinds]

    def fault(self) -> VerificationError | None:
        """Why the record cannot be relied on; ``None``: it can.

        The error is ``PROOFS`` when something wrong counted, or something right was convicted; ``PROOFS_FILE`` when
        nothing such was found, but a file is missing or damaged.
        """
        faults = sorted(self.of(Kind.WRONG, Kind.MISSING), key=lambda remark: remark.kind is Kind.MISSING)
        if not faults:
            return None
        first, others = faults[0], len(faults) - 1
        more = f"; and {others} more" if others else ""
        if first.kind is Kind.WRONG:
            return VerificationError(
                Code.PROOFS,
                f"{first.text}{more}",
                expected="that nothing wrong counts, and nobody is convicted of what is right",
                remedy="do not rely on this model; keep the record and the files, which show it to anybody",
            )
        return VerificationError(
            Code.PROOFS_FILE,
            f"cannot be verified: {first.text}{more}",
            expected="whole copies of all files that the ledger relied on",
            remedy="ask the members for these objects: their names are the BLAKE3 digests of their bytes",
        )
