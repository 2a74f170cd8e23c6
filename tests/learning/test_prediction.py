"""Predictions: what a model answers to inputs, in the words of the metric that it was trained for."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.learning.tables import FEATURES, masks, network, table, task

from tclearn.errors import Code, DataError, ParametersError, TCLearnError, UsageError
from tclearn.learning.inputs import inputs_in, inputs_of
from tclearn.learning.metrics import answers
from tclearn.learning.parameters import Parameters
from tclearn.learning.prediction import Outputs, Predictions, predict
from tclearn.learning.prediction_files import as_csv, as_json, as_npz, writer_for
from tclearn.learning.trainer import LocalData
from tclearn.learning.trainers.sklearn import SklearnTrainer
from tclearn.learning.trainers.torch import TorchTrainer


def logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def trained(recipe: Any, of: Any) -> Parameters:
    from tests.learning.tables import work

    member = recipe.bind(of, LocalData(table(80, seed=1)))
    contribution = member.train(member.initial(1), work())
    assert contribution is not None
    parameters: Parameters = contribution.parameters
    return parameters


@pytest.mark.parametrize(
    ("recipe", "model"), [(TorchTrainer(), network), (SklearnTrainer(), logistic)], ids=["torch", "sklearn"]
)
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "auc"])
def test_a_prediction_is_what_was_measured(recipe: Any, model: Any, metric: str) -> None:
    of = task(model=model, metric=metric)
    parameters = trained(recipe, of)
    unseen = table(50, seed=5)
    found = predict(recipe, of, parameters, unseen.inputs)
    assert found.classes is not None and found.scores is not None and found.masks is None
    assert found.classes.dtype == np.int64 and found.answered.all() and len(found) == 50
    right = int((found.classes == unseen.targets).sum())
    measured = recipe.bind(task(model=model, global_test=unseen), LocalData(None)).measure(
        parameters, parameters, frozenset()
    )
    assert right == measured.on_global.candidate > 25


def test_the_labels_are_those_of_the_recipe() -> None:
    of = task(model=logistic, global_test=_relabelled(table(40, seed=99)))
    recipe = SklearnTrainer(classes=[3, 7])
    member = recipe.bind(of, LocalData(_relabelled(table(80, seed=1))))
    found = predict(recipe, of, member.initial(1), table(20, seed=2).inputs)
    assert found.classes is not None
    assert set(found.classes.tolist()) <= {3, 7}


def _relabelled(records: Any) -> Any:
    return records.inputs, np.where(records.targets == 1, 7, 3)


def test_more_classes_and_their_scores() -> None:
    def wide() -> Any:
        return network(classes=3)

    of = task(model=wide, global_test=table(40, classes=3))
    recipe = TorchTrainer()
    parameters = recipe.bind(of, LocalData(None)).initial(3)
    inputs = table(30, seed=4).inputs
    found = predict(recipe, of, parameters, inputs)
    outputs = recipe.outputs(of, parameters, inputs).values
    assert found.classes is not None and found.scores is not None
    assert np.array_equal(found.classes, outputs.argmax(1))
    assert np.array_equal(found.scores, outputs.max(1).astype(np.float64))


class Given:
    """A recipe whose models answer what they are told to."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float32)

    def hyperparameters(self) -> dict[str, int]:
        return {}

    def bind(self, task: Any, data: Any) -> Any:
        raise AssertionError

    def outputs(self, task: Any, parameters: Any, inputs: Any) -> Outputs:
        return Outputs(self.values)


def answered(values: Any, metric: str = "accuracy") -> Predictions:
    recipe = Given(values)
    return predict(recipe, task(metric=metric), Parameters({"w": np.zeros(1)}), np.zeros((len(recipe.values), 2)))


def test_one_output_a_record_means_class_one_above_zero() -> None:
    for values in ([-1.0, 0.0, 2.0], [[-1.0], [0.0], [2.0]]):
        found = answered(values)
        assert found.classes is not None and found.scores is not None
        assert found.classes.tolist() == [0, 0, 1]
        assert found.scores.tolist() == [-1.0, 0.0, 2.0]


def test_what_is_no_number_is_no_answer() -> None:
    found = answered([[1.0, 2.0], [np.nan, 1.0], [np.inf, 0.0]])
    assert found.answered.tolist() == [True, False, False]
    assert as_csv(found).decode() == "record,class,score\n0,1,2.0\n1,,\n2,,\n"
    assert json.loads(as_json(found)) == [{"class": 1, "score": 2.0}, None, None]


def test_masks() -> None:
    def segmenter() -> Any:
        from torch import nn

        return nn.Conv2d(1, 1, 3, padding=1)

    images, wanted = masks(6)
    of = task(model=segmenter, metric="dice", global_test=(images, wanted))
    recipe = TorchTrainer()
    parameters = recipe.bind(of, LocalData(None)).initial(1)
    found = predict(recipe, of, parameters, images)
    assert found.masks is not None and found.classes is None
    assert found.masks.shape[0] == 6 and found.masks.dtype == np.uint8 and set(np.unique(found.masks)) <= {0, 1}
    logits = recipe.outputs(of, parameters, images).values
    assert np.array_equal(found.masks, logits > 0)
    with np.load(io.BytesIO(as_npz(found))) as archive:
        assert np.array_equal(archive["masks"], found.masks) and archive["answered"].all()
    with pytest.raises(UsageError, match="masks"):
        as_csv(found)


def test_answers_agree_with_the_metric_for_any_outputs() -> None:
    values = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    found = answered(values)
    assert found.classes is not None
    assert np.array_equal(found.classes, answers("accuracy", values, np.zeros(200, np.int64)))


