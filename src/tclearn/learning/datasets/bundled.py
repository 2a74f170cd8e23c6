"""Data sets that scikit-learn ships: there without any network."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, UnreachableError
from tclearn.learning.datasets.dataset import Dataset
from tclearn.learning.datasets.split import stratified_split
from tclearn.learning.records import Records

_TEST_SHARE: Final = 0.2
_SEED: Final = 0


def digits() -> Dataset:
    """1,797 grey images of hand-written digits, ``(1, 8, 8)``, 0 to 1; a fifth of each digit to test.

    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits" (its test part), UCI.
    """
    images, targets = _loaded("load_digits")
    inputs = (images / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    train, test = stratified_split(Records(inputs, targets), _TEST_SHARE, _SEED)
    return Dataset("digits", train, test, 10)


def breast_cancer() -> Dataset:
    """569 tumours with 30 features of their cells' nuclei, 0 malignant, 1 benign; a fifth of each class to test.

    Each feature is shifted and scaled to mean 0 and deviation 1 over the training records.
    Source: Wolberg et al. 1995, "Breast Cancer Wisconsin (Diagnostic)", UCI.
    """
    features, targets = _loaded("load_breast_cancer")
    train, test = stratified_split(Records(features, targets), _TEST_SHARE, _SEED)
    # Rounded, because processors add up in different orders and the digest must be the same on all of them.
    mean, deviation = (
        values.astype(np.float32).astype(np.float64) for values in (train.inputs.mean(axis=0), train.inputs.std(axis=0))
    )
    scaled = (Records(((part.inputs - mean) / deviation).astype(np.float32), part.targets) for part in (train, test))
    return Dataset("breast-cancer", next(scaled), next(scaled), 2)


def _loaded(name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise UnreachableError(
            Code.DATA_MISSING,
            "the data set comes with scikit-learn, which is not installed",
            remedy="pip install 'tclearn[sklearn]'",
        ) from error
    inputs, targets = getattr(datasets, name)(return_X_y=True)
    return inputs, targets.astype(np.int64)
