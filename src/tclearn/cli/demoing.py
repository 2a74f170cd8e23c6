"""What the demonstrations of all protocols have in common on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, TypeVar

import typer
from rich.status import Status

from tclearn.cli.output import messages
from tclearn.errors import Code, UsageError

_NOBODY: Final = "none"

A = TypeVar("A")


def attacks_of(texts: list[str] | None, parse: Callable[[str], A]) -> tuple[A, ...] | None:
    """What ``--attack`` was given; ``None``: nothing.

    Raises:
        UsageError: ``none`` beside an attack, or one that cannot be read.
    """
    if not texts:
        return None
    if _NOBODY not in texts:
        return tuple(parse(text) for text in texts)
    others = [text for text in texts if text != _NOBODY]
    if others:
        raise UsageError(
            Code.USAGE,
            f"--attack {_NOBODY} beside --attack {others[0]}",
            expected=f"{_NOBODY} alone, or attacks",
            remedy="leave one of them out",
        )
    return ()


def refuse_others(context: typer.Context, protocol: str, parameters: Sequence[str]) -> None:
    """Refuse options that mean nothing for a protocol, where somebody has given them.

    Args:
        context: of the command.
        protocol: that runs.
        parameters: of the command, by their names in Python.

    Raises:
        UsageError: one was given.
    """
    typed = given(context)
    for parameter in context.command.params:
        if parameter.name in parameters and parameter.name in typed:
            raise UsageError(
                Code.USAGE,
                f"{parameter.opts[0]} with --protocol {protocol}, where it means nothing",
                remedy=f"leave {parameter.opts[0]} out",
            )


def given(context: typer.Context) -> frozenset[str]:
    """Parameters of a command, by their names in Python, that somebody has given, be it their defaults."""
    names = (parameter.name or "" for parameter in context.command.params)
    sources = {name: context.get_parameter_source(name) for name in names}
    return frozenset(name for name, source in sources.items() if source is not None and source.name != "DEFAULT")


def stopped(directory: Path) -> typer.Exit:
    """Say how an interrupted demonstration goes on; how the command ends then."""
    messages.print(f"stopped · go on with: tclearn demo --resume --out {directory}", markup=False, soft_wrap=True)
    return typer.Exit(130)


def progress_line(as_json: bool) -> AbstractContextManager[Status | None]:
    """The line that says what is under way, on a terminal."""
    if as_json or not messages.is_terminal:
        return nullcontext()
    return Status("reading data", console=messages)


def update(progress: Status | None, what: str) -> None:
    """Say what is under way."""
    if progress is not None:
        progress.update(what)
