"""A transfer that breaks off goes on after a while, and its end is where the object ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, UnreachableError, UsageError
from tclearn.service.fetching import Begin, fetch
from tclearn.store import MemoryStore

DATA = bytes(range(256)) * 100
NAME = Digest(blake3(DATA).digest())
HALF = len(DATA) // 2


def broken() -> UnreachableError:
    return UnreachableError(Code.LEDGER_UNREACHABLE, "the line broke")


class Line:
    """Half of the object comes; then nothing for so many tries.

    Attributes:
        starts: from where on it was asked for.
        pauses: how long was waited, in seconds.
    """

    def __init__(self, silent: int) -> None:
        self.silent = silent
        self.starts: list[int] = []
        self.pauses: list[float] = []

    def begin(self, start: int) -> Iterator[bytes]:
        self.starts.append(start)
        if start == 0:
            yield DATA[:HALF]
            raise broken()
        self.silent -= 1
        if self.silent >= 0:
            raise broken()
        yield DATA[start:]

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return False


def test_the_pauses_grow_and_are_enough_for_a_service_to_be_started_again() -> None:
    line, kept = Line(silent=3), MemoryStore()
    fetch(NAME, line.begin, kept, len(DATA), pause=line.pause)
    assert kept.get(NAME, size_max=len(DATA)) == DATA
    assert line.starts == [0] + [HALF] * 4
    assert line.pauses == sorted(set(line.pauses)) and 10 < sum(line.pauses) < 20


def test_it_is_given_up_when_nothing_comes() -> None:
    line, kept = Line(silent=100), MemoryStore()
    with pytest.raises(UnreachableError, match="the line broke"):
        fetch(NAME, line.begin, kept, len(DATA), pause=line.pause)
    assert (len(line.starts), len(line.pauses)) == (5, 4)
    assert not kept.has(NAME)


def test_whoever_is_to_stop_does_not_wait() -> None:
    line, kept = Line(silent=100), MemoryStore()
    with pytest.raises(UnreachableError):
        fetch(NAME, line.begin, kept, len(DATA), pause=lambda _: True)
    assert line.starts == [0]


def test_an_error_in_the_middle_is_no_end() -> None:
    def refusing(start: int) -> Iterator[bytes]:
        if start:
            raise UsageError(Code.USAGE, "a request with a wrong value for range")
        yield DATA[:HALF]
        raise broken()

    begin: Begin = refusing
    with pytest.raises(UsageError, match="a wrong value"):
        fetch(NAME, begin, MemoryStore(), len(DATA), pause=lambda _: False)
