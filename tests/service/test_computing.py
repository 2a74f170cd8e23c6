"""Training and testing beside the loop: the other duties go on, and nothing is computed twice or for nobody."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.service.conftest import until

from tclearn.agents.site import Site
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, DataError
from tclearn.ledger import Call, Duty
from tclearn.protocols.tclearn.calls import Access
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


def test_an_answer_waits_for_its_duty(slow: Slow, computing: Computing) -> None:
    computing.perform(duty("test", 1), VIEW, NOWHERE)
    slow.go_on.set()
    computing.rest(20)
    assert computing.perform(duty("test", 2), VIEW, NOWHERE) is None, "the answer was for another one"
    computing.rest(20)
    assert computing.perform(duty("test", 2), VIEW, NOWHERE) is SAID
    assert computing.perform(duty("test", 1), VIEW, NOWHERE) is SAID
    assert slow.asked == ["test", "test"], "and was not computed again"


def test_of_answers_that_nobody_asks_for_only_so_many_are_kept(
    slow: Slow, computing: Computing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tclearn.service.computing._REMEMBERED_MAX", 2)
    slow.go_on.set()
    for number in range(5):
        computing.perform(duty("test", number), VIEW, NOWHERE)
        computing.rest(20)
    newest_first = reversed(range(5))
    kept = [n for n in newest_first if computing.perform(duty("test", n), VIEW, NOWHERE) is SAID]
    assert kept == [4, 3, 2]


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


@dataclass
class Picky(Slow):
    """A role that has an answer to some duties only; each is begun when it is told to."""

    answered: frozenset[int] = frozenset()
    begun: list[int] = field(default_factory=list)

    def perform(self, duty: Duty, ledger: Any, site: Site) -> Call | None:
        number = duty.subject[0]
        self.begun.append(number)
        return SAID if number in self.answered else None


def step(computing: Computing, *duties: Duty) -> list[int]:
    """What an agent would say in one round, by the number of the duty; then all computations end."""
    said = [each.subject[0] for each in duties if computing.perform(each, VIEW, NOWHERE) is not None]
    computing.rest(20)
    return said


@pytest.mark.parametrize("kind", ["test", "delivered"])
def test_a_duty_that_comes_to_nothing_starves_no_other_of_its_kind(kind: str, clock: list[float]) -> None:
    """Such as the test of a model that was announced and is withheld."""
    picky = Picky(answered=frozenset({3}))
    computing = Computing(lambda: cast(Any, picky), lambda: None, lambda: clock[0])
    withheld, another, honest = (duty(kind, number) for number in (1, 2, 3))
    said: list[int] = []
    for _ in range(6):
        said += step(computing, withheld, another, honest)
    assert said[:1] == [3], "no time has passed"
    assert picky.begun.count(1) == picky.begun.count(2) == 1


def test_what_comes_to_nothing_is_tried_less_and_less_often(clock: list[float]) -> None:
    picky = Picky()
    computing = Computing(lambda: cast(Any, picky), lambda: None, lambda: clock[0])
    for tenth in range(1200):
        clock[0] = tenth / 10
        step(computing, duty("delivered"), duty("test", 1))
    assert 5 <= picky.begun.count(0) <= 8, "1, 2, 4, ... 60 seconds"
    assert 15 <= picky.begun.count(1) <= 20, (
        "1, 2, 4 and then each 8 seconds: a verdict has to come before its deadline"
    )


def test_a_member_that_does_not_train_reads_no_model_to_train_from_it() -> None:
    asked = {
        purpose: Call("tclearn/1", "access", Access(Digest(bytes(32)), purpose).to_value())
        for purpose in ("train", "test")
    }
    turn = TurnOf(MemberId("leuven"))
    view: Any = View(turn)  # type: ignore[arg-type]
    site: Any = SimpleNamespace(member="leuven")
    for offers in (True, False):
        for purpose, call in asked.items():
            role = Slow(answer=call)
            computing = Computing(lambda role=role: cast(Any, role), lambda: None, offers=offers)  # type: ignore[misc]
            said = computing.perform(duty("access"), view, site)
            if offers or purpose == "test":
                assert said is call
            else:
                assert said is not None and said.method == "pass", "it gives its turn on instead"
    turn.turn.member = MemberId("namur")
    refusing = Computing(lambda: cast(Any, Slow(answer=asked["train"])), lambda: None, offers=False)
    assert refusing.perform(duty("access"), view, site) is None, "it is not its turn"


class TurnOf:
    """Whose turn it is, and the block that a pass names."""

    tip = 0

    def __init__(self, member: MemberId) -> None:
        self.turn = SimpleNamespace(member=member, number=3)

    def block(self, index: int) -> Any:
        return SimpleNamespace(hash=Digest(bytes(32)))
