"""The directory of a reproduction: what is done is kept run by run, so that an interrupted one goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final, Self

from tclearn.errors import AgentError, Code, StorageError, UsageError
from tclearn.files import is_folder, is_there, make_folder, write_whole
from tclearn.ledger.engines.sqlite_file import lock
from tclearn.reproduce.outcome import Outcome

SETTINGS: Final = "settings.json"
RESULTS: Final = "results.json"
CURVE: Final = "curve.csv"
FIGURE: Final = "figure.png"
RECORDS: Final = "records"
RUNS: Final = "runs"
WORKING: Final = "working"
_LOCK: Final = SETTINGS + "-lock"
_OWN: Final = (RESULTS, CURVE, FIGURE, RECORDS, RUNS, WORKING, SETTINGS)
"""Settings last: as long as they are there, the directory is known as a reproduction's."""


@dataclass(frozen=True)
class Place:
    """A directory in which an experiment is run.

    Attributes:
        path: the directory.
        continued: whether it holds an interrupted run with the same settings.
    """

    path: Path
    continued: bool
    _lock: Connection

    @classmethod
    def claim(cls, path: Path, settings: Mapping[str, Any]) -> Self:
        """Take a directory: an interrupted run with the same settings is continued, a finished one replaced.

        Raises:
            UsageError: the directory holds something else.
            AgentError: it holds an interrupted run with other settings, or one is running there now.
            StorageError: it cannot be written.
        """
        check(path)
        make_folder(path)
        held = _alone(path)
        try:
            continued = cls._begin(path, settings)
        except BaseException:
            held.close()
            raise
        return cls(path, continued, held)

    @staticmethod
    def _begin(path: Path, settings: Mapping[str, Any]) -> bool:
        wanted = json.dumps(settings, indent=2, ensure_ascii=False).encode() + b"\n"
        file = path / SETTINGS
        if file.exists() and not (path / RESULTS).exists():
            if file.read_bytes() == wanted:
                return True
            raise AgentError(
                Code.RESUME,
                f"{path} holds an interrupted reproduction with other settings, data or versions",
                expected=f"those in {file}",
                remedy=f"choose another directory with --out, or delete {path}",
            )
        for name in _OWN:
            own = path / name
            if own.is_dir():
                shutil.rmtree(own)
            else:
                own.unlink(missing_ok=True)
        write_whole(file, wanted)
        return False

    def outcome(self, run: str) -> Outcome | None:
        """What came out of a run that was finished before.

        Raises:
            StorageError: its file is not usable.
        """
        file = self.path / RUNS / f"{run}.json"
        if not file.exists():
            return None
        try:
            return Outcome.from_json(json.loads(file.read_bytes()))
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                Code.STORE_FAILED, f"{file} cannot be read ({error})", remedy="delete it: the run is done again"
            ) from error

    def working(self, run: str) -> Path:
        """Where a run keeps what it needs until it is finished."""
        return self.path / WORKING / run

    def record(self, run: str) -> Path:
        """The record of a run."""
        make_folder(self.path / RECORDS)
        return self.path / RECORDS / f"{run}.tclearn"

    def keep(self, run: str, outcome: Outcome) -> None:
        """Keep what came out of a run, and drop what it was made with."""
        make_folder(self.path / RUNS)
        write_whole(self.path / RUNS / f"{run}.json", _json(outcome.as_json()))
        shutil.rmtree(self.path / WORKING, ignore_errors=True)

    def finish(self, results: Mapping[str, Any]) -> None:
        """Write the results: with them, the reproduction is done."""
        write_whole(self.path / RESULTS, _json(results))

    def close(self) -> None:
        """Let others take it."""
        self._lock.close()

    def __enter__(self) -> Self:
        """Use as a context manager; closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def check(path: Path) -> None:
    """Check that a directory may be taken, without touching it; returns nothing.

    Raises:
        UsageError: it is a file, or holds something else.
    """
    if is_there(path) and not is_folder(path):
        raise UsageError(Code.USAGE, f"{path} is a file", expected="a directory, or a name that is free")
    names = {entry.name for entry in path.iterdir()} if is_folder(path) else set()
    if names and not names & {SETTINGS, _LOCK}:
        raise UsageError(
            Code.USAGE,
            f"{path} holds something that is no reproduction",
            expected="an empty or new directory",
            remedy="choose another one with --out",
        )


def _alone(path: Path) -> Connection:
    try:
        return lock(path / SETTINGS)
    except StorageError as error:
        if error.code is not Code.LEDGER_LOCKED:
            raise
        raise AgentError(
            Code.LEDGER_LOCKED,
            f"another reproduction is running in {path}",
            remedy="wait for it, or choose another directory with --out",
        ) from error


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
