"""The charter as users write it, in Python or in a ``charter.toml``. Keys: ``docs/formats/charter.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Self

from tclearn.coalition.charter_file import read_tables
from tclearn.coalition.charter_privacy import Privacy
from tclearn.coalition.charter_values import settled
from tclearn.coalition.charter_vault import DataIdPolicy, VaultPolicy
from tclearn.coalition.faults import Faults
from tclearn.coalition.learning_rate import LearningRate
from tclearn.coalition.quantities import LOCAL_TEST, Number

__all__ = ["Charter", "DataIdPolicy", "LearningRate", "Privacy", "VaultPolicy", "read_charter"]

_LAMBDA: Final = Decimal("0.98")
_LOCAL_TEST: Final = Decimal("0.10")


@dataclass(frozen=True, kw_only=True)
class Charter:
    """What the members of a coalition agree on. Every value is checked on construction.

    ``resolve`` makes it complete: it adds the members' keys, the digests of code and data, and what the trainer has by
    default.

    Attributes:
        name: the coalition's name.
        model: a callable that makes the model, or ``"module:callable"`` for one that every member has installed.
        metric: ``"accuracy"``, ``"macro_f1"``, ``"auc"`` or ``"dice"``.
        acceptance: acceptance rule: ``"anchored"`` (measured against the best model so far), ``"paper"`` (against the
            model before), or the entry-point name of another.
        lambda_: λ, 0 to 1: a candidate must reach this share of the reference performance.
        blocks: stop after this number of blocks. One of ``blocks``, ``until`` and ``performance`` is needed; the
            first that is reached ends training.
        until: stop at this time: an ISO 8601 date (the end of that day, UTC) or a date and time with its offset.
        performance: stop at this performance on the global test set, 0 to 1.
        protocol: ``"tclearn"``.
        level: ``"A"``: the model is public; ``"B"``: it lies in a vault, and who reads it is on the ledger.
        members: paths of the members' enrolment files; empty where the members are given otherwise.
        arguments: keyword arguments of ``model``: text, numbers, booleans, ``None``, lists and maps of such.
        seed: draws M_0.
        trainer: entry-point name of the trainer.
        global_test_set: ``"blake3:…"``, digest of the global test set; ``None``: whatever set is resolved with.
        local_test: share of each contribution that is put aside for the contributor's local test set, 0 to 0.9.
        acceptance_arguments: further numbers for acceptance rules that want them.
        local_results: what validators publish of their local tests: ``"counts"`` or only their ``"vote"``.
        turns: ``"lease"``: members propose in turn; ``"free"``: the first accepted wins.
        verdict_minutes: minutes in which validators commit to a verdict, and again in which they reveal it.
        turn_minutes: minutes that a member has to propose in its turn; ``None``: as ``verdict_minutes``.
        seal_minutes: minutes that a general has to seal a block; ``None``: as ``verdict_minutes``.
        minimum_batch: records that a contribution must train on at least, besides those that it puts aside; from fewer
            a validator can see what they look like (``docs/privacy.md``).
        attempts: committees drawn for one candidate before it expires undecided.
        step_search: proposers try shorter steps first and offer the best: ``"own"``, on their own hold-out;
            ``"global"``, on the global test set; ``"none"``. ``None``: ``"own"``; with rule ``paper``, and with
            ``privacy``, ``"none"``.
        hyperparameters: ``epochs``, ``batch_size``, ``learning_rate`` (a number or a ``LearningRate``), and whatever
            else the trainer knows; what is not given is the trainer's default.
        privacy: a ``Privacy``: how increments are kept from telling too much; ``None``: they are not.
        vault: a ``VaultPolicy``: what members may read for their own use; ``None``: its defaults. At level B only.
        data_ids: a ``DataIdPolicy``: how many data IDs a member may ask for; ``None``: its defaults. At level B only.
        may_change: hyper-parameters that a quorum may change later.
        may_propose_revert: names of the members who may ask for a revert; empty: anybody.

    Raises:
        CharterError: something in it is wrong; all mistakes are listed, each with its key in the file.
    """

    name: str
    model: str | Callable[..., Any]
    metric: str
    acceptance: str = "anchored"
    lambda_: Number = _LAMBDA
    blocks: int | None = None
    until: str | date | datetime | None = None
    performance: Number | None = None
    protocol: str = "tclearn"
    level: str = "A"
    members: Sequence[str] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1
    trainer: str = "torch"
    global_test_set: str | None = None
    local_test: Number = _LOCAL_TEST
    acceptance_arguments: Mapping[str, Number] = field(default_factory=dict)
    local_results: str = "counts"
    turns: str = "lease"
    verdict_minutes: Number = 30
    turn_minutes: Number | None = None
    seal_minutes: Number | None = None
    minimum_batch: int = 64
    attempts: int = 3
    step_search: str | None = None
    hyperparameters: Mapping[str, Number | LearningRate | Mapping[str, Any]] = field(default_factory=dict)
    privacy: Privacy | Mapping[str, Any] | None = None
    vault: VaultPolicy | Mapping[str, Any] | None = None
    data_ids: DataIdPolicy | Mapping[str, Any] | None = None
    may_change: Sequence[str] = ()
    may_propose_revert: Sequence[str] = ()

    def __post_init__(self) -> None:
        faults = Faults()
        values = settled({each.name: getattr(self, each.name) for each in fields(self)}, faults)
        faults.check()
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_toml(cls, text: str, *, file: str = "charter.toml") -> Self:
        """Read a ``charter.toml``.

        Args:
            text: the file's content.
            file: its name, for messages.

        Raises:
            CharterError: larger than ``CHARTER_BYTES_MAX``, not TOML (the message names the line), an unknown or
                missing key, or a value that is not usable; all mistakes are listed.
        """
        faults = Faults()
        values = read_charter(text, file, faults)
        faults.check()
        return cls(**values)

    @property
    def local_share_ppm(self) -> int:
        """``local_test`` in millionths."""
        return LOCAL_TEST.read(self.local_test, Faults())

    @property
    def steps_searched_on(self) -> str:
        """Where proposers search for a step: ``step_search``, or what stands for ``None``."""
        if self.step_search is not None:
            return self.step_search
        return "none" if self.acceptance == "paper" or self.privacy is not None else "own"


def read_charter(text: str, file: str, faults: Faults) -> dict[str, Any]:
    """The fields of a ``Charter`` that a ``charter.toml`` sets; mistakes are noted, and fields that have one left out.

    Args:
        text: the file's content.
        file: its name, for messages.
        faults: collects the mistakes.

    Raises:
        CharterError: too large, or not TOML.
    """
    return settled(read_tables(text, file, faults), faults)
