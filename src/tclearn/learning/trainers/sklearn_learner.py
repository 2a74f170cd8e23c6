"""The half of ``SklearnTrainer`` that computes: estimators that are given parameters and go on from them."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tclearn.errors import CharterError, Code, DataError, ParametersError, UsageError
from tclearn.learning.drawing import derived, normal
from tclearn.learning.metrics import check_targets
from tclearn.learning.parameters import Layout, Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Task

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Table:
    """Records as the estimators take them: ``(n, features) float64`` and their labels."""

    inputs: NDArray[np.float64]
    labels: NDArray[np.int64]


class SklearnLearner:
    """See ``tclearn.learning.measurement.Learner``.

    Args:
        task: names the model factory.
        global_test: G, for the number of features.
        labels: of the classes, ascending.
        hyperparameters: the recipe's.

    Raises:
        CharterError: the factory fails, or its estimator cannot go on from given parameters.
        UsageError: a batch size or learning rate is set that the estimator does not have.
    """

    def __init__(
        self, task: Task, global_test: Records, labels: Sequence[int], hyperparameters: Mapping[str, int]
    ) -> None:
        self._task = task
        self._labels = np.array(labels, dtype=np.int64)
        self._features = global_test.inputs[0].size
        self._hyperparameters = hyperparameters
        self._estimator = _made(task)
        self._options(hyperparameters)
        try:
            self._layout = _exported(self._blank({})).layout
        except ValueError as error:
            raise _unsuited(f"an estimator that cannot be trained ({error})") from error

    @property
    def layout(self) -> Layout:
        """The model's tensors: ``coef_`` and ``intercept_``, or ``coefs_.0``, ``intercepts_.0`` and so on."""
        return self._layout

    def initial(self, seed: int) -> Parameters:
        """M_0: coefficients normal with standard deviation √(2 / fan-in), intercepts zero."""
        tensors = {}
        for tensor in self._layout:
            if tensor.name.startswith("coef"):
                fan_in = tensor.shape[1] if tensor.name == "coef_" else tensor.shape[0]
                deviation = float(np.sqrt(2 / fan_in))
                tensors[tensor.name] = normal(seed, tensor.name, tensor.shape, deviation, np.dtype(np.float64))
            else:
                tensors[tensor.name] = np.zeros(tensor.shape)
        return Parameters(tensors)

    def prepare(self, records: Records, what: str) -> Table:
        """The records as a table; see ``Learner.prepare``."""
        inputs = self._features_of(records.inputs, f"{what} has", "as G has")
        unknown = np.setdiff1d(records.targets, self._labels)
        if len(unknown):
            raise DataError(
                Code.DATA_SHAPE,
                f"{what} has the target {unknown[0]}",
                expected=f"one of {self._labels.tolist()}",
                remedy="name all classes in SklearnTrainer(classes=...)",
            )
        check_targets(self._task.metric, np.zeros((1, len(self._labels))), self.targets(records), what)
        return Table(inputs, records.targets.reshape(-1).astype(np.int64))

    def unlabelled(self, inputs: NDArray[Any]) -> Table:
        """Inputs whose targets nobody knows, ``(n, …)``, for ``outputs``.

        Raises:
            DataError: they have another number of features than the model.
        """
        return Table(self._features_of(inputs, "the inputs have", "as the model has"), np.empty(0, np.int64))

    def targets(self, records: Records) -> NDArray[Any]:
        """The targets as metrics take them: positions among the labels."""
        return np.searchsorted(self._labels, records.targets)

    def fit(self, start: Parameters, prepared: Table, seed: int, hyperparameters: Mapping[str, int]) -> Parameters:
        """Train for the ledger's number of epochs, from ``start`` and a fresh optimizer; see ``Learner.fit``."""
        known = {**self._hyperparameters, **hyperparameters}
        # A generator, not a number: with a number each pass of partial_fit would shuffle alike.
        random = np.random.RandomState(derived(seed, "train") & 0xFFFF_FFFF)
        estimator = self._blank(self._options(known), random)
        _give(estimator, start)
        try:
            with _quiet():
                if isinstance(estimator, LogisticRegression):
                    estimator.set_params(max_iter=known["epochs"], warm_start=True)
                    # A record of each class, of no weight, so that all classes are known.
                    inputs = np.vstack([prepared.inputs, np.zeros((len(self._labels), self._features))])
                    weights = np.concatenate([np.ones(len(prepared.inputs)), np.zeros(len(self._labels))])
                    estimator.fit(inputs, np.concatenate([prepared.labels, self._labels]), sample_weight=weights)
                else:
                    for _ in range(known["epochs"]):
                        estimator.partial_fit(prepared.inputs, prepared.labels)
        except (ValueError, FloatingPointError) as error:
            raise _failed(f"training stopped with {type(error).__name__}: {error}") from error
        result = _exported(estimator)
        if not result.finite:
            raise _failed("training ended in NaN or infinite weights")
        return result

    def outputs(self, parameters: Parameters, prepared: Table) -> Generator[NDArray[Any]]:
        """Decision values of the linear models, probabilities of the perceptron; see ``Learner.outputs``."""
        estimator = self.model(parameters)
        with _quiet():
            score = getattr(estimator, "decision_function", None) or estimator.predict_proba
            result: NDArray[Any] = score(prepared.inputs)
        yield result

    def model(self, parameters: Parameters) -> Any:
        """A fitted estimator."""
        estimator = self._blank({})
        _give(estimator, parameters)
        return estimator

    def _features_of(self, inputs: NDArray[Any], what: str, expected: str) -> NDArray[np.float64]:
        table = inputs.reshape(len(inputs), -1).astype(np.float64, copy=False)
        if table.shape[1] != self._features:
            raise DataError(
                Code.DATA_SHAPE, f"{what} {table.shape[1]} features", expected=f"{self._features}, {expected}"
            )
        return table

    def _options(self, known: Mapping[str, int]) -> dict[str, Any]:
        """The hyper-parameters, by the names that the estimator has for them."""
        perceptron = isinstance(self._estimator, MLPClassifier)
        rated = isinstance(self._estimator, SGDClassifier) and self._estimator.learning_rate != "optimal"
        names = {
            "batch_size": "batch_size" if perceptron else None,
            "learning_rate": "learning_rate_init" if perceptron else "eta0" if rated else None,
        }
        options: dict[str, Any] = {}
        for name, own in names.items():
            if name in known and own is None:
                raise UsageError(
                    Code.USAGE,
                    f"{name} is set, and {type(self._estimator).__name__} has none to set",
                    remedy=f"leave {name} out of SklearnTrainer(...)",
                )
            if name in known and own is not None:
                options[own] = known[name] / MILLION if name == "learning_rate" else known[name]
        return options

    def _blank(self, options: Mapping[str, Any], random: Any = None) -> Any:
        """An estimator that has been through its fitting once, so that it has all its attributes."""
        estimator = clone(self._estimator).set_params(**options)
        inputs = np.zeros((len(self._labels), self._features))
        with _quiet():
            if isinstance(estimator, LogisticRegression):
                estimator.set_params(max_iter=1).fit(inputs, self._labels)
                estimator.set_params(max_iter=self._estimator.max_iter)
            else:
                estimator.set_params(random_state=0).partial_fit(inputs, self._labels, classes=self._labels)
        return estimator.set_params(random_state=random)


