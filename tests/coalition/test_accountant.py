"""The contract's accountant beside Opacus' and Google's: the same ε, from decimal arithmetic alone."""

import itertools
import json
import math
import warnings
from decimal import Context, localcontext
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tclearn.coalition.accountant import MOST, NOTHING, ORDERS, composed, cost, epsilon_ppm

DELTA = 10**7  # 1e-5 in trillionths
ROWS = json.loads((Path(__file__).parent / "dp_accounting.json").read_text())["rows"]


def total(releases):
    costs = [cost(round(sigma * 1e6), batch, records, steps) for sigma, batch, records, steps in releases]
    return reduce(composed, costs, NOTHING)


def epsilon(*releases, delta=DELTA):
    return epsilon_ppm(total(releases), delta) / 1e6


@pytest.mark.parametrize("row", ROWS, ids=[str(row["releases"]) for row in ROWS])
def test_it_agrees_with_googles_accountant(row):
    found = epsilon(*row["releases"])
    assert found <= row["rdp"] * 1.01
    if not row["left_out"]:
        assert found >= row["rdp"] * 0.99
    # The tight value, by privacy loss distributions, is never undercut.
    assert found >= row["pld"] * 0.999


def test_it_agrees_with_opacus():
    rdp = pytest.importorskip("opacus.accountants.analysis.rdp")
    orders = [1 + x / 10 for x in range(1, 100)] + list(range(12, 64)) + list(range(64, 1025, 16))
    for sigma, batch in itertools.product((0.8, 1.5, 4.0), (10, 100)):
        once = rdp.compute_rdp(q=batch / 1000, noise_multiplier=sigma, steps=1, orders=orders)
        for steps in (10, 200, 2000):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs, _ = rdp.get_privacy_spent(orders=orders, rdp=once * steps, delta=1e-5)
            assert epsilon((sigma, batch, 1000, steps)) == pytest.approx(theirs, rel=0.01)


def test_divergences_at_the_same_orders_are_opacus_to_six_digits():
    rdp = pytest.importorskip("opacus.accountants.analysis.rdp")
    for sigma, batch in ((0.3, 20), (0.8, 16), (2.0, 300), (10.0, 5)):
        mine = cost(round(sigma * 1e6), batch, 1000, 1_000_000)
        theirs = rdp.compute_rdp(
            q=batch / 1000, noise_multiplier=sigma, steps=1_000_000, orders=[float(order) for order in ORDERS]
        )
        for order, one, other in zip(ORDERS, mine, theirs, strict=True):
            assert one / 1e9 == pytest.approx(other, rel=1e-6, abs=2e-6), (sigma, batch, order)


def test_without_sampling_the_divergence_is_that_of_the_gaussian_mechanism():
    for order, spent in zip(ORDERS, cost(2_000_000, 50, 50, 7), strict=True):
        assert spent == math.ceil(round(7 * float(order) / 8 * 1e9, 3))


def test_four_releases_cost_less_than_four_times_one_and_as_much_as_one_of_four_times_the_steps():
    release = (1.1, 16, 166, 110)
    alone, four = epsilon(release), epsilon(*[release] * 4)
    assert alone < four < 4 * alone
    assert four == pytest.approx(epsilon((1.1, 16, 166, 440)), abs=2e-6)


@settings(deadline=None, max_examples=6)
@given(
    sigma=st.floats(0.3, 20),
    batch=st.integers(1, 100),
    records=st.integers(100, 5000),
    steps=st.integers(1, 5000),
    more=st.integers(1, 500),
)
def test_more_steps_less_noise_and_more_records_a_step_never_cost_less(sigma, batch, records, steps, more):
    usual = epsilon((sigma, batch, records, steps))
    assert usual > 0
    assert epsilon((sigma, batch, records, steps + more)) >= usual
    assert epsilon((sigma * (1 + more / 100), batch, records, steps)) <= usual
    assert epsilon((sigma, batch, records + more, steps)) <= usual
    assert epsilon((sigma, batch, records, steps), delta=DELTA // 10) >= usual


def test_the_arithmetic_of_the_caller_does_not_matter():
    release = (1.37, 19, 777, 123)
    with localcontext(Context(prec=5)):
        rough = total([release])
        rough_epsilon = epsilon_ppm(rough, DELTA)
    assert rough == total([release])
    assert rough_epsilon == epsilon_ppm(rough, DELTA)


def test_nothing_costs_nothing_and_what_is_beyond_measure_stays_there():
    assert epsilon_ppm(NOTHING, DELTA) == 0
    endless = cost(300_000, 100, 100, 1 << 40)
    assert max(endless) == MOST
    assert composed(endless, endless) >= endless
    assert epsilon_ppm((MOST,) * len(ORDERS), DELTA) == MOST
