"""What the members of a DeepChain coalition agree on: one record, one digest, which is the coalition's id.

Format: ``docs/formats/deepchain.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final, Self

from tclearn.coalition.accounts import COINS_MAX
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.faults import Faults, shown
from tclearn.coalition.fines import smallest_fine
from tclearn.coalition.quorum import faulty_max
from tclearn.coalition.terms import MemberRecord
from tclearn.encoding import Digest, MemberId, decode
from tclearn.errors import Code, MessageError
from tclearn.identity import public_key
from tclearn.limits import (
    CHARTER_BYTES_MAX,
    DEEPCHAIN_BATCH,
    DEEPCHAIN_CIPHERTEXT_BYTES_MAX,
    DEEPCHAIN_CIPHERTEXTS_MAX,
    MEMBERS_MAX,
    MEMBERS_MIN,
)
from tclearn.protocols.deepchain.times import Times
from tclearn.records import Record

FORMAT: Final = 1
_ITERATIONS_MAX: Final = 1 << 20
_VOIDS_MAX: Final = 1 << 10
_WEIGHT_MAX: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class KeyTerms(Record):
    """The threshold key that gradients are encrypted under, ``PK_model`` and α of the paper.

    Attributes:
        key: digest of the public key with its verification values.
        packing: digest of how values lie in a plaintext.
        threshold: t, shares that open a ciphertext; share i is that of ``parties[i - 1]``.
        ciphertext_bytes: every ciphertext in its fixed length.
        share_bytes: every decryption share of one ciphertext likewise.
        ciphertexts: so many are a gradient.
        weights: by what each party's gradient is multiplied in the sum, in their order; all 1 in the paper.
    """

    key: Digest
    packing: Digest
    threshold: int
    ciphertext_bytes: int
    share_bytes: int
    ciphertexts: int
    weights: tuple[int, ...]

    @property
    def batches(self) -> int:
        """Batches of at most ``DEEPCHAIN_BATCH`` ciphertexts that a gradient has."""
        return -(-self.ciphertexts // DEEPCHAIN_BATCH)

    def batch_length(self, batch: int) -> int:
        """Ciphertexts in a batch, by its number from 0."""
        return min(DEEPCHAIN_BATCH, self.ciphertexts - batch * DEEPCHAIN_BATCH)


@dataclass(frozen=True, slots=True)
class MoneyTerms(Record):
    """Coins, deposits, rewards, and what fines have to deter.

    Attributes:
        coins: what each member has at the founding.
        gradient_deposit: what a party locks for gradient collecting (algorithm 3), and loses by deviating: f_P.
        decryption_deposit: what it locks for collaborative decryption (algorithm 4).
        work_deposit: what a worker locks: f_W.
        party_reward: π_P, coins for all parties together in an iteration that succeeds.
        worker_reward: π_W, coins for all workers together.
        noticed_ppm: Pr_v, the chance that a deviation is noticed, millionths.
        honest_ppm: θ, the chance of honesty that fines must bring about, millionths.
    """

    coins: dict[str, int]
    gradient_deposit: int
    decryption_deposit: int
    work_deposit: int
    party_reward: int
    worker_reward: int
    noticed_ppm: int
    honest_ppm: int


@dataclass(frozen=True)  # no slots: the digest is kept once it is known
class DeepChainTerms(Record):
    """What a coalition has agreed on. An instance has passed every check, also one that was read from bytes.

    Attributes:
        format: version of this record, 1.
        members: everybody, by name.
        log_key: Ed25519 public key (32 bytes) that signs heads of the log.
        parties: who trains, in the order of their key shares.
        workers: who verifies and leads; a member may be both.
        model: digest of the model that is trained, W_0 included.
        key: the threshold key.
        times: the deadlines.
        money: coins.
        minimum: contributions that a sum needs at least.
        iterations: how many successful ones end the training.
        voids: so many failed ones in a row dissolve the group.
    """

    format: int
    members: tuple[MemberRecord, ...]
    log_key: bytes
    parties: tuple[MemberId, ...]
    workers: tuple[MemberId, ...]
    model: Digest
    key: KeyTerms
    times: Times
    money: MoneyTerms
    minimum: int
    iterations: int
    voids: int

    def __post_init__(self) -> None:
        faults = Faults()
        if self.format != FORMAT:
            faults.add(f"terms in format {self.format}", f"format {FORMAT}", "a newer TCLearn may read it")
        self._check_members(faults)
        self._check_key(faults)
        self.times.check(faults)
        if not len(faults):
            self._check_money(faults)
        faults.check()

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes: the coalition's id, which every signature binds."""
        return Digest(hashlib.sha256(self.encode()).digest())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read terms from their canonical bytes.

        Raises:
            MessageError: larger than ``CHARTER_BYTES_MAX``, or not the canonical encoding of such a record.
            CharterError: a record whose content no coalition can agree on; every mistake is named.
        """
        return cls.from_value(decode(data, size_max=CHARTER_BYTES_MAX), "terms")

    def number(self, party: MemberId) -> int:
        """The number of a party's key share, from 1."""
        return self.parties.index(party) + 1

    def divisor(self, parties: Iterable[MemberId]) -> int:
        """By what a sum over some parties is divided: their weights together."""
        return sum(self.key.weights[self.number(party) - 1] for party in parties)

    def _check_members(self, faults: Faults) -> None:
        names = [member.id for member in self.members]
        if not MEMBERS_MIN <= len(names) <= MEMBERS_MAX or names != sorted(set(names)):
            faults.add(f"{len(names)} members", f"{MEMBERS_MIN} to {MEMBERS_MAX}, ascending, none twice")
        for what, values in (
            ("keys", [self.log_key, *(member.key for member in self.members)]),
            ("seed chains", [bytes(member.seed_tip) for member in self.members]),
        ):
            if len(set(values)) < len(values):
                faults.add(f"{what} that are shared", "each its own", code=Code.CHARTER_MEMBER)
        for name, key in (("the log", self.log_key), *((member.id, member.key) for member in self.members)):
            try:
                public_key(key)
            except MessageError as error:
                faults.add(f"the key of {name}", error.expected, code=Code.CHARTER_MEMBER)
        _check_role("parties", self.parties, names, 2, faults)
        _check_role("workers", self.workers, names, 1, faults)
        idle = sorted(set(names) - {*self.parties, *self.workers})
        if idle:
            faults.add(f"member {idle[0]} is neither party nor worker", "a role for each")

    def _check_key(self, faults: Faults) -> None:
        # With f faulty parties: they never open alone, and the others can without them.
        count, faulty = len(self.parties), faulty_max(len(self.parties))
        least = max(2, faulty + 1)
        if not least <= self.key.threshold <= count - faulty:
            faults.add(
                f"[key] threshold is {self.key.threshold}",
                f"{least} to {count - faulty}: more than f = {faulty} of {count} parties, at most the rest",
            )
        if len(self.key.weights) != count:
            faults.add(f"[key] weights has {len(self.key.weights)} numbers", f"one for each of {count} parties")
        # Whoever knows f of the gradients in a sum must not see another one alone.
        if not faulty + 2 <= self.minimum <= count - faulty:
            faults.add(
                f"minimum is {self.minimum}", f"{faulty + 2} to {count - faulty}: two that do not plot, at least"
            )
        for name, value, most in (
            ("[key] ciphertexts is", self.key.ciphertexts, DEEPCHAIN_CIPHERTEXTS_MAX),
            ("[key] ciphertext_bytes is", self.key.ciphertext_bytes, DEEPCHAIN_CIPHERTEXT_BYTES_MAX),
            ("[key] share_bytes is", self.key.share_bytes, DEEPCHAIN_CIPHERTEXT_BYTES_MAX),
            ("iterations is", self.iterations, _ITERATIONS_MAX),
            ("voids is", self.voids, _VOIDS_MAX),
            *(("[key] weights has", weight, _WEIGHT_MAX) for weight in self.key.weights),
        ):
            if not 1 <= value <= most:
                faults.add(f"{name} {value}", f"1 to {most}")

    def _check_money(self, faults: Faults) -> None:
        money = self.money
        if set(money.coins) != {member.id for member in self.members}:
            faults.add("[money] coins is not of the members", "a number for each of them")
            return
        made = sum(money.coins.values()) + self.iterations * (money.party_reward + money.worker_reward)
        if made > COINS_MAX:
            faults.add(f"[money] {shown(made)} coins in the end", f"at most {COINS_MAX}")
        if not (1 <= money.noticed_ppm <= MILLION and money.honest_ppm < MILLION):
            faults.add(
                f"[money] noticed_ppm is {money.noticed_ppm}, honest_ppm {money.honest_ppm}",
                "1 to 1,000,000, and 0 to 999,999",
            )
            return
        chances = (money.noticed_ppm, money.honest_ppm)
        # The whole reward, not a share of it: who deviates alone could be the only one that is paid.
        least_party = smallest_fine(money.party_reward, *chances)
        least_worker = smallest_fine(money.worker_reward, *chances, Fraction(1, len(self.workers)))
        for name, fine, least, theorem in (
            ("gradient_deposit", money.gradient_deposit, least_party, "theorem 1"),
            ("decryption_deposit", money.decryption_deposit, least_party, "theorem 1"),
            ("work_deposit", money.work_deposit, least_worker, "theorem 2"),
        ):
            if fine < least:
                faults.add(f"[money] {name} is {fine}", f"at least {least} ({theorem} of the DeepChain paper)")
            if fine < len(self.members) - 1:
                faults.add(
                    f"[money] {name} is {fine}", f"at least {len(self.members) - 1}: a coin for each of the others"
                )
        for member in self.members:
            needed = (
                (money.gradient_deposit + money.decryption_deposit) * (member.id in self.parties)
            ) + money.work_deposit * (member.id in self.workers)
            if money.coins[member.id] < needed:
                faults.add(f"[money] coins of {member.id}: {money.coins[member.id]}", f"its deposits, {needed}")


def _check_role(role: str, named: Sequence[MemberId], members: Sequence[MemberId], least: int, faults: Faults) -> None:
    if list(named) != sorted(set(named)) or not set(named) <= set(members):
        faults.add(f"{role} that are not members, not ascending, or named twice", "names of members, ascending")
    if len(named) < least:
        faults.add(f"{len(named)} {role}", f"at least {least}")
