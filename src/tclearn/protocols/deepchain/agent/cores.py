"""All cores for work that holds Python's lock most of the time: verification multiplies many numbers, a little each."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from types import TracebackType
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WORTH_S: Final = 4.0
"""Processes load Python and this package before they do anything: less work than this is done sooner without them."""
_TRIED: Final = 2
_PROCESSES_MAX: Final = 61
"""Windows can wait for no more."""


class Processes:
    """A ``tclearn.paillier.arithmetic.Run`` that takes as many processes as there are cores, once the work is worth it.

    What is run, its arguments and its results must be possible to pickle: no closures, and no secrets. Processes are
    started anew, not forked, so that a script that uses this asks ``if __name__ == "__main__":``. When one of them is
    killed, this process goes on without them. Close it, or use it as a context manager.

    Args:
        pieces: how many there will be, in all runs together.
    """

    def __init__(self, pieces: int) -> None:
        affinity = getattr(os, "sched_getaffinity", None)  # not on every system
        self._cores = min(len(affinity(0)) if affinity else os.cpu_count() or 1, _PROCESSES_MAX)
        self._left = pieces
        self._tried, self._tried_s = 0, 0.0
        self._pool: ProcessPoolExecutor | None = None
        self._alone = self._cores < 2

    def __call__(self, work: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """See ``Run``."""
        pieces = [*items]
        for done, piece in enumerate(pieces):
            if self._worth():
                yield from self._shared(work, pieces[done:])
                return
            begun = perf_counter()
            result = work(piece)
            self._tried_s += perf_counter() - begun
            self._tried += 1
            self._left -= 1
            yield result

    def _worth(self) -> bool:
        if self._alone or self._tried < _TRIED:
            return False
        saved_s = self._tried_s / self._tried * self._left * (1 - 1 / self._cores)
        return self._pool is not None or saved_s > _WORTH_S

    def _shared(self, work: Callable[[T], R], pieces: list[T]) -> Iterator[R]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._cores, mp_context=get_context("spawn"), initializer=_quiet)
        done = 0
        try:
            for result in self._pool.map(work, pieces):
                done += 1
                self._left -= 1
                yield result
        except BrokenExecutor:
            self._alone = True
            yield from map(work, pieces[done:])

    def close(self) -> None:
        """End the processes; what they have not begun is not done."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _quiet() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks is stopped, and then ends these
