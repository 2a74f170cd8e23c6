"""Why a group was dissolved, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.terms import DeepChainTerms


def why_dissolved(terms: DeepChainTerms, courses: Sequence[Course]) -> str:
    """Which of the two ends a dissolved group came to: failures in a row, or deposits that are not there.

    Args:
        terms: the charter.
        courses: all iterations that were begun, in order.
    """
    failures = 0
    for course in reversed(courses):
        if course.round is not None:
            break
        failures += 1
    if failures >= terms.voids:
        return f"{failures} iteration{'s' if failures > 1 else ''} in a row failed"
    return "too few members have their deposits any more" if courses else "too few members joined"
