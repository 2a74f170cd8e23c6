"""The record of what a program did to the files of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

FOLDER: Final = -1
"""In place of a file's number: the entry names a folder."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An entry of a folder names a file from now on; ``None``: nothing."""

    name: str
    file: int | None


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes were written into a file."""

    file: int
    offset: int
    data: bytes

    def __repr__(self) -> str:
        return f"Wrote(file={self.file}, offset={self.offset}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class Cut:
    """A file was given a size."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A file's bytes and size are durable; its name need not be."""

    file: int


@dataclass(frozen=True, slots=True)
class FolderSynced:
    """The entries of a folder are durable; ``.`` is the recorded folder itself."""

    folder: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a memory-mapped file shows now."""

    name: str
    data: bytes

    def __repr__(self) -> str:
        return f"Mapped({self.name}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class Said:
    """The program has told somebody that this is durable."""

    what: str


Event = Bound | Wrote | Cut | Synced | FolderSynced | Mapped | Said
Change = Wrote | Cut


@dataclass(frozen=True)
class Trace:
    """What was done to a folder, in order.

    Attributes:
        events: the record.
        base: the files that were there, durably, before it: name and bytes. They are numbered in this order, from 0.
    """

    events: Sequence[Event]
    base: Mapping[str, bytes] = field(default_factory=dict)

    def without(self, *kinds: type[Event]) -> Trace:
        """As if some kind of call did nothing, such as the syncs of a disk that lies."""
        return replace(self, events=[event for event in self.events if not isinstance(event, kinds)])

    def idle(self) -> frozenset[str]:
        """The names of files that nobody ever writes to, such as those that are only locked."""
        written = {event.file for event in self.events if isinstance(event, Wrote)}
        bound = {(event.name, event.file) for event in self.events if isinstance(event, Bound)}
        busy = {name for name, file in bound if file in written or file == FOLDER}
        return frozenset({name for name, _ in bound} - busy - set(self.base))
