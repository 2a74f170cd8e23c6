"""A member's own data at fault: a coded error that says what is wrong and names the record."""

from __future__ import annotations

import numpy as np
import pytest

from tclearn import Charter, SklearnTrainer, simulate
from tclearn.errors import Code, DataError


def model():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def records(seed, n=60):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3))
    return x, (x.sum(1) > 0).astype(np.int64)


def coalition(first, *, blocks=3, **changes):
    """Runs a coalition whose first member has these data; returns its result."""
    return simulate(
        Charter(
            **{
                "name": "data",
                "model": model,
                "metric": "accuracy",
                "blocks": blocks,
                "minimum_batch": 1,
                "lambda_": 0.5,
                **changes,
            }
        ),
        members={"a": first, "b": records(2), "c": records(3)},
        global_test=records(9),
        trainer=SklearnTrainer(epochs=20),
        seed=1,
    )


def refused(first, **changes):
    with pytest.raises(DataError) as error:
        coalition(first, **changes)
    assert str(error.value).startswith(f"error[TCL-{error.value.code:03d}]")
    return error.value


class MapStyle:
    """A data set that is asked record by record."""

    def __init__(self, x, y, change=lambda x: x):
        self.x, self.y, self.change = x, y, change

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.change(self.x[index]), self.y[index]


def test_data_that_stay_the_same_are_taken():
    assert len(coalition(MapStyle(*records(1))).blocks) == 3
    assert len(coalition(lambda: records(1)).blocks) == 3


def test_augmentation_in_the_data_set_is_found_when_it_is_read():
    random = np.random.default_rng(5)
    x, y = records(1)
    error = refused(MapStyle(x, y, lambda row: row + random.normal(scale=0.01, size=row.shape)))
    assert error.code == Code.DATA_CHANGED
    assert "another one when it is read again" in error.what and "augmentation" in error.remedy


def test_a_record_that_changes_after_it_was_used():
    x, y = records(1)
    seen: list[None] = []

    def asked():
        seen.append(None)
        changed = x.copy()
        if len(seen) > 2:  # after the first contribution
            changed[:] += 1e-3
        return changed, y

    error = refused(asked, blocks=6)
    assert error.code == Code.DATA_CHANGED
    assert "count on the ledger" in error.what


def test_records_may_be_added_between_contributions():
    x, y = records(1, n=90)
    seen: list[None] = []

    def asked():
        seen.append(None)
        return (x[:60], y[:60]) if len(seen) < 3 else (x, y)

    assert len(coalition(asked, blocks=6).blocks) == 6
    assert len(seen) >= 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_numbers_that_are_none_are_named(value):
    x, y = records(1)
    x[17, 1] = value
    error = refused((x, y))
    assert error.code == Code.DATA_UNREADABLE
    assert "record 17" in error.what


def test_a_label_that_is_nan():
    x, y = records(1)
    error = refused((x, np.where(np.arange(60) == 3, np.nan, y)))
    assert error.code == Code.DATA_UNREADABLE and "record 3" in error.what


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ((np.zeros((0, 3)), np.zeros(0)), Code.DATA_SHAPE),
        ((records(1)[0], records(1)[1][:-1]), Code.DATA_SHAPE),
        ((records(1)[0][:, :2], records(1)[1]), Code.DATA_SHAPE),
        ((records(1)[0], records(1)[1] + 7), Code.DATA_SHAPE),
        (records(9), Code.DATA_SHAPE),  # all of them are in G
        ((np.array([["x"] * 3] * 60), records(1)[1]), Code.DATA_SHAPE),
        (7, Code.DATA_UNREADABLE),
    ],
)
def test_data_of_another_form(data, code):
    assert refused(data).code == code


def test_a_callable_that_fails_says_so_with_its_own_words():
    def broken():
        raise OSError("the disk with the images is not mounted")

    error = refused(broken)
    assert error.code == Code.DATA_UNREADABLE
    assert "the disk with the images is not mounted" in error.what
