"""Whether a loss on test records is more than chance: exact tests in integers, the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Final

_KEPT: Final = 4096
_UNIT: Final = 1 << 160
"""Terms of the tail are kept to so many parts of the largest term."""


@lru_cache(maxsize=_KEPT)
def mcnemar(lost: int, gained: int) -> Fraction:
    """One-sided exact McNemar test: how likely so many losses are where losses and gains are equally likely.

    Args:
        lost: records that only the reference answers right.
        gained: records that only the candidate answers right.

    Returns:
        P(X ≥ lost) for X binomial with n = lost + gained and p = ½; 1 where the models disagree nowhere. Terms below
        2⁻¹⁶⁰ of the largest one are left out, so the value is exact to far more digits than any threshold has.

    Source: McNemar 1947, in the exact form: the discordant pairs alone decide.
    """
    n = lost + gained
    middle = n // 2
    above = _terms(n, middle, 1)
    below = _terms(n, middle, -1)
    whole = sum(above) + sum(below) - _UNIT
    if lost >= middle:
        return Fraction(sum(above[lost - middle :]), whole)
    return Fraction(sum(above) + sum(below[1 : middle - lost + 1]), whole)


def holm(values: Sequence[Fraction], level: Fraction) -> list[bool]:
    """Which of several tests show something, at a level for all of them together.

    Args:
        values: what each test gives.
        level: the chance, at most, that any of them shows something where there is nothing.

    Returns:
        A decision per test, in the order given.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    shown = [False] * len(values)
    for rank, place in enumerate(sorted(range(len(values)), key=lambda index: (values[index], index))):
        if values[place] * (len(values) - rank) > level:
            break
        shown[place] = True
    return shown


def _terms(n: int, start: int, step: int) -> list[int]:
    # C(n, k) relative to C(n, start), for k = start, start + step, … until they vanish.
    terms = [_UNIT]
    k = start
    while 0 <= k + step <= n and terms[-1]:
        k += step
        terms.append(terms[-1] * (n - k + 1) // k if step > 0 else terms[-1] * (k + 1) // (n - k))
    return terms
