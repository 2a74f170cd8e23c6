"""Executing one input, judging what came of it, and searching for inputs that come to a bad end.

An input is a few bytes. What a target does with it may end in success or in one of the project's own coded errors;
anything else is a fault: another exception, a promise that does not hold, too much time, too much memory.
"""

from __future__ import annotations

import base64
import random
import signal
import sys
import threading
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Any, Final

from tclearn.errors import Code, TCLearnError

resource: Any = import_module("resource") if find_spec("resource") else None  # not on Windows

CPU_SECONDS_MAX: Final = 10.0
MEMORY_BYTES_MAX: Final = 256 << 20
INPUT_BYTES_MAX: Final = 1 << 20
TEXT_CHARACTERS_MAX: Final = 4000
POOL_MAX: Final = 300
_SHRINK_ATTEMPTS: Final = 300
_KIB: Final = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts

Mutator = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
"""Gives another input, made from one of the pool and perhaps from others."""


@dataclass(frozen=True)
class Target:
    """Something that decodes what comes from outside.

    Attributes:
        name: for the command line.
        samples: inputs that are valid, or nearly.
        check: decodes an input and asserts what the format promises. What it returns tells inputs apart that were
            accepted for different reasons.
        mutate: knows the form of the inputs.
        share: executions in the short run; long runs are divided in the same proportion.
        allowed: the exceptions that are refusals.
    """

    name: str
    samples: Callable[[], Sequence[bytes]]
    check: Callable[[bytes], object]
    mutate: Mutator
    share: int
    allowed: tuple[type[Exception], ...] = (TCLearnError,)


class Hung(BaseException):
    """More than ``CPU_SECONDS_MAX``; not an ``Exception``, so that nobody on the way catches it."""


@dataclass(frozen=True)
class Fault(Exception):
    """An input with a bad end.

    Attributes:
        target: name of the target.
        data: the input.
        what: the end, with its traceback.
        kind: what it has in common with other inputs that come to the same end.
    """

    target: str
    data: bytes
    what: str
    kind: object

    def __str__(self) -> str:
        return f"{self.what}\n\nAs a test:\n\n{as_test(self.target, self.data)}"


def as_test(target: str, data: bytes) -> str:
    """A test that shows what an input does."""
    packed = base64.b85encode(zlib.compress(data, 9)).decode()
    given = f'bytes.fromhex("{data.hex()}")' if len(data) <= 2 * len(packed) else f'unpacked("{packed}")'
    name = f"test_{target.replace('-', '_')}_{zlib.crc32(data):08x}"
    return f'def {name}() -> None:\n    execute(TARGETS["{target}"], {given})\n'


def unpacked(text: str) -> bytes:
    """An input from the text that ``as_test`` has printed."""
    return zlib.decompress(base64.b85decode(text))


def execute(target: Target, data: bytes) -> object:
    """Let a target have an input.

    Returns:
        What tells this input's way from others': the lines in which it was refused, or what ``check`` has returned.

    Raises:
        Fault: the input came to a bad end.
    """
    began, peak = time.process_time(), _peak()
    way: object
    try:
        with _limited(), warnings.catch_warnings():
            warnings.simplefilter("error")
            way = target.check(data)
    except target.allowed as refusal:
        way = _place(refusal)
        if isinstance(refusal, TCLearnError) and refusal.code == Code.UNEXPECTED:
            raise _fault(target, data, refusal) from refusal
        said = str(refusal) if isinstance(refusal, TCLearnError) else ""  # the ledger cleans what contracts say
        if len(said) > TEXT_CHARACTERS_MAX or not said.isprintable():
            raise Fault(target.name, data, f"{target.name} says {said[:4000]!r}", ("text", way)) from refusal
    except (Exception, Hung) as error:
        raise _fault(target, data, error) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of a library in Rust
            raise _fault(target, data, error) from error
        raise
    spent, grown = time.process_time() - began, _peak() - peak
    if spent > CPU_SECONDS_MAX:
        raise Fault(target.name, data, f"{target.name}: {spent:.1f} s for {len(data)} bytes", "time")
    if grown > MEMORY_BYTES_MAX:
        raise Fault(target.name, data, f"{target.name}: {grown >> 20} MiB more memory for {len(data)} bytes", "memory")
    return way


