"""Heart disease, from a folder or downloaded: the patients of four hospitals, 13 findings each and a diagnosis.

Cleveland Clinic, the Hungarian Institute of Cardiology, the university hospitals of Zurich and Basel (one file), and
the V.A. Medical Center of Long Beach recorded the same findings, but not all of them for every patient: cholesterol is
never known in Switzerland, the number of coloured vessels hardly anywhere but in Cleveland.

Source: Janosi, Steinbrunn, Pfisterer and Detrano 1988, "Heart Disease", UCI Machine Learning Repository,
doi:10.24432/C52P4X (CC BY 4.0); Detrano et al. 1989, American Journal of Cardiology 64:304–310.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, DataError, UnreachableError
from tclearn.learning.datasets.download import Progress, Source, cache_folder, download
from tclearn.learning.datasets.places import folders_of, named_folder
from tclearn.learning.records import Records

HOSPITALS: Final = ("cleveland", "hungarian", "switzerland", "va")
SOURCES: Final = (
    Source(
        "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/",
        tuple(f"processed.{hospital}.data" for hospital in HOSPITALS),
    ),
)
_FINDINGS: Final = (
    *("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg"),
    *("thalach", "exang", "oldpeak", "slope", "ca", "thal", "num"),
)
_FOLDER: Final = "heart_disease"
_FILE_BYTES_MAX: Final = 1 << 20
_MISSING: Final = "?"
# Of each hospital's table of numbers (see _digest): one check for every way to write the same numbers.
_SHA256: Final = {
    "cleveland": "1ab0fd762f8d80a4ff974a187be5bc58bdb4a28d8cb474548eb34becf5e443cd",
    "hungarian": "a77510f773b50b1be43ea0c5298cd21dadf7505cfb3eb63f0a95d08d29284335",
    "switzerland": "a926420d81e7bb6209d11e754f4dea0e7a6ea2a63ef00674fc436fa67af15766",
    "va": "f4031ce060a0c99f2d2ebe84ba695b5e39e12578bf09e11eca015bccb08e74f7",
}

# Which value becomes 0, and how much more becomes 1. Round numbers, about the middle and the spread of what is seen
# in adults: a mean over the patients would be a statistic that the hospitals had to exchange.
_NUMBERS: Final = {
    "age": (50, 20),  # years
    "trestbps": (130, 40),  # resting blood pressure, mm Hg
    "chol": (220, 100),  # serum cholesterol, mg/dl
    "thalach": (140, 40),  # highest heart rate reached, beats a minute
    "oldpeak": (1, 2),  # depression of the ST segment, mm
    "ca": (1, 2),  # large vessels coloured by fluoroscopy, 0 to 3
}
_CATEGORIES: Final = {
    "sex": (0, 1),
    "cp": (1, 2, 3, 4),  # kind of chest pain
    "fbs": (0, 1),  # fasting blood sugar above 120 mg/dl
    "restecg": (0, 1, 2),  # resting electrocardiogram
    "exang": (0, 1),  # angina on exercise
    "slope": (1, 2, 3),  # of the ST segment
    "thal": (3, 6, 7),  # thallium scan: normal, fixed defect, reversible defect
}
# No patient has a pressure or a cholesterol of 0: it was written for what had not been measured.
_ZERO_IS_MISSING: Final = ("trestbps", "chol")

COLUMNS: Final = (
    *(column for name in _NUMBERS for column in (name, f"{name} missing")),
    *(f"{name} = {value}" for name, values in _CATEGORIES.items() for value in values),
)
"""What the columns of the inputs are."""


def load(progress: Progress | None = None, sources: tuple[Source, ...] = SOURCES) -> dict[str, Records]:
    """The patients of each hospital, in the order of the files: 303, 294, 123 and 200.

    They are read from the folder that ``TCLEARN_DATA`` names, else from the cache of earlier downloads, else
    downloaded, and always checked. A finding that is a number becomes two columns, the number on a fixed scale and
    whether it is missing (then the first is 0); any other becomes a column of 0 and 1 for each of its values, all 0
    where it is missing. Nothing is learnt from the data for this, so no hospital has to tell another anything.

    Args:
        progress: called during a download, as ``tclearn.learning.datasets.load`` does.
        sources: where to download from.

    Returns:
        By hospital, inputs ``(n, 31) float32``, about -2 to 4, their columns as in ``COLUMNS``; targets ``(n,) int64``,
        1 for narrowed vessels (``num`` above 0).

    Raises:
        UnreachableError: the files are not on this machine and cannot be downloaded.
        DataError: they are there and are not what they should be; the message names file and line.
    """
    if named := named_folder():
        for folder in folders_of(named, _FOLDER):
            if found := _read(folder):
                return _encoded(found)
        raise UnreachableError(
            Code.DATA_MISSING,
            f"the data set heart-disease is not in the folder {named} that TCLEARN_DATA names",
            expected=f"in {_FOLDER}/ the files {', '.join(SOURCES[0].files)}; or {HOSPITALS[0]}.csv and so on",
            remedy="put the files there, or unset TCLEARN_DATA to have them downloaded",
        )
    cache = cache_folder() / _FOLDER
    found = _read(cache) or download("the data set heart-disease", cache, sources, _complete, progress)
    return _encoded(found)


def _complete(folder: Path) -> dict[str, NDArray[np.float64]]:
    found = _read(folder)
    if found is None:
        raise DataError(Code.DATA_CHECKSUM, f"the data set heart-disease is not among the files in {folder}")
    return found


def _read(folder: Path) -> dict[str, NDArray[np.float64]] | None:
    """The four tables in a folder, checked; ``None`` when a file is not there."""
    found = {}
    for hospital in HOSPITALS:
        paths = (folder / f"{hospital}.csv", folder / f"processed.{hospital}.data")
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return None
        found[hospital] = _table(path)
        if _digest(found[hospital]) != _SHA256[hospital]:
            raise DataError(
                Code.DATA_CHECKSUM,
                f"{path} holds other numbers than were published",
                expected=f"SHA-256 {_SHA256[hospital][:16]}… of its {len(_FINDINGS)} columns",
                remedy="put the file there anew, as published; from the cache it may be deleted",
            )
    return found


def _table(path: Path) -> NDArray[np.float64]:
    """The numbers of a file, NaN where one is missing; a first line with the columns' names may be there."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise DataError(Code.DATA_UNREADABLE, f"{path} cannot be read ({error.strerror or error})") from error
    if len(data) > _FILE_BYTES_MAX:
        raise DataError(Code.TOO_LARGE, f"{path} is larger than {_FILE_BYTES_MAX} bytes")
    lines = data.decode("ascii", "replace").splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.split(",")]
        if line.strip() and (number > 1 or cells[0] != _FINDINGS[0]):
            rows.append(_row(cells, f"{path}, line {number}"))
    return np.array(rows, dtype=np.float64).reshape(-1, len(_FINDINGS))


