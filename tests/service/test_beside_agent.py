"""A member's command and its agent open the same copy of the log: neither keeps the other from running."""

from __future__ import annotations

import threading

import pytest
from tests.service.conftest import PATIENCE_S, Member, Service, until

from tclearn.errors import Code, StorageError
from tclearn.service import home


def test_an_agent_that_starts_waits_for_a_command_that_has_the_copy_open(
    service: Service, members: dict[str, Member]
) -> None:
    leuven, said, follows = members["leuven"], list[str](), threading.Event()

    def agent() -> None:
        with leuven.working(said) as work:
            until(lambda: work.ledger.state().candidates > 0)
            follows.set()

    thread = threading.Thread(target=agent)
    with leuven.home.copy():
        thread.start()
        until(lambda: bool(said))
        assert said[0].startswith("waits until another command has closed")
        assert not follows.is_set()
    assert follows.wait(PATIENCE_S)
    thread.join(PATIENCE_S)


def test_a_second_agent_is_told_that_there_is_one(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_HELD_S_MAX", 0.3)
    leuven = members["leuven"]
    with leuven.working(), pytest.raises(StorageError) as refused, leuven.working():
        pass
    assert refused.value.code is Code.LEDGER_LOCKED
