"""Four hospitals with a share each of the breast cancer records that scikit-learn ships."""

from __future__ import annotations

from typing import Any

from tclearn import Charter, Result, SklearnTrainer, simulate
from tclearn.learning.datasets import load, partition

OF_SIMULATE = ("members", "local_tests", "trainer", "seed", "directory", "adversaries", "contributions")


def logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def tumours(members: int = 4):
    """The members' data by name, and G."""
    data = load("breast-cancer")
    names = [f"hospital-{number}" for number in range(1, members + 1)]
    parts = {name: (part.inputs, part.targets) for name, part in partition(data, names, 1).items()}
    return parts, (data.test.inputs, data.test.targets)


def coalition(**changes: Any) -> Result:
    """A coalition of logistic regressions; keywords of ``simulate`` go there, others into its charter.

    λ is lower than usual: G has 113 records, and a model that misses four more of them is no worse model.
    """
    parts, test = tumours()
    given: dict[str, Any] = {"members": parts, "global_test": test, "trainer": SklearnTrainer(epochs=50), "seed": 1}
    given |= {name: changes.pop(name) for name in OF_SIMULATE if name in changes}
    settings: dict[str, Any] = {"name": "tumours", "model": logistic, "metric": "accuracy", "blocks": 4}
    return simulate(Charter(**{**settings, "local_test": 0.2, "minimum_batch": 1, "lambda_": 0.95, **changes}), **given)
