"""What one party of a round of encrypted gradients computes, stage by stage, in CPU seconds of one core."""

from __future__ import annotations

import secrets
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tclearn.encoding import Digest
from tclearn.limits import PAILLIER_BATCH_MAX
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, weighted_sum
from tclearn.paillier.experimental_root import (
    ExperimentalWarning,
    RootDealing,
    check_openings,
    combine_roots,
    deal_roots,
    open_with_roots,
)
from tclearn.paillier.keys import Dealing, SharedKey, deal
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_decryption import prove_shares
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context

T = TypeVar("T")
ENTROPY = secrets.token_bytes


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds, and the result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


@dataclass
class Coalition:
    """A key, dealt for both ways to open."""

    primes: tuple[int, int]
    parties: int
    threshold: int
    dealing: Dealing = field(init=False)
    roots: RootDealing = field(init=False)
    encryptor: Encryptor = field(init=False)
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.dealing = deal(self.primes, self.parties, self.threshold, ENTROPY)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.roots = deal_roots(self.primes, self.dealing.key, ENTROPY, allow_experimental=True)
        self.dealing.key.check_dealing()
        self.roots.key.check_dealing()
        self.encryptor = Encryptor(self.dealing.key)
        self.layout = Layout(self.dealing.key.bits, (1,) * self.parties)

    def dealt_power(self, base: int, exponent: int) -> int:
        """As ``Group.power``, by who still knows the primes: the other parties' shares in a quarter of the time."""
        first, second = (each * each for each in self.primes)
        # There are p² - p units modulo p².
        one, two = (pow(base, exponent % (each * each - each), each * each) for each in self.primes)
        value = one + first * ((two - one) * pow(first, -1, second) % second)
        return self.dealing.key.group.element(value)


@dataclass
class Costs:
    """CPU seconds of each stage for so many gradients: the median of batches, times batches.

    Attributes:
        coalition: whose.
        gradients: how many, in whole and one broken batch.
        seconds: of each stage and batch that was measured.
        sent: bytes a gradient, of each kind of message.
    """

    coalition: Coalition
    gradients: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[str, float] = field(default_factory=dict)

    def of(self, *stages: str) -> float:
        """CPU seconds of stages together."""
        batches = self.gradients / (PAILLIER_BATCH_MAX * self.coalition.layout.slots)
        return batches * sum(statistics.median(self.seconds[stage]) for stage in stages)

    def classic(self, *, proved: bool) -> float:
        """CPU seconds of a round; proved: with own proofs made and all others' verified."""
        others = self.coalition.parties - 1
        bare = self.of("pack", "encrypt", "sum", "share", "open", "unpack")
        if not proved:
            return bare
        return bare + self.of("prove", "prove shares") + others * self.of("verify", "verify shares")

    def root(self, *, proved: bool, blame: bool = False) -> float:
        """The same, opening by roots: each party opens its part and checks the others'.

        Args:
            proved: with proofs of encryption.
            blame: with proofs of shares, too, which only tell whose share was false when no opening holds.
        """
        others = self.coalition.parties - 1
        total = self.of("pack", "encrypt", "sum", "root: share", "root: open own part", "root: check others'", "unpack")
        if proved:
            total += self.of("prove") + others * self.of("verify")
        if blame:
            total += self.of("root: prove shares") + others * self.of("root: verify shares")
        return total


def measured(coalition: Coalition, gradients: int, batches: int) -> Costs:
    """Go through so many batches of a round, checking that what is opened is the exact sum.

    Args:
        coalition: its parties.
        gradients: how many a party has.
        batches: of how many of them is measured; all of 128 ciphertexts.
    """
    costs = Costs(coalition, gradients)
    for number in range(batches):
        _batch(costs, number)
    return costs


