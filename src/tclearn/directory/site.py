"""A member's ``site.toml``: where its data are, and on what it computes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tclearn.coalition.faults import did_you_mean
from tclearn.errors import Code, UnreachableError, UsageError
from tclearn.learning.source import load_factory
from tclearn.limits import CHARTER_BYTES_MAX

_TYPES: Final[Mapping[str, type]] = {"data": str, "global_test": str, "local_test": str, "device": str, "threads": int}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """What a member says of its own site.

    Attributes:
        data: ``"module:callable"`` that gives the training data; ``None``: it only validates.
        global_test: ``"module:callable"`` that gives the global test set.
        local_test: ``"module:callable"`` that gives a local test set; ``None``: it grows from contributions.
        device: where to compute, as the trainer takes it.
        threads: CPU threads of the trainer.
    """

    data: str | None = None
    global_test: str | None = None
    local_test: str | None = None
    device: str | None = None
    threads: int | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a ``site.toml``.

        Raises:
            UnreachableError: there is no such file.
            UsageError: it is not TOML, or has an unknown key or a value of another type.
        """
        if not path.is_file():
            raise UnreachableError(
                Code.USAGE,
                f"no file {path}",
                remedy='write one: data = "module:callable", global_test = "module:callable"',
            )
        if path.stat().st_size > CHARTER_BYTES_MAX:
            raise UsageError(Code.TOO_LARGE, f"{path} is too large", expected=f"at most {CHARTER_BYTES_MAX} bytes")
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(Code.USAGE, f"{path}: {error}", expected="TOML") from error
        for key, value in values.items():
            if key not in _TYPES:
                raise UsageError(
                    Code.USAGE,
                    f"{path}: unknown key {key!r}",
                    expected=", ".join(_TYPES),
                    remedy=did_you_mean(key, _TYPES),
                )
            if type(value) is not _TYPES[key]:
                raise UsageError(Code.USAGE, f"{path}: {key} is {value!r}", expected=_TYPES[key].__name__)
        return cls(**values)

    def source(self, key: str) -> Any:
        """The callable behind ``data``, ``global_test`` or ``local_test``; ``None`` where the key is not given.

        Raises:
            CharterError: it cannot be imported.
        """
        reference = getattr(self, key)
        return None if reference is None else load_factory(reference)

    def options(self) -> dict[str, Any]:
        """What of this a trainer is made with."""
        given = {"device": self.device, "threads": self.threads}
        return {name: value for name, value in given.items() if value is not None}
