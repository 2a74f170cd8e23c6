"""What a demonstration of DeepChain shows: its options, as given and as kept for ``--resume``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tclearn.coalition.quorum import faulty_max
from tclearn.errors import Code, UsageError
from tclearn.simulation.deepchain.attacks import Attack, default_attacks
from tclearn.simulation.demo_options import (
    FORMAT,
    check_resumed,
    check_seed,
    hospitals,
    kept_settings,
    settings_of,
    unusable,
)

PROTOCOL: Final = "deepchain"
KEY_BITS: Final = (512, 2048, 3072)
TOY_BITS: Final = 512
_PARTIES_MIN: Final = 4
_PARTIES_MAX: Final = 50
_BLOCKS_MAX: Final = 1_000
_WORKERS: Final = 4


@dataclass(frozen=True)
class DeepChainTask:
    """One data set's demonstration: a perceptron with one hidden layer on flattened records.

    Attributes:
        hidden: its units.
        epochs: of each iteration.
    """

    hidden: int
    epochs: int
    batch_size: int = 16


TASKS: Final[Mapping[str, DeepChainTask]] = {
    "digits": DeepChainTask(hidden=32, epochs=10),
    "breast-cancer": DeepChainTask(hidden=16, epochs=10),
}
BLOCKS: Final = 6
"""In so many iterations each of four workers leads at least once, nearly always."""


@dataclass(frozen=True, slots=True)
class DeepChainOptions:
    """What a demonstration shows.

    Attributes:
        dataset: ``"digits"`` or ``"breast-cancer"``.
        members: how many parties, 4 to 50; there are four workers besides.
        attacks: who misbehaves how; ``None``: a wrong proof, a wrong sum and, from seven parties on, a withheld share.
        blocks: how many iterations have to succeed; ``None``: six.
        seed: fixes signing keys, data split and training; under a toy key everything.
        key_bits: of the threshold key.
    """

    dataset: str = "digits"
    members: int = 7
    attacks: tuple[Attack, ...] | None = None
    blocks: int | None = None
    seed: int = 1
    key_bits: int = 2048

    def settings(self) -> dict[str, Any]:
        """The options as kept for ``--resume``."""
        return {
            "format": FORMAT,
            "protocol": PROTOCOL,
            "dataset": self.dataset,
            "members": self.members,
            "attacks": None if self.attacks is None else [str(attack) for attack in self.attacks],
            "blocks": self.blocks,
            "seed": self.seed,
            "key_bits": self.key_bits,
        }

    @classmethod
    def interrupted(cls, directory: Path) -> DeepChainOptions:
        """The options of a demonstration that was begun in a directory.

        Raises:
            UnreachableError: there is none.
            AgentError: it is not of this version, or of another protocol.
        """
        text, file = kept_settings(directory)
        try:
            kept = settings_of(text, PROTOCOL)
            attacks = kept["attacks"]
            return cls(
                dataset=str(kept["dataset"]),
                members=int(kept["members"]),
                attacks=None if attacks is None else tuple(Attack.parse(str(attack)) for attack in attacks),
                blocks=None if kept["blocks"] is None else int(kept["blocks"]),
                seed=int(kept["seed"]),
                key_bits=int(kept["key_bits"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise unusable(file, error) from error

    def resumed_as(self, asked: DeepChainOptions, given: Collection[str] = ()) -> DeepChainOptions:
        """These options, when what is asked for does not contradict them.

        Args:
            asked: options given together with ``--resume``; what was not given is at its default.
            given: names of attributes that count although they are at their defaults.

        Raises:
            UsageError: something else is asked for.
        """
        check_resumed(self, asked, DeepChainOptions(), given)
        return self

    @property
    def parties(self) -> list[str]:
        """The parties' names."""
        return hospitals(self.members)

    @property
    def workers(self) -> list[str]:
        """The workers' names."""
        return [f"worker-{number}" for number in range(1, _WORKERS + 1)]

    @property
    def misbehaving(self) -> tuple[Attack, ...]:
        """Who misbehaves how: as asked, or the demonstration's own story."""
        return default_attacks(self.parties, self.workers) if self.attacks is None else self.attacks

    @property
    def too_many(self) -> list[str]:
        """Of parties and of workers, in words: that more of them misbehave than the agreement is made for."""
        said = []
        for role, names in (("parties", self.parties), ("workers", self.workers)):
            bad, most = sum(attack.member in names for attack in self.misbehaving), faulty_max(len(names))
            if bad > most:
                said.append(f"{bad} of {len(names)} {role} misbehave; it is made for {most}")
        return said

    @property
    def is_toy(self) -> bool:
        """Whether the key protects nothing."""
        return self.key_bits == TOY_BITS

    def check(self) -> None:
        """Check every option; returns nothing.

        Raises:
            UsageError: one is out of range.
        """
        if self.dataset not in TASKS:
            raise UsageError(
                Code.USAGE, f"no data set {self.dataset!r} in the demo of {PROTOCOL}", expected=" or ".join(TASKS)
            )
        if not _PARTIES_MIN <= self.members <= _PARTIES_MAX:
            raise UsageError(
                Code.USAGE,
                f"--members is {self.members}",
                expected=f"{_PARTIES_MIN} to {_PARTIES_MAX} with --protocol {PROTOCOL}",
            )
        if self.blocks is not None and not 1 <= self.blocks <= _BLOCKS_MAX:
            raise UsageError(Code.USAGE, f"--blocks is {self.blocks}", expected=f"1 to {_BLOCKS_MAX}")
        check_seed(self.seed)
        if self.key_bits not in KEY_BITS:
            raise UsageError(
                Code.USAGE, f"--key-bits is {self.key_bits}", expected=" or ".join(str(bits) for bits in KEY_BITS)
            )
        for attack in self.misbehaving:
            attack.check(self.parties, self.workers)
        if len({attack.member for attack in self.misbehaving}) < len(self.misbehaving):
            raise UsageError(Code.USAGE, "two attacks by one member", expected="one attack a member")
