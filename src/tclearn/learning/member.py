"""A member's trainer: its data, the coalition's test set and a learner, bound together.

Everything that does not depend on the framework is here: reading the data, dividing it, the local test set, the step
search, the measurement of candidates. One computation runs at a time in a process: frameworks keep random state and
thread counts for the whole of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from tclearn.coalition.evidence import CLASSES, Evidence, Paired
from tclearn.coalition.privacy import EXAMPLE, PrivacyEvent
from tclearn.encoding import Digest
from tclearn.errors import Code, DataError, UsageError
from tclearn.learning.contribution import Holding, Portion
from tclearn.learning.data_ids import ids_of, record_digests
from tclearn.learning.hidden import divide, without
from tclearn.learning.id_source import IdsLater, KeyedIds
from tclearn.learning.measurement import Learner, PrivateLearner, TestSet
from tclearn.learning.noise import Noise
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records, ask, is_asked, materialise
from tclearn.learning.selective import shared
from tclearn.learning.step_search import search_step
from tclearn.learning.trainer import Contribution, DataId, LocalData, Task, Work

COMPUTING: Final = threading.RLock()
"""Held by whoever computes."""
_LOCAL: Final = "the local test set"
_TRAINING: Final = "the training data"
_HIDDEN: Final = "the hidden test set"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a member has to offer, for ``tclearn data check``.

    Attributes:
        records: records in the data set.
        copies: of these, repetitions of another one.
        tested: of the others, those that are in a test set and never trained on.
        used: of the others, those that count on the ledger already.
        next_trained: records that the next contribution would train on.
        next_put_aside: records that it would put aside.
        left: records that are left to train on; with fewer than the charter's minimum there is no next contribution.
        hidden: records of the hidden test set.
    """

    records: int
    copies: int
    tested: int
    used: int
    next_trained: int
    next_put_aside: int
    hidden: int = 0
    left: int = 0


