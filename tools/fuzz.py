"""A long search for inputs that decoding does not survive: ``python tools/fuzz.py --executions 1000000 --seed 1``.

The executions are divided over all targets (or go to one, ``--target``). Each target is searched in a process of its
own, with a limit on its memory; a process that dies or stands still has come to a bad end, too. The first such input is
made shorter, saved, and printed as a test.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import struct
import sys
import time
import zlib
from ctypes import c_char
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fuzz.harness import INPUT_BYTES_MAX, Fault, Search, as_test, execute, shrunk  # noqa: E402
from tests.fuzz.targets import TARGETS  # noqa: E402

MEMORY_BYTES_MORE: Final = 2 << 30
STILL_SECONDS_MAX: Final = 120.0
_SAY_EVERY_SECONDS: Final = 10.0
_COUNTS: Final = "<3Q"
_HEAD: Final = struct.calcsize(_COUNTS)


@dataclass
class Work:
    """One target's share, in a process of its own.

    Attributes:
        name: the target.
        executions: how many.
        seed: of the search.
    """

    name: str
    executions: int
    seed: int
    done: int = 0
    ways: int = 0
    _moved: float = 0.0
    _began: float = 0.0
    _ended: float = 0.0
    _process: SpawnProcess | None = field(default=None, repr=False)
    _shared: Any = field(default=None, repr=False)
    _answers: Any = field(default=None, repr=False)

    def start(self, context: SpawnContext) -> None:
        """Begin in another process."""
        self._shared = context.RawArray(c_char, _HEAD + INPUT_BYTES_MAX)
        self._answers, answers = context.Pipe(duplex=False)
        arguments = (self.name, self.executions, self.seed, self._shared, answers)
        self._process = context.Process(target=_search, args=arguments, daemon=True)
        self._process.start()
        answers.close()
        self._began = self._moved = time.monotonic()

    def look(self) -> str | None:
        """How it stands; returns how it has failed, in words, if it has."""
        process, shared = self._process, self._shared
        if process is None or shared is None:
            return None
        alive = process.is_alive()
        done, self.ways, _ = _counts(shared)
        now = time.monotonic()
        if done > self.done:
            self._began = self._began if self.done else now  # without the time that the samples take
            self.done, self._moved = done, now
        if self._answers is not None and self._answers.poll():
            try:
                found: str = self._answers.recv()
                return found
            except EOFError:  # it has ended, well or not
                self._answers = None
        if not alive and process.exitcode:
            return f"{self.name}: the process died with exit code {process.exitcode}"
        if now - self._moved > STILL_SECONDS_MAX:
            return f"{self.name}: nothing for {STILL_SECONDS_MAX:.0f} s"
        if not alive and not self._ended:
            self._ended = now
        return None

    @property
    def ended(self) -> bool:
        """Whether all executions are done."""
        return bool(self._ended)

    @property
    def input(self) -> bytes:
        """The last input."""
        if self._shared is None:
            return b""
        size = _counts(self._shared)[2]
        return bytes(self._shared[_HEAD : _HEAD + size])

    def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __str__(self) -> str:
        spent = (self._ended or time.monotonic()) - self._began
        rate = self.done / spent if spent else 0
        return f"{self.name:<20} {self.done:>10,} of {self.executions:>10,}  {rate:>8,.0f}/s  {self.ways:>5} ways"


def _counts(shared: Any) -> tuple[int, int, int]:
    data = bytes(shared[:_HEAD])
    done, ways, size = struct.unpack(_COUNTS, data)
    return done, ways, size


def _search(name: str, executions: int, seed: int, shared: Any, answers: Any) -> None:
    target = TARGETS[name]
    search = Search(target, seed)
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES_MORE, used + MEMORY_BYTES_MORE))
    for data in search.inputs(executions):
        counts = struct.pack(_COUNTS, search.executions, search.ways, len(data))
        shared[: _HEAD + len(data)] = counts + data
        try:
            search.step(data)
        except Fault as fault:
            short = shrunk(target, fault)
            counts = struct.pack(_COUNTS, search.executions, search.ways, len(short.data))
            shared[: _HEAD + len(short.data)] = counts + short.data
            answers.send(str(short))
            return
    shared[:_HEAD] = struct.pack(_COUNTS, search.executions, search.ways, 0)


def _divided(names: list[str], executions: int) -> list[int]:
    shares = [TARGETS[name].share for name in names]
    each = [max(1, executions * share // sum(shares)) for share in shares]
    each[0] += max(0, executions - sum(each))
    return each


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Search, or execute one input; the exit code is 1 when there is a fault."""
    parser = argparse.ArgumentParser(description="Search for inputs that decoding does not survive.")
    parser.add_argument("--executions", type=int, default=1_000_000, help="over all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; may be said more than once")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--save", type=Path, default=Path(), help="folder for the failing input")
    parser.add_argument("--input", type=Path, help="execute this file with --target, and search nothing")
    asked = parser.parse_args()
    names = asked.target or list(TARGETS)
    if asked.input is not None:
        return _one(names[0], asked.input.read_bytes())
    shares = _divided(names, asked.executions)
    works = [Work(name, share, asked.seed) for name, share in zip(names, shares, strict=True)]
    return _run(works, asked.jobs, asked.save)


def _one(name: str, data: bytes) -> int:
    try:
        _say(f"{name}: {execute(TARGETS[name], data)}")
    except Fault as fault:
        _say(str(fault))
        return 1
    return 0


def _run(waiting: list[Work], jobs: int, save: Path) -> int:
    context = multiprocessing.get_context("spawn")
    total, began, said = list(waiting), time.monotonic(), time.monotonic()
    running: list[Work] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(waiting.pop(0))
                running[-1].start(context)
            time.sleep(0.2)
            for work in list(running):
                failed = work.look()
                if failed is not None:
                    return _failed(work, failed, save)
                if work.ended:
                    running.remove(work)
                    _say(f"{work}  done")
            if time.monotonic() - said > _SAY_EVERY_SECONDS:
                said = time.monotonic()
                for work in running:
                    _say(str(work))
    finally:
        for work in running:
            work.stop()
    done, spent = sum(work.done for work in total), time.monotonic() - began
    _say(f"{done:,} executions of {len(total)} targets in {spent:,.0f} s, {done / spent:,.0f}/s: no faults")
    return 0


def _failed(work: Work, what: str, save: Path) -> int:
    work.stop()
    data = work.input
    file = save / f"fuzz-{work.name}-{zlib.crc32(data):08x}.bin"
    file.write_bytes(data)
    _say(str(work))
    _say(what if "As a test" in what else f"{what}\n\n{as_test(work.name, data)}")
    _say(f"saved: {file}; again: python tools/fuzz.py --target {work.name} --input {file}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
