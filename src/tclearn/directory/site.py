"""A member's ``site.toml``: where its data are, and on what it computes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from tclearn.coalition.charter_file import endless_key
from tclearn.coalition.faults import did_you_mean, shown
from tclearn.directory.reading import read_file
from tclearn.errors import CharterError, Code, UsageError
from tclearn.learning.source import load_factory
from tclearn.learning.trainer import LocalData
from tclearn.limits import CHARTER_BYTES_MAX

_WORDS: Final[Mapping[type, str]] = {str: "text, in quotation marks", int: "a whole number"}
_TYPES: Final[Mapping[str, type]] = {
    "data": str,
    "global_test": str,
    "local_test": str,
    "hidden_test": str,
    "hidden_parts": int,
    "device": str,
    "threads": int,
}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """What a member says of its own site.

    Attributes:
        data: ``"module:callable"`` that gives the training data; ``None``: it only validates.
        global_test: ``"module:callable"`` that gives the global test set.
        local_test: ``"module:callable"`` that gives a local test set; ``None``: it grows from contributions.
        hidden_test: ``"module:callable"`` that gives test records to be kept hidden, part by part; ``None``: none.
        hidden_parts: into how many parts they are divided.
        device: where to compute, as the trainer takes it.
        threads: CPU threads of the trainer.
        path: the file that says so, for messages.
    """

    data: str | None = None
    global_test: str | None = None
    local_test: str | None = None
    hidden_test: str | None = None
    hidden_parts: int | None = None
    device: str | None = None
    threads: int | None = None
    path: Path = Path("site.toml")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a ``site.toml``.

        Raises:
            UnreachableError: there is no such file.
            StorageError: it cannot be read.
            UsageError: it is not TOML, or has an unknown key or a value of another type.
        """
        remedy = 'write one: data = "module:callable", global_test = "module:callable"'
        data = read_file(path, CHARTER_BYTES_MAX, remedy)
        try:
            text = data.decode()
            if (line := endless_key(text)) is not None:
                raise ValueError(f"a dotted key without end (at line {line})")
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            reason = "is not text" if isinstance(error, UnicodeDecodeError) else f"is not TOML: {str(error)[:200]}"
            raise UsageError(Code.USAGE, f"{path} {reason}", expected='lines of the form key = "text"') from error
        for key, value in values.items():
            if key not in _TYPES:
                raise UsageError(
                    Code.USAGE,
                    f"{path} has the unknown key {shown(key)}",
                    expected=", ".join(_TYPES),
                    remedy=did_you_mean(key, _TYPES),
                )
            if type(value) is not _TYPES[key]:
                raise UsageError(Code.USAGE, f"{path}: {key} is {shown(value)}", expected=_WORDS[_TYPES[key]])
        return cls(**values, path=path)

    def source(self, key: str) -> Any:
        """The callable behind a key that names one (``data``, ``global_test``, …); ``None`` where it is not given.

        Raises:
            UsageError: it cannot be imported.
        """
        reference = getattr(self, key)
        return None if reference is None else load_source(reference, f"{self.path}: {key}")

    def local_data(self) -> LocalData:
        """What the member brings.

        Raises:
            UsageError: a callable cannot be imported.
        """
        data = LocalData(self.source("data"), self.source("local_test"), hidden_test=self.source("hidden_test"))
        return data if self.hidden_parts is None else replace(data, hidden_parts=self.hidden_parts)

    def options(self) -> dict[str, Any]:
        """What of this a trainer is made with."""
        given = {"device": self.device, "threads": self.threads}
        return {name: value for name, value in given.items() if value is not None}


def load_source(reference: str, place: str) -> Any:
    """The callable that gives a data set.

    Args:
        reference: ``"module:callable"``.
        place: where the user wrote it, for messages (``"site.toml: data"``).

    Raises:
        UsageError: it cannot be imported, or is not callable.
    """
    try:
        return load_factory(reference)
    except CharterError as error:
        what = error.what.removeprefix("[model] factory ")
        expected = '"module:callable" of a function that gives a data set'
        raise UsageError(Code.USAGE, f"{place} {what}", expected=expected, remedy=error.remedy) from error
