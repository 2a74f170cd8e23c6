"""The model from W_0 and what was opened in each iteration: what every member computes, and anybody can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError
from tclearn.learning.parameters import Parameters
from tclearn.paillier.packing import Layout
from tclearn.protocols.deepchain.agent.files import opened_bytes_max, read_opened
from tclearn.protocols.deepchain.agent.quantising import dequantise, stepped
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import Result
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.terms import DeepChainTerms


class Files(Protocol):
    """Where the opened sums are: a store, or a folder of objects from somebody else."""

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """See ``tclearn.store.Store.get``."""


def models(rules: DeepChain, state: State, start: Parameters, objects: Files) -> Iterator[Parameters]:
    """W after each iteration that has succeeded, in order; W_0 is not among them.

    Args:
        rules: the contract, with a ``PaillierJudge``.
        state: where the coalition stands.
        start: W_0, compared with the terms (``tclearn.learning.start``).
        objects: the opened sums; only bytes of the digest that the ledger has are taken.

    Raises:
        UsageError: the judge has no key.
        StorageError: an opened sum is not there, or damaged.
        MessageError: it is none.
    """
    judge = rules.judge
    if not isinstance(judge, PaillierJudge):
        raise UsageError(Code.USAGE, "a judge without a threshold key", expected="a PaillierJudge")
    model = start
    for number in range(1, state.group.rounds + 1):
        model = following(model, state.result(number), rules.terms, judge.layout, objects)
        yield model


def following(before: Parameters, result: Result, terms: DeepChainTerms, layout: Layout, objects: Files) -> Parameters:
    """W after an iteration that has succeeded.

    Args:
        before: W before it.
        result: what the ledger has of it.
        terms: what the members have agreed on.
        layout: how values were packed.
        objects: where the opened sum is.

    Raises:
        StorageError: it is not there, or damaged.
        MessageError: it is none.
    """
    data = objects.get(result.opened, size_max=opened_bytes_max(terms.values))
    sums = read_opened(data, result.iteration, terms.values, layout.slot_bits)
    return stepped(before, dequantise(sums, result.divisor, terms.key.clip, layout.levels))
