"""A demonstration's directory: one run at a time, its own files replaced, everything else left alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

from tclearn.directory.coalition import CHARTER, DATA_KEY, LEDGER, LEDGER_SIDE_FILES, LOG_KEY, OBJECTS
from tclearn.errors import AgentError, Code, StorageError, UsageError
from tclearn.files import is_folder, is_there, make_folder, write_whole
from tclearn.ledger.engines.sqlite_file import lock
from tclearn.simulation.continuing import CAST
from tclearn.simulation.demo_options import SETTINGS
from tclearn.simulation.demo_result import EXPORT, MODEL, REPORT
from tclearn.simulation.simulate import MEMBERS

SERVICE: Final = "service"
"""In a demonstration over a network: the coalition's directory, as whoever runs the service has it."""
_OWN: Final = (
    CAST,
    SERVICE,
    EXPORT,
    MODEL,
    REPORT,
    MEMBERS,
    OBJECTS,
    CHARTER,
    LEDGER,
    *LEDGER_SIDE_FILES[:2],
    LOG_KEY,
    DATA_KEY,
)


def alone(directory: Path) -> Connection:
    """A lock on a demonstration's directory, which is made when it is not there.

    Raises:
        UsageError: the directory holds something else.
        AgentError: another demonstration runs there.
    """
    _check_ours(directory)
    make_folder(directory)
    try:
        return lock(directory / SETTINGS)
    except StorageError as error:
        if error.code is not Code.LEDGER_LOCKED:
            raise
        raise AgentError(
            Code.LEDGER_LOCKED,
            f"another demonstration is running in {directory}",
            remedy="wait for it, or choose another directory with --out",
        ) from error


def _check_ours(directory: Path) -> None:
    if is_there(directory) and not is_folder(directory):
        raise UsageError(Code.USAGE, f"{directory} is a file", expected="a directory, or a name that is free")
    ours = {SETTINGS, SETTINGS + "-lock"}
    if is_folder(directory) and any(directory.iterdir()) and not ours & {entry.name for entry in directory.iterdir()}:
        raise UsageError(
            Code.USAGE,
            f"{directory} holds something that is not a demonstration",
            expected="an empty or new directory",
            remedy="choose another one with --out",
        )


def make_directory(directory: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
    """Clear what an earlier demonstration has left, and write down what this one shows; nothing with ``resume``."""
    if resume:
        return
    file = directory / SETTINGS
    for name in (*_OWN, SETTINGS):  # what an earlier demonstration left; anything else in there is the user's
        own = directory / name
        if own.is_dir():
            shutil.rmtree(own)
        else:
            own.unlink(missing_ok=True)
    write_whole(file, json.dumps(dict(settings), indent=2).encode() + b"\n")
