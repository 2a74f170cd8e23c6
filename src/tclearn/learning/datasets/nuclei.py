"""Nuclei under the microscope, to be segmented: the 334 images of 256 × 256 pixels of Data Science Bowl 2018, stage 1.

Source: Caicedo et al. 2019, "Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl"; image set
BBBC038v1 of the Broad Bioimage Benchmark Collection (CC0).
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, DataError, UnreachableError, UsageError
from tclearn.learning.datasets.archive import read_npz
from tclearn.learning.datasets.places import folders_of, named_folder
from tclearn.learning.records import Records

FILE: Final = "dsb2018_stage1_256.npz"
_FOLDER: Final = "nuclei"
SIDE: Final = 256
_SIDES: Final = (64, 128, 256)
# Of the arrays' bytes: one check however the archive is packed.
_SHA256: Final = {
    "images": "cd54d63cec5ae46a460e831912dcc0be2f33f2c3f6ec72c2896bf63016690c02",
    "masks": "a3ffb771d51025ba5c272f73afa7be4a07e98b0c5244240649afd2d0248c9a0e",
}
_CONTENT: Final = f"images uint8 and masks bool, each (n, {SIDE}, {SIDE})"
_ORIGIN: Final = (
    "it is made from stage1_train.zip of BBBC038 (data.broadinstitute.org/bbbc/BBBC038), as docs/reference/python.md "
    "says, and not downloaded"
)


def load(side: int = 128) -> Records:
    """334 images with the masks of their nuclei, in the order of the images' names.

    Args:
        side: of the images, pixels: 256 as published; 128 or 64 by the mean of each square of pixels, of which a mask
            has what it covers by half or more.

    Returns:
        Inputs ``(334, 1, side, side) float32``, 0 to 1; targets ``(334, 1, side, side) uint8``, 1 inside nuclei.

    Raises:
        UnreachableError: the file is not in the folder that ``TCLEARN_DATA`` names; it is never downloaded.
        DataError: it is there and is not what it should be.
        UsageError: no such side.
    """
    if side not in _SIDES:
        raise UsageError(Code.USAGE, f"images of {side} × {side} pixels", expected=", ".join(map(str, _SIDES)))
    images, masks = _read(_place())
    return Records(_shrunk(images, side) / np.float32(255), (_shrunk(masks, side) >= 0.5).astype(np.uint8))


def _place() -> Path:
    named = named_folder()
    if named:
        for folder in folders_of(named, _FOLDER):
            if (folder / FILE).is_file():
                return folder / FILE
    where = f"in the folder {named} that TCLEARN_DATA names" if named else "on this machine: TCLEARN_DATA is not set"
    raise UnreachableError(
        Code.DATA_MISSING,
        f"the data set nuclei is not {where}",
        expected=f"{_FOLDER}/{FILE} in that folder, with {_CONTENT}",
        remedy=f"put it there: {_ORIGIN}",
    )


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    try:
        arrays = read_npz(path, tuple(_SHA256))
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            Code.DATA_UNREADABLE, f"{path} cannot be read ({error})", remedy="put the file there anew"
        ) from error
    images, masks = arrays["images"], arrays["masks"]
    right = images.dtype == np.uint8 and masks.dtype == np.bool_ and images.shape == masks.shape
    if not right or images.shape != (len(images), SIDE, SIDE):
        raise DataError(
            Code.DATA_SHAPE,
            f"{path} has images {images.dtype} {images.shape}, masks {masks.dtype} {masks.shape}",
            expected=_CONTENT,
        )
    for key, array in arrays.items():
        if hashlib.sha256(array.tobytes()).hexdigest() != _SHA256[key]:
            raise DataError(
                Code.DATA_CHECKSUM,
                f"the {key} in {path} are not those of the data set",
                expected=f"SHA-256 {_SHA256[key][:16]}… of the array's bytes",
                remedy="put the right file there",
            )
    return images, masks


def _shrunk(pixels: NDArray[Any], side: int) -> NDArray[np.float32]:
    """The mean of each square of pixels, ``(n, 1, side, side)``."""
    factor = SIDE // side
    # Sums of whole numbers: exact, so that every processor makes the same records of them.
    sums = pixels.reshape(-1, 1, side, factor, side, factor).sum(axis=(3, 5), dtype=np.float32)
    means: NDArray[np.float32] = sums / np.float32(factor * factor)
    return means