def _batch(costs: Costs, number: int) -> None:
    coalition, layout = costs.coalition, costs.coalition.layout
    key, encryptor, parties = coalition.dealing.key, coalition.encryptor, coalition.parties
    count = PAILLIER_BATCH_MAX * layout.slots
    place = Context(Digest(bytes(32)), 1, 1, number)

    def stage(name: str, work: Callable[[], T]) -> T:
        took, result = timed(work)
        costs.seconds[name].append(took)
        return result

    def steps() -> list[int]:
        return [secrets.randbelow(2 * layout.levels + 1) - layout.levels for _ in range(count)]

    values = [steps() for _ in range(parties)]
    plaintexts = stage("pack", lambda: layout.pack(values[0]))
    own = stage("encrypt", lambda: encryptor.encrypt(plaintexts, ENTROPY))
    theirs = [encryptor.encrypt(layout.pack(each), ENTROPY) for each in values[1:]]

    def proved() -> bytes:
        proof = prove_encryption(encryptor, layout, place, own.ciphertexts, own.openings, ENTROPY)
        return EncryptedBatch.of(key, layout, place, own.ciphertexts, proof).encode()

    message = stage("prove", proved)
    stage("verify", lambda: EncryptedBatch.read(message).verify(key, layout, place))
    made = {party: each.ciphertexts for party, each in enumerate([own, *theirs], 1)}
    sums = stage("sum", lambda: weighted_sum(key, layout, made))

    shares = stage("share", lambda: decryption_shares(key, coalition.dealing.shares[0], sums))
    everybody = {1: shares}
    for each in coalition.dealing.shares[1 : coalition.threshold]:
        exponent = 2 * key.delta * each.value
        everybody[each.party] = tuple(coalition.dealt_power(one, exponent) for one in sums)
    classic = _shares(stage, "", key, coalition.dealing, place, sums, shares)
    opened = stage("open", lambda: combine(key, everybody))
    totals = stage("unpack", lambda: layout.unpack(opened, count, list(made)))
    assert totals == [sum(column) for column in zip(*values, strict=True)]

    root = coalition.roots.key
    reduced = root.reduced(sums)
    shares = stage("root: share", lambda: decryption_shares(root, coalition.roots.shares[0], root.reduced(sums)))
    rooted = {1: shares} | {
        each.party: decryption_shares(root, each, reduced) for each in coalition.roots.shares[1 : coalition.threshold]
    }
    by_root = _shares(stage, "root: ", root, coalition.roots, place, reduced, shares)
    part = -(-len(sums) // parties)

    def own_part() -> tuple[list[int], list[int]]:
        roots = combine_roots(root, {party: each[:part] for party, each in rooted.items()})
        return roots, open_with_roots(root, sums[:part], roots)

    _, found = stage("root: open own part", own_part)
    assert found == opened[:part]
    others = combine_roots(root, {party: each[part:] for party, each in rooted.items()})
    stage("root: check others'", lambda: check_openings(root, sums[part:], opened[part:], others))
    opening = len(others) * (root.group.element_bytes + (layout.slots * layout.slot_bits >> 3)) / (len(others) * count)
    costs.sent = {
        "ciphertexts": len(sums) * key.group.element_bytes / count,
        "ciphertexts and proof": len(message) / count,
        "shares and proof": classic / count,
        "root: shares and proof": by_root / count,
        "root: openings, of all parties together": opening * len(sums),
    }


def _shares(
    stage: Callable[[str, Callable[[], bytes]], bytes],
    way: str,
    key: SharedKey,
    dealing: Dealing | RootDealing,
    place: Context,
    sums: Sequence[int],
    shares: tuple[int, ...],
) -> int:
    # Own shares proved, and verified as another's would be; the message's bytes.
    def proved() -> bytes:
        proof = prove_shares(key, dealing.shares[0], place, sums, shares, ENTROPY)
        return ShareBatch.of(key, place, shares, proof).encode()

    def verified() -> bytes:
        ShareBatch.read(message).verify(key, place, sums)
        return message

    message = stage(f"{way}prove shares", proved)
    stage(f"{way}verify shares", verified)
    return len(message)
