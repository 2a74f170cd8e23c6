"""Four hospitals' patients: from a folder, downloaded, however the numbers are written; and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.learning.mirrors import nowhere, serving
from tests.learning.patients import SIZES, rows, write

from tclearn.errors import Code, DataError, UnreachableError, UsageError
from tclearn.learning.datasets import heart_disease, load
from tclearn.learning.datasets.download import Source

FILES = heart_disease.SOURCES[0].files
FEW = {"cleveland": 30, "hungarian": 20, "switzerland": 10, "va": 15}
REAL = os.environ.get("TCLEARN_DATA")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TCLEARN_DATA", raising=False)
    return tmp_path / "cache" / "tclearn"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with four small files, published as it were, that TCLEARN_DATA leads to."""
    place = tmp_path / "data" / "heart_disease"
    write(place, monkeypatch, FEW)
    monkeypatch.setenv("TCLEARN_DATA", str(place.parent))
    return place


def column(hospital: str, name: str) -> np.ndarray:
    return heart_disease.load()[hospital].inputs[:, heart_disease.COLUMNS.index(name)]


def test_four_hospitals_apart(folder: Path) -> None:
    hospitals = heart_disease.load()
    assert {name: len(records) for name, records in hospitals.items()} == FEW
    assert list(hospitals) == list(heart_disease.HOSPITALS)
    for name, records in hospitals.items():
        assert records.inputs.shape == (FEW[name], len(heart_disease.COLUMNS)) == (FEW[name], 31)
        assert records.inputs.dtype == np.float32
        assert records.targets.dtype == np.int64
        assert np.isfinite(records.inputs).all()
        assert records.targets.tolist() == [int(cells[13] != "0") for cells in rows(name, FEW[name])]


def test_what_the_columns_hold(folder: Path) -> None:
    patients = rows("cleveland", FEW["cleveland"])
    ages = [float(cells[0]) for cells in patients]
    assert column("cleveland", "age") == pytest.approx((np.array(ages) - 50) / 20)
    assert not column("cleveland", "age missing").any()
    assert (column("cleveland", "cp = 4") == [cells[2] == "4" for cells in patients]).all()
    unknown = np.array([cells[3] == "?" for cells in patients])
    assert unknown.any() and not unknown.all()
    assert (column("cleveland", "trestbps missing") == unknown).all()
    assert not column("cleveland", "trestbps")[unknown].any()
    unknown = np.array([cells[12] == "?" for cells in patients])
    known = np.sum([column("cleveland", f"thal = {value}") for value in (3, 6, 7)], axis=0)
    assert unknown.any() and (known == ~unknown).all()


def test_a_cholesterol_of_zero_was_not_measured(folder: Path) -> None:
    assert {cells[4] for cells in rows("switzerland", FEW["switzerland"])} == {"0"}
    assert column("switzerland", "chol missing").all()
    assert not column("switzerland", "chol").any()
    # For the number of vessels 0 is a number.
    assert not column("cleveland", "ca missing").any()
    assert column("cleveland", "ca").min() == -0.5


def test_the_way_of_writing_does_not_matter(folder: Path) -> None:
    before = heart_disease.load()
    for hospital, count in FEW.items():
        (folder / f"processed.{hospital}.data").unlink()
        patients = [
            [cell if cell == "?" else f"{float(cell):.3f}" for cell in cells] for cells in rows(hospital, count)
        ]
        lines = [", ".join(cells) for cells in [heart_disease._FINDINGS, *patients]]
        (folder / f"{hospital}.csv").write_bytes("\r\n".join([*lines, ""]).encode())
    after = heart_disease.load()
    assert all(after[hospital].same_as(before[hospital]) for hospital in FEW)


def test_the_folder_itself_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLEARN_DATA", str(folder))
    assert len(heart_disease.load()["va"]) == FEW["va"]


