"""A yes of whoever sits at the terminal, to what is shown before it is said in the member's name."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tclearn.cli.output import say
from tclearn.errors import Code, UsageError

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask: what is shown was compared before.")]


def confirmed(words: str, fingerprint: str, *, yes: bool, as_json: bool) -> None:
    """Show what is about to be approved, and ask.

    Args:
        words: the change.
        fingerprint: a line to compare by telephone; empty: there is none.
        yes: the user has said so with the command.
        as_json: a program reads the output: nothing is shown, and nobody is asked.

    Raises:
        UsageError: nobody has said yes, and nobody is here to be asked; it says to what.
        typer.Abort: somebody has said no.
    """
    if not as_json and fingerprint:
        say(fingerprint)
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError(
            Code.USAGE,
            f"{words} is not approved: nobody is here to be asked" + (f"; {fingerprint}" if fingerprint else ""),
            expected="a yes at a terminal, or --yes",
            remedy=("compare the fingerprint by telephone, then " if fingerprint else "") + "add --yes",
        )
    typer.confirm(f"approve {words}?", abort=True)
