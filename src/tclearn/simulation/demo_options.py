"""What a demonstration shows: its options, as given and as kept for ``--resume``."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from tclearn.coalition.faults import shown
from tclearn.coalition.quantities import SEED
from tclearn.coalition.words import LEVELS
from tclearn.directory.reading import read_file
from tclearn.errors import AgentError, Code, UnreachableError, UsageError
from tclearn.limits import CHARTER_BYTES_MAX
from tclearn.simulation.attacks import Attack, default_attacks
from tclearn.simulation.tasks import TASKS

SETTINGS: Final = "demo.json"
FORMAT: Final = 1
_BLOCKS_MAX: Final = 10_000


class Settings(Protocol):
    """A dataclass of options."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demonstration shows.

    Attributes:
        dataset: ``"digits"``, ``"breast-cancer"`` or ``"mnist"``.
        members: how many members, 2 to 50.
        attacks: who misbehaves how; ``None``: a label flipper and a member with used records, where there are enough
            others.
        blocks: how many blocks to make; ``None``: what the data set's demonstration has by default.
        seed: fixes keys, data split, draws and training.
        rule: the acceptance rule.
        lambda_: λ of the rule.
        level: ``"A"``: the model is public; ``"B"``: it lies in a vault.
    """

    dataset: str = "digits"
    members: int = 7
    attacks: tuple[Attack, ...] | None = None
    blocks: int | None = None
    seed: int = 1
    rule: str = "anchored"
    lambda_: Decimal = Decimal("0.98")
    level: str = "A"

    def settings(self) -> dict[str, Any]:
        """The options as kept for ``--resume``."""
        return {
            "format": FORMAT,
            "dataset": self.dataset,
            "members": self.members,
            "attacks": None if self.attacks is None else [str(attack) for attack in self.attacks],
            "blocks": self.blocks,
            "seed": self.seed,
            "rule": self.rule,
            "lambda": str(self.lambda_),
            "level": self.level,
        }

    @classmethod
    def from_settings(cls, text: str, file: Path) -> DemoOptions:
        """Read the options of an interrupted demonstration.

        Raises:
            AgentError: the file is not one of this version.
        """
        try:
            kept = settings_of(text, "tclearn")
            attacks = kept["attacks"]
            return cls(
                dataset=str(kept["dataset"]),
                members=int(kept["members"]),
                attacks=None if attacks is None else tuple(Attack.parse(str(attack)) for attack in attacks),
                blocks=None if kept["blocks"] is None else int(kept["blocks"]),
                seed=int(kept["seed"]),
                rule=str(kept["rule"]),
                lambda_=Decimal(kept["lambda"]),
                level=str(kept.get("level", "A")),
            )
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise unusable(file, error) from error

    @classmethod
    def interrupted(cls, directory: Path) -> DemoOptions:
        """The options of a demonstration that was begun in a directory.

        Raises:
            UnreachableError: there is none.
            AgentError: it is not of this version.
        """
        return cls.from_settings(*kept_settings(directory))

    def resumed_as(self, asked: DemoOptions, given: Collection[str] = ()) -> DemoOptions:
        """These options, when what is asked for does not contradict them.

        Args:
            asked: options given together with ``--resume``; what was not given is at its default.
            given: names of attributes that count although they are at their defaults.

        Raises:
            UsageError: something else is asked for.
        """
        check_resumed(self, asked, DemoOptions(), given)
        return self

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return hospitals(self.members)

    @property
    def misbehaving(self) -> tuple[Attack, ...]:
        """Who misbehaves how: as asked, or the demonstration's own story."""
        return default_attacks(self.names) if self.attacks is None else self.attacks

    def check(self) -> None:
        """Check every option; returns nothing.

        Raises:
            UsageError: one is out of range.
        """
        if self.dataset not in TASKS:
            raise UsageError(Code.USAGE, f"no data set {self.dataset!r} in the demo", expected=" or ".join(TASKS))
        if not 2 <= self.members <= 50:
            raise UsageError(Code.USAGE, f"--members is {self.members}", expected="2 to 50")
        if self.blocks is not None and not 1 <= self.blocks <= _BLOCKS_MAX:
            raise UsageError(Code.USAGE, f"--blocks is {self.blocks}", expected=f"1 to {_BLOCKS_MAX}")
        check_seed(self.seed)
        if self.level not in LEVELS:
            raise UsageError(Code.USAGE, f"--level is {self.level!r}", expected=" or ".join(LEVELS))
        names, attacks = self.names, self.misbehaving
        for attack in attacks:
            if attack.member not in names:
                raise UsageError(
                    Code.USAGE, f"the attack {attack}: no such member", expected=f"{names[0]} to {names[-1]}"
                )
        if len({attack.member for attack in attacks}) < len(attacks):
            raise UsageError(Code.USAGE, "two attacks by one member", expected="one attack a member")
        if len(attacks) >= self.members:
            raise UsageError(Code.USAGE, "every member misbehaves", expected="at least one honest member")


