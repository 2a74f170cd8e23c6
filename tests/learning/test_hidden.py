"""Hidden parts as data: divided the same each time, written and read, and never trained on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.learning.tables import FEATURES, table, task, work

from tclearn.encoding import Digest
from tclearn.errors import Code, DataError
from tclearn.learning import hidden
from tclearn.learning.data_ids import data_ids, data_set_digest, record_digests
from tclearn.learning.hidden import divide, opened, read_part, without, write_part
from tclearn.learning.member import MemberTrainer
from tclearn.learning.records import Records
from tclearn.learning.tensorfile import write_tensors
from tclearn.learning.trainer import HiddenTests, LocalData
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.limits import HIDDEN_PARTS_MAX


def bound(hidden_test: Any = None, training: Any = None, parts: int = 3, **changes: Any) -> MemberTrainer:
    data = LocalData(table(30) if training is None else training, hidden_test=hidden_test, hidden_parts=parts)
    trainer = TorchTrainer(epochs=1).bind(task(**changes), data)
    assert isinstance(trainer, MemberTrainer)
    return trainer


def shuffled(records: Records) -> Records:
    return records.take(np.random.default_rng(5).permutation(len(records)))


def joined(*each: Records) -> Records:
    return Records(np.concatenate([one.inputs for one in each]), np.concatenate([one.targets for one in each]))


def named(*each: Records) -> frozenset[Digest]:
    return frozenset(digest for one in each for digest in record_digests(one))


# --- dividing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "parts", "sizes"), [(10, 3, [4, 3, 3]), (2, 5, [1, 1]), (6, 1, [6])])
def test_the_same_records_give_the_same_parts_in_whatever_order(count, parts, sizes):
    records = table(count, seed=3)
    divided = divide(records, parts)
    assert [len(part) for part in divided] == sizes
    again = divide(shuffled(records), parts)
    assert all(one.same_as(other) for one, other in zip(divided, again, strict=True))
    digests = [digest for part in divided for digest in record_digests(part)]
    assert sorted(digests) == sorted(record_digests(records))


@pytest.mark.parametrize("parts", [0, -1, HIDDEN_PARTS_MAX + 1])
def test_a_number_of_parts_that_cannot_be_is_refused(parts):
    with pytest.raises(DataError, match="hidden parts") as error:
        divide(table(10), parts)
    assert error.value.code == Code.DATA_SHAPE


def test_a_part_that_is_too_large_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(hidden, "HIDDEN_PART_BYTES_MAX", 5000)
    with pytest.raises(DataError, match="more parts") as error:
        divide(table(100), 1)
    assert error.value.code == Code.TOO_LARGE
    divide(table(100), 4)


def test_a_part_of_too_many_records_is_neither_made_nor_read(monkeypatch):
    monkeypatch.setattr(hidden, "HIDDEN_PART_RECORDS_MAX", 7)
    assert [len(part) for part in divide(table(14), 2)] == [7, 7]
    too_many = write_part(table(8))
    for attempt in (lambda: divide(table(15), 2), lambda: read_part(too_many)):
        with pytest.raises(DataError, match="a hidden part of 8 records") as error:
            attempt()
        assert error.value.code == Code.TOO_LARGE


def test_records_that_are_known_are_left_out_and_copies_too():
    records = table(10, seed=3)
    left = without(joined(records, records), named(records.take([0, 1, 5])))
    assert left is not None
    assert sorted(record_digests(left)) == sorted(record_digests(records.take([2, 3, 4, 6, 7, 8, 9])))
    assert without(records, named(records)) is None


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_part_is_read_as_it_was_written():
    records = table(7)
    data = write_part(records)
    assert data == write_part(records)
    assert read_part(data).same_as(records)
    assert opened(data, data_set_digest(records), 7).same_as(records)
    images = Records(np.arange(16, dtype=np.uint8).reshape(2, 2, 4), np.array([True, False]))
    assert read_part(write_part(images)).same_as(images)


def test_the_commitment_does_not_depend_on_element_types():
    records = table(7)
    wide = Records(records.inputs.astype(np.float64), records.targets.astype(np.int32))
    assert write_part(wide) != write_part(records)
    assert opened(write_part(wide), data_set_digest(records), 7).same_as(wide)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.DATA_UNREADABLE),
        (b"PK\x03\x04" + bytes(60), Code.DATA_UNREADABLE),
        (write_tensors({"inputs": np.zeros((2, 1))}), Code.DATA_SHAPE),
        (write_tensors({"inputs": np.zeros((2, 1)), "labels": np.zeros(2)}), Code.DATA_SHAPE),
        (write_tensors({"inputs": np.zeros((2, 1)), "targets": np.zeros(3)}), Code.DATA_SHAPE),
        (write_tensors({"inputs": np.zeros((0, 1)), "targets": np.zeros(0)}), Code.DATA_SHAPE),
        (write_tensors({"inputs": np.full((2, 1), np.nan), "targets": np.zeros(2)}), Code.DATA_UNREADABLE),
    ],
)
def test_what_is_no_part_is_refused_by_code(data, code):
    with pytest.raises(DataError) as error:
        read_part(data)
    assert error.value.code == code


@pytest.mark.parametrize(("inputs", "targets"), [([1 << 40, 0], [1 << 40, 0]), ([3, 0], [3]), ([3, 2, 0], [3, 0, 9])])
def test_a_file_of_a_few_bytes_does_not_claim_records_without_end(inputs, targets):
    size = 8 * 3 if targets == [3] else 0
    header = json.dumps(
        {
            "inputs": {"dtype": "F32", "shape": inputs, "data_offsets": [0, 0]},
            "targets": {"dtype": "I64", "shape": targets, "data_offsets": [0, size]},
        }
    ).encode()
    data = len(header).to_bytes(8, "little") + header + bytes(size)
    with pytest.raises(DataError, match="a hidden part has inputs of shape") as error:
        opened(data, Digest(bytes(32)), inputs[0])
    assert error.value.code == Code.DATA_SHAPE


def test_other_records_than_those_committed_to_are_refused():
    records = table(7)
    for wrong in (records.take([0, 1]), shuffled(records)):
        with pytest.raises(DataError, match="that were committed to") as error:
            opened(write_part(wrong), data_set_digest(records), 7)
        assert error.value.code == Code.DATA_CHANGED


# --- the member ------------------------------------------------------------------------------------------------------


def test_hidden_records_are_never_trained_on():
    own = table(30)
    trainer = bound(own.take(range(10)), training=own, local_share=0)
    contribution = trainer.train(trainer.initial(1), work())
    assert contribution is not None
    assert set(contribution.data_ids) == set(data_ids(own.take(range(10, 30)), b"k" * 32))
    found = trainer.inventory(frozenset())
    assert (found.tested, found.hidden) == (10, 10)


def test_records_of_g_and_records_that_were_shown_are_not_hidden_again():
    hidden_test, known = table(20, seed=7), table(40, seed=99)
    both = joined(hidden_test, known)
    trainer = bound(both)
    first = trainer.hidden_parts(frozenset())
    assert [len(part) for part in first] == [7, 7, 6]
    assert sorted(d for part in first for d in record_digests(part)) == sorted(record_digests(hidden_test))
    assert all(a.same_as(b) for a, b in zip(first, bound(both).hidden_parts(frozenset()), strict=True))
    rest = trainer.hidden_parts(named(*first[:2]))
    assert sum(map(len, rest)) == 6
    assert trainer.hidden_parts(named(*first)) == ()
    assert bound().hidden_parts(frozenset()) == ()


def test_a_callable_may_bring_more_later_but_nothing_that_was_held_for_training():
    own, given = table(30), [table(6, seed=7)]
    trainer = bound(lambda: given[-1], training=own)
    first = trainer.hidden_parts(frozenset())
    given.append(joined(*given, table(4, seed=8), own))
    later = trainer.hidden_parts(named(*first))
    assert sorted(d for part in later for d in record_digests(part)) == sorted(record_digests(table(4, seed=8)))
    given.append(None)  # type: ignore[arg-type] # nothing for now
    assert trainer.hidden_parts(named(*first)) == ()


def test_a_part_of_somebody_else_is_measured_as_g_is():
    trainer = bound()
    start = trainer.initial(1)
    contribution = trainer.train(start, work())
    assert contribution is not None
    same = trainer.compare(start, contribution.parameters, table(40, seed=99))
    assert same == trainer.measure(start, contribution.parameters, frozenset()).on_global
    other = trainer.compare(start, contribution.parameters, table(25, seed=5))
    assert other is not None
    assert (other.n, other.fault("accuracy")) == (25, None)


@pytest.mark.parametrize(
    "records",
    [
        Records(np.zeros((5, FEATURES + 1), np.float32), np.zeros(5, np.int64)),
        Records(np.zeros((5, FEATURES), np.float32), np.zeros((5, 2), np.int64)),
        Records(np.zeros((5, FEATURES), np.float32), np.full(5, 7)),
        Records(np.zeros((5, FEATURES), np.float32), np.full(5, -1)),
        Records(np.zeros((5, FEATURES), np.float32), np.full(5, 0.5, np.float32)),
    ],
    ids=["features", "shape of the targets", "a class too many", "a negative class", "half a class"],
)
def test_a_part_that_cannot_be_measured_says_nothing(records):
    trainer = bound()
    start = trainer.initial(1)
    assert trainer.compare(start, start, records) is None


def test_a_metric_that_is_not_defined_on_a_part_says_nothing():
    trainer = bound(metric="auc")
    start = trainer.initial(1)
    one_class = Records(table(5).inputs, np.zeros(5, np.int64))
    assert trainer.compare(start, start, one_class) is None


def test_hidden_records_must_have_the_form_of_g():
    with pytest.raises(DataError, match="the hidden test set has inputs of shape") as error:
        bound(Records(np.zeros((5, FEATURES + 1), np.float32), np.zeros(5, np.int64)))
    assert error.value.code == Code.DATA_SHAPE


def test_a_trainer_of_ours_knows_hidden_tests_and_one_that_does_not_is_no_worse():
    assert isinstance(bound(), HiddenTests)

    class Plain:
        def measure(self, *_: Any) -> None: ...

    assert not isinstance(Plain(), HiddenTests)
