"""A coalition of level B in one process: readings are on the ledger, and what lies in its directory is sealed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.simulation.tumours import coalition

from tclearn import VaultPolicy
from tclearn.directory import CoalitionDirectory
from tclearn.errors import UsageError
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.keys import SeededKeys

WINDOW = 16


def readings(state: State) -> list[tuple[str, str, bool]]:
    everything = (state.access(number) for number in range(state.accesses))
    return [(each.member, each.purpose, each.delivered_ms is not None) for each in everything]


def test_every_validator_has_read_what_it_has_tested_before() -> None:
    result = coalition(level="B", vault=VaultPolicy(reads=1))
    state = result.state
    assert len(result.blocks) == 4
    for chained in list(state.blocks())[1:]:
        block = chained.block
        assert block.locator is not None
        for member in block.committee:
            access = state.granted(member, block.locator, "test")
            assert access is not None and access.delivered_ms is not None
            assert access.entry < (chained.entry or 0)
    assert all(delivered for _, _, delivered in readings(state))
    assert state.readings_left(state.members[0]) == 1


def test_nothing_in_the_directory_shows_a_model(tmp_path: Path) -> None:
    result = coalition(level="B", directory=tmp_path / "kept")
    wanted = set()
    for tensor in result.charter.model.layout:
        data = result.parameters[tensor.name].tobytes()
        wanted |= {data[at : at + WINDOW] for at in range(len(data) - WINDOW + 1)}
    assert len(wanted) > 50
    files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
    assert any(file.name == "vault.key" for file in files) and len(files) > 10
    assert [file for file in files if any(window in file.read_bytes() for window in wanted)] == []
    with CoalitionDirectory.open(tmp_path / "kept") as locked:
        newest = locked.state.block(locked.state.tip).locator
        assert newest is not None
        with pytest.raises(UsageError, match="locked"):
            locked.store.get(newest, size_max=1 << 20)
    with CoalitionDirectory.open(tmp_path / "kept", passphrase=SeededKeys(1).passphrase()) as opened:
        plain = opened.store.get(newest, size_max=1 << 20)
    assert any(window in plain for window in wanted), "the search finds what there is to find"
