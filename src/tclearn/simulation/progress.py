"""Where a run is, in one line on standard error."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from tclearn.protocols.tclearn.state import State

_NOTEBOOK: Final = "ipykernel"


@contextmanager
def following(wanted: bool | None) -> Iterator[Callable[[State], None]]:
    """Show progress while inside.

    A terminal or a notebook has one line, rewritten as the run goes on and blank in the end; anything else, such as a
    file, gets a line a block.

    Args:
        wanted: whether; ``None``: where the line can be rewritten.

    Yields:
        What is to be told each new state.
    """
    stream: TextIO | None = sys.stderr  # None: a program without a console
    lasting = stream is None or not _rewrites(stream)
    if stream is None or wanted is False or (wanted is None and lasting):
        yield lambda _: None
    elif lasting:
        yield _Blocks(stream).tell
    else:
        line = _Line(stream)
        try:
            yield lambda state: line.write(" · ".join(filter(None, (chain(state), doing(state)))))
        finally:
            line.write("")


def chain(state: State) -> str:
    """How far the chain is: its blocks, and the performance of the newest on G."""
    tip, wanted = state.tip, state.charter.schedule.stop_blocks
    count = f"block {tip}" if wanted is None else f"block {state.increments} of {wanted}"
    measured = state.block(tip).performance
    return f"{count} · {float(measured.candidate_performance):.3f}" if measured else count


def doing(state: State) -> str:
    """What the members do now; empty when the chain has the blocks that the charter asks for."""
    schedule, pending, candidates = state.charter.schedule, state.pending, state.open_candidates()
    if pending is not None and pending.block is None:
        return f"{pending.general or 'anybody'} seals block {pending.height}"
    if pending is not None:
        return f"members endorse block {pending.height}"
    if candidates:
        first = candidates[0]
        if not first.committee:
            return f"{first.proposer} releases its increment"
        return f"{len(first.commits)} of {len(first.committee)} have tested {first.proposer}'s"
    if schedule.stop_blocks is not None and state.increments >= schedule.stop_blocks:
        return ""
    if schedule.turns == "free":
        return "members train"
    return f"{state.turn.member} trains" if state.turn.member is not None else "nobody has more to offer"


def _rewrites(stream: TextIO) -> bool:
    # A notebook's stream says that it is no terminal, and goes back to the start of a line all the same.
    return stream.isatty() or type(stream).__module__.partition(".")[0] == _NOTEBOOK


class _Line:
    """A line that takes the place of the one before it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = ""

    def write(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]  # a broken line could not be taken back
        if text != self._shown:
            self._stream.write(f"\r{text:<{len(self._shown)}}" + ("" if text else "\r"))
            self._stream.flush()
            self._shown = text


class _Blocks:
    """A line for each block."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tip: int | None = None

    def tell(self, state: State) -> None:
        if self._tip is not None and state.tip > self._tip:
            self._stream.write(f"{chain(state)}\n")
            self._stream.flush()
        self._tip = state.tip
