"""The learning-rate rule agrees with PyTorch's ReduceLROnPlateau, step for step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.evidence import Paired
from tclearn.coalition.rate import Plateau, RateState


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=40),
    st.integers(0, 4),
    st.sampled_from([500_000, 250_000]),
    st.sampled_from([1_000_000, 500_000]),
)
def test_it_is_reduce_on_plateau(performances, patience, factor_ppm, start_ppm):
    torch = pytest.importorskip("torch")
    minimum_ppm = 1_000
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=start_ppm / 1e6)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max",
        factor=factor_ppm / 1e6,
        patience=patience,
        threshold=0,
        threshold_mode="abs",
        min_lr=minimum_ppm / 1e6,
        eps=0,
    )
    rule, state = Plateau(factor_ppm, patience, minimum_ppm), RateState(start_ppm)
    for right in performances:
        state = rule.next(state, Paired(20, 20, 0, right, 0, right))
        reference.step(right / 20)
        assert state.rate_ppm == pytest.approx(optimizer.param_groups[0]["lr"] * 1e6, abs=16)


def test_the_rate_never_rises_nor_falls_below_the_minimum():
    rule, state = Plateau(500_000, 0, 300_000), RateState(1_000_000)
    rates = []
    for _ in range(6):
        state = rule.next(state, Paired(10, 10, 0, 5, 0, 5))
        rates.append(state.rate_ppm)
    assert rates == [1_000_000, 500_000, 300_000, 300_000, 300_000, 300_000]
    below = RateState(200_000, best=5, scale=10)
    assert rule.next(below, Paired(10, 10, 0, 5, 0, 5)).rate_ppm == 200_000
