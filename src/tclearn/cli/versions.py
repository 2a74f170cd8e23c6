"""The versions of the model that commands name, and how they come here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from tclearn.cli.keys import VAULT_PASSPHRASE, asked_passphrase, oneself
from tclearn.cli.output import messages, natural
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory import CoalitionDirectory
from tclearn.directory.models import WrittenModel, stored_model, write_stored_model
from tclearn.directory.vault import VAULT_KEY
from tclearn.errors import Code, StorageError, UsageError
from tclearn.learning.parameters import Parameters

if TYPE_CHECKING:
    from tclearn.service.beside import Beside
    from tclearn.service.reading import Waiting

T = TypeVar("T")
NEWEST: Final = "newest"
Version = Annotated[
    str, typer.Option("--version", metavar="BLOCK", help="Index of the block whose model is meant, or newest.")
]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A version that is here.

    Attributes:
        charter: the coalition's.
        block: index of the block.
        data: the model file's bytes.
        parameters: what it holds, checked against the ledger.
        reading: number of the reading that brought it; ``None``: nobody notes any.
    """

    charter: ResolvedCharter
    block: int
    data: bytes
    parameters: Parameters
    reading: int | None = None


def block_named(version: str, tip: int) -> int:
    """The index that a user has given for a version.

    Raises:
        UsageError: it is none.
    """
    index = _index(version)
    return tip if index is None else index


def fetched(directory: Path, version: str, key: Path | None, *, as_json: bool) -> Fetched:
    """A version of the model: from the directory where it lies in the open, else from the service or the vault.

    Raises:
        UsageError: there is no such version.
        AgentError: the coalition's rules refuse to read it.
        UnreachableError: there is no coalition, or the model is neither here nor at the service.
        StorageError: the file is damaged.
        ParametersError: it holds something else than the ledger says.
    """

    def stored(coalition: CoalitionDirectory, block: int) -> Fetched:
        return Fetched(coalition.charter, block, *stored_model(coalition, block))

    def read(at: Beside, index: int | None, waiting: Callable[[Waiting], None]) -> Fetched:
        from tclearn.service.reading import read_version

        found = read_version(at, index, waiting=waiting)
        return Fetched(at.home.charter, found.block, found.data, found.parameters, found.reading)

    return _taken(directory, version, key, stored, read, as_json=as_json)


def written(
    directory: Path, version: str, key: Path | None, to: Callable[[int], Path], *, as_json: bool
) -> WrittenModel:
    """A version of the model, in a file; it is nowhere in memory as a whole. Otherwise as ``fetched``.

    Args:
        directory: a coalition's, or a member's.
        version: as the user has given it.
        key: of the member.
        to: the file for the block of an index.
        as_json: whether nothing but JSON may be printed.
    """

    def stored(coalition: CoalitionDirectory, block: int) -> WrittenModel:
        return write_stored_model(coalition, block, to(block))

    def read(at: Beside, index: int | None, waiting: Callable[[Waiting], None]) -> WrittenModel:
        from tclearn.service.reading import write_version

        return write_version(at, index, to, waiting=waiting)

    return _taken(directory, version, key, stored, read, as_json=as_json)


def _taken(
    directory: Path,
    version: str,
    key: Path | None,
    stored: Callable[[CoalitionDirectory, int], T],
    read: Callable[[Beside, int | None, Callable[[Waiting], None]], T],
    *,
    as_json: bool,
) -> T:
    index = _index(version)
    joined = _joined(directory)
    with CoalitionDirectory.open(directory) as coalition:
        charter, tip = coalition.charter, coalition.state.tip
        if not joined and charter.vault is None:
            return stored(coalition, tip if index is None else index)
        if joined and charter.vault is None and index is not None and index <= tip:
            try:
                return stored(coalition, index)
            except StorageError as error:
                if error.code not in (Code.OBJECT_MISSING, Code.OBJECT_CORRUPT):
                    raise
    if joined:
        return _from_service(directory, index, key, read, as_json=as_json)
    file = directory / VAULT_KEY
    with CoalitionDirectory.open(directory, passphrase=asked_passphrase(file, VAULT_PASSPHRASE)) as opened:
        return stored(opened, opened.state.tip if index is None else index)


def _from_service(
    directory: Path,
    index: int | None,
    key: Path | None,
    read: Callable[[Beside, int | None, Callable[[Waiting], None]], T],
    *,
    as_json: bool,
) -> T:
    from tclearn.service.beside import beside
    from tclearn.service.home import MemberHome

    now = datetime.now(UTC)
    home = MemberHome.open(directory, oneself(key, now))
    with _progress(as_json) as waiting, beside(home, now, lambda: time.time_ns() // 1_000_000) as at:
        return read(at, index, waiting)


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[Waiting], None]]:
    told: tuple[str, ...] = ()
    with messages.status("asking the service") as status:

        def waiting(on: Waiting) -> None:
            nonlocal told
            names = ", ".join(sorted(on.missing, key=natural))
            line = f"reading {on.reading} is granted; {on.needed} members must witness it, missing: {names}"
            if messages.is_terminal:
                status.update(line)
            elif on.missing != told and not as_json:
                messages.print(line, markup=False, soft_wrap=True)
            told = on.missing

        yield waiting


def _joined(directory: Path) -> bool:
    from tclearn.service.home import is_joined

    return is_joined(directory)


def _index(version: str) -> int | None:
    """``None``: the newest."""
    if version == NEWEST:
        return None
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise UsageError(Code.USAGE, f"{version[:40]!r} is no version", expected=f"the index of a block, or {NEWEST}")
    return int(version)
