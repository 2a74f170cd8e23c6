"""The metrics, against scikit-learn and against their definitions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from tclearn.coalition.evidence import MILLION
from tclearn.errors import CharterError, Code, DataError
from tclearn.learning.metrics import (
    METRICS,
    answers,
    check_metric,
    check_targets,
    nothing_right,
    paired,
    score,
)

# Few different values, so that ties are many.
steps = st.integers(-3, 3).map(lambda value: value / 2)


@st.composite
def classified(draw: st.DrawFn, classes: int) -> tuple[Any, Any, Any]:
    n = draw(st.integers(1, 25))
    targets = draw(hnp.arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    reference, candidate = (draw(hnp.arrays(np.float32, (n, classes), elements=steps)) for _ in range(2))
    return reference, candidate, targets


def close(value: int, expected: float) -> bool:
    return abs(value - expected * MILLION) <= 1


@given(classified(4))
def test_accuracy(given: tuple[Any, Any, Any]) -> None:
    reference, candidate, targets = given
    result = paired("accuracy", reference, candidate, targets)
    assert result is not None
    assert result.fault("accuracy") is None
    assert result.scale == result.n == len(targets)
    before, after = (outputs.argmax(axis=1) == targets for outputs in (reference, candidate))
    assert result.reference == accuracy_score(targets, reference.argmax(axis=1), normalize=False)
    assert result.candidate == int(after.sum())
    assert (result.lost, result.gained) == (int((before & ~after).sum()), int((after & ~before).sum()))


@given(classified(4))
def test_macro_f1(given: tuple[Any, Any, Any]) -> None:
    reference, candidate, targets = given
    result = paired("macro_f1", reference, candidate, targets)
    assert result is not None
    assert result.fault("macro_f1") is None
    assert close(result.reference, f1_score(targets, reference.argmax(axis=1), average="macro"))
    assert close(result.candidate, f1_score(targets, candidate.argmax(axis=1), average="macro"))


@given(classified(2))
def test_auc_of_two_classes(given: tuple[Any, Any, Any]) -> None:
    reference, candidate, targets = given
    result = paired("auc", reference, candidate, targets)
    if len(set(targets.tolist())) < 2:
        assert result is None
        return
    assert result is not None
    assert result.fault("auc") is None
    assert close(result.reference, roc_auc_score(targets, reference[:, 1] - reference[:, 0]))
    single = paired("auc", candidate[:, 1], candidate[:, 1:], targets)
    assert single is not None
    assert single.reference == single.candidate
    assert close(single.reference, roc_auc_score(targets, candidate[:, 1]))


@given(classified(3))
def test_auc_of_three_classes(given: tuple[Any, Any, Any]) -> None:
    outputs, _, targets = given
    powers = np.exp(outputs.astype(np.float64))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    result = score("auc", answers("auc", probabilities, targets), targets)
    occurring = sorted(set(targets.tolist()))
    if len(occurring) < 2:
        assert result is None
        return
    assert result is not None
    one_by_one = [roc_auc_score(targets == label, probabilities[:, label]) for label in occurring]
    assert close(result.value, float(np.mean(one_by_one)))
    if len(occurring) == 3:
        assert close(result.value, roc_auc_score(targets, probabilities, multi_class="ovr"))


@given(st.integers(1, 5), st.integers(1, 6), st.data())
def test_dice(n: int, side: int, data: st.DataObject) -> None:
    logits = data.draw(hnp.arrays(np.float32, (n, 1, side, side), elements=steps))
    masks = data.draw(hnp.arrays(np.bool_, (n, side, side)))
    result = paired("dice", logits, logits.reshape(n, side, side), masks)
    assert result is not None
    assert result.fault("dice") is None
    each = []
    for logit, mask in zip(logits[:, 0], masks, strict=True):
        inside = {tuple(at) for at in np.argwhere(logit > 0).tolist()}
        wanted = {tuple(at) for at in np.argwhere(mask).tolist()}
        total = len(inside) + len(wanted)
        each.append(Fraction(2 * len(inside & wanted), total) if total else Fraction(1))
    assert result.reference == result.candidate
    assert close(result.reference, float(sum(each) / n))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_output_that_is_no_number_is_worth_nothing(metric: str, value: float) -> None:
    if metric == "dice":
        targets: Any = np.ones((3, 2, 2), np.uint8)
        good: Any = np.ones((3, 2, 2), np.float32)
    else:
        targets = np.array([0, 1, 1])
        good = np.array([[2, 1], [1, 2], [1, 2]], np.float32)
    bad = good.copy()
    bad[(1,) + (0,) * (good.ndim - 1)] = value
    result = paired(metric, good, bad, targets)
    assert result is not None
    assert result.fault(metric) is None
    assert (result.reference, result.candidate) == (result.scale, 0)
    nothing = nothing_right(metric, targets)
    assert nothing is not None
    assert (nothing.value, nothing.scale) == (0, result.scale)
    if metric == "accuracy":
        assert (result.lost, result.gained) == (3, 0)


def test_equal_outputs_give_the_lowest_class() -> None:
    outputs = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]], np.float32)
    assert answers("accuracy", outputs, np.array([0, 1, 0])).tolist() == [0, 1, 0]


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_logit_a_record(shape: tuple[int, ...]) -> None:
    outputs, targets = np.array([-1, 0, 0.5, 2], np.float32).reshape(shape), np.array([0, 0, 1, 1])
    for metric in ("accuracy", "macro_f1", "auc"):
        result = paired(metric, outputs, -outputs, targets.reshape(shape))
        assert result is not None
        assert result.reference == result.scale


def test_a_class_that_nobody_has_or_says_is_left_out() -> None:
    outputs = np.eye(5, dtype=np.float32)[[0, 4]]
    result = paired("macro_f1", outputs, outputs[::-1], np.array([0, 4]))
    assert result is not None
    assert (result.reference, result.candidate) == (MILLION, 0)


@pytest.mark.parametrize(
    ("metric", "outputs", "targets", "says"),
    [
        ("accuracy", np.zeros((2, 3)), np.array([0, 3]), "record 1 of G has the target 3"),
        ("accuracy", np.zeros((2, 3)), np.array([-1, 0]), "record 0 of G has the target -1"),
        ("macro_f1", np.zeros((2, 3)), np.array([0.5, 1]), "targets of type float64"),
        ("auc", np.zeros((2, 3)), np.zeros((2, 2), int), "shape (2, 2)"),
        ("accuracy", np.zeros((2, 3, 4)), np.array([0, 1]), "name the metric dice"),
        ("dice", np.zeros((2, 3)), np.array([0, 1]), "one logit for each element"),
        ("dice", np.zeros((2, 1, 4, 4)), np.zeros((2, 4, 5)), "one logit for each element"),
        ("dice", np.zeros((2, 4, 4)), np.full((2, 4, 4), 255), "values other than 0 and 1"),
    ],
)
def test_targets_that_do_not_fit(metric: str, outputs: Any, targets: Any, says: str) -> None:
    with pytest.raises(DataError) as caught:
        check_targets(metric, outputs, targets, "G")
    assert caught.value.code is Code.DATA_SHAPE
    assert says in str(caught.value)


def test_outputs_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="2 outputs for 3 records"):
        answers("accuracy", np.zeros((2, 3)), np.array([0, 1, 1]))
    with pytest.raises(DataError, match="one logit for each"):
        answers("dice", np.zeros((2, 3)), np.zeros((2, 4)))


def test_metrics_by_name() -> None:
    for metric in METRICS:
        check_metric(metric)
    with pytest.raises(CharterError, match="the metric 'precision'"):
        check_metric("precision")


def test_real_targets_that_are_whole_numbers_are_classes() -> None:
    outputs, targets = np.eye(2), np.array([0.0, 1.0])
    check_targets("accuracy", outputs, targets, "G")
    result = paired("accuracy", outputs, outputs, targets)
    assert result is not None
    assert result.reference == 2
