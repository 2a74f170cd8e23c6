"""Processes for work that holds Python's lock. This file imports little: each process imports it again."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tclearn.protocols.deepchain.agent.cores import Processes

HERE = os.getpid()


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


def _where(_: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def _killed_unless(process: int) -> int:
    time.sleep(0.01)
    if process != os.getpid():
        os.kill(os.getpid(), signal.SIGKILL)
    return process


def test_much_work_is_done_by_other_processes_and_little_by_this_one():
    with Processes(10_000) as run:
        places = [*run(_where, range(20))]
        assert places[:2] == [HERE, HERE] and HERE not in places[2:] and HERE not in run(_where, range(5))
    assert run._pool is not None and not run._pool._processes
    with Processes(20) as run:
        assert {*run(_where, range(20))} == {HERE}


def test_one_core_does_it_alone(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    with Processes(10_000) as run:
        assert {*run(_where, range(5))} == {HERE}


def test_when_processes_are_killed_this_one_does_their_work():
    with Processes(10_000) as run:
        assert [*run(_killed_unless, [HERE] * 5)] == [HERE] * 5
        assert [*run(_killed_unless, [HERE] * 2)] == [HERE] * 2


def test_a_fault_in_the_work_is_told():
    with Processes(10_000) as run, pytest.raises(ZeroDivisionError):
        list(run(_divided, [1, 1, 1, 0]))


def _divided(number: int) -> float:
    time.sleep(0.01)
    return 1 / number
