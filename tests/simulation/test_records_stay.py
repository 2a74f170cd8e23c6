"""What leaves a member: the ledger and the store hold no record, nor a piece of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.simulation.tumours import coalition, tumours

PIECE = 4
"""So many features of a record, one after the other."""


def pieces() -> Iterator[bytes]:
    """Every piece of every member's records, as the numbers may be written."""
    members, _ = tumours()
    for inputs, _ in members.values():
        for form in ("<f8", "<f4", ">f8", ">f4"):
            for record in np.asarray(inputs, dtype=form):
                for at in range(0, len(record) - PIECE + 1, PIECE):
                    piece = record[at : at + PIECE]
                    if np.count_nonzero(piece) == PIECE:
                        yield piece.tobytes()


def shared(directory: Path) -> bytes:
    """All that others see: everything in the coalition's directory but the members' own folders."""
    files = [file for file in directory.rglob("*") if file.is_file() and "members" not in file.parts]
    assert {"ledger.sqlite", "charter.cbor"} <= {file.name for file in files}
    assert any("objects" in file.parts for file in files)
    return b"".join(file.read_bytes() for file in files)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("records") / "coalition"
    result = coalition(directory=directory)
    assert len(result.blocks) == 4
    result.export(directory / "coalition.tclearn")
    return shared(directory)


def test_no_record_leaves_its_member(told: bytes) -> None:
    every = list(pieces())
    assert len(every) > 1000
    assert not any(piece in told for piece in every)


def test_a_record_that_left_would_be_found(told: bytes) -> None:
    members, _ = tumours()
    inputs, _ = members["hospital-1"]
    leaked = told + np.asarray(inputs[0], dtype="<f4").tobytes()
    assert any(piece in leaked for piece in pieces())
