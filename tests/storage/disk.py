"""What a power loss may leave of a folder, computed from the record of everything that was done to it.

The rules, no kinder than POSIX, and without an order that only some file systems keep:

- What was synced is there: a file's bytes after its own sync, a folder's entries after the folder's.
- Of what was done to a file since its last sync anything may be there, in any order: each whole write or none of it;
  or, sector by sector (512 bytes, or 4 KiB), any of the versions that the sector has had; or, within the range of a
  write, sectors of noise. Its size is one of those it has had, and what nobody wrote is zero.
- Each entry of a folder names, independently of the others, one of the files that it has named since that folder's
  last sync, or nothing if it did not exist then.
- Of a memory map that is never synced (SQLite's ``-shm``) nothing is there, or some version of it, or a mixture.

Small sets are enumerated; of large ones prefixes, single writes, gaps and seeded samples are taken.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from tests.storage.trace import FOLDER, Bound, Change, Cut, Event, FolderSynced, Mapped, Said, Synced, Trace, Wrote

_SECTORS_BYTES: Final = (512, 4096)
_TELLING_MAX: Final = 48


@dataclass(frozen=True, slots=True)
class Effort:
    """How many states are made.

    Attributes:
        whole_max: up to so many combinations of whole writes and entries after one event, all of them are made.
        samples: else telling ones and so many at random; and so many of each kind of torn writes.
        points_max: so many moments of a trace are looked at, all of them if there are fewer.
    """

    whole_max: int
    samples: int
    points_max: int = 1 << 20


@dataclass(frozen=True, slots=True)
class State:
    """A folder as a power loss may have left it.

    Attributes:
        number: its place among the states of its trace, seed and effort.
        point: so many events had happened.
        how: which of the changes that were not durable are there.
        files: bytes by name.
        folders: the folders below the recorded one.
        said: what the program had called durable by then.
    """

    number: int
    point: int
    how: str
    files: Mapping[str, bytes]
    folders: frozenset[str]
    said: Sequence[str]

    def write(self, folder: Path) -> None:
        """Make it, in a folder that is emptied first."""
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for name in sorted(self.folders):
            (folder / name).mkdir()
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


def states(trace: Trace, seed: int, effort: Effort) -> Iterator[State]:
    """The distinct states that a power loss may leave, each with all that had been said at the last moment it fits.

    Memory maps and files that nobody writes to are drawn too, but do not make two states distinct.
    """
    last: dict[bytes, int] = {}
    idle = trace.idle()
    for number, state in enumerate(_candidates(trace, seed, effort)):
        last[_fingerprint(state, idle)] = number
    chosen = set(last.values())
    for number, state in enumerate(_candidates(trace, seed, effort)):
        if number in chosen:
            files = state.files | _maps(state, random.Random(f"{seed}/{number}/maps"))
            yield State(number, state.point, state.how, files, state.folders, state.said)


# --- one moment ------------------------------------------------------------------------------------------------------


@dataclass
class _Moment:
    """What is durable at one moment, and what is not."""

    point: int = 0
    files: dict[int, bytes] = field(default_factory=dict)
    changes: dict[int, list[Change]] = field(default_factory=dict)
    names: dict[str, list[int | None]] = field(default_factory=dict)
    """By name the files it may name: the durable one, then all later ones."""
    maps: dict[str, list[bytes]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def with_changes(self, file: int, changes: Iterable[Change]) -> bytes:
        return _applied(self.files.get(file, b""), changes)

    def after(self, event: Event) -> None:
        self.point += 1
        match event:
            case Bound(name, file):
                self.names.setdefault(name, [None]).append(file)
            case Wrote(file) | Cut(file):
                self.changes.setdefault(file, []).append(event)
            case Synced(file):
                self.files[file] = self.with_changes(file, self.changes.pop(file, ()))
            case FolderSynced(folder):
                for name, bound in self.names.items():
                    if str(PurePosixPath(name).parent) == folder:
                        del bound[:-1]
            case Mapped(name, data):
                self.maps.setdefault(name, []).append(data)
            case Said(what):
                self.said.append(what)


@dataclass(frozen=True)
class _Candidate:
    point: int
    how: str
    files: dict[str, bytes]
    folders: frozenset[str]
    said: tuple[str, ...]
    maps: Mapping[str, Sequence[bytes]]


def _candidates(trace: Trace, seed: int, effort: Effort) -> Iterator[_Candidate]:
    moment = _Moment()
    for number, (name, data) in enumerate(trace.base.items()):
        moment.names[name], moment.files[number] = [number], data
    idle = trace.idle()
    points = range(len(trace.events) + 1)
    wanted = _moments(trace, random.Random(f"{seed}"), effort.points_max)
    for point in points:
        if point:
            moment.after(trace.events[point - 1])
        if point in wanted:
            rng = random.Random(f"{seed}/{point}")
            for how, files, names in _left(moment, rng, effort, idle):
                yield _named(moment, how, files, names)


def _moments(trace: Trace, rng: random.Random, points_max: int) -> frozenset[int]:
    """All moments; or some, half of them before a sync, when the most is not durable."""
    points = range(len(trace.events) + 1)
    if len(points) <= points_max:
        return frozenset(points)
    syncs = [number for number, event in enumerate(trace.events) if isinstance(event, Synced)]
    before = rng.sample(syncs, min(len(syncs), points_max // 2))
    return frozenset(before) | frozenset(rng.sample(points, points_max - len(before)))


_Left = tuple[str, dict[int, bytes], dict[str, int | None]]
"""In words; the bytes of the files that were changed; what each entry names."""


def _left(moment: _Moment, rng: random.Random, effort: Effort, idle: Collection[str]) -> Iterator[_Left]:
    files = [file for file, changes in moment.changes.items() if changes]
    count = sum(len(moment.changes[file]) for file in files)
    options = {name: sorted(set(bound), key=bound.index) for name, bound in moment.names.items()}
    unsure = [name for name in options if len(options[name]) > 1 and name not in idle]

    def whole(kept: Sequence[bool]) -> dict[int, bytes]:
        keep = iter(kept)
        return {
            file: moment.with_changes(file, [each for each in moment.changes[file] if next(keep)]) for file in files
        }

    def entries(chosen: Sequence[int | None]) -> dict[str, int | None]:
        names = {name: rng.choice(options[name]) if name in idle else bound[-1] for name, bound in moment.names.items()}
        return names | dict(zip(unsure, chosen, strict=True))

    def some_entries() -> dict[str, int | None]:
        return entries([rng.choice(options[name]) for name in unsure])

    if count <= 30 and (1 << count) * math.prod(len(options[name]) for name in unsure) <= effort.whole_max:
        for kept in itertools.product((False, True), repeat=count):
            for chosen in itertools.product(*(options[name] for name in unsure)):
                yield f"writes {_shown(kept)}", whole(kept), entries(chosen)
    else:
        newest = [moment.names[name][-1] for name in unsure]
        for kept in _telling(count, rng, effort.samples):
            yield f"writes {_shown(kept)}", whole(kept), entries(newest)
            if unsure:
                yield f"writes {_shown(kept)}", whole(kept), some_entries()
    if files:
        for _ in range(effort.samples):
            for how, found in _damaged(moment, files, rng):
                yield how, found, some_entries()


def _damaged(moment: _Moment, files: Sequence[int], rng: random.Random) -> Iterator[tuple[str, dict[int, bytes]]]:
    for sector in _SECTORS_BYTES:
        torn = {file: _torn(moment.files.get(file, b""), moment.changes[file], sector, rng) for file in files}
        yield f"torn in sectors of {sector}", torn
    noisy = {file: moment.with_changes(file, _noisy(moment.changes[file], rng)) for file in files}
    yield "noise where writes were under way", noisy


def _telling(count: int, rng: random.Random, samples: int) -> Iterator[tuple[bool, ...]]:
    """Every prefix, every write alone and every gap, of many writes only some; and some at random."""
    numbers = range(count) if count <= _TELLING_MAX else sorted(rng.sample(range(count), _TELLING_MAX))
    yield (True,) * count
    for one in numbers:
        yield tuple(number < one for number in range(count))
        yield tuple(number == one for number in range(count))
        yield tuple(number != one for number in range(count))
    for _ in range(samples):
        share = rng.choice((0.2, 0.5, 0.8))
        yield tuple(rng.random() < share for _ in range(count))


def _named(moment: _Moment, how: str, files: Mapping[int, bytes], names: Mapping[str, int | None]) -> _Candidate:
    there = {name for name, file in names.items() if file is not None}
    folders = frozenset(name for name in there if names[name] == FOLDER)

    def reachable(name: str) -> bool:
        parts = name.split("/")
        return all("/".join(parts[:depth]) in folders for depth in range(1, len(parts)))

    found = {}
    for name in sorted(there - folders):
        file = names[name]
        if file is not None and reachable(name):
            found[name] = files[file] if file in files else moment.files.get(file, b"")
    return _Candidate(
        moment.point,
        f"{how}; not there: {', '.join(sorted(names.keys() - found.keys() - folders)) or 'none'}",
        found,
        frozenset(name for name in folders if reachable(name)),
        tuple(moment.said),
        {name: list(maps) for name, maps in moment.maps.items()},
    )


# --- one file --------------------------------------------------------------------------------------------------------


def _applied(data: bytes, changes: Iterable[Change]) -> bytes:
    result = bytearray(data)
    for change in changes:
        _apply(result, change)
    return bytes(result)


def _apply(data: bytearray, change: Change) -> None:
    end = change.size if isinstance(change, Cut) else change.offset + len(change.data)
    if len(data) < end:
        data.extend(bytes(end - len(data)))
    if isinstance(change, Cut):
        del data[end:]
    else:
        data[change.offset : end] = change.data


def _torn(data: bytes, changes: Sequence[Change], sector: int, rng: random.Random) -> bytes:
    versions = [data]
    touched: dict[int, list[int]] = {}
    for number, change in enumerate(changes, 1):
        versions.append(_applied(versions[-1], [change]))
        if isinstance(change, Wrote):
            start, end = change.offset, change.offset + len(change.data)
        else:
            start, end = change.size, len(versions[-2])
        for index in range(start // sector, -(-end // sector)):
            touched.setdefault(index, [0]).append(number)
    newest = rng.choice((0.1, 0.5, 0.9))
    result = bytearray(max(versions, key=len))
    for index, numbers in touched.items():
        version = numbers[-1] if rng.random() < newest else rng.choice(numbers)
        start = index * sector
        part = versions[version][start : start + sector].ljust(sector, b"\0")
        result[start : start + sector] = part[: len(result) - start]
    del result[rng.choice(sorted({len(version) for version in versions})) :]
    return bytes(result)


def _noisy(changes: Sequence[Change], rng: random.Random) -> Iterator[Change]:
    for change in changes:
        fate = rng.random()
        if fate < 0.4:
            yield change
        elif fate < 0.7 and isinstance(change, Wrote):
            noise = bytearray(change.data)
            sector = rng.choice(_SECTORS_BYTES)
            for start in range(0, len(noise), sector):
                if rng.random() < 0.5:
                    part = len(noise[start : start + sector])
                    noise[start : start + sector] = rng.randbytes(part)
            yield Wrote(change.file, change.offset, bytes(noise))


def _maps(state: _Candidate, rng: random.Random) -> dict[str, bytes]:
    found = {}
    for name, versions in state.maps.items():
        kind = rng.randrange(5)
        newest = versions[-1]
        if kind == 1:
            found[name] = newest
        elif kind == 2:
            found[name] = rng.choice(versions)
        elif kind == 3:
            found[name] = _torn(b"", [Wrote(0, 0, each) for each in versions[-8:]], 512, rng)
        elif kind == 4:
            found[name] = rng.randbytes(len(newest))
    return found


# --- words -----------------------------------------------------------------------------------------------------------


def _shown(kept: Sequence[bool]) -> str:
    return "".join("x" if each else "-" for each in kept) or "all synced"


def _fingerprint(state: _Candidate, idle: Collection[str]) -> bytes:
    seen = hashlib.blake2b(digest_size=16)
    for name in sorted(state.folders):
        seen.update(f"{name}/\0".encode())
    for name in sorted(state.files.keys() - idle):
        data = state.files[name]
        seen.update(f"{name}\0{len(data)}\0".encode())
        seen.update(data)
    return seen.digest()
