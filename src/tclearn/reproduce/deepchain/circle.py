"""Parties with a threshold key: what they encrypt is verified, added and opened, and each stage is on the clock."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from tclearn.encoding import Digest, digest
from tclearn.errors import Code, MessageError
from tclearn.paillier.arithmetic import Entropy, Run, one_by_one
from tclearn.paillier.encryption import Encryptor
from tclearn.paillier.keys import TOY_BITS, ToyKeyWarning, deal
from tclearn.paillier.packing import Layout
from tclearn.paillier.primes import safe_primes
from tclearn.paillier.statements import Context
from tclearn.protocols.deepchain.agent.ciphering import Places, encrypted, opened, shared, summed
from tclearn.protocols.deepchain.agent.files import Batch
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge

ENCRYPT: Final = "encrypt"
PROVE: Final = "prove"
VERIFY: Final = "verify"
SUM: Final = "sum"
SHARE: Final = "share"
PROVE_SHARES: Final = "prove shares"
VERIFY_SHARES: Final = "verify shares"
OPEN: Final = "open"
STAGES: Final = (ENCRYPT, PROVE, VERIFY, SUM, SHARE, PROVE_SHARES, VERIFY_SHARES, OPEN)
ROUND: Final = 1

_T = TypeVar("_T")
_R = TypeVar("_R")


def threshold_of(parties: int) -> int:
    """How many parties open a sum here: more than half, of 4 parties 3 and of 10 parties 6, as in the paper."""
    return parties // 2 + 1


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A sum that was opened, and what it took.

    Attributes:
        sums: ``(n,)``, of the parties' steps, to the unit.
        cpu_s: by stage, CPU seconds of one party doing it once: encrypting, proving or sharing its own, verifying one
            other's, adding up all, opening all.
        total_cpu_s: CPU seconds of everything that was done here.
        wall_s: seconds by the clock on the wall.
        gradient_bytes: of one party's ciphertexts, with the proofs.
        share_bytes: of one party's decryption shares, with the proofs.
    """

    sums: NDArray[np.int64]
    cpu_s: Mapping[str, float]
    total_cpu_s: float
    wall_s: float
    gradient_bytes: int
    share_bytes: int


@dataclass(frozen=True, kw_only=True)
class Made:
    """One party's encrypted gradient, and what it took.

    Attributes:
        ciphertexts: how many.
        ciphertext_bytes: of all of them.
        proof_bytes: of their proofs.
        encrypt_s: CPU seconds of encrypting.
        prove_s: CPU seconds of packing and proving.
    """

    ciphertexts: int
    ciphertext_bytes: int
    proof_bytes: int
    encrypt_s: float
    prove_s: float


