"""Where the randomness of ciphertexts and proofs comes from: the operating system; in simulations, a printed seed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Protocol

from tclearn.encoding import Value, encode
from tclearn.paillier.arithmetic import Entropy


class Randomness(Protocol):
    """Gives the randomness of one statement: a gradient with its proofs, or shares with theirs."""

    @property
    def simulated(self) -> bool:
        """Whether somebody else can know it."""

    def source(self, *statement: Value) -> Entropy:
        """Random bytes for one statement.

        Args:
            statement: who says it, what for, and everything that is encrypted or proved with these bytes.
        """


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """The operating system's randomness: new bytes whenever it is asked."""

    @property
    def simulated(self) -> bool:
        """See ``Randomness.simulated``."""
        return False

    def source(self, *statement: Value) -> Entropy:
        """See ``Randomness.source``."""
        return os.urandom


@dataclass(frozen=True, slots=True)
class SeededForSimulation:
    """Randomness that a seed fixes, so that a simulation can be repeated: whoever knows the seed reads everything.

    The whole statement goes into it: the same bytes never serve two different ones, which would show the difference of
    two gradients, or a key share.

    Attributes:
        seed: the simulation's.
    """

    seed: int = field(repr=False)

    @property
    def simulated(self) -> bool:
        """See ``Randomness.simulated``."""
        return True

    def source(self, *statement: Value) -> Entropy:
        """See ``Randomness.source``."""
        start = hashlib.sha256(encode(["tclearn/deepchain/simulated-randomness/1", self.seed, *statement])).digest()
        given = 0

        def entropy(size: int) -> bytes:
            nonlocal given
            given += 1
            return hashlib.shake_256(start + given.to_bytes(8, "big")).digest(size)

        return entropy