def test_what_does_not_fit_together() -> None:
    recipe, of = TorchTrainer(), task()
    parameters = recipe.bind(of, LocalData(None)).initial(1)
    with pytest.raises(DataError, match="the model cannot take the inputs"):
        predict(recipe, of, parameters, np.zeros((3, FEATURES + 1), np.float32))
    with pytest.raises(ParametersError):
        predict(recipe, of, Parameters({"w": np.zeros(1)}), np.zeros((3, FEATURES), np.float32))
    linear = SklearnTrainer()
    own = task(model=logistic)
    weights = linear.bind(own, LocalData(None)).initial(1)
    with pytest.raises(DataError, match="the inputs have 5 features"):
        predict(linear, own, weights, np.zeros((3, 5)))
    with pytest.raises(ParametersError, match="without coefficients"):
        predict(linear, own, Parameters({"w": np.zeros(1)}), np.zeros((3, FEATURES)))

    class Measures:
        def hyperparameters(self) -> dict[str, int]:
            return {}

        def bind(self, task: Any, data: Any) -> Any:
            return None

    with pytest.raises(UsageError, match="Measures cannot predict"):
        predict(Measures(), of, parameters, np.zeros((1, FEATURES)))


def test_asking_leaves_the_trainer_as_it_was() -> None:
    """A member may predict while its agent trains: the same increments come out."""
    alone, beside = TorchTrainer(), TorchTrainer()
    of = task()
    first = trained(alone, of)
    start = beside.bind(of, LocalData(None)).initial(1)
    predict(beside, of, start, table(9).inputs)
    assert trained(beside, of).digest == first.digest


# --- where inputs come from -----------------------------------------------------------------------------------------


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_arrays_data_sets_and_callables() -> None:
    records = table(7)
    import torch

    for source in (
        records.inputs,
        torch.from_numpy(records.inputs),
        records,
        (records.inputs, records.targets),
        lambda: records.inputs,
        lambda: (records.inputs, records.targets),
    ):
        assert np.array_equal(inputs_of(source, "these"), records.inputs)


def test_files() -> None:
    x = table(7).inputs
    for name, data in (
        ("a.npy", npy(x)),
        ("a.npy", npy(np.asfortranarray(x))),
        ("a.npz", npz(inputs=x, targets=np.zeros(7))),
        ("a.npz", npz(x=x, y=np.zeros(7))),
        ("a.npz", npz(only=x)),
    ):
        found = inputs_in(Path(name), data)
        assert np.array_equal(found, x) and found.dtype == x.dtype
    rows = "\n".join(",".join(map(repr, map(float, row))) for row in x)
    for text in (rows, "a,b,c,d\n" + rows, "\ufeff" + rows + "\n\n", rows.replace("\n", "\r\n")):
        assert np.array_equal(inputs_in(Path("a.csv"), text.encode()), x.astype(np.float64))


class Trap:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.npy", npy(np.array([Trap()], object)), "no array of numbers"),
        ("a.npz", npz(x=np.array([Trap()], object)), "no array of numbers"),
        ("a.npy", npy(np.array(["text"])), "no array of numbers"),
        ("a.npy", npy(np.zeros(3))[:-1], "cut off|in 1"),
        ("a.npy", npy(np.zeros(3)).replace(b"(3,)", b"(9,)"), "cut off"),
        ("a.npy", npy(np.zeros(3)).replace(b"'shape': (3,)", b"'shape': (-3)"), "cannot be read"),
        ("a.npy", b"", "cannot be read"),
        ("a.npz", b"PK\x03\x04" + bytes(50), "cannot be read"),
        ("a.npz", npz(a=np.zeros(3), b=np.zeros(3)), "2 arrays"),
        ("a.npz", npz(x=np.zeros(0)), "is empty"),
        ("a.npz", npz(x=np.array([1.0, np.nan])), "NaN"),
        ("a.csv", b"", "no line with numbers"),
        ("a.csv", b"a,b\n", "no line with numbers"),
        ("a.csv", b"1,2\n3\n", "line 2 has 1 cells"),
        ("a.csv", b"1,2\n3,four\n", "'four'"),
        ("a.csv", b"1,2\n3,nan\n", "NaN"),
        ("a.csv", b"\xff\xfe1", "not text"),
        ("a.csv", b'1,"2\n', "cannot be read"),
        ("a.txt", b"1", "no file of inputs"),
    ],
)
def test_files_that_are_none(name: str, data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as refused:
        inputs_in(Path(name), data)
    assert refused.value.code in (Code.DATA_UNREADABLE, Code.DATA_SHAPE)


def test_a_header_that_asks_for_more_than_there_is() -> None:
    def claimed(*shape: int) -> bytes:
        buffer = io.BytesIO()
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, header)
        return buffer.getvalue() + bytes(24)

    for shape in ((1 << 40,), (1 << 62, 4), (100, 100), (1 << 40, 0, 1 << 40)):
        with pytest.raises(DataError):
            inputs_in(Path("a.npy"), claimed(*shape))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.npy", claimed(1 << 40))
    with pytest.raises(DataError):
        inputs_in(Path("a.npz"), archive.getvalue())


def test_the_file_is_read_back_by_others() -> None:
    found = answered([[1.0, 3.0], [5.0, 2.0]])
    read = list(csv.DictReader(io.StringIO(as_csv(found).decode())))
    assert read == [{"record": "0", "class": "1", "score": "3.0"}, {"record": "1", "class": "0", "score": "5.0"}]
    with np.load(io.BytesIO(as_npz(found))) as archive:
        assert archive["classes"].tolist() == [1, 0]
    with pytest.raises(TCLearnError, match="no name for predictions"):
        writer_for(Path("out.txt"))
