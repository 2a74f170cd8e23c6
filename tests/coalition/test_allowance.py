"""What a member may ask for in a day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.allowance import DAY_MS, Allowance, Decision, IdEntry, Rate, blinded_digest, decide
from tclearn.encoding import MemberId, decode
from tclearn.errors import Code, MessageError
from tclearn.limits import ALLOWANCE_PER_DAY_MAX

LEUVEN = MemberId("leuven")
NOW = 1_900_000_000_000
RATES = st.builds(Rate, st.integers(1, ALLOWANCE_PER_DAY_MAX), st.integers(1, ALLOWANCE_PER_DAY_MAX))
STEPS = st.lists(st.tuples(st.integers(-1000, 3 * DAY_MS), st.integers(1, 100_000)), max_size=30)


def ask(count: int, *, rate: Rate, allowance: Allowance, time_ms: int = NOW, last: IdEntry | None = None) -> Decision:
    return decide(rate, allowance, last, LEUVEN, blinded_digest(b"blinded"), count, time_ms)


def test_a_limit_is_reached_and_fills_up_again() -> None:
    rate = Rate(per_day=24_000, at_once=10_000)
    first = ask(9_000, rate=rate, allowance=Allowance.full(rate, NOW))
    first.check()
    assert first.entry.left == 1_000
    second = ask(5_000, rate=rate, allowance=first.allowance, last=first.entry)
    assert (second.entry.granted, second.entry.left) == (0, 1_000)
    assert second.available_ms == NOW + 4 * DAY_MS // 24
    with pytest.raises(MessageError) as caught:
        second.check()
    assert caught.value.code is Code.ALLOWANCE
    assert "leuven" in caught.value.what
    assert caught.value.expected == "at most 1000 now"
    assert "4 h" in caught.value.remedy
    early = ask(5_000, rate=rate, allowance=second.allowance, time_ms=NOW + 4 * DAY_MS // 24 - 1)
    assert not early.entry.granted
    ask(5_000, rate=rate, allowance=second.allowance, time_ms=NOW + 4 * DAY_MS // 24).check()


def test_more_than_the_limit_is_never_granted_at_once() -> None:
    rate = Rate(per_day=100, at_once=50)
    decision = ask(51, rate=rate, allowance=Allowance.full(rate, NOW), time_ms=NOW + 100 * DAY_MS)
    assert decision.available_ms is None
    with pytest.raises(MessageError, match="fewer at once"):
        decision.check()


@given(RATES, STEPS)
def test_never_more_than_the_limit_and_what_the_time_gives(rate: Rate, steps: list[tuple[int, int]]) -> None:
    time, latest, granted = NOW, NOW, 0
    allowance = Allowance.full(rate, NOW)
    for passed, count in steps:
        time += passed
        latest = max(latest, time)
        decision = ask(count, rate=rate, allowance=allowance, time_ms=time)
        before, allowance = allowance.left(rate, time), decision.allowance
        assert decision.entry.granted == (count <= before)
        granted += count * decision.entry.granted
        assert granted * DAY_MS <= rate.at_once * DAY_MS + (latest - NOW) * rate.per_day
        assert 0 <= allowance.left(rate, time) <= rate.at_once
        assert allowance.left(rate, time) == before - count * decision.entry.granted
        assert Allowance.from_value(decode(allowance.encode())) == allowance


@given(RATES, st.integers(0, ALLOWANCE_PER_DAY_MAX * DAY_MS), st.integers(1, ALLOWANCE_PER_DAY_MAX))
def test_the_time_that_is_named_is_the_first(rate: Rate, level: int, count: int) -> None:
    allowance = Allowance(min(level, rate.at_once * DAY_MS), NOW)
    available = allowance.available_ms(rate, count, NOW)
    if available is None:
        assert count > rate.at_once
        return
    assert allowance.left(rate, available) >= count
    assert available == NOW or allowance.left(rate, available - 1) < count


@given(RATES, st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_asking_what_is_left_changes_nothing(rate: Rate, level: int, first: int, second: int) -> None:
    """Time that passes in two steps gives what it gives in one."""
    start = Allowance(min(level, rate.at_once * DAY_MS), NOW)
    middle = start.spent(0, rate, NOW + first)
    assert middle is not None
    assert middle.left(rate, NOW + first + second) == start.left(rate, NOW + first + second)


def test_a_clock_set_back_gives_nothing_twice() -> None:
    rate = Rate(per_day=1000, at_once=1000)
    empty = ask(1000, rate=rate, allowance=Allowance.full(rate, NOW)).allowance
    later = empty.spent(500, rate, NOW + DAY_MS // 2)
    assert later is not None
    back = later.spent(0, rate, NOW)
    assert back == later
    assert later.left(rate, NOW + DAY_MS // 2) == 0


@pytest.mark.parametrize("rate", [(0, 1), (1, 0), (-1, 1), (1, ALLOWANCE_PER_DAY_MAX + 1)])
def test_rates_have_limits(rate: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="records a day"):
        Rate(*rate)
