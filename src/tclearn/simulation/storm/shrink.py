"""A smaller storm that breaks the same: what a person wants to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tclearn.coalition.quorum import faulty_max
from tclearn.simulation.storm.invariants import Broken, check
from tclearn.simulation.storm.plan import MEMBERS_MIN, Plan
from tclearn.simulation.storm.storm import weather


def broken(plan: Plan) -> Broken | None:
    """What a storm breaks; ``None``: nothing."""
    storm = weather(plan)
    storm.run()
    try:
        check(storm)
    except Broken as error:
        return error
    return None


def shrunk(plan: Plan, name: str) -> Plan:
    """The plan with everything left out that the invariant does not need to break.

    Args:
        plan: a storm that breaks it.
        name: the invariant.
    """
    smaller = True
    while smaller:
        smaller = False
        for candidate in _simpler(plan):
            error = broken(candidate)
            if error is not None and error.name == name:
                plan, smaller = candidate, True
                break
    return plan


def _simpler(plan: Plan) -> Iterator[Plan]:
    for liar in plan.liars:
        yield replace(plan, liars=tuple(other for other in plan.liars if other != liar))
    fewer = plan.members - 1
    if fewer >= MEMBERS_MIN:
        liars = tuple(liar for liar in plan.liars if liar[0] < fewer)
        if len(liars) <= faulty_max(fewer):
            yield replace(plan, members=fewer, liars=liars, skews_ms=plan.skews_ms[:fewer])
    for calmer in (
        replace(plan, lost=0),
        replace(plan, late=0),
        replace(plan, doubled=0),
        replace(plan, crash=0),
        replace(plan, outage=0),
        replace(plan, hidden=0),
        replace(plan, level="A"),
    ):
        if calmer != plan:
            yield calmer
    if plan.skews_ms:
        yield replace(plan, skews_ms=())
    if plan.blocks > 1:
        yield replace(plan, blocks=plan.blocks - 1)
    if plan.turns != "lease":
        yield replace(plan, turns="lease")
    if plan.storm_ms > 1:
        yield replace(plan, storm_ms=plan.storm_ms // 2)
