"""What comes out of a simulated DeepChain coalition."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tclearn.encoding import Digest
from tclearn.files import writing
from tclearn.identity import Signer
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Head
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.recorded import Log, Recorded
from tclearn.protocols.deepchain import DeepChain, DeepChainTerms
from tclearn.protocols.deepchain.agent import CLIP_UNIT
from tclearn.protocols.deepchain.endings import why_dissolved
from tclearn.protocols.deepchain.history import Balance, Course
from tclearn.protocols.deepchain.records import DISSOLVED
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.deepchain.clipping import clipping
from tclearn.simulation.deepchain.rows import header, rows
from tclearn.simulation.result import Export


@dataclass(frozen=True)
class KeptLog:
    """The log in a file, opened whenever it is read: a result outlives the run that made it.

    Attributes:
        path: the ledger's file.
        contract: its rules.
        size: number of entries when the result was taken.
    """

    path: Path
    contract: DeepChain
    size: int

    @property
    def coalition(self) -> Digest:
        """See ``Log.coalition``."""
        return self.contract.terms.digest

    def __len__(self) -> int:
        return self.size

    def entries(self, start: int, stop: int) -> Iterator[Recorded]:
        """See ``Log.entries``."""
        with self._open() as ledger:
            yield from ledger.entries(start, stop)

    def head(self, size: int) -> Head:
        """See ``Log.head``."""
        with self._open() as ledger:
            return ledger.head(size)

    def _open(self) -> EmbeddedLedger[State]:
        def clock() -> int:
            return time.time_ns() // 1_000_000

        return EmbeddedLedger(self.path, self.contract, self.coalition, clock=clock, create=False, read_only=True)


@dataclass(frozen=True)
class Result:
    """A coalition after training. ``print`` it for the iterations.

    Attributes:
        terms: the charter.
        state: the state of the ledger at the end.
        courses: all iterations, in order: who was counted, who led, who was fined for what, who was paid.
        balances: everybody's coins.
        performance: on the global test set after each iteration that succeeded, 0 to 1.
        parameters: the newest model's.
        model: the same in the form the framework takes (a torch state dict, a fitted estimator).
        clipped: share of the values of all gradients trained in this run that were cut to ±``clip``, 0 to 1.
    """

    terms: DeepChainTerms
    state: State
    courses: tuple[Course, ...]
    balances: tuple[Balance, ...]
    performance: tuple[float, ...]
    parameters: Parameters
    model: Any
    clipped: float
    _log: Log
    _log_key: Signer

    @property
    def ended_early(self) -> str:
        """Why there are fewer iterations than the charter asks for; empty when there are not."""
        group = self.state.group
        if group.rounds >= self.terms.iterations:
            return ""
        said = "stopped"
        if group.status == DISSOLVED:
            said = f"the group is dissolved, because {why_dissolved(self.terms, self.courses)}"
        tried = "" if group.iterations == group.rounds else f" ({group.iterations} tried)"
        done = f"{group.rounds} successful iteration{'' if group.rounds == 1 else 's'}"
        return f"ended after {done} of {self.terms.iterations} asked for{tried}: {said}"

    @property
    def clipping(self) -> str:
        """That more than one in a hundred values were cut to ±``clip``, in words; empty when they were not."""
        return clipping(self.clipped, self.terms.key.clip / CLIP_UNIT)

    def export(self, path: Path | str) -> Export:
        """Write the record to a file; nothing is left half written.

        Args:
            path: where to; an existing file is replaced.
        """
        target = Path(path)
        with writing(target) as stream:
            write_export(stream, self.terms.encode(), self._log, self._log_key)
        return Export(target, self.terms.digest)

    def __str__(self) -> str:
        measured = iter(self.performance)
        lines = [header()]
        for course in self.courses:
            lines += rows(course, None if course.round is None else next(measured), of=len(self.terms.parties))
        return "\n".join([*lines, *filter(None, [self.ended_early])])
