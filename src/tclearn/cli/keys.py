"""Whose keys a command uses, and the passphrases that open them."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tclearn.directory.reading import check_file
from tclearn.errors import Code, UsageError
from tclearn.identity.key_file import is_encrypted, read_key_file
from tclearn.limits import PASSPHRASE_CHARACTERS_MIN

if TYPE_CHECKING:
    from tclearn.service.home import Oneself

PASSPHRASE: Final = "TCLEARN_PASSPHRASE"  # noqa: S105 - the variable's name
"""The environment variable with the passphrase of a member's key file."""
VAULT_PASSPHRASE: Final = "TCLEARN_VAULT_PASSPHRASE"  # noqa: S105 - the variable's name
"""The environment variable with the passphrase of a vault's key file."""

_ONLY: Final = "the only one here"
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The member's .key file; its .pem lies beside it.", show_default=_ONLY),
]


def oneself(key: Path | None, now: datetime) -> Oneself:
    """The member whose key file is named, or lies here alone; asks for a passphrase where it has one.

    Raises:
        UsageError: none or several lie here, nobody is there to be asked, or the passphrase is another one.
        UnreachableError: there is no such file.
        MessageError: the enrolment beside it is damaged, or not valid now.
    """
    from tclearn.service.home import Oneself

    file = key_file(key)
    check_file(file, "name the .key file that `tclearn member new` wrote")
    passphrase = asked_passphrase(file, PASSPHRASE) if is_encrypted(file) else None
    return Oneself.read(file.with_suffix(".pem"), read_key_file(file, passphrase), now)


def key_file(key: Path | None) -> Path:
    """The member's key file: the one named, or the only one here.

    Raises:
        UsageError: none or several lie here.
    """
    return _only_key() if key is None else key


def asked_passphrase(file: Path, variable: str) -> str:
    """The passphrase of a file: from an environment variable, or from whoever sits at the terminal.

    Raises:
        UsageError: neither has it.
    """
    known = _taken(variable)
    if known is not None:
        return known
    _check_asked(f"{file} is encrypted, and nobody is here to ask for its passphrase", variable)
    return str(typer.prompt(f"Passphrase of {file}", hide_input=True))


def new_passphrase(file: Path, variable: str) -> str:
    """A new passphrase for a file: from an environment variable, or asked for twice.

    Raises:
        UsageError: neither has it, or it is shorter than ``PASSPHRASE_CHARACTERS_MIN``.
    """
    known = _taken(variable)
    if known is None:
        _check_asked(f"nobody is here to ask for a passphrase for {file}", variable)
        known = str(typer.prompt(f"New passphrase of {file}", hide_input=True, confirmation_prompt=True))
    if len(known) < PASSPHRASE_CHARACTERS_MIN:
        raise UsageError(
            Code.KEY_FILE,
            f"a new passphrase of {len(known)} characters for {file}",
            expected=f"at least {PASSPHRASE_CHARACTERS_MIN}",
            remedy="take five or more words by chance: whoever has a copy of the file can try them without end",
        )
    return known


def _taken(variable: str) -> str | None:
    # It is out of the environment then: what this process starts does not inherit it.
    return os.environ.pop(variable, None)


def _check_asked(what: str, variable: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            Code.KEY_FILE,
            what,
            expected=f"the passphrase in the environment variable {variable}",
            remedy="set it, or start this in a terminal",
        )


def _only_key() -> Path:
    found = sorted(Path().glob("*.key"))
    if len(found) != 1:
        raise UsageError(
            Code.USAGE,
            f"there are {len(found)} .key files here" if found else "there is no .key file here",
            expected="one, or --key",
            remedy="name the member's .key file with --key",
        )
    return found[0]
