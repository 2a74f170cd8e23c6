"""The journal of signed requests that the service has refused: JSON, a line each, in a file of bounded size.

What the contract refuses is an entry of the ledger, and is not here; nor is what nobody has signed. Each member may
fill so many lines an hour, and what goes beyond is counted: a flood pushes out nothing that others have left lately.
The oldest lines go all the same when both files are full; who wants to keep them copies ``refused.1.jsonl`` in time.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tclearn.encoding import MemberId
from tclearn.errors import TCLearnError
from tclearn.limits import REFUSED_JOURNAL_BYTES_MAX, REFUSED_LINES_PER_MEMBER_AND_HOUR_MAX

REFUSED: Final = "refused.jsonl"
BEFORE: Final = "refused.1.jsonl"
"""What was in the journal before it was begun anew."""
_HOUR_MS: Final = 3_600_000
_CHARACTERS_MAX: Final = 300
_LINE_BYTES_MAX: Final = 8192


@dataclass
class _Hour:
    begun_ms: int
    lines: int = 0
    omitted: int = 0


@dataclass
class RefusedRequests:
    """The journal, for the one process that serves the coalition.

    Attributes:
        folder: where its two files lie.
        clock: milliseconds since 1970.
    """

    folder: Path
    clock: Callable[[], int]
    _hours: dict[MemberId, _Hour] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, member: MemberId, path: str, error: TCLearnError) -> None:
        """Note a refusal; when the disk is full, it is lost, and the request stays refused.

        Args:
            member: at the other end of the connection.
            path: what was asked.
            error: why it was refused.
        """
        with self._lock:
            now_ms = self.clock()
            hour = self._hours.setdefault(member, _Hour(now_ms))
            if now_ms - hour.begun_ms >= _HOUR_MS or now_ms < hour.begun_ms:
                hour = self._hours[member] = _Hour(now_ms, omitted=hour.omitted)
            if hour.lines >= REFUSED_LINES_PER_MEMBER_AND_HOUR_MAX:
                hour.omitted += 1
                return
            line = {
                "time_ms": now_ms,
                "member": member,
                "path": path[:_CHARACTERS_MAX],
                "code": error.label,
                "reason": error.what[:_CHARACTERS_MAX],
            }
            if hour.omitted:
                line["omitted"] = hour.omitted
            hour.lines, hour.omitted = hour.lines + 1, 0
            with suppress(OSError):
                self._write(json.dumps(line).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        file = self.folder / REFUSED
        with open(file, "a+b", opener=_owners_only) as stream:
            size = stream.seek(0, os.SEEK_END)
            if size:
                stream.seek(size - 1)
                line = line if stream.read(1) == b"\n" else b"\n" + line  # after a crash the last line may have no end
            full = size + len(line) > REFUSED_JOURNAL_BYTES_MAX
            if not full:
                stream.write(line)
        if full:
            file.replace(self.folder / BEFORE)
            self._write(line)


def _owners_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def refused_requests(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal, oldest first; one that a crash has cut off is left out.

    Args:
        folder: the coalition's directory.
    """
    for name in (BEFORE, REFUSED):
        with suppress(FileNotFoundError), (folder / name).open("rb") as file:
            while line := file.readline(_LINE_BYTES_MAX):
                with suppress(ValueError):
                    read = json.loads(line)
                    if isinstance(read, dict):
                        yield read
