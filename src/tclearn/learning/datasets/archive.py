"""Arrays in an ``.npz`` archive that somebody else has made."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BYTES_MAX: Final = 128 << 20


def read_npz(path: Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Some arrays of an archive; nothing in it is unpickled.

    Args:
        path: of the archive.
        keys: names of the arrays.

    Raises:
        OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile: it cannot be read, lacks one of them,
            or unpacks to more than 128 MiB.
    """
    with zipfile.ZipFile(path) as members:
        if sum(member.file_size for member in members.infolist()) > _BYTES_MAX:
            raise ValueError(f"{path.name} unpacks to more than {_BYTES_MAX} bytes")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except MemoryError as error:  # an array's head may claim any size
        raise ValueError(f"{path.name} claims arrays that do not fit into memory") from error
