"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tclearn.errors import Code, StorageError


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content takes the file's place when the block ends, durably; on an error the file stays as it was.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StorageError(
            Code.STORE_FAILED,
            f"{path} cannot be written: {error.strerror}",
            remedy="check the folder and its permissions",
        ) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield cast(BinaryIO, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            Code.STORE_FAILED, f"{path} cannot be written: {error.strerror}", remedy="check the disk's free space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    with writing(path) as stream:
        stream.write(data)
