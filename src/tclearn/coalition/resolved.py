"""The charter as members agree on it: complete, canonical, one digest. Format: ``docs/formats/charter.md``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from tclearn.coalition import words
from tclearn.coalition.charter_privacy import check_privacy
from tclearn.coalition.charter_vault import check_readers, check_vault
from tclearn.coalition.checks import (
    check_acceptance,
    check_governance,
    check_hyperparameters,
    check_members,
    check_model,
    check_schedule,
    check_task,
)
from tclearn.coalition.faults import Faults, shown
from tclearn.coalition.terms import (
    AcceptanceTerms,
    DataIdTerms,
    GovernanceTerms,
    LearningRateTerms,
    MemberRecord,
    ModelTerms,
    PrivacyTerms,
    ScheduleTerms,
    TaskTerms,
    VaultTerms,
)
from tclearn.encoding import Digest, decode
from tclearn.errors import Code
from tclearn.limits import CHARTER_BYTES_MAX
from tclearn.records import Record

FORMAT: Final = 1


@dataclass(frozen=True)  # no slots: the digest is kept once it is known
class ResolvedCharter(Record):
    """What a coalition has agreed on. An instance has passed every check, also one that was read from bytes.

    Attributes:
        format: version of this record, 1.
        name: the coalition's name.
        protocol: ``"tclearn"``.
        level: ``"A"``, the model is public; ``"B"``, it lies in a vault.
        contracts: names and versions of the contracts in force, ``("tclearn/1",)``.
        members: the founding members, by name.
        log_key: Ed25519 public key (32 bytes) that signs heads of the log.
        model: which model is trained.
        task: what is measured, on what.
        local_results: what a validator publishes of its local test: ``"counts"`` or only its ``"vote"``.
        acceptance: when a candidate is good enough.
        schedule: turns, deadlines and the end.
        trainer: entry-point name of the trainer.
        step_search: where proposers try shorter steps before they propose: ``"own"`` (their own hold-out),
            ``"global"`` (the global test set) or ``"none"``.
        hyperparameters: counts as they are, ``learning_rate`` in millionths, other decimals in millionths under a name
            ending in ``_ppm``.
        governance: what may be changed later.
        data_key: digest of the key of the data IDs; at level B of its public half.
        learning_rate: the rule that the learning rate follows; ``None``: it is constant.
        privacy: the mechanism of differential privacy; ``None``: there is none.
        vault: what may be read of the vault; ``None``: at level A.
        data_ids: how data IDs are made at level B; ``None``: at level A.
    """

    format: int
    name: str
    protocol: str
    level: str
    contracts: tuple[str, ...]
    members: tuple[MemberRecord, ...]
    log_key: bytes
    model: ModelTerms
    task: TaskTerms
    local_results: str
    acceptance: AcceptanceTerms
    schedule: ScheduleTerms
    trainer: str
    step_search: str
    hyperparameters: dict[str, int]
    governance: GovernanceTerms
    data_key: Digest
    learning_rate: LearningRateTerms | None = None
    privacy: PrivacyTerms | None = None
    vault: VaultTerms | None = None
    data_ids: DataIdTerms | None = None

    def __post_init__(self) -> None:
        faults = Faults()
        self._check_heading(faults)
        check_members(self.members, self.log_key, faults)
        check_model(self.model, faults)
        check_task(self.task, self.local_results, faults)
        check_acceptance(self.acceptance, faults)
        check_schedule(self.schedule, faults)
        check_hyperparameters(self.hyperparameters, self.learning_rate, faults)
        check_privacy(self.privacy, self.step_search, faults)
        check_vault(self.level, (self.vault, self.data_ids), self.data_key, faults)
        if self.vault is not None:
            check_readers(self.vault, (member.id for member in self.members), faults)
        check_governance(self.governance, self.hyperparameters, (member.id for member in self.members), faults)
        faults.check()

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes: the coalition's id, which every signature binds."""
        return Digest(hashlib.sha256(self.encode()).digest())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a charter from its canonical bytes.

        Raises:
            MessageError: larger than ``CHARTER_BYTES_MAX``, or not the canonical encoding of such a record.
            CharterError: a record whose content no coalition can agree on; every mistake is named.
        """
        return cls.from_value(decode(data, size_max=CHARTER_BYTES_MAX), "charter")

    def _check_heading(self, faults: Faults) -> None:
        if self.format != FORMAT:
            faults.add(f"a charter in format {self.format}", f"format {FORMAT}", "a newer TCLearn may read it")
        if not words.COALITION_NAME.fullmatch(self.name):
            faults.add(f"[coalition] name is {shown(self.name)}", words.NAME_EXPECTED)
        faults.choice("[coalition] protocol", self.protocol, words.PROTOCOLS)
        faults.choice("[coalition] level", self.level, words.LEVELS)
        sound = all(words.CONTRACT_NAME.fullmatch(contract) for contract in self.contracts)
        if not self.contracts or not sound or len(set(self.contracts)) != len(self.contracts):
            faults.add("a list of contracts that is empty, malformed or names one twice", '"name/version" once each')
        if not words.EXTENSION_NAME.fullmatch(self.trainer):
            faults.add(f"[model] trainer is {shown(self.trainer)}", words.EXTENSION_EXPECTED)
        faults.choice("[schedule] step_search", self.step_search, words.STEP_SEARCHES)
        if len(self.data_key) != 32:
            faults.add(f"data_key is {len(self.data_key)} bytes", "a digest of 32 bytes", code=Code.CHARTER_VALUE)
