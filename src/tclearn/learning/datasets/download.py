"""Downloading public data into a cache: from whichever mirror answers, checked, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx

from tclearn.errors import Code, DataError, StorageError, UnreachableError

_T = TypeVar("_T")
_FILE_BYTES_MAX: Final = 64 << 20
_TIMEOUT_S: Final = 30.0
_AS_IT_IS: Final = {"accept-encoding": "identity"}

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes so far, and all of them (0: not known)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A place to download from.

    Attributes:
        url: of the folder, with its last slash.
        files: all that are needed from there.
    """

    url: str
    files: tuple[str, ...]


def cache_folder() -> Path:
    """Where downloads are kept: ``tclearn`` under ``XDG_CACHE_HOME``, else under ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tclearn"


def download(
    name: str,
    folder: Path,
    sources: tuple[Source, ...],
    check: Callable[[Path], _T],
    progress: Progress | None = None,
) -> _T:
    """Bring a data set into a folder of the cache.

    Args:
        name: the data set's, for messages.
        folder: where its files go; it appears when they are all there and checked.
        sources: tried in turn.
        check: reads the files in a folder, and raises ``DataError`` when they are not what they should be.
        progress: called as bytes arrive.

    Returns:
        What ``check`` read.

    Raises:
        UnreachableError: no source gives the files.
        DataError: one answers, and its files are not what they should be.
        StorageError: the cache cannot be written to.
    """
    failures, wrong = [], None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            for number, source in enumerate(sources):
                arriving = Path(temporary) / str(number)
                arriving.mkdir()
                try:
                    for file in source.files:
                        _fetch(source.url + file, arriving / file, progress)
                    result = check(arriving)
                except httpx.HTTPError as error:
                    failures.append(f"{httpx.URL(source.url).host}: {str(error) or type(error).__name__}")
                except DataError as error:
                    wrong = error
                else:
                    shutil.rmtree(folder, ignore_errors=True)
                    arriving.replace(folder)
                    return result
    except OSError as error:
        raise StorageError(
            Code.STORE_FAILED,
            f"the cache {folder} cannot be written ({error.strerror or error})",
            remedy="name another folder in XDG_CACHE_HOME",
        ) from error
    if wrong is not None:
        raise wrong
    raise UnreachableError(
        Code.DATA_MISSING,
        f"{name} is not on this machine and could not be downloaded ({'; '.join(failures)})",
        expected=f"network access, or {' and '.join(sources[0].files)} in a folder",
        remedy=f"put the files into a folder {folder.name}/ and name the folder above it in TCLEARN_DATA",
    )


def _fetch(url: str, path: Path, progress: Progress | None) -> None:
    with (
        httpx.stream("GET", url, headers=_AS_IT_IS, follow_redirects=True, timeout=_TIMEOUT_S) as response,
        path.open("wb") as file,
    ):
        response.raise_for_status()
        total, done = int(response.headers.get("content-length", 0)), 0
        for chunk in response.iter_raw():
            file.write(chunk)
            done += len(chunk)
            if done > _FILE_BYTES_MAX:
                raise DataError(Code.TOO_LARGE, f"{url} is larger than {_FILE_BYTES_MAX} bytes")
            if progress:
                progress(path.name, done, total)