class Circle:
    """Parties 1, 2, … with equal weights and a fresh key, and randomness of the operating system.

    All shares are in one process, so the key protects nothing: it is as large as a real one, and used once.

    Args:
        parties: how many.
        bits: of the key's N; 512 for tests.
        run: cores.
        entropy: of the key; another only for tests.
    """

    def __init__(self, parties: int, bits: int, *, run: Run = one_by_one, entropy: Entropy = os.urandom) -> None:
        toy = bits <= TOY_BITS
        with warnings.catch_warnings():
            if toy:
                warnings.simplefilter("ignore", ToyKeyWarning)
            self._dealing = deal(safe_primes(bits, entropy), parties, threshold_of(parties), entropy, allow_toy=toy)
        self.key = self._dealing.key
        self.layout = Layout(bits, (1,) * parties)
        self.encryptor = Encryptor(self.key)
        self._judge = PaillierJudge(self.key, self.layout)
        self._run = run

    def sum_of(self, steps: Mapping[int, NDArray[np.int64]], tell: Callable[[int], None] = lambda _: None) -> Opened:
        """Encrypt each party's steps, verify all of it, add it up and open the sum, as parties and workers do.

        Each gradient and each party's shares are verified once here; in a coalition everybody verifies all others'.

        Args:
            steps: of every party 1, 2, …: ``(n,)``, what ``quantise`` gave.
            tell: told a number of values whenever a party has made its decryption shares of so many.

        Raises:
            MessageError: a proof does not hold, or what is opened is not the sum of what was encrypted.
        """
        clock = _Clock()
        coalition = digest("tclearn/reproduce/circle/1", [self.key.digest, list(steps)])
        gradients = {party: self._gradient(clock, coalition, party, each) for party, each in steps.items()}
        with clock.stage(SUM):
            total = summed(self.key, self.layout, gradients)
        shares = {}
        for party in range(1, self.key.threshold + 1):
            shares[party] = self._shares(clock, coalition, party, total)
            tell(len(steps[party]))
        size = len(steps[1])
        with clock.stage(OPEN):
            sums = opened(self.key, self.layout, shares, size, list(steps), run=self._run)
        done = np.array(sums, np.int64)
        if not np.array_equal(done, np.sum([steps[party] for party in steps], axis=0)):
            raise MessageError(Code.PROOF, "an opened sum that is not the sum of what was encrypted", expected="equal")
        return Opened(
            sums=done,
            cpu_s=clock.means(),
            total_cpu_s=clock.total_cpu_s,
            wall_s=clock.wall_s,
            gradient_bytes=_size(gradients[1]),
            share_bytes=_size(shares[1]),
        )

    def encrypted(self, steps: NDArray[np.int64]) -> Made:
        """Encrypt and prove one party's steps, ``(n,)``, and verify them.

        Raises:
            MessageError: a proof does not hold.
        """
        clock = _Clock()
        batches = self._gradient(clock, self.key.digest, 1, steps)
        taken = clock.means()
        proofs = sum(len(batch.proof) for batch in batches)
        return Made(
            ciphertexts=sum(len(batch.items) for batch in batches),
            ciphertext_bytes=_size(batches) - proofs,
            proof_bytes=proofs,
            encrypt_s=taken[ENCRYPT],
            prove_s=taken[PROVE],
        )

    def _gradient(self, clock: _Clock, coalition: Digest, party: int, steps: NDArray[np.int64]) -> list[Batch]:
        values = [int(each) for each in steps]
        with clock.stage(ENCRYPT):
            self.encryptor.prepare(self.layout.count(len(values)), os.urandom, run=self._run)
        with clock.stage(PROVE):  # the ciphertexts' randomness is in stock: what is left is packing and proofs
            places = _places(coalition, party)
            made = encrypted(self.encryptor, self.layout, places, values, os.urandom, run=self._run)

        def right(number: int) -> bool:
            return self._judge.encryption(_place(coalition, party, number), made[number].items, made[number].proof)

        with clock.stage(VERIFY):
            self._check(right, len(made), f"a gradient of party {party}")
        return made

    def _shares(self, clock: _Clock, coalition: Digest, party: int, total: Sequence[Batch]) -> list[Batch]:
        powers = _Noting(self._run)
        with clock.stage(PROVE_SHARES):
            share = self._dealing.shares[party - 1]
            made = shared(self.key, share, _places(coalition, party), total, os.urandom, run=powers)
        clock.move(PROVE_SHARES, SHARE, powers.cpu_s)

        def right(number: int) -> bool:
            place, batch = _place(coalition, party, number), made[number]
            return self._judge.share(place, total[number].items, batch.items, batch.proof)

        with clock.stage(VERIFY_SHARES):
            self._check(right, len(made), f"decryption shares of party {party}")
        return made

    def _check(self, right: Callable[[int], bool], batches: int, what: str) -> None:
        if not all(self._run(right, range(batches))):
            raise MessageError(Code.PROOF, f"{what} whose proof does not hold", expected="proofs that hold")


@dataclass
class _Clock:
    """CPU seconds by stage, of all threads, and how often each was done."""

    total_cpu_s: float = 0.0
    wall_s: float = 0.0
    _spent: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        taken = time.process_time() - cpu
        self._spent.setdefault(name, []).append(taken)
        self.total_cpu_s += taken
        self.wall_s += time.perf_counter() - wall

    def move(self, name: str, other: str, cpu_s: float) -> None:
        """Of the last time of one stage a part is another's."""
        self._spent[name][-1] -= cpu_s
        self._spent.setdefault(other, []).append(cpu_s)

    def means(self) -> dict[str, float]:
        return {name: sum(spent) / len(spent) for name in STAGES if (spent := self._spent.get(name))}


@dataclass
class _Noting:
    """A ``Run`` that notes the CPU seconds of what is done in it."""

    run: Run
    cpu_s: float = 0.0

    def __call__(self, work: Callable[[_T], _R], items: Iterable[_T], /) -> Iterable[_R]:
        began = time.process_time()
        done = list(self.run(work, items))
        self.cpu_s += time.process_time() - began
        return done


def _places(coalition: Digest, party: int) -> Places:
    return lambda batch: Context(coalition, ROUND, party, batch)


def _place(coalition: Digest, party: int, batch: int) -> Place:
    return Place(coalition, ROUND, party, batch)


def _size(batches: Sequence[Batch]) -> int:
    return sum(len(batch.proof) + sum(map(len, batch.items)) for batch in batches)
