"""A keeper that is asked for a hidden part hands over one file for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.protocols.test_hidden import world_with_parts

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import MemberId, digest
from tclearn.limits import HIDDEN_PART_BYTES_MAX
from tclearn.service.office import Office


def test_one_name_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_with_parts()
    candidate = world.offer("m00")
    assert candidate.asked is not None
    keeper = candidate.asked.keeper
    coalition: Any = SimpleNamespace(state=world.state)
    office = Office(cast(CoalitionDirectory, coalition), cast(Any, None))
    monkeypatch.setattr(Office, "object_bytes_max", HIDDEN_PART_BYTES_MAX + 1)
    names = [digest("file", number) for number in range(50)]
    assert [bool(office.room_for(keeper, name)) for name in names] == [True] + [False] * 49
    assert office.room_for(keeper, names[0]) == HIDDEN_PART_BYTES_MAX, "again, where the first try broke off"
    assert office.room_for(MemberId("nobody"), names[0]) == 0
    assert office.room_for(candidate.proposer, candidate.locator) == HIDDEN_PART_BYTES_MAX + 1
