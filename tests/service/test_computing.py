"""Training and testing beside the loop: the other duties go on, and nothing is computed twice or for nobody."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from tests.service.conftest import until

from tclearn.agents.site import Site
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, DataError
from tclearn.ledger import Call, Duty
from tclearn.service.computing import Computing

SAID = Call("tclearn/1", "pass", {})
NOWHERE: Any = None


@dataclass
class State:
    tip: int = 0


@dataclass
class View:
    now: State = field(default_factory=State)

    def state(self) -> State:
        return self.now


@dataclass
class Slow:
    """A role whose long duties end when they are told to."""

    contract: Any = field(default_factory=object)
    go_on: threading.Event = field(default_factory=threading.Event)
    answer: Call | None = SAID
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def perform(self, duty: Duty, ledger: Any, site: Site) -> Call | None:
        self.asked.append(duty.kind)
        if duty.kind in ("propose", "test"):
            assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        return self.answer


def duty(kind: str, number: int = 0) -> Duty:
    return Duty(kind, Digest(bytes([number]) * 32), MemberId("leuven"), None)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def computing(slow: Slow, clock: list[float]) -> Computing:
    made = Computing(lambda: cast(Any, slow), woken.set, lambda: clock[0])
    woken.clear()
    return made


woken = threading.Event()
VIEW: Any = View()


def test_short_duties_go_on_while_a_long_one_is_computed(slow: Slow, computing: Computing) -> None:
    assert computing.contract is slow.contract
    assert computing.perform(duty("propose"), VIEW, NOWHERE) is None
    assert computing.busy
    assert computing.perform(duty("endorse"), VIEW, NOWHERE) is SAID
    assert computing.perform(duty("propose"), VIEW, NOWHERE) is None
    slow.go_on.set()
    assert woken.wait(20)
    assert computing.perform(duty("propose"), VIEW, NOWHERE) is SAID
    assert not computing.busy
    assert slow.asked.count("propose") == 1


def test_what_nobody_asks_for_any_more_is_dropped(slow: Slow, computing: Computing) -> None:
    computing.perform(duty("test", 1), VIEW, NOWHERE)
    slow.go_on.set()
    computing.rest(20)
    assert computing.perform(duty("test", 2), VIEW, NOWHERE) is None, "the answer was for another one"
    computing.rest(20)
    assert computing.perform(duty("test", 2), VIEW, NOWHERE) is SAID


def test_an_error_is_raised_in_the_loop(slow: Slow, computing: Computing) -> None:
    slow.error = DataError(Code.DATA_UNREADABLE, "the disk is gone")
    slow.go_on.set()
    computing.perform(duty("propose"), VIEW, NOWHERE)
    computing.rest(20)
    with pytest.raises(DataError, match="the disk is gone"):
        computing.perform(duty("propose"), VIEW, NOWHERE)


def test_nothing_to_say_is_not_computed_again_at_once(slow: Slow, computing: Computing, clock: list[float]) -> None:
    slow.answer = None
    slow.go_on.set()
    for _ in range(5):
        assert computing.perform(duty("propose"), VIEW, NOWHERE) is None
        computing.rest(20)
    assert slow.asked == ["propose"]
    clock[0] = 61.0
    computing.perform(duty("propose"), VIEW, NOWHERE)
    until(lambda: slow.asked == ["propose", "propose"])
    computing.perform(duty("test"), VIEW, NOWHERE)
    until(lambda: slow.asked[-1] == "test")


def test_what_was_remembered_for_a_block_is_not_kept_for_the_next(slow: Slow) -> None:
    made: list[Slow] = []

    def make() -> Any:
        made.append(Slow(go_on=slow.go_on))
        return made[-1]

    slow.go_on.set()
    view: Any = View()
    computing = Computing(make, lambda: None)
    for tip in (1, 1, 2):
        view.now.tip = tip
        for _ in range(2):
            computing.perform(duty("propose", len(made) * 10 + tip), view, NOWHERE)
            computing.rest(20)
    assert len(made) == 3, "one for all else, and one for each of two blocks"
