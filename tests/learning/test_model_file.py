"""A model written into a file: as the ledger says, or not at all."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, TCLearnError
from tclearn.files import writing
from tclearn.learning.model_file import write_model
from tclearn.learning.parameters import Parameters

MODEL = Parameters({"w": np.arange(600_000, dtype=np.float32), "b": np.zeros(3)})
OTHER = Parameters({"w": np.zeros(600_000, dtype=np.float32), "b": np.zeros(3)})
DATA = MODEL.to_bytes()


def written(path: Path, data: bytes, *, name: bytes = DATA, model: Parameters = MODEL) -> int:
    return write_model(
        io.BytesIO(data),
        path,
        name=Digest(blake3(name).digest()),
        parameters=model.digest,
        layout=model.layout,
        block=1,
    )


def test_what_is_as_the_ledger_says_is_written(tmp_path: Path) -> None:
    assert written(tmp_path / "m", DATA) == len(DATA)
    assert (tmp_path / "m").read_bytes() == DATA


@pytest.mark.parametrize(
    ("data", "name", "model", "code"),
    [
        (DATA[:-1], DATA, MODEL, Code.OBJECT_CORRUPT),
        (b"", DATA, MODEL, Code.OBJECT_CORRUPT),
        (DATA, DATA, OTHER, Code.PARAMETERS_DIGEST),
        (DATA, DATA, Parameters({"w": MODEL["w"]}), Code.PARAMETERS_SHAPE),
        (b"no model", b"no model", MODEL, Code.PARAMETERS_FORMAT),
    ],
)
def test_what_is_not_leaves_what_was_there(
    tmp_path: Path, data: bytes, name: bytes, model: Parameters, code: Code
) -> None:
    for path, before in ((tmp_path / "new", None), (tmp_path / "old", b"before")):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(TCLearnError) as refused:
            written(path, data, name=name, model=model)
        assert refused.value.code is code
        assert (path.read_bytes() if path.exists() else None) == before
    assert [each.name for each in tmp_path.iterdir()] == ["old"], "and nothing unfinished"


def test_until_it_is_whole_only_its_owner_can_read_it(tmp_path: Path) -> None:
    modes: list[int] = []

    class Watching(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            modes.extend(stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir())
            return super().read(size)

    before = os.umask(0o022)
    try:
        write_model(
            Watching(DATA),
            tmp_path / "m",
            name=Digest(blake3(DATA).digest()),
            parameters=MODEL.digest,
            layout=MODEL.layout,
            block=1,
        )
    finally:
        os.umask(before)
    assert set(modes) == {0o600}
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o644


def test_a_disk_that_cannot_read_is_not_taken_for_one_that_cannot_write(tmp_path: Path) -> None:
    class Unreadable(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output error"), writing(tmp_path / "m") as file:
        file.write(Unreadable().read())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_with_the_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def full(path: str | Path, flags: int, mode: int = 0o777) -> int:
        return opened("/dev/full", os.O_RDWR) if str(path).endswith(".part") else opened(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StorageError) as refused:
        written(tmp_path / "m", DATA)
    assert refused.value.code is Code.STORE_FAILED
    assert str(tmp_path / "m") in refused.value.what
    assert list(tmp_path.iterdir()) == []
