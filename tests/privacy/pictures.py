"""Digits, a task on them and a network, for the tests of attacks."""

from __future__ import annotations

from tclearn.learning.datasets import load
from tclearn.learning.networks import paper_cnn
from tclearn.learning.records import Records
from tclearn.learning.trainer import Task

NETWORK = {"side": 8, "filters": 32, "hidden": 128}
DIGITS = load("digits")
G = DIGITS.test


def task() -> Task:
    return Task(model=paper_cnn, arguments=NETWORK, metric="accuracy", global_test=G)


def some(first: int, count: int) -> Records:
    return DIGITS.train.take(range(first, first + count))
