"""MNIST, from a folder or downloaded: 60,000 and 10,000 grey images of hand-written digits.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, DataError, UnreachableError
from tclearn.learning.datasets.archive import read_npz
from tclearn.learning.datasets.dataset import Dataset
from tclearn.learning.datasets.download import Progress, Source, cache_folder, download
from tclearn.learning.datasets.places import folders_of, named_folder
from tclearn.learning.records import Records

_KEYS: Final = ("x_train", "y_train", "x_test", "y_test")
_IDX: Final = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
_IDX_BYTES_MAX: Final = 64 << 20
# Of the four IDX files as published, not compressed: one check for every container they come in.
_SHA256: Final = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SOURCES: Final = (
    Source("https://storage.googleapis.com/tensorflow/tf-keras-datasets/", ("mnist.npz",)),
    Source("https://ossci-datasets.s3.amazonaws.com/mnist/", tuple(f"{name}.gz" for name in _IDX.values())),
    Source("https://storage.googleapis.com/cvdf-datasets/mnist/", tuple(f"{name}.gz" for name in _IDX.values())),
)


def load(progress: Progress | None = None, sources: tuple[Source, ...] = SOURCES) -> Dataset:
    """MNIST as ``(1, 28, 28) float32`` images, 0 to 1; see ``tclearn.learning.datasets.load``."""
    if named := named_folder():
        for folder in folders_of(named, "mnist"):
            if found := _read(folder):
                return _dataset(found)
        raise UnreachableError(
            Code.DATA_MISSING,
            f"MNIST is not in the folder {named} that TCLEARN_DATA names",
            expected=f"mnist/mnist.npz, or mnist/{_IDX['x_train']} and its three companions, perhaps with .gz",
            remedy="put the files there, or unset TCLEARN_DATA to have them downloaded",
        )
    cache = cache_folder() / "mnist"
    if found := _read(cache):
        _check(found, cache)
        return _dataset(found)
    return _dataset(download("MNIST", cache, sources, _checked, progress))


def _checked(folder: Path) -> dict[str, NDArray[np.uint8]]:
    found = _read(folder)
    if found is None:
        raise DataError(Code.DATA_CHECKSUM, f"MNIST is not among the files in {folder}")
    _check(found, folder)
    return found


def _check(arrays: dict[str, NDArray[np.uint8]], folder: Path) -> None:
    for key, array in arrays.items():
        head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
        if hashlib.sha256(head + array.tobytes()).hexdigest() != _SHA256[key]:
            raise DataError(
                Code.DATA_CHECKSUM,
                f"{key} of MNIST in {folder} is not what was published",
                expected=f"SHA-256 {_SHA256[key][:16]}… of {_IDX[key]}",
                remedy=f"delete {folder}; it is downloaded anew",
            )


def _read(folder: Path) -> dict[str, NDArray[np.uint8]] | None:
    """The four arrays in a folder; ``None`` when it has none of the files."""
    archive = folder / "mnist.npz"
    found: dict[str, Path] = {}
    for key, name in _IDX.items():
        stems = (name, name.replace("-idx", ".idx"))
        paths = (folder / f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz"))
        if path := next((path for path in paths if path.is_file()), None):
            found[key] = path
    try:
        if archive.is_file():
            return _shaped(read_npz(archive, _KEYS), archive)
        if len(found) == len(_IDX):
            return _shaped({key: _read_idx(path) for key, path in found.items()}, folder)
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            Code.DATA_UNREADABLE, f"MNIST in {folder} cannot be read ({error})", remedy="put the files there anew"
        ) from error
    return None


def _read_idx(path: Path) -> NDArray[np.uint8]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        data = stream.read(_IDX_BYTES_MAX + 1)
    rank = data[3] if len(data) >= 4 else 0
    if data[:3] != b"\x00\x00\x08" or rank not in (1, 3) or len(data) < 4 + 4 * rank or len(data) > _IDX_BYTES_MAX:
        raise ValueError(f"{path.name} is not an IDX file of bytes")
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _shaped(arrays: dict[str, NDArray[Any]], place: Path) -> dict[str, NDArray[np.uint8]]:
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        right = images.dtype == labels.dtype == np.uint8 and images.shape == (len(labels), 28, 28) and len(labels) > 0
        if not right or labels.shape != (len(images),) or int(labels.max()) > 9:
            raise DataError(
                Code.DATA_SHAPE,
                f"MNIST in {place} has images {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}",
                expected="images uint8 (n, 28, 28), labels uint8 (n,), 0 to 9",
            )
    return arrays


def _dataset(arrays: dict[str, NDArray[np.uint8]]) -> Dataset:
    parts = []
    for part in ("train", "test"):
        images = arrays[f"x_{part}"].reshape(-1, 1, 28, 28).astype(np.float32)
        images /= 255
        parts.append(Records(images, arrays[f"y_{part}"].astype(np.int64)))
    return Dataset("mnist", parts[0], parts[1], 10)
