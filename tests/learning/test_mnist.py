"""MNIST from a folder, from the cache, from a mirror on the loopback; and what is said when it is nowhere."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.learning.mirrors import nowhere, serving

from tclearn.errors import Code, DataError, StorageError, UnreachableError
from tclearn.learning.datasets import load, mnist
from tclearn.learning.datasets.download import Source

Arrays = dict[str, NDArray[np.uint8]]


@pytest.fixture
def arrays() -> Arrays:
    random = np.random.default_rng(0)
    return {
        "x_train": random.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        "y_train": np.arange(5, dtype=np.uint8),
        "x_test": random.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        "y_test": np.arange(3, dtype=np.uint8),
    }


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TCLEARN_DATA", raising=False)
    return tmp_path / "cache" / "tclearn"


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def published(arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the small arrays were what was published."""
    monkeypatch.setattr(
        mnist, "_SHA256", {key: hashlib.sha256(idx(array)).hexdigest() for key, array in arrays.items()}
    )


def write_npz(folder: Path, arrays: Arrays) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "mnist.npz", **arrays)  # type: ignore[arg-type]


def write_idx(folder: Path, arrays: Arrays, *, zipped: bool, dotted: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for key, name in mnist._IDX.items():
        place = folder / (name.replace("-idx", ".idx") if dotted else name)
        data = idx(arrays[key])
        if zipped:
            place.with_name(place.name + ".gz").write_bytes(gzip.compress(data))
        else:
            place.write_bytes(data)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "mirror"
    with serving(folder) as url:
        yield url, folder


@pytest.mark.parametrize("below", ["mnist", ""])
@pytest.mark.parametrize("form", ["npz", "idx", "idx.gz", "dotted"])
def test_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: Arrays, form: str, below: str) -> None:
    folder = tmp_path / "data" / below
    if form == "npz":
        write_npz(folder, arrays)
    else:
        write_idx(folder, arrays, zipped=form == "idx.gz", dotted=form == "dotted")
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path / "data"))
    dataset = load("mnist")
    assert dataset.shape == (1, 28, 28)
    assert dataset.classes == 10
    assert np.array_equal(dataset.train.inputs[:, 0] * 255, arrays["x_train"])
    assert np.array_equal(dataset.test.targets, arrays["y_test"])
    assert dataset.train.inputs.dtype == np.float32
    assert dataset.train.inputs.flags.writeable


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("form", ["npz", "idx.gz"])
def test_downloaded_once(mirror: tuple[str, Path], arrays: Arrays, cache: Path, form: str) -> None:
    url, folder = mirror
    if form == "npz":
        write_npz(folder, arrays)
        files: tuple[str, ...] = ("mnist.npz",)
    else:
        write_idx(folder, arrays, zipped=True)
        files = tuple(f"{name}.gz" for name in mnist._IDX.values())
    seen: list[tuple[str, int, int]] = []
    dataset = mnist.load(lambda *step: seen.append(step), (Source(nowhere(), files), Source(url, files)))
    assert np.array_equal(dataset.test.inputs[:, 0] * 255, arrays["x_test"])
    assert {name for name, _, _ in seen} == set(files)
    name, done, total = seen[-1]
    assert done == total == (folder / name).stat().st_size
    assert [path.name for path in cache.iterdir()] == ["mnist"]
    again = mnist.load(None, ())
    assert again.train.same_as(dataset.train)


@pytest.mark.usefixtures("published")
def test_nowhere_to_get_it(cache: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        mnist.load(None, (Source(nowhere(), ("mnist.npz",)),))
    error = caught.value
    assert error.code is Code.DATA_MISSING
    assert error.exit_code == 4
    assert "could not be downloaded (127.0.0.1: " in error.what
    assert "mnist.npz" in error.expected
    assert "TCLEARN_DATA" in error.remedy
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("published")
def test_a_mirror_without_the_file(mirror: tuple[str, Path], cache: Path) -> None:
    with pytest.raises(UnreachableError, match="404"):
        mnist.load(None, (Source(mirror[0], ("mnist.npz",)),))
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("published")
def test_a_mirror_with_another_file(mirror: tuple[str, Path], arrays: Arrays, cache: Path) -> None:
    url, folder = mirror
    wrong = {**arrays, "y_test": arrays["y_test"][::-1].copy()}
    write_npz(folder, wrong)
    source = Source(url, ("mnist.npz",))
    with pytest.raises(DataError, match="y_test of MNIST") as caught:
        mnist.load(None, (source,))
    assert caught.value.code is Code.DATA_CHECKSUM
    assert list(cache.iterdir()) == []
    (folder / "mnist.npz").write_bytes(b"<html>sign in</html>")
    with pytest.raises(DataError) as caught:
        mnist.load(None, (source,))
    assert caught.value.code is Code.DATA_UNREADABLE
    # The next mirror is right: nobody hears of the wrong one.
    good = folder / "good"
    write_npz(good, arrays)
    assert len(mnist.load(None, (source, Source(url + "good/", ("mnist.npz",)))).train) == 5


@pytest.mark.usefixtures("published")
def test_a_damaged_cache(arrays: Arrays, cache: Path) -> None:
    write_npz(cache / "mnist", {**arrays, "y_test": arrays["y_test"][::-1].copy()})
    with pytest.raises(DataError, match="not what was published") as caught:
        mnist.load(None, ())
    assert "delete" in caught.value.remedy


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"the cache .* cannot be written"):
        mnist.load(None, (Source(nowhere(), ("mnist.npz",)),))


def test_the_folder_does_not_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path))
    with pytest.raises(UnreachableError, match="MNIST is not in the folder") as caught:
        load("mnist")
    assert caught.value.code is Code.DATA_MISSING
    assert "mnist/mnist.npz" in caught.value.expected


def test_files_that_are_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: Arrays) -> None:
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path))
    folder = tmp_path / "mnist"

    def refusal() -> DataError:
        with pytest.raises(DataError) as caught:
            load("mnist")
        return caught.value

    write_idx(folder, arrays, zipped=False)
    labels = folder / mnist._IDX["y_test"]
    for data in (b"", b"\x00\x00\x08", b"\x00\x00\x0d\x01" + bytes(8), b"\x00\x00\x08\x01" + bytes(3), b"PK\x03\x04"):
        labels.write_bytes(data)
        assert refusal().code is Code.DATA_UNREADABLE
    labels.write_bytes(idx(np.array([0, 1, 11], np.uint8)))
    assert refusal().code is Code.DATA_SHAPE
    labels.write_bytes(idx(np.array([0, 1], np.uint8)))
    assert refusal().code is Code.DATA_SHAPE
    labels.unlink()
    labels.with_name(labels.name + ".gz").write_bytes(b"\x1f\x8b broken")
    assert refusal().code is Code.DATA_UNREADABLE
    write_npz(folder, {**arrays, "x_train": arrays["x_train"][:, :27]})
    assert refusal().code is Code.DATA_SHAPE
    swollen: dict[str, Any] = {**arrays, "more": np.zeros(1 << 28, np.uint8)}
    np.savez_compressed(folder / "mnist.npz", **swollen)
    assert "unpacks to more" in str(refusal())
    write_npz(folder, {"x_train": arrays["x_train"]})
    assert refusal().code is Code.DATA_UNREADABLE


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trapped"),))


def test_an_archive_with_a_pickle_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: Arrays
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path))
    write_npz(tmp_path, {**arrays, "x_train": np.array([Trap()], object)})
    with pytest.raises(DataError) as caught:
        load("mnist")
    assert caught.value.code is Code.DATA_UNREADABLE
    assert not (tmp_path / "trapped").exists()
