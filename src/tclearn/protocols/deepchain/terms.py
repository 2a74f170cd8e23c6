"""The charter of a DeepChain coalition: one record, one digest, which is the coalition's id.

Format: ``docs/formats/deepchain.md``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final, Self

from tclearn.coalition import words
from tclearn.coalition.accounts import COINS_MAX
from tclearn.coalition.checks import check_hyperparameters, check_members, check_model, check_task
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.faults import Faults, shown
from tclearn.coalition.fines import smallest_fine
from tclearn.coalition.quorum import faulty_max
from tclearn.coalition.terms import MemberRecord, ModelTerms, TaskTerms
from tclearn.encoding import Digest, MemberId, decode
from tclearn.limits import (
    CHARTER_BYTES_MAX,
    DEEPCHAIN_BATCH,
    DEEPCHAIN_CIPHERTEXT_BYTES_MAX,
    DEEPCHAIN_CIPHERTEXTS_MAX,
    PAILLIER_KEY_BYTES_MAX,
)
from tclearn.protocols.deepchain.calls import CONTRACT
from tclearn.protocols.deepchain.times import Times
from tclearn.records import Record

FORMAT: Final = 1
PROTOCOL: Final = "deepchain"
_ITERATIONS_MAX: Final = 1 << 20
_VOIDS_MAX: Final = 1 << 10
_WEIGHT_MAX: Final = 1 << 32
_CLIP_MAX: Final = 1 << 52
_FLOATING: Final = frozenset({"F16", "F32", "F64"})
_LOCAL_RESULTS: Final = "counts"


@dataclass(frozen=True, slots=True)
class KeyTerms(Record):
    """The threshold key that gradients are encrypted under, ``PK_model`` and α of the paper, and how values are packed.

    Attributes:
        key: the public key with its verification values, as ``tclearn.paillier`` writes it.
        slot_bits: bits of a slot of a plaintext.
        value_bits: bits of a party's value in it.
        clip: the largest value of a gradient that counts, in units of 2^-40.
        threshold: t, shares that open a ciphertext; share i is that of ``parties[i - 1]``.
        ciphertext_bytes: every ciphertext in its fixed length.
        share_bytes: every decryption share of one ciphertext likewise.
        ciphertexts: so many are a gradient.
        weights: by what each party's gradient is multiplied in the sum, in their order; all 1 in the paper.
    """

    key: bytes
    slot_bits: int
    value_bits: int
    clip: int
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
    """The charter of a DeepChain coalition. An instance has passed every check, also one that was read from bytes.

    Attributes:
        format: version of this record, 1.
        name: the coalition's name.
        protocol: ``"deepchain"``.
        contracts: names and versions of the contracts in force, ``("deepchain/1",)``.
        members: everybody, by name.
        log_key: Ed25519 public key (32 bytes) that signs heads of the log.
        parties: who trains, in the order of their key shares.
        workers: who verifies and leads; a member may be both.
        model: which model is trained, W_0 included; all its tensors are of floating numbers.
        task: what it is measured by.
        trainer: entry-point name of the trainer.
        hyperparameters: what trainers are told: counts, and ``learning_rate`` in millionths.
        key: the threshold key.
        times: the deadlines.
        money: coins.
        minimum: contributions that a sum needs at least.
        iterations: how many successful ones end the training.
        voids: so many failed ones in a row dissolve the group.
    """

    format: int
    name: str
    protocol: str
    contracts: tuple[str, ...]
    members: tuple[MemberRecord, ...]
    log_key: bytes
    parties: tuple[MemberId, ...]
    workers: tuple[MemberId, ...]
    model: ModelTerms
    task: TaskTerms
    trainer: str
    hyperparameters: dict[str, int]
    key: KeyTerms
    times: Times
    money: MoneyTerms
    minimum: int
    iterations: int
    voids: int

    def __post_init__(self) -> None:
        faults = Faults()
        self._check_heading(faults)
        check_members(self.members, self.log_key, faults)
        self._check_roles(faults)
        check_task(self.task, _LOCAL_RESULTS, faults)
        check_hyperparameters(self.hyperparameters, None, faults)
        self._check_model(faults)
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

    @cached_property
    def values(self) -> int:
        """Numbers of the model, and so of a gradient."""
        return sum(math.prod(tensor.shape) for tensor in self.model.layout)

    def _check_heading(self, faults: Faults) -> None:
        if self.format != FORMAT:
            faults.add(f"a charter in format {self.format}", f"format {FORMAT}", "a newer TCLearn may read it")
        if not words.COALITION_NAME.fullmatch(self.name):
            faults.add(f"name is {shown(self.name)}", words.NAME_EXPECTED)
        faults.choice("protocol", self.protocol, (PROTOCOL,))
        if self.contracts != (CONTRACT,):
            faults.add("other contracts", CONTRACT, "a newer TCLearn may know them")
        if not words.EXTENSION_NAME.fullmatch(self.trainer):
            faults.add(f"trainer is {shown(self.trainer)}", words.EXTENSION_EXPECTED)

    def _check_model(self, faults: Faults) -> None:
        check_model(self.model, faults)
        for tensor in self.model.layout:
            if tensor.dtype not in _FLOATING:
                faults.add(f"a model whose tensor {shown(tensor.name)} is {tensor.dtype}", ", ".join(sorted(_FLOATING)))

    def _check_roles(self, faults: Faults) -> None:
        names = [member.id for member in self.members]
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
            ("[key] clip is", self.key.clip, _CLIP_MAX),
            ("[key] bytes of the key:", len(self.key.key), PAILLIER_KEY_BYTES_MAX),
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