class MemberTrainer:
    """See ``tclearn.learning.trainer.Trainer``.

    Args:
        task: what the charter fixes.
        data: what the member brings.
        learner: the model.
        global_test: G.
        global_ids: data IDs of the records of G.

    Raises:
        CharterError: the model cannot be trained with the privacy that the task asks for.
        DataError: the data cannot be read, or the model cannot take them.
        UsageError: the trainer cannot train with it, or steps are to be searched on the member's own records.
    """

    def __init__(
        self, task: Task, data: LocalData, learner: Learner, global_test: TestSet, global_ids: frozenset[DataId]
    ) -> None:
        if task.privacy is not None and task.step_search == "own":
            raise UsageError(
                Code.USAGE,
                'a task with privacy and step_search "own": the search would tell of records without noise',
                expected='step_search "none" or "global"',
            )
        self._task = task
        self._data = data
        self._learner = learner
        self._global_test = global_test
        self._source = data.ids or KeyedIds(task.data_key)
        self._test_ids = global_ids
        self._own_test: TestSet | None = None
        self._share = task.local_share
        if data.local_test is not None:
            self._own_test = self._test_set(materialise(data.local_test, _LOCAL), _LOCAL)
            self._test_ids = global_ids | set(ids_of(self._own_test.records, self._source))
            self._share = 0
        self._hidden = self._read_hidden()
        if self._hidden is not None:
            divide(self._hidden, data.hidden_parts)
            self._test_ids |= set(ids_of(self._hidden, self._source))
        if task.privacy is not None and task.privacy.mechanism == EXAMPLE:
            _private(learner).check_private()
        self._records: Records | None = None
        self._holding = Holding((), 0, 0)
        self._grown: tuple[tuple[int, ...], TestSet] | None = None
        self._read(frozenset())

    def initial(self, seed: int) -> Parameters:
        """M_0, drawn from a seeded normal distribution: the same bytes at every member."""
        with COMPUTING:
            return self._learner.initial(seed)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """Train from ``start`` on the next records that do not count yet; see ``learning.contribution``.

        Returns:
            The contribution, its step searched where the task says; ``None`` when fewer records than the task's minimum
            are left to train on.

        Raises:
            ParametersError: ``start`` is not of this model.
            DataError: the data cannot be read, records that count on the ledger are gone, or training fails.
        """
        with COMPUTING:
            start.check(self._learner.layout)
            if is_asked(self._data.training):
                with suppress(IdsLater):  # records whose IDs are not to be had yet are not held yet
                    self._read(work.used)
            portion = self._next_portion(work.used)
            if portion is None or self._records is None:
                return None
            prepared = self._learner.prepare(self._records.take(portion.trained), _TRAINING)
            parameters, done = self._fitted(start, prepared, work)
            if self._task.step_search != "none":
                parameters, _ = search_step(start, parameters, self._searched_on(portion, work.used))
            return Contribution(parameters, portion.data_ids, len(portion.put_aside), done)

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """Measure both models on G and on L.

        Args:
            reference: the accepted model that the candidate is held against.
            candidate: the offered model; performance 0 when its values or outputs are not finite.
            used: data IDs that count on the ledger.

        Raises:
            ParametersError: one of them is not of this model.
            DataError: the metric is not defined on G.
        """
        with COMPUTING:
            first, second = self._global_test.score(reference), self._global_test.score(candidate)
            if first is None or second is None:
                raise DataError(
                    Code.DATA_SHAPE,
                    "the global test set has a single class",
                    expected=f"two classes for {self._task.metric}",
                )
            local = self._local_test(used)
            here = (local.score(reference), local.score(candidate)) if local else (None, None)
            return Evidence(
                on_global=first.paired(second),
                on_local=here[0].paired(here[1]) if here[0] and here[1] else None,
                classes=self._global_test.by_class(first, second) if CLASSES in self._task.wants else None,
            )

    def hidden_parts(self, earlier: Set[Digest]) -> Sequence[Records]:
        """See ``HiddenTests.hidden_parts``; records of G, and those that were held for training, are left out.

        Raises:
            DataError: the data cannot be read, or are too large for so many parts.
        """
        with COMPUTING:
            if is_asked(self._data.hidden_test):
                self._hidden = self._read_hidden()
            known = earlier | set(record_digests(self._global_test.records))
            fresh = without(self._hidden, known) if self._hidden is not None else None
            if fresh is None:
                return ()
            held = {data_id for data_id, _, _ in self._holding.entries}
            try:
                ids = ids_of(fresh, self._source)
            except IdsLater:
                return ()
            chosen = fresh.take([place for place, data_id in enumerate(ids) if data_id not in held])
            self._test_ids |= set(ids) - held
            return divide(chosen, self._data.hidden_parts) if len(chosen) else ()

    def compare(self, reference: Parameters, candidate: Parameters, records: Records) -> Paired | None:
        """See ``HiddenTests.compare``.

        Raises:
            ParametersError: one of the models is not of this task.
        """
        with COMPUTING:
            try:
                part = self._global_test.beside(records, _HIDDEN)
                first, second = part.score(reference), part.score(candidate)
            except DataError:  # another member's records: whatever is wrong with them is no fault of ours
                return None
            return first.paired(second) if first and second else None

    def model(self, parameters: Parameters) -> Any:
        """The parameters in the framework's form; a copy."""
        with COMPUTING:
            parameters.check(self._learner.layout)
            return self._learner.model(parameters)

    def inventory(self, used: Container[DataId]) -> Inventory:
        """What there is to offer now.

        Raises:
            DataError: the data cannot be read, or records that count on the ledger are gone.
        """
        with COMPUTING:
            if is_asked(self._data.training):
                with suppress(IdsLater):
                    self._read(used)
            held = self._holding
            portion = self._next_portion(used) or Portion((), (), ())
            return Inventory(
                records=len(self._records) if self._records else 0,
                copies=held.copies,
                tested=held.tested,
                used=len(held.used(used)),
                next_trained=len(portion.trained),
                next_put_aside=len(portion.put_aside),
                hidden=len(self._hidden) if self._hidden else 0,
                left=held.trainable(used),
            )

    def _next_portion(self, used: Container[DataId]) -> Portion | None:
        return self._holding.next_portion(used, self._data.contributions, self._task.minimum_batch)

    def _read_hidden(self) -> Records | None:
        given = ask(self._data.hidden_test, _HIDDEN)
        if given is None:
            return None
        records = materialise(given, _HIDDEN)
        self._global_test.beside(records, _HIDDEN)
        return records

    def _fitted(self, start: Parameters, prepared: Any, work: Work) -> tuple[Parameters, PrivacyEvent | None]:
        terms, learner = self._task.privacy, self._learner
        if terms is None:
            return learner.fit(start, prepared, work.seed, work.hyperparameters), None
        noise = Noise.seeded(work.seed, terms.mechanism) if self._task.seeded_noise else Noise.of_system()
        if terms.mechanism == EXAMPLE:
            # The order of training may come from the seed; what hides the records may not.
            return _private(learner).fit_private(start, prepared, work.seed, work.hyperparameters, terms, noise)
        return shared(start, learner.fit(start, prepared, work.seed, work.hyperparameters), terms, noise)

    def _read(self, used: Container[DataId]) -> None:
        given = ask(self._data.training, _TRAINING)
        if given is None:
            if self._records is not None:
                self._check_kept(frozenset(), used)
            self._records, self._holding, self._grown = None, Holding((), 0, 0), None
            return
        records = materialise(given, _TRAINING)
        if self._records is not None and records.same_as(self._records):
            return
        holding = Holding.of(ids_of(records, self._source), self._share, self._test_ids)
        if not holding.entries:
            raise DataError(
                Code.DATA_SHAPE,
                "all records of the training data are in a test set too",
                expected="records that nobody tests on",
            )
        self._check_kept(frozenset(data_id for data_id, _, _ in holding.entries), used)
        self._learner.prepare(records, _TRAINING)
        self._records, self._holding, self._grown = records, holding, None

    def _check_kept(self, now: frozenset[DataId], used: Container[DataId]) -> None:
        gone = self._holding.used(used) - now
        if gone:
            raise DataError(
                Code.DATA_CHANGED,
                f"{len(gone)} records that count on the ledger are gone from the training data, or have changed",
                expected="a data set that only grows, giving the same bytes for a record each time",
                remedy="restore them; or restart the agent if they were withdrawn: it then goes on without them",
            )

    def _local_test(self, used: Container[DataId]) -> TestSet | None:
        if self._own_test is not None:
            return self._own_test
        positions = self._holding.local_test(used)
        if self._records is None or not positions:
            return None
        if self._grown is None or self._grown[0] != positions:
            self._grown = positions, self._test_set(self._records.take(positions), _LOCAL)
        return self._grown[1]

    def _searched_on(self, portion: Portion, used: Container[DataId]) -> Callable[[Parameters], Fraction | None]:
        tests = self._global_test if self._task.step_search == "global" else self._hold_out(portion, used)

        def performance(parameters: Parameters) -> Fraction | None:
            score = tests.score(parameters) if tests else None
            return score.performance if score else None

        return performance

    def _hold_out(self, portion: Portion, used: Container[DataId]) -> TestSet | None:
        positions = portion.put_aside + self._holding.local_test(used)
        if self._own_test is not None or self._records is None or not positions:
            return self._own_test
        return self._test_set(self._records.take(positions), _LOCAL)

    def _test_set(self, records: Records, what: str) -> TestSet:
        return TestSet(self._learner, records, self._task.metric, what)


def _private(learner: Learner) -> PrivateLearner:
    if not isinstance(learner, PrivateLearner):
        raise UsageError(
            Code.USAGE,
            "the charter asks for privacy by example, and the trainer cannot clip the gradients of single records",
            expected="TorchTrainer, or another trainer that can",
            remedy='choose the mechanism "shokri", or none',
        )
    return learner
