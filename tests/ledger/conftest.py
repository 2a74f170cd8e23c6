"""The two engines behind one fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.ledger.notes import Clock, World

from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.memory import MemoryLedger


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["memory", "embedded"])
def make(request: pytest.FixtureRequest, tmp_path) -> Iterator[Callable[..., Any]]:
    """Makes a new ledger of one world on the engine under test."""
    with ExitStack() as opened:
        made = 0

        def ledger(world: World, clock: Callable[[], int] | None = None) -> Any:
            nonlocal made
            made += 1
            clock = clock or Clock()
            if request.param == "memory":
                return MemoryLedger(world.contract, world.coalition, clock=clock)
            path = tmp_path / f"{made}.sqlite"
            return opened.enter_context(EmbeddedLedger(path, world.contract, world.coalition, clock=clock))

        yield ledger
