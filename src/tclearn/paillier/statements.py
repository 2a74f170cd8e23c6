"""What a proof is about: whose batch of which round, under which key. All of it goes into every challenge."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.encoding import Digest
from tclearn.errors import Code, VerificationError
from tclearn.paillier.keys import SharedKey
from tclearn.records import Record


@dataclass(frozen=True, slots=True)
class Context(Record):
    """A batch's place.

    Attributes:
        coalition: digest that names the coalition.
        round: in which of its rounds.
        party: who speaks: 1, 2, …, as the key numbers them.
        batch: which of its batches: 0, 1, …
    """

    coalition: Digest
    round: int
    party: int
    batch: int

    def check(self, key: SharedKey) -> None:
        """Check that the party is one of the key's.

        Raises:
            ProofError: it is not.
        """
        if not 1 <= self.party <= key.parties:
            raise ProofError(self, "is of no party", expected=f"1 to {key.parties}")


class ProofError(VerificationError):
    """A batch does not hold, and this is whose.

    Attributes:
        party: who made it: 1, 2, …
        batch: which of its batches.
        index: which ciphertext or share in it, when it is one alone.
    """

    def __init__(self, context: Context, what: str, *, index: int | None = None, expected: str = "") -> None:
        place = "" if index is None else f", number {index},"
        super().__init__(
            Code.PROOF,
            f"batch {context.batch}{place} of party {context.party} in round {context.round} {what}",
            expected=expected,
            remedy="count nothing of this party in this round; keep the batch, which convicts it",
        )
        self.party, self.batch, self.index = context.party, context.batch, index
