"""Images of nuclei with their masks: from a folder only, as published or smaller; and what is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tclearn.errors import Code, DataError, UnreachableError, UsageError
from tclearn.learning.datasets import nuclei
from tclearn.learning.metrics import answers, check_targets, score

REAL = os.environ.get("TCLEARN_DATA")
Arrays = dict[str, NDArray[Any]]


def made(count: int = 3) -> Arrays:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 256, 256), dtype=np.uint8)
    return {"images": images, "masks": random.random((count, 256, 256)) < 0.5}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive that TCLEARN_DATA leads to; whatever ``put`` writes there is what was published."""
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path))
    (tmp_path / "nuclei").mkdir()
    return tmp_path / "nuclei" / nuclei.FILE


def put(file: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch, **more: NDArray[Any]) -> None:
    np.savez_compressed(file, **arrays, **more)  # type: ignore[arg-type]
    digests = {key: hashlib.sha256(array.tobytes()).hexdigest() for key, array in arrays.items()}
    monkeypatch.setattr(nuclei, "_SHA256", digests)


def refusal(**options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        nuclei.load(**options)
    return caught.value


def test_as_published(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = made()
    put(file, arrays, monkeypatch, names=np.array(["a", "b", "c"]))
    records = nuclei.load(side=256)
    assert records.inputs.shape == records.targets.shape == (3, 1, 256, 256)
    assert records.inputs.dtype == np.float32
    assert records.targets.dtype == np.uint8
    assert np.array_equal(records.inputs[:, 0] * 255, arrays["images"])
    assert np.array_equal(records.targets[:, 0], arrays["masks"])


@pytest.mark.parametrize(("side", "factor"), [(128, 2), (64, 4)])
def test_smaller(file: Path, monkeypatch: pytest.MonkeyPatch, side: int, factor: int) -> None:
    arrays = made()
    put(file, arrays, monkeypatch)
    records = nuclei.load(side)
    assert records.inputs.shape == (3, 1, side, side)
    square = (slice(5 * factor, 6 * factor), slice(7 * factor, 8 * factor))
    for number in range(3):
        assert records.inputs[number, 0, 5, 7] * 255 == pytest.approx(arrays["images"][number][square].mean())
        assert records.targets[number, 0, 5, 7] == (arrays["masks"][number][square].mean() >= 0.5)


def test_half_is_inside(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = made(1)
    arrays["masks"][0, :2, :4] = [[True, False, True, False], [True, False, False, False]]
    put(file, arrays, monkeypatch)
    assert nuclei.load().targets[0, 0, 0, :2].tolist() == [1, 0]


def test_dice_takes_the_masks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(file, made(), monkeypatch)
    masks = nuclei.load(64).targets
    logits = masks.astype(np.float32) * 2 - 1
    check_targets("dice", logits, masks, "the masks")
    measured = score("dice", answers("dice", logits, masks), masks)
    assert measured is not None and measured.performance == 1


def test_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TCLEARN_DATA", raising=False)
    with pytest.raises(UnreachableError, match="TCLEARN_DATA is not set"):
        nuclei.load()
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path))
    with pytest.raises(UnreachableError, match="not in the folder") as caught:
        nuclei.load()
    assert (caught.value.code, caught.value.exit_code) == (Code.DATA_MISSING, 4)
    assert nuclei.FILE in caught.value.expected
    assert "BBBC038" in caught.value.remedy and "not downloaded" in caught.value.remedy


def test_other_images(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = made()
    put(file, arrays, monkeypatch)
    monkeypatch.setitem(nuclei._SHA256, "masks", "0" * 64)
    error = refusal()
    assert error.code is Code.DATA_CHECKSUM
    assert error.what.startswith("the masks in ")


def test_files_that_are_something_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(b"<html>sign in</html>")
    assert refusal().code is Code.DATA_UNREADABLE
    arrays = made()
    for wrong in (
        {**arrays, "images": arrays["images"][:, :128]},
        {**arrays, "masks": arrays["masks"].astype(np.uint8)},
        {**arrays, "images": arrays["images"].astype(np.float32)},
    ):
        put(file, wrong, monkeypatch)
        assert refusal().code is Code.DATA_SHAPE
    put(file, {"images": arrays["images"]}, monkeypatch)
    monkeypatch.undo()
    monkeypatch.setenv("TCLEARN_DATA", str(file.parent))
    assert refusal().code is Code.DATA_UNREADABLE
    np.savez_compressed(file, **arrays, more=np.zeros(1 << 28, np.uint8))  # type: ignore[arg-type]
    assert "unpacks to more" in str(refusal())


def test_an_array_that_claims_to_be_endless(file: Path) -> None:
    import zipfile

    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000, 256, 256), }\n"
    array = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("images.npy", array)
    assert refusal().code is Code.DATA_UNREADABLE


def test_no_such_side() -> None:
    with pytest.raises(UsageError, match="100 × 100"):
        nuclei.load(side=100)


@pytest.mark.skipif(not (REAL and (Path(REAL) / "nuclei").is_dir()), reason="the published file is not here")
def test_the_published_file() -> None:
    records = nuclei.load()
    assert records.inputs.shape == records.targets.shape == (334, 1, 128, 128)
    assert float(records.targets.mean()) == pytest.approx(0.08145, abs=1e-4)
