"""The parts of a resolved charter: integers, text and digests only, so that every member has the same bytes.

Decimals are integers in millionths (``_ppm``), durations in milliseconds (``_ms``), yes and no are 1 and 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tclearn.coalition.arguments import read_argument
from tclearn.encoding import Digest, MemberId
from tclearn.records import Record


@dataclass(frozen=True, slots=True)
class MemberRecord(Record):
    """A member as the charter admits it.

    Attributes:
        id: its name, unique in the coalition.
        key: Ed25519 public key (32 bytes) of its transactions.
        seed_tip: tip of the hash chain that it reveals link by link to seed draws.
        origin: ``"os"``: its keys come from the operating system's randomness; ``"seed"``: from a printed seed, so
            that anybody can sign for it (demonstrations and simulations).
        certificate: SHA-256 of its root certificate (DER); absent for a member without one.
    """

    id: MemberId
    key: bytes
    seed_tip: Digest
    origin: str
    certificate: Digest | None = None


@dataclass(frozen=True, slots=True)
class TensorRecord(Record):
    """One tensor of the model.

    Attributes:
        name: its name among the parameters.
        dtype: its element type, as the parameters file names it.
        shape: its extents; empty for a single number.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelTerms(Record):
    """Which model is trained.

    Attributes:
        factory: ``"module:callable"`` that every member has installed.
        arguments: its keyword arguments, each value as canonical JSON text (see ``tclearn.coalition.arguments``).
        seed: draws M_0.
        source: digest of the source file that defines the factory.
        layout: the model's tensors, by name.
        initial: digest of the parameters of M_0.
    """

    factory: str
    arguments: dict[str, str]
    seed: int
    source: Digest
    layout: tuple[TensorRecord, ...]
    initial: Digest

    def keyword_arguments(self) -> dict[str, Any]:
        """The arguments as Python values, to call the factory with."""
        return {name: read_argument(text) for name, text in self.arguments.items()}


@dataclass(frozen=True, slots=True)
class TaskTerms(Record):
    """What is measured, on what.

    Attributes:
        metric: ``"accuracy"``, ``"macro_f1"``, ``"auc"`` or ``"dice"``.
        global_test: digest of the global test set G.
        global_n: records in G.
        local_share_ppm: share of each contribution that is put aside into the contributor's local test set L.
    """

    metric: str
    global_test: Digest
    global_n: int
    local_share_ppm: int


@dataclass(frozen=True, slots=True)
class AcceptanceTerms(Record):
    """When a candidate is good enough.

    Attributes:
        rule: entry-point name of the acceptance rule.
        lambda_ppm: λ of equation 3: the share of the reference performance that a candidate must reach.
        arguments: further numbers for rules that want them; decimals under a name ending in ``_ppm``.
    """

    rule: str
    lambda_ppm: int
    arguments: dict[str, int]


@dataclass(frozen=True, slots=True)
class ScheduleTerms(Record):
    """Who may propose when, how long things may take, and when training ends.

    At least one of the three stop conditions is present; the first that is met ends training.

    Attributes:
        turns: ``"lease"`` (members in turn) or ``"free"`` (first accepted wins).
        turn_ms: how long a member may take to propose in its turn.
        verdict_ms: how long validators may take to commit, and again to reveal.
        seal_ms: how long a general may take to seal, and again to be endorsed.
        minimum_batch: records that a contribution must train on at least.
        attempts: committees drawn for one candidate before it expires undecided.
        stop_blocks: stop after so many accepted increments; reverts do not count.
        stop_until_ms: stop at this ledger time, milliseconds since 1970.
        stop_performance_ppm: stop at this performance on G.
    """

    turns: str
    turn_ms: int
    verdict_ms: int
    seal_ms: int
    minimum_batch: int
    attempts: int
    stop_blocks: int | None = None
    stop_until_ms: int | None = None
    stop_performance_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class LearningRateTerms(Record):
    """How the learning rate follows performance (Lugan et al. 2019, §III.D.2); a constant rate has no such record.

    Attributes:
        rule: ``"plateau"``.
        factor_ppm: what the rate is multiplied by, below 1,000,000.
        patience: accepted blocks in a row without a new best that are waited for.
        minimum_ppm: the rate never falls below this.
    """

    rule: str
    factor_ppm: int
    patience: int
    minimum_ppm: int


@dataclass(frozen=True, slots=True)
class PrivacyTerms(Record):
    """How increments are kept from telling too much; a charter without such a mechanism has no such record.

    Attributes:
        mechanism: ``"example"`` or ``"shokri"``; see ``tclearn.coalition.charter_privacy.Privacy``.
        clip_ppm: the clipping bound.
        noise_ppm: ``example``: standard deviation of the noise in units of the bound.
        delta_ppt: ``example``: δ in trillionths.
        epsilon_max_ppm: the composed ε that no member may exceed.
        share_ppm: ``shokri``: the fraction of the parameters that an increment may change.
        selection: ``shokri``: ``"random"`` or ``"largest"``.
        threshold_ppm: ``shokri``, ``random``: the size that a change must have.
        epsilon_ppm: ``shokri``: ε for each parameter.
    """

    mechanism: str
    clip_ppm: int
    noise_ppm: int | None = None
    delta_ppt: int | None = None
    epsilon_max_ppm: int | None = None
    share_ppm: int | None = None
    selection: str | None = None
    threshold_ppm: int | None = None
    epsilon_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class GovernanceTerms(Record):
    """What members may change later, by quorum.

    Attributes:
        may_change: names of the hyper-parameters that may be changed.
        may_propose_revert: who may ask for a revert; empty: anybody.
    """

    may_change: tuple[str, ...]
    may_propose_revert: tuple[MemberId, ...]


@dataclass(frozen=True, slots=True)
class VaultTerms(Record):
    """What members may read of the vault for their own use (level B); a charter of another level has no such record.

    Attributes:
        versions: ``"newest"`` or ``"all"``: which versions.
        readers_of_all: who may read all versions in any case, by name.
        reads: readings that each member has from the start.
        reads_per_1000_samples: so many more for each 1,000 records of its accepted contributions that count now.
        witnessed: 1: a reading is handed out once a quorum has cosigned a head with it; 0: at once.
    """

    versions: str
    readers_of_all: tuple[MemberId, ...]
    reads: int
    reads_per_1000_samples: int
    witnessed: int


@dataclass(frozen=True, slots=True)
class DataIdTerms(Record):
    """How data IDs are made at level B; a charter of another level has no such record.

    Attributes:
        public_key: public half of the supervisor's key (32 bytes, an element of ristretto255).
        per_day: records by which what a member may ask for grows in a day.
        at_once: records at which it stops growing.
    """

    public_key: bytes
    per_day: int
    at_once: int
