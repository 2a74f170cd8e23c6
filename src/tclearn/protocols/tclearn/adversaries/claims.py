"""Members that claim records which they should not, or choose their moment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from tclearn.coalition.block import ID_BYTES
from tclearn.encoding import Digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, Work
from tclearn.protocols.tclearn.adversaries.honest import Honest


@dataclass
class Reuse(Honest):
    """Trains on its records again and again, as if they had not counted yet."""

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        return self.trainer.train(start, replace(work, used=frozenset()))


@dataclass
class InventedRecords(Honest):
    """Trains on its records again and again, and gives them other IDs each time: it never runs out.

    An ID is 16 bytes, and nobody can see what they stand for.
    """

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, replace(work, used=frozenset()))
        if contribution is None:
            return None
        name = work.seed.to_bytes(8, "big")
        invented = sorted(
            hashlib.blake2b(data_id, key=name, digest_size=ID_BYTES).digest() for data_id in contribution.data_ids
        )
        return replace(contribution, data_ids=tuple(invented))


@dataclass
class Patient(Honest):
    """Offers nothing until the others are done: until it is invited twice to go on from the same model.

    From then on nobody mends what it does.
    """

    _last: tuple[Digest, int] | None = field(default=None, repr=False)
    _awake: bool = field(default=False, repr=False)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        last, self._last = self._last, (start.digest, work.seed)
        # One invitation may be read several times; another one has another seed.
        self._awake |= last is not None and last[0] == start.digest and last[1] != work.seed
        return self.trainer.train(start, work) if self._awake else None
