"""Inputs to predict on, as users have them: an array, a data set, a file of NumPy or of comma-separated values.

Targets, where there are some, are left out. Nothing is unpickled, and a file is held to its size before it is read.
"""

from __future__ import annotations

import csv
import io
import lzma
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, DataError
from tclearn.learning.records import Records, ask, materialise
from tclearn.limits import CSV_BYTES_MAX, DATA_SET_BYTES_MAX

SUFFIXES: Final = (".csv", ".npy", ".npz")
_BROKEN: Final = (  # whatever the archive's reader raises for bytes that are none
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
_NAMES: Final = ("inputs", "x", "X")
_MAGIC: Final = b"\x93NUMPY"
_WIDTHS: Final = {b"\x01\x00": 2, b"\x02\x00": 4}
"""Of the header's length, in bytes, by the version of the format."""
_HEADER_BYTES_MAX: Final = 4096
_HEADER: Final = re.compile(
    rb"\{\s*'descr':\s*'(?P<type>[<>|=][fiub][1248])',\s*'fortran_order':\s*(?P<fortran>True|False),"
    rb"\s*'shape':\s*\((?P<shape>[0-9]{1,18}(?:,\s*[0-9]{1,18}){0,31}),?\s*\),?\s*\}\s*"
)


def inputs_of(source: Any, what: str) -> NDArray[Any]:
    """The inputs of a data set, checked.

    Args:
        source: an array of inputs ``(n, …)``, a data set in any form of ``tclearn.learning.records``, or a callable
            that gives one of these.
        what: what it is, for messages (``"the data of bladder:scans"``).

    Raises:
        DataError: it cannot be read, is empty or too large, or holds anything but finite numbers.
    """
    given = ask(source, what)
    if not isinstance(given, tuple | list | Records) and hasattr(given, "__array__") and getattr(given, "ndim", None):
        detach = getattr(given, "detach", None)
        inputs = np.asarray(detach().cpu().numpy() if detach else given)
        given = Records(inputs, np.zeros(len(inputs), np.int64))
    return materialise(given, what).inputs


def inputs_in(path: Path, data: bytes) -> NDArray[Any]:
    """The inputs in a file's bytes, checked.

    Args:
        path: its name; the ending says what it is: ``.csv``, ``.npy`` or ``.npz``.
        data: its bytes.

    Returns:
        Of ``.npy`` the array; of ``.npz`` the array named ``inputs``, ``x`` or ``X``, or the only one; of ``.csv``
        ``(n, columns) float64``, a first line without numbers being taken for names.

    Raises:
        DataError: no such file, or the numbers in it cannot be used.
    """
    read = {".csv": _of_csv, ".npy": _of_npy, ".npz": _of_npz}.get(path.suffix)
    if read is None:
        raise DataError(
            Code.DATA_UNREADABLE, f"{path} is no file of inputs", expected=f"a name that ends in {', '.join(SUFFIXES)}"
        )
    return inputs_of(read(str(path), data), str(path))


def _of_npy(name: str, data: bytes) -> NDArray[Any]:
    return _array(name, io.BytesIO(data), len(data))


def _of_npz(name: str, data: bytes) -> NDArray[Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
            named: list[str] = [each for each in _NAMES if each in found]
            chosen = named or (list(found) if len(found) == 1 else [])
            if not chosen:
                listed = ", ".join(repr(each[:40]) for each in list(found)[:8])
                raise DataError(
                    Code.DATA_UNREADABLE,
                    f"{name} has {len(found)} arrays ({listed})",
                    expected=f"one, or one named {', '.join(_NAMES)}",
                )
            item = found[chosen[0]]
            if item.file_size > DATA_SET_BYTES_MAX:
                raise _unreadable(name, f"an array of {item.file_size} bytes")
            with archive.open(item) as stream:
                return _array(name, stream, item.file_size)
    except _BROKEN as error:
        raise _unreadable(name, f"{type(error).__name__}: {error}") from error


def _array(name: str, stream: Any, size: int) -> NDArray[Any]:
    """An array in NumPy's own format; its header is believed only as far as there are bytes behind it.

    The header is a Python literal. Its one usual form is matched here, and nothing is parsed as Python.
    """
    start = stream.read(8)
    width = _WIDTHS.get(start[6:]) if start[:6] == _MAGIC else None
    length = int.from_bytes(stream.read(width), "little") if width else _HEADER_BYTES_MAX + 1
    found = _HEADER.fullmatch(stream.read(length)) if length <= _HEADER_BYTES_MAX else None
    if found is None:
        raise _unreadable(name, "it is no array of numbers in NumPy's format")
    try:
        dtype = np.dtype(found["type"].decode())
    except TypeError as error:
        raise _unreadable(name, str(error)) from error
    shape = tuple(int(side) for side in found["shape"].split(b",") if side.strip())
    count = math.prod(shape)
    if not shape or count == 0:
        raise _unreadable(name, "it is empty")
    if count * dtype.itemsize > size:
        raise _unreadable(name, f"an array of {count} numbers in {size} bytes")
    content = stream.read(count * dtype.itemsize)
    if len(content) != count * dtype.itemsize:
        raise _unreadable(name, "it has been cut off")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if found["fortran"] == b"True" else "C")


def _of_csv(name: str, data: bytes) -> NDArray[Any]:
    if len(data) > CSV_BYTES_MAX:
        raise _unreadable(name, f"{len(data)} bytes, more than {CSV_BYTES_MAX}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(name, "it is not text") from None
    rows: list[list[float]] = []
    try:
        for line, cells in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), 1):
            if not cells or (line == 1 and not any(map(_is_number, cells))):
                continue
            if rows and len(cells) != len(rows[0]):
                raise _unreadable(name, f"line {line} has {len(cells)} cells, the first {len(rows[0])}")
            wrong = next((cell for cell in cells if not _is_number(cell)), None)
            if wrong is not None:
                raise _unreadable(name, f"line {line} has {wrong[:40]!r}, which is no number")
            rows.append([float(cell) for cell in cells])
    except csv.Error as error:
        raise _unreadable(name, str(error)[:200]) from error
    if not rows:
        raise _unreadable(name, "it has no line with numbers")
    return np.array(rows, np.float64)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _unreadable(name: str, what: str) -> DataError:
    return DataError(
        Code.DATA_UNREADABLE,
        f"{name} cannot be read: {what}",
        expected="numbers in NumPy's format, without pickled objects, or comma-separated values, a record a line",
    )
