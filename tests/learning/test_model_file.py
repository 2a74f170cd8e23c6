"""A model written into a file: as the ledger says, or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, TCLearnError
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