def _row(cells: list[str], where: str) -> list[float]:
    try:
        row = [float("nan") if cell == _MISSING else float(cell) for cell in cells]
    except ValueError:
        row = []
    if len(row) != len(_FINDINGS):
        raise DataError(
            Code.DATA_UNREADABLE,
            f"{where}: {','.join(cells)[:80]!r}",
            expected=f"{len(_FINDINGS)} numbers or question marks, with commas between",
            remedy="put the file there anew, as published",
        )
    return row


def _digest(table: NDArray[np.float64]) -> str:
    """SHA-256 of the shape and of the numbers row by row, 64 bits each, little-endian; a missing one is -1e300."""
    filled = np.where(np.isnan(table), -1e300, table) + 0.0  # -0.0 + 0.0 is 0.0
    return hashlib.sha256(struct.pack("<2Q", *table.shape) + filled.astype("<f8").tobytes()).hexdigest()


def _encoded(tables: Mapping[str, NDArray[np.float64]]) -> dict[str, Records]:
    return {hospital: _records(table) for hospital, table in tables.items()}


def _records(table: NDArray[np.float64]) -> Records:
    columns = []
    for name, (middle, span) in _NUMBERS.items():
        values = table[:, _FINDINGS.index(name)]
        missing = np.isnan(values) | ((values == 0) & (name in _ZERO_IS_MISSING))
        columns += [np.where(missing, 0.0, (values - middle) / span), missing.astype(np.float64)]
    for name, known in _CATEGORIES.items():
        values = table[:, _FINDINGS.index(name)]
        columns += [(values == value).astype(np.float64) for value in known]
    diagnosis = table[:, _FINDINGS.index("num")] > 0
    return Records(np.stack(columns, axis=1).astype(np.float32), diagnosis.astype(np.int64))