def features_of(layout: Layout) -> int:
    """The number of features of a model that a ``SklearnLearner`` has made, by its tensors.

    Raises:
        ParametersError: there is no such tensor.
    """
    shapes = {tensor.name: tensor.shape for tensor in layout}
    for name, axis in (("coef_", 1), ("coefs_.0", 0)):
        if len(shapes.get(name, ())) == 2:
            return shapes[name][axis]
    raise ParametersError(
        Code.PARAMETERS_SHAPE, "a model without coefficients", expected="the tensor coef_ or coefs_.0 of two dimensions"
    )


def _made(task: Task) -> Any:
    try:
        estimator = task.model(**task.arguments)
    except Exception as error:  # the user's factory
        raise _unsuited(f"a model factory that raised {type(error).__name__}: {error}") from error
    if not isinstance(estimator, SGDClassifier | LogisticRegression | MLPClassifier):
        raise _unsuited(f"a model factory that made a {type(estimator).__name__}")
    if isinstance(estimator, SGDClassifier) and estimator.average:
        raise _unsuited("an SGDClassifier with average set")
    if isinstance(estimator, LogisticRegression) and estimator.solver == "liblinear":
        raise _unsuited("a LogisticRegression with the solver liblinear, which starts anew each time")
    if isinstance(estimator, MLPClassifier) and (estimator.solver == "lbfgs" or estimator.early_stopping):
        raise _unsuited("an MLPClassifier with the solver lbfgs or early stopping")
    return estimator


def _exported(estimator: Any) -> Parameters:
    if not isinstance(estimator, MLPClassifier):
        return Parameters({"coef_": estimator.coef_, "intercept_": estimator.intercept_})
    named = {f"coefs_.{index}": values for index, values in enumerate(estimator.coefs_)}
    return Parameters(named | {f"intercepts_.{index}": values for index, values in enumerate(estimator.intercepts_)})


def _give(estimator: Any, parameters: Parameters) -> None:
    if not isinstance(estimator, MLPClassifier):
        estimator.coef_, estimator.intercept_ = parameters["coef_"].copy(), parameters["intercept_"].copy()
        estimator.t_ = 1.0
        return
    for index, values in enumerate(estimator.coefs_):
        np.copyto(values, parameters[f"coefs_.{index}"])
    for index, values in enumerate(estimator.intercepts_):
        np.copyto(values, parameters[f"intercepts_.{index}"])
    # What it remembers of the pass that made its attributes: moments, counts of records, the losses so far.
    del estimator._optimizer
    estimator.t_, estimator.n_iter_, estimator._no_improvement_count = 0, 0, 0
    estimator.loss_curve_, estimator.best_loss_ = [], np.inf


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), threadpool_limits(limits=1), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Got `batch_size`")
        yield


def _unsuited(what: str) -> CharterError:
    return CharterError(
        Code.CHARTER_MODEL,
        what,
        expected="an SGDClassifier, LogisticRegression or MLPClassifier that can go on from given parameters",
    )


def _failed(what: str) -> DataError:
    return DataError(
        Code.TRAINING_FAILED,
        what,
        expected="finite numbers",
        remedy="scale the inputs to about -1 to 1, or lower the learning rate",
    )
