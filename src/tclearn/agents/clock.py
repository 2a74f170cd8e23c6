"""Clocks: the real one, and one that a simulation moves by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in milliseconds since 1970, and waits."""

    def __call__(self) -> int:
        """Now."""

    def wait(self, milliseconds: int) -> None:
        """Let time pass."""


class RealClock:
    """The computer's clock."""

    def __call__(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // 1_000_000

    def wait(self, milliseconds: int) -> None:
        """See ``Clock``."""
        time.sleep(milliseconds / 1000)


class VirtualClock:
    """A clock that stands still until somebody waits: simulated hours cost nothing, and every run reads the same times.

    Args:
        start_ms: where it stands.
    """

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def __call__(self) -> int:
        """See ``Clock``."""
        return self._now_ms

    def wait(self, milliseconds: int) -> None:
        """See ``Clock``."""
        self._now_ms += milliseconds
