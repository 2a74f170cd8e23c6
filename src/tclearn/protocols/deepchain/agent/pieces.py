"""Pieces of an audit that any process can do: they can be pickled, and have no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tclearn.paillier.decryption import combine
from tclearn.protocols.deepchain.agent.ciphering import numbers
from tclearn.protocols.deepchain.agent.files import Batch
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge


@dataclass(frozen=True, slots=True)
class Piece:
    """A batch with its proof, of the form that the terms want.

    Attributes:
        place: what its proof is bound to.
        batch: of a gradient or of shares.
        summed: the batch of the sum that they are shares of; ``None``: it is of a gradient.
    """

    place: Place
    batch: Batch
    summed: Batch | None


@dataclass(frozen=True, slots=True)
class Judging:
    """Says whether the proof of a batch holds."""

    judge: PaillierJudge

    def __call__(self, piece: Piece) -> bool:
        """Whether it does; see ``judging.Judge``."""
        items, proof = piece.batch.items, piece.batch.proof
        if piece.summed is None:
            return self.judge.encryption(piece.place, items, proof)
        return self.judge.share(piece.place, piece.summed.items, items, proof)


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens a batch of a sum."""

    judge: PaillierJudge

    def __call__(self, shares: Mapping[int, Batch]) -> list[int]:
        """The plaintexts that verified shares open, by the number of their party; see ``combine`` for errors."""
        key = self.judge.key
        return combine(key, {party: numbers(key, batch.items) for party, batch in shares.items()})
