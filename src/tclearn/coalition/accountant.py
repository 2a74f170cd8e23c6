"""What a member's noisy steps have cost in privacy: Rényi divergences, added up, turned into an ε.

A step of DP-SGD releases a sum of clipped gradients with Gaussian noise over records that are each drawn with
probability q: the subsampled Gaussian mechanism. Its Rényi divergence of order α is ln A_α / (α − 1), where

    A_α = E_{x ~ N(0, σ²)} [ (1 − q + q · exp((2x − 1) / 2σ²))^α ]

(Mironov, Talwar & Zhang 2019, "Rényi differential privacy of the sampled Gaussian mechanism", §3). For whole α it is
a binomial sum (their eq. 5), taken exactly; for the others the integral is taken by the trapezoidal rule, whose error
falls off exponentially for such an integrand. Divergences of steps add up, order by order (Mironov 2017, Proposition
1), and ε follows by Balle et al. 2020, Theorem 21 (Canonne, Kamath & Steinke 2020, Proposition 12).

Every member must find the same ε: all of it is decimal arithmetic of fixed precision, whose exponential and logarithm
are correctly rounded, and what is kept are integers, rounded up: billionths of a divergence, millionths of an ε.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Final

from tclearn.coalition.evidence import MILLION

TRILLION: Final = 10**12
NANO: Final = 10**9
"""Divergences are kept in billionths."""
MOST: Final = (1 << 63) - 1
"""The largest integer of the ledger; as a divergence or an ε: at least this."""

_FRACTIONAL: Final = tuple(
    Decimal(order)
    for order in (
        *("1.05", "1.1", "1.15", "1.2", "1.25", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9"),
        *("2.1", "2.2", "2.3", "2.4", "2.6", "2.8", "3.25", "3.5", "3.75", "4.25", "4.5", "4.75"),
        *("5.25", "5.5", "5.75", "6.2", "6.4", "6.7", "7.3", "7.6", "8.3", "8.6", "9.3", "9.6", "10.5", "11.5"),
    )
)
_WHOLE: Final = (*range(2, 33), *range(34, 65, 2), *range(68, 129, 4), *range(144, 257, 16), 320, 384, 512, 1024)
ORDERS: Final = (*_FRACTIONAL, *map(Decimal, _WHOLE))
"""The orders α at which divergences are kept."""
NOTHING: Final = (0,) * len(ORDERS)
"""The cost of releasing nothing."""

_FINEST: Final = 20
_UNITS: Final = tuple(int(order * _FINEST) for order in _FRACTIONAL)
_GAPS: Final = tuple(after - before for before, after in pairwise((0, *_UNITS)))
"""From one fractional order to the next, in twentieths."""

_EXACT: Final = Context(prec=34, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN)
_STEPS: Final = 4
_REACH: Final = 13
_KEPT: Final = 4096


def cost(noise_ppm: int, batch: int, records: int, steps: int) -> tuple[int, ...]:
    """What some steps of DP-SGD cost: their Rényi divergence at each of ``ORDERS``, in billionths, rounded up.

    Args:
        noise_ppm: σ, the standard deviation of the noise in units of the clipping norm, in millionths; at least 1.
        batch: the expected number of records in a step.
        records: the number of records that it draws from; each is drawn with probability q = ``batch / records``.
        steps: their number.
    """
    return tuple(
        _rounded_up(_EXACT.multiply(Decimal(steps * NANO), divergence))
        for divergence in _divergences(noise_ppm, batch, records)
    )


def composed(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """The cost of two releases together."""
    return tuple(min(MOST, one + other) for one, other in zip(first, second, strict=True))


def epsilon_ppm(costs: Sequence[int], delta_ppt: int) -> int:
    """The ε of what was released, in millionths, rounded up.

    Args:
        costs: as ``cost`` and ``composed`` give them.
        delta_ppt: δ in trillionths, 1 or more.
    """
    return _epsilon_ppm(tuple(costs), delta_ppt) if any(costs) else 0


@lru_cache(maxsize=_KEPT)
def _epsilon_ppm(costs: tuple[int, ...], delta_ppt: int) -> int:
    log_delta = _EXACT.ln(_EXACT.divide(Decimal(delta_ppt), Decimal(TRILLION)))
    found = []
    for order, spent in zip(ORDERS, costs, strict=True):
        if spent == MOST:
            continue
        less = _EXACT.subtract(order, Decimal(1))
        # ln((α − 1)/α) − (ln δ + ln α)/(α − 1)
        first = _EXACT.ln(_EXACT.divide(less, order))
        second = _EXACT.divide(_EXACT.add(log_delta, _EXACT.ln(order)), less)
        found.append(_EXACT.subtract(_EXACT.add(_EXACT.divide(Decimal(spent), Decimal(NANO)), first), second))
    if not found:
        return MOST
    return _rounded_up(_EXACT.multiply(max(Decimal(0), min(found)), Decimal(MILLION)))


def _rounded_up(value: Decimal) -> int:
    return min(MOST, int(value.to_integral_value(ROUND_CEILING, _EXACT)))


@lru_cache(maxsize=_KEPT)
def _divergences(noise_ppm: int, batch: int, records: int) -> tuple[Decimal, ...]:
    """The divergence of one step at each order."""
    sigma = _EXACT.divide(Decimal(noise_ppm), Decimal(MILLION))
    variance = _EXACT.multiply(sigma, sigma)
    if batch >= records:
        return tuple(_EXACT.divide(order, _EXACT.multiply(Decimal(2), variance)) for order in ORDERS)
    drawn = _EXACT.divide(Decimal(batch), Decimal(records))
    moments = (*_fractional(sigma, variance, drawn), *(_whole(order, variance, drawn) for order in _WHOLE))
    return tuple(
        _EXACT.divide(max(Decimal(0), _EXACT.ln(moment)), _EXACT.subtract(order, Decimal(1)))
        for order, moment in zip(ORDERS, moments, strict=True)
    )


def _whole(order: int, variance: Decimal, drawn: Decimal) -> Decimal:
    """A_α for a whole α: Σ_k C(α, k) (1 − q)^(α − k) q^k exp((k² − k) / 2σ²)."""
    times = _EXACT.multiply
    left = _EXACT.subtract(Decimal(1), drawn)
    odds = _EXACT.divide(drawn, left)
    growth = _EXACT.exp(_EXACT.divide(Decimal(1), variance))
    total = Decimal(0)
    # Not by the power function, whose last digit is not defined.
    term, raised = _EXACT.exp(times(_EXACT.ln(left), Decimal(order))), Decimal(1)
    for k in range(order + 1):
        total = _EXACT.add(total, term)
        # From k to k + 1 the exponential grows by exp(k / σ²).
        term = _EXACT.divide(times(times(times(term, odds), raised), Decimal(order - k)), Decimal(k + 1))
        raised = times(raised, growth)
    return total


def _fractional(sigma: Decimal, variance: Decimal, drawn: Decimal) -> list[Decimal]:
    """A_α for each of ``_FRACTIONAL``.

    The integrand is analytic up to a distance of πσ² from the real axis, where its base becomes zero. With points h
    apart the error is of the order of exp(−2π · πσ² / h) and exp(−2π² σ² / h²), h being at most σ/4 and σ²/2: below
    10⁻¹⁵ in A_α, with the tails beyond 13 σ.
    """
    spacing = min(_EXACT.divide(sigma, Decimal(_STEPS)), _EXACT.divide(variance, Decimal(2)))
    reach = _EXACT.multiply(Decimal(_REACH), sigma)
    # Where the power of the base is large, the mass lies around x = α.
    first = -int(_EXACT.divide(reach, spacing)) - 1
    last = int(_EXACT.divide(_EXACT.add(reach, _FRACTIONAL[-1]), spacing)) + 1
    twice = _EXACT.multiply(Decimal(2), variance)
    left = _EXACT.subtract(Decimal(1), drawn)
    sums = [Decimal(0)] * len(_FRACTIONAL)
    whole = Decimal(0)
    for at in range(first, last + 1):
        x = _EXACT.multiply(spacing, Decimal(at))
        exponent = _EXACT.divide(_EXACT.multiply(x, x), twice)
        density = _EXACT.exp(exponent.copy_negate())
        grown = _EXACT.exp(_EXACT.divide(_EXACT.subtract(_EXACT.multiply(Decimal(2), x), Decimal(1)), twice))
        base = _EXACT.ln(_EXACT.add(left, _EXACT.multiply(drawn, grown)))
        whole = _EXACT.add(whole, density)
        # All orders are multiples of 1/20: one root, and its powers by multiplication.
        root = _EXACT.exp(_EXACT.divide(base, Decimal(_FINEST)))
        powers = [Decimal(1)]
        for _ in range(max(_GAPS)):
            powers.append(_EXACT.multiply(powers[-1], root))
        value = density
        for place, gap in enumerate(_GAPS):
            value = _EXACT.multiply(value, powers[gap])
            sums[place] = _EXACT.add(sums[place], value)
    return [_EXACT.divide(each, whole) for each in sums]
