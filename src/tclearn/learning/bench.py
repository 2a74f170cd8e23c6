"""What the trainers of one recipe share in a process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tclearn.errors import CharterError, Code
from tclearn.learning.contribution import MILLION
from tclearn.learning.data_ids import ids_of
from tclearn.learning.id_source import IdSource, KeyedIds
from tclearn.learning.measurement import Learner, TestSet
from tclearn.learning.member import COMPUTING, MemberTrainer
from tclearn.learning.metrics import check_metric
from tclearn.learning.records import Records, materialise
from tclearn.learning.trainer import DataId, LocalData, Task

_TASKS_KEPT: Final = 4
_GLOBAL: Final = "the global test set"

MakeLearner = Callable[[Task, Records], Learner]
"""Makes a learner from a task and the records of its global test set."""


class Bench:
    """What the trainers of one recipe share in a process: the learner of a task, and G with the scores on it.

    Members that are simulated in one process would otherwise each build the same network and measure the same model
    on the same records.
    """

    def __init__(self) -> None:
        self._tasks: OrderedDict[tuple[object, ...], tuple[Task, Learner, TestSet, dict[IdSource, frozenset[DataId]]]]
        self._tasks = OrderedDict()

    def bind(self, task: Task, data: LocalData, make: MakeLearner) -> MemberTrainer:
        """A trainer for one member.

        Raises:
            CharterError: the task is not usable, or its model factory fails.
            DataError: the data cannot be read, or the model cannot take them.
        """
        check_metric(task.metric)
        if not 0 <= task.local_share < MILLION:
            raise CharterError(
                Code.CHARTER_VALUE, f"a local share of {task.local_share} millionths", expected="0 to 999,999"
            )
        # The task is kept with its entry, so that no other object can come to have the id of one of its parts.
        key = (id(task.model), id(task.global_test), task.metric, repr(sorted(task.arguments.items())))
        with COMPUTING:
            if key not in self._tasks:
                records = materialise(task.global_test, _GLOBAL)
                learner = make(task, records)
                self._tasks[key] = task, learner, TestSet(learner, records, task.metric, _GLOBAL), {}
                if len(self._tasks) > _TASKS_KEPT:
                    self._tasks.popitem(last=False)
            self._tasks.move_to_end(key)
            _, learner, global_test, global_ids = self._tasks[key]
            source = data.ids or KeyedIds(task.data_key)
            if source not in global_ids:
                global_ids[source] = frozenset(ids_of(global_test.records, source))
            return MemberTrainer(task, data, learner, global_test, global_ids[source])