@dataclass
class Search:
    """A search for faults of one target: the same seed gives the same inputs.

    Attributes:
        target: what is searched.
        seed: of the randomness.
        executions: so far.
        pool: inputs that went a way of their own, samples first.
    """

    target: Target
    seed: int
    executions: int = 0
    pool: list[bytes] = field(default_factory=list)
    _ways: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.target.name}/{self.seed}")
        self._samples = list(self.target.samples())

    @property
    def ways(self) -> int:
        """Number of different ways that inputs have gone."""
        return len(self._ways)

    def inputs(self, executions: int) -> Iterator[bytes]:
        """The next inputs. Whoever asks for the next one has executed the one before."""
        for _ in range(executions):
            if self.executions < len(self._samples):
                yield self._samples[self.executions]
            else:
                yield self._mutated()
            self.executions += 1

    def step(self, data: bytes) -> None:
        """Execute an input, and keep it when it goes a way of its own.

        Raises:
            Fault: it came to a bad end.
        """
        way = execute(self.target, data)
        if way not in self._ways:
            self._ways.add(way)
            self.pool.append(data)
            if len(self.pool) > POOL_MAX:
                del self.pool[self._random.randrange(len(self._samples), len(self.pool))]

    def run(self, executions: int) -> None:
        """Execute so many inputs.

        Raises:
            Fault: one of them came to a bad end; it is the shortest that was found for this end.
        """
        for data in self.inputs(executions):
            try:
                self.step(data)
            except Fault as fault:
                raise shrunk(self.target, fault) from None

    def _mutated(self) -> bytes:
        choose = self._random
        pool = self.pool if self.pool and choose.random() < 0.7 else self._samples
        data = choose.choice(pool)
        try:
            data = self.target.mutate(choose, data, pool)
        except RecursionError:  # nested too deeply to be changed by its form
            data = data[: choose.randrange(len(data) + 1)]
        return data[:INPUT_BYTES_MAX]


def shrunk(target: Target, fault: Fault) -> Fault:
    """A shorter input that comes to the same end, if one is found soon."""
    if fault.kind in ("time", "memory"):
        return fault
    best, left = fault, _SHRINK_ATTEMPTS
    size = len(best.data) // 2
    while size and left:
        at = 0
        while at < len(best.data) and left:
            left -= 1
            shorter = best.data[:at] + best.data[at + size :]
            try:
                execute(target, shorter)
                at += size
            except Fault as other:
                if other.kind == fault.kind:
                    best = other
                else:
                    at += size
        size //= 2
    return best


@contextmanager
def _limited() -> Iterator[None]:
    if resource is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _hung)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _hung(_: int, frame: FrameType | None) -> None:
    raise Hung(f"more than {CPU_SECONDS_MAX:.0f} s")


def _peak() -> int:
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def _place(error: BaseException) -> object:
    lines: list[object] = []
    each: BaseException | None = error
    while each is not None and not isinstance(each, Fault):
        trace = each.__traceback__
        while trace is not None:
            lines.append((trace.tb_frame.f_code, trace.tb_lineno))
            trace = trace.tb_next
        lines.append((type(each), getattr(each, "code", 0)))
        each = each.__context__
    return tuple(dict.fromkeys(lines))  # each line once: how deep a value was nested is no way of its own


def _fault(target: Target, data: bytes, error: BaseException) -> Fault:
    text = "".join(traceback.format_exception(error, limit=-8, chain=False))
    return Fault(target.name, data, f"{target.name}: {text}", _place(error))