def test_another_number_is_noticed(folder: Path) -> None:
    file = folder / "processed.va.data"
    text = file.read_text()
    file.write_text(text.replace("?", "0", 1))
    with pytest.raises(DataError, match=r"processed\.va\.data holds other numbers") as caught:
        heart_disease.load()
    assert caught.value.code is Code.DATA_CHECKSUM
    file.write_text("".join(text.splitlines(keepends=True)[::-1]))
    with pytest.raises(DataError, match="holds other numbers"):
        heart_disease.load()


@pytest.mark.parametrize(
    "line", ["1,2,3", "63,1,1,145,233,1,2,150,0,2.3,3,0,6,unknown", ",".join(["1"] * 15), "\N{SNOWMAN}", '"1,2"']
)
def test_a_bad_line_is_named(folder: Path, line: str) -> None:
    file = folder / "processed.hungarian.data"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:4], line, *lines[4:]]), encoding="utf-8")
    with pytest.raises(DataError, match=r"processed\.hungarian\.data, line 5: ") as caught:
        heart_disease.load()
    assert caught.value.code is Code.DATA_UNREADABLE
    assert "14 numbers" in caught.value.expected


def test_a_file_of_any_size_is_not_read(folder: Path) -> None:
    (folder / "processed.va.data").write_bytes(b"1," * (1 << 20))
    with pytest.raises(DataError) as caught:
        heart_disease.load()
    assert caught.value.code is Code.TOO_LARGE


def test_a_hospital_is_not_there(folder: Path) -> None:
    (folder / "processed.va.data").unlink()
    with pytest.raises(UnreachableError, match="is not in the folder") as caught:
        heart_disease.load()
    assert (caught.value.code, caught.value.exit_code) == (Code.DATA_MISSING, 4)
    assert "processed.va.data" in caught.value.expected
    assert "unset TCLEARN_DATA" in caught.value.remedy


def test_downloaded_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "mirror", monkeypatch, FEW)
    seen: list[str] = []
    with serving(tmp_path / "mirror") as url:
        sources = (Source(nowhere(), FILES), Source(url, FILES))
        first = heart_disease.load(lambda name, *_: seen.append(name), sources)
    assert set(seen) == set(FILES)
    assert [path.name for path in cache.iterdir()] == ["heart_disease"]
    again = heart_disease.load(None, ())
    assert all(again[hospital].same_as(first[hospital]) for hospital in FEW)


def test_nothing_is_left_of_a_download_that_is_wrong(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "mirror", monkeypatch, FEW)
    (tmp_path / "mirror" / FILES[0]).write_text("<html>sign in</html>\n")
    with serving(tmp_path / "mirror") as url:
        with pytest.raises(DataError, match="line 1"):
            heart_disease.load(None, (Source(url, FILES),))
        (tmp_path / "mirror" / FILES[0]).unlink()
        with pytest.raises(UnreachableError, match="404"):
            heart_disease.load(None, (Source(url, FILES),))
    assert list(cache.iterdir()) == []


def test_nowhere_to_get_it() -> None:
    with pytest.raises(UnreachableError, match="heart-disease is not on this machine") as caught:
        heart_disease.load(None, (Source(nowhere(), FILES),))
    assert caught.value.code is Code.DATA_MISSING
    assert "heart_disease/" in caught.value.remedy and "TCLEARN_DATA" in caught.value.remedy


def test_the_catalogue_says_where_it_is() -> None:
    for name in ("heart-disease", "nuclei"):
        with pytest.raises(UsageError, match=f"the data set '{name}'") as caught:
            load(name)
        assert f"{name.replace('-', '_')}.load()" in caught.value.remedy


@pytest.mark.skipif(not (REAL and (Path(REAL) / "heart_disease").is_dir()), reason="the published files are not here")
def test_the_published_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLEARN_DATA", REAL or "")
    hospitals = heart_disease.load()
    assert {name: len(records) for name, records in hospitals.items()} == SIZES
    ill = {name: int(records.targets.sum()) for name, records in hospitals.items()}
    assert ill == {"cleveland": 139, "hungarian": 106, "switzerland": 115, "va": 149}
    assert column("switzerland", "chol missing").all()
    assert column("va", "trestbps missing").sum() == 57
