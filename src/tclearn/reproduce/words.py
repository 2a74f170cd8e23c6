"""Numbers of several seeds in words."""

from __future__ import annotations

from collections.abc import Sequence


def spread(values: Sequence[float], places: int = 3) -> str:
    """One number, or the mean with the lowest and highest: ``0.981 (0.980–0.982)``."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{places}f}"
    return f"{mean:.{places}f} ({min(values):.{places}f}–{max(values):.{places}f})"


def signed(values: Sequence[float], places: int = 1) -> str:
    """Differences one by one: ``+0.3, −1.2``."""
    return ", ".join(f"{value:+.{places}f}".replace("-", "−") for value in values)


def of(part: int, whole: int) -> str:
    """``18 of 21``."""
    return f"{part} of {whole}"
