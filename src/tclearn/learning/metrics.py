"""The four performances a charter can name, as the integers that enter the ledger.

==========  =====================================================================================================
accuracy    records answered right, out of n; of equal highest outputs the lowest class counts
macro_f1    mean over classes of 2·TP / (2·TP + FP + FN); a class that occurs neither among targets nor among answers
            is left out (scikit-learn's ``f1_score(average="macro")``)
auc         area under the ROC curve, ties counting half; for more than two classes the mean over those that occur of
            each against the rest, the class's own output as the score
dice        mean over records of 2·|A ∩ B| / (|A| + |B|); 1 when both masks are empty
==========  =====================================================================================================

Outputs are logits or probabilities ``(n, classes)``; or one logit a record, ``(n,)`` or ``(n, 1)``, above zero for
class 1; for Dice logits of the target's size, inside where above zero. All but accuracy are rounded to millionths,
halves to the even. A model that gives a NaN or an infinity for any record of a test set has performance 0 on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tclearn.coalition.evidence import MILLION, ClassCounts, Paired
from tclearn.errors import CharterError, Code, DataError

METRICS: Final = ("accuracy", "macro_f1", "auc", "dice")
_NO_ANSWER: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """The performance of one model on one test set.

    Attributes:
        n: records.
        scale: what ``value`` is a fraction of: ``n`` for accuracy, else 1,000,000.
        value: 0 to ``scale``.
        right: which records were answered right, ``(n,) bool``; ``None`` where that has no meaning.
        given: the class each record was answered with, ``(n,)``, -1 for none; ``None`` where that has no meaning.
    """

    n: int
    scale: int
    value: int
    right: NDArray[np.bool_] | None = None
    given: NDArray[np.int32] | None = None

    @property
    def performance(self) -> Fraction:
        """The performance, 0 to 1."""
        return Fraction(self.value, self.scale)

    def paired(self, candidate: Score) -> Paired:
        """This model as the reference beside a candidate, both measured on the same records."""
        lost = gained = 0
        if self.right is not None and candidate.right is not None:
            lost = int((self.right & ~candidate.right).sum())
            gained = int((~self.right & candidate.right).sum())
        return Paired(self.n, self.scale, self.value, candidate.value, lost, gained)


def by_class(reference: Score, candidate: Score, targets: NDArray[Any]) -> tuple[ClassCounts, ...] | None:
    """Two models' answers on the same records, class by class, each against the rest.

    Returns:
        The counts of every class up to the highest among targets and answers; ``None`` where the metric has none.
    """
    if reference.given is None or candidate.given is None:
        return None
    labels = _labels(targets)
    counts = []
    for number in range(int(max(labels.max(), reference.given.max(), candidate.given.max())) + 1):
        wanted = labels == number
        first, second = ((score.given == number) == wanted for score in (reference, candidate))
        counts.append(ClassCounts(int(wanted.sum()), int((first & ~second).sum()), int((~first & second).sum())))
    return tuple(counts)


def check_metric(metric: str) -> None:
    """Refuse a metric that is none of ``METRICS``.

    Raises:
        CharterError: it is none of them.
    """
    if metric not in METRICS:
        raise CharterError(Code.CHARTER_VALUE, f"the metric {metric!r}", expected=", ".join(METRICS))


def paired(metric: str, reference: NDArray[Any], candidate: NDArray[Any], targets: NDArray[Any]) -> Paired | None:
    """Two models' outputs on the same records, compared.

    Returns:
        The comparison; ``None`` where the metric is not defined: AUC on records of a single class.

    Raises:
        DataError: outputs and targets do not fit each other or the metric.
    """
    check_targets(metric, reference, targets, "a data set")
    first = score(metric, answers(metric, reference, targets), targets)
    second = score(metric, answers(metric, candidate, targets), targets)
    return first.paired(second) if first and second else None


def check_targets(metric: str, outputs: NDArray[Any], targets: NDArray[Any], what: str) -> None:
    """Refuse targets that a metric and a model cannot be measured with.

    Args:
        metric: one of ``METRICS``.
        outputs: the model's outputs for some of the records, or all.
        targets: the targets of all records.
        what: what the records are, for messages.

    Raises:
        DataError: not class numbers below the number of outputs; for Dice, not masks of 0 and 1 of the outputs' size.
    """
    if metric == "dice":
        if outputs.size * len(targets) != targets.size * len(outputs) or targets.ndim < 2:
            raise DataError(
                Code.DATA_SHAPE,
                f"{what} has masks of shape {targets.shape[1:]} for outputs of shape {outputs.shape[1:]}",
                expected="one logit for each element of the mask",
            )
        if not ((targets == 0) | (targets == 1)).all():
            raise DataError(Code.DATA_SHAPE, f"{what} has masks with values other than 0 and 1", expected="0 or 1")
        return
    width = _width(metric, outputs)
    labels = _labels(targets)
    if targets.shape not in ((len(targets),), (len(targets), 1)) or not np.array_equal(labels, targets.reshape(-1)):
        raise DataError(
            Code.DATA_SHAPE,
            f"{what} has targets of type {targets.dtype} and shape {targets.shape}",
            expected=f"one class number a record for {metric}",
        )
    if labels.min() < 0 or labels.max() >= width:
        index = int(np.argmax((labels < 0) | (labels >= width)))
        raise DataError(
            Code.DATA_SHAPE,
            f"record {index} of {what} has the target {labels[index]}",
            expected=f"class numbers from 0 to {width - 1}, as the model has outputs",
        )


def answers(metric: str, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """What a metric needs of a model's outputs, record by record: batches of it may be joined.

    Args:
        metric: one of ``METRICS``.
        outputs: the model's outputs.
        targets: the same records' targets, as ``check_targets`` lets them pass.

    Returns:
        ``(n,) int64`` classes for accuracy and macro F1 (-1 where an output is not finite), ``(n,)`` or ``(n, classes)
        float64`` scores for AUC, ``(n,) float64`` Dice of each record.

    Raises:
        DataError: outputs and targets do not fit each other or the metric.
    """
    if metric == "dice":
        return _dice(outputs, targets)
    if len(outputs) != len(targets):
        what = f"a model that gives {len(outputs)} outputs for {len(targets)} records"
        raise DataError(Code.DATA_SHAPE, what, expected="one each")
    if _width(metric, outputs) == 2 and outputs.shape[1:] != (2,):
        outputs = outputs.reshape(-1)
    if metric == "auc":
        wide = outputs.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, and 0 is what it is worth
            return wide[:, 1] - wide[:, 0] if wide.shape[1:] == (2,) else wide
    if outputs.ndim == 1:
        return np.where(np.isfinite(outputs), (outputs > 0).astype(np.int64), _NO_ANSWER)
    return np.where(np.isfinite(outputs).all(axis=1), outputs.argmax(axis=1), _NO_ANSWER)


def score(metric: str, given: NDArray[Any], targets: NDArray[Any]) -> Score | None:
    """The performance that a model's answers amount to.

    Args:
        metric: one of ``METRICS``.
        given: what ``answers`` returned for all the records.
        targets: the records' targets.

    Returns:
        The performance; ``None`` for AUC on records of a single class.
    """
    n = len(targets)
    if metric == "dice":
        value = math.fsum(given) / n if np.isfinite(given).all() else 0.0
        return Score(n, MILLION, round(value * MILLION))
    labels = _labels(targets)
    if metric == "auc":
        return _auc(given, labels)
    void = bool((given == _NO_ANSWER).any())
    classes = np.full(n, _NO_ANSWER, dtype=np.int32) if void else given.astype(np.int32)
    if metric == "macro_f1":
        return Score(n, MILLION, 0 if void else round(_macro_f1(given, labels) * MILLION), None, classes)
    right = classes == labels
    return Score(n, n, int(right.sum()), right, classes)


def nothing_right(metric: str, targets: NDArray[Any]) -> Score | None:
    """Performance 0: what a model is worth whose parameters are not numbers."""
    given: dict[str, NDArray[Any]] = {"auc": np.full(len(targets), np.nan), "dice": np.full(len(targets), np.nan)}
    return score(metric, given.get(metric, np.full(len(targets), _NO_ANSWER)), targets)


def _width(metric: str, outputs: NDArray[Any]) -> int:
    if outputs.ndim == 1 or outputs.shape[1:] == (1,):
        return 2
    if outputs.ndim != 2 or outputs.shape[1] == 0:
        raise DataError(
            Code.DATA_SHAPE,
            f"a model whose outputs have the shape {outputs.shape}",
            expected=f"(n, classes), (n,) or (n, 1) for {metric}",
            remedy="name the metric dice in the charter if these are masks",
        )
    return int(outputs.shape[1])


def _labels(targets: NDArray[Any]) -> NDArray[np.int64]:
    return targets.reshape(-1).astype(np.int64)


def _macro_f1(given: NDArray[Any], labels: NDArray[np.int64]) -> float:
    classes = int(max(given.max(), labels.max())) + 1
    hits = np.bincount(labels[given == labels], minlength=classes)
    # |targets of a class| + |answers of it| = 2·TP + FP + FN
    sums = np.bincount(labels, minlength=classes) + np.bincount(given, minlength=classes)
    present = sums > 0
    return math.fsum(2 * hits[present] / sums[present]) / int(present.sum())


def _auc(scores: NDArray[Any], labels: NDArray[np.int64]) -> Score | None:
    occurring = np.unique(labels)
    if len(occurring) < 2:
        return None
    if not np.isfinite(scores).all():
        return Score(len(labels), MILLION, 0)
    areas = [_area(scores, labels == 1)] if scores.ndim == 1 else [_area(scores[:, c], labels == c) for c in occurring]
    return Score(len(labels), MILLION, round(sum(areas, Fraction(0)) / len(areas) * MILLION))


def _area(scores: NDArray[Any], positive: NDArray[np.bool_]) -> Fraction:
    ones, others = scores[positive], np.sort(scores[~positive])
    below = np.searchsorted(others, ones, side="left").sum(dtype=np.int64)
    not_above = np.searchsorted(others, ones, side="right").sum(dtype=np.int64)
    return Fraction(int(below) + int(not_above), 2 * len(ones) * len(others))


def _dice(outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    n = len(targets)
    if outputs.size != targets.size:
        raise DataError(
            Code.DATA_SHAPE,
            f"a model whose outputs have the shape {outputs.shape} for masks of shape {targets.shape}",
            expected="one logit for each element of the mask",
        )
    logits, wanted = outputs.reshape(n, -1), targets.reshape(n, -1) == 1
    inside = logits > 0
    both = 2 * (inside & wanted).sum(axis=1)
    sums = inside.sum(axis=1) + wanted.sum(axis=1)
    dice = np.where(sums == 0, 1.0, both / np.maximum(sums, 1))
    return np.where(np.isfinite(logits).all(axis=1), dice, np.nan)