def hospitals(count: int) -> list[str]:
    """So many members' names, all of one length."""
    width = len(str(count))
    return [f"hospital-{number:0{width}d}" for number in range(1, count + 1)]


def kept_settings(directory: Path) -> tuple[str, Path]:
    """What a demonstration has written down of its options, and where.

    Raises:
        UnreachableError: no demonstration was begun in this directory.
    """
    file = directory / SETTINGS
    try:
        return read_file(file, CHARTER_BYTES_MAX, "").decode(errors="replace"), file
    except UnreachableError:
        raise UnreachableError(
            Code.FILE_MISSING,
            f"there is no demonstration in {directory}",
            expected=f"a directory that `tclearn demo --out {directory}` has made",
            remedy=f"start one: tclearn demo --out {directory}",
        ) from None


def kept_protocol(directory: Path) -> str:
    """The protocol of the demonstration in a directory.

    Raises:
        UnreachableError: there is none.
        AgentError: what was written down is not usable.
    """
    text, file = kept_settings(directory)
    try:
        return _protocol(json.loads(text))
    except (ValueError, TypeError, AttributeError) as error:
        raise unusable(file, error) from error


def settings_of(text: str, protocol: str) -> dict[str, Any]:
    """Settings, if they are of this version and protocol.

    Raises:
        ValueError, KeyError, TypeError: they are not.
    """
    kept: dict[str, Any] = json.loads(text)
    if kept["format"] != FORMAT:
        raise ValueError(f"format {kept['format']}")
    if _protocol(kept) != protocol:
        raise ValueError(f"it is of the protocol {_protocol(kept)}")
    return kept


def unusable(file: Path, error: Exception) -> AgentError:
    """The error for settings that cannot be read."""
    return AgentError(
        Code.RESUME,
        f"{file} is not usable: {f'it lacks {error}' if isinstance(error, KeyError) else error}",
        remedy="start anew: tclearn demo --out another-directory",
    )


def check_seed(seed: int) -> None:
    """Whether the charter's model can have this seed; returns nothing.

    Raises:
        UsageError: it cannot.
    """
    if not SEED.low <= seed <= SEED.high:
        raise UsageError(Code.USAGE, f"--seed is {shown(seed)}", expected=SEED.expected)


def check_resumed(kept: Settings, asked: Settings, default: Settings, given: Collection[str] = ()) -> None:
    """Whether options that are given with ``--resume`` contradict those of the interrupted run; returns nothing.

    Args:
        kept: of that run.
        asked: what was not given is at its default.
        default: these defaults.
        given: what counts although it is at its default: somebody has typed it.

    Raises:
        UsageError: something else is asked for.
    """
    for each in fields(kept):
        wish = getattr(asked, each.name)
        wanted = each.name in given or wish != getattr(default, each.name)
        if wanted and wish != getattr(kept, each.name):
            raise UsageError(
                Code.USAGE,
                f"the interrupted demonstration has {_option(each.name, getattr(kept, each.name))}, "
                f"not {_option(each.name, wish)}",
                expected="--resume without other options",
                remedy="start another one with another --out",
            )


def _protocol(kept: dict[str, Any]) -> str:
    return str(kept.get("protocol", "tclearn"))  # versions that knew no other have not written it down


def _option(field: str, value: object) -> str:
    # As it is typed, or for what nobody has typed, in words.
    name = {"attacks": "--attack", "lambda_": "--lambda", "key_bits": "--key-bits"}.get(field, f"--{field}")
    if isinstance(value, tuple):
        return " ".join(f"{name} {attack}" for attack in value) or f"{name} none"
    return f"the default {name}" if value is None else f"{name} {value}"
