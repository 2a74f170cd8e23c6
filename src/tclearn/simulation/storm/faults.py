"""What fails: messages, disks and processes of one member."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from tclearn.agents import Outbox
from tclearn.encoding import Digest
from tclearn.errors import Code, UnreachableError
from tclearn.ledger import Call
from tclearn.ledger.engines.follower import Page, Source
from tclearn.simulation.storm.plan import Plan
from tclearn.store import Store
from tclearn.store.interface import Readable


class Crashed(BaseException):
    """The member's process has ended, wherever it was; nothing in it may catch this."""


@dataclass
class Weather:
    """What happens next; calm once ``storming`` is false.

    Attributes:
        plan: how often what happens.
        chance: the storm's only source of randomness.
        now_ms: true time.
        mail: messages on their way, with the time at which they arrive.
        storming: whether anything fails at all.
    """

    plan: Plan
    chance: random.Random
    now_ms: int
    mail: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    storming: bool = True

    def happens(self, of_1000: int) -> bool:
        """Whether something that happens so often happens now."""
        return self.storming and of_1000 > 0 and self.chance.randrange(1000) < of_1000

    def later(self, deliver: Callable[[], None]) -> None:
        """Deliver a message within ten minutes."""
        self.mail.append((self.now_ms + self.chance.randint(1, 600_000), deliver))

    def crash_point(self) -> None:
        """A place at which a process may end."""
        if self.happens(self.plan.crash):
            raise Crashed


@dataclass
class Line:
    """A member's connection to whoever orders the ledger: a ``Source`` that loses, delays and doubles."""

    weather: Weather
    source: Source

    def submit(self, raw: bytes) -> None:
        """See ``Source.submit``."""
        weather, plan = self.weather, self.weather.plan
        weather.crash_point()
        if weather.happens(plan.lost):
            raise unreachable()
        if weather.happens(plan.late):
            weather.later(lambda: self.source.submit(raw))
            raise unreachable()
        if weather.happens(plan.doubled):
            weather.later(lambda: self.source.submit(raw))
        self.source.submit(raw)
        weather.crash_point()
        if weather.happens(plan.lost):
            raise unreachable()

    def read(self, start: int) -> Page:
        """See ``Source.read``."""
        self.weather.crash_point()
        if self.weather.happens(self.weather.plan.lost):
            raise unreachable()
        return self.source.read(start)


@dataclass
class FailingOutbox:
    """An outbox on a disk; a crash keeps the last decision or loses it, as long as nobody was told that it is kept."""

    weather: Weather
    kept: Outbox

    def get(self, duty: Digest) -> Call | None:
        """See ``Outbox.get``."""
        return self.kept.get(duty)

    def put(self, duty: Digest, call: Call) -> None:
        """See ``Outbox.put``."""
        self.weather.crash_point()
        self.kept.put(duty, call)
        self.weather.crash_point()


@dataclass
class FailingStore:
    """A store that is not always there, used by a process that may end at any point."""

    weather: Weather
    kept: Store
    remote: bool

    def put(self, data: bytes) -> Digest:
        """See ``Store.put``."""
        self._fail()
        name = self.kept.put(data)
        self._fail()
        return name

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        """See ``Store.put_stream``."""
        self._fail()
        found = self.kept.put_stream(stream, size_max=size_max, name=name)
        self._fail()
        return found

    def has(self, name: Digest) -> bool:
        """See ``Store.has``."""
        self._fail()
        return self.kept.has(name)

    def size(self, name: Digest) -> int:
        """See ``Store.size``."""
        self._fail()
        return self.kept.size(name)

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """See ``Store.get``."""
        self._fail()
        return self.kept.get(name, size_max=size_max)

    def open(self, name: Digest) -> BinaryIO:
        """See ``Store.open``."""
        self._fail()
        return self.kept.open(name)

    def _fail(self) -> None:
        self.weather.crash_point()
        if self.remote and self.weather.happens(self.weather.plan.lost):
            raise unreachable()


def unreachable() -> UnreachableError:
    """A message was lost."""
    return UnreachableError(Code.LEDGER_UNREACHABLE, "no answer", remedy="it is tried again")
