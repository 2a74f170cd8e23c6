"""Clocks: one that a simulation moves, and the computer's."""

from __future__ import annotations

import time

from tclearn.agents import RealClock, VirtualClock


def test_a_virtual_clock_stands_still_until_somebody_waits():
    clock = VirtualClock(1000)
    began = time.monotonic()
    assert (clock(), clock()) == (1000, 1000)
    clock.wait(3_600_000)
    assert clock() == 3_601_000
    assert time.monotonic() - began < 60, "an hour of virtual time takes no time"


def test_the_real_clock_counts_milliseconds_since_1970_and_waits():
    clock = RealClock()
    before = clock()
    assert abs(before / 1000 - time.time()) < 60
    clock.wait(30)
    assert clock() - before >= 30
