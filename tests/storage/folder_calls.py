"""Records what a program does to the files and folders below a folder with Python's own ``os``.

Creating, renaming, removing and syncing are noted as they are called. What is written into a file is not called by any
name that could be watched; it is noted, by reading the file again, before each of the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.storage.trace import FOLDER, Bound, Cut, Event, FolderSynced, Said, Synced, Trace, Wrote


class FolderRecording:
    """What happens below a folder from now on; it is empty yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._events: list[Event] = []
        self._bound: dict[str, int] = {}
        self._seen: dict[int, bytes] = {}

    def said(self, what: str) -> None:
        """Note that the program has called something durable."""
        self._look()
        self._events.append(Said(what))

    def trace(self) -> Trace:
        """All that was recorded."""
        return Trace(tuple(self._events))

    def name(self, path: Any) -> str | None:
        """A path below the folder, relative to it; ``None``: it is elsewhere."""
        found = Path(os.fsdecode(path)).resolve()
        return found.relative_to(self._folder).as_posix() if found.is_relative_to(self._folder) else None

    def made(self, path: Any, *, folder: bool = False) -> None:
        """An entry may be new."""
        name = self.name(path)
        if name is not None and name not in self._bound:
            number = FOLDER if folder else len(self._seen)
            if not folder:
                self._seen[number] = b""
            self._bind(name, number)

    def moved(self, source: Any, target: Any) -> None:
        """An entry has another name."""
        old, new = self.name(source), self.name(target)
        if old is not None and new is not None:
            # Before anything is looked at: what the new name shows now was not written into the file it named.
            number = self._bound[new] = self._bound.pop(old)
            self._look()
            self._events += [Bound(new, number), Bound(old, None)]

    def linked(self, source: Any, target: Any) -> None:
        """An entry has a second name."""
        known, name = self.name(source), self.name(target)
        if known is not None and name is not None:
            self._bind(name, self._bound[known])

    def removed(self, path: Any) -> None:
        """An entry is gone."""
        name = self.name(path)
        if name is not None:
            self._bind(name, None)

    def synced(self, path: Any) -> None:
        """A file or a folder is durable."""
        name = self.name(path)
        if name == "." or self._bound.get(name or "") == FOLDER:
            self._events.append(FolderSynced(name or "."))
        elif name is not None:
            self._look()
            self._events.append(Synced(self._bound[name]))

    def _bind(self, name: str, number: int | None) -> None:
        self._look()
        self._events.append(Bound(name, number))
        if number is None:
            del self._bound[name]
        else:
            self._bound[name] = number

    def _look(self) -> None:
        for name, number in self._bound.items():
            path = self._folder / name
            if number == FOLDER or not path.exists():
                continue
            data, before = path.read_bytes(), self._seen[number]
            if data != before:
                if len(data) < len(before):
                    self._events.append(Cut(number, len(data)))
                if data:
                    self._events.append(Wrote(number, 0, data))
                self._seen[number] = data


@contextmanager
def without_fsync() -> Iterator[None]:
    """Inside, ``os.fsync`` does nothing: for looking at states, where nothing needs to last."""
    with patch("os.fsync", lambda _: None):
        yield


@contextmanager
def folder_recording(folder: Path) -> Iterator[FolderRecording]:
    """Record what this process does below an empty folder."""
    record = FolderRecording(folder)

    def after(function: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        @wraps(function)
        def calling(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            note(result, *arguments)
            return result

        return calling

    paths: dict[int, Any] = {}

    def made_folder(_: None, path: Any, *__: Any) -> None:
        record.made(path, folder=True)

    def opened(descriptor: int, path: Any, flags: int, *_: Any) -> None:
        paths[descriptor] = path
        if flags & os.O_CREAT:
            record.made(path)

    def synced(_: None, descriptor: int) -> None:
        record.synced(paths[descriptor])

    def moved(_: None, source: Any, target: Any) -> None:
        record.moved(source, target)

    def linked(_: None, source: Any, target: Any) -> None:
        record.linked(source, target)

    def removed(_: None, path: Any) -> None:
        record.removed(path)

    notes: dict[str, Callable[..., None]] = {
        "mkdir": made_folder,
        "open": opened,
        "fsync": synced,
        "replace": moved,
        "rename": moved,
        "link": linked,
        "unlink": removed,
        "remove": removed,
    }
    with ExitStack() as patches:
        for name, note in notes.items():
            patches.enter_context(patch.object(os, name, after(getattr(os, name), note)))
        yield record
