"""Passphrases from the environment: read once, and not inherited by what a command starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tclearn.cli.keys import PASSPHRASE, VAULT_PASSPHRASE, asked_passphrase, new_passphrase
from tclearn.errors import UsageError

SECRET = "three slanted drums"


@pytest.mark.parametrize("variable", [PASSPHRASE, VAULT_PASSPHRASE])
@pytest.mark.parametrize("ask", [asked_passphrase, new_passphrase])
def test_what_a_command_starts_does_not_inherit_the_passphrase(
    monkeypatch: pytest.MonkeyPatch, variable: str, ask: object
) -> None:
    monkeypatch.setenv(variable, SECRET)
    assert ask(Path("some.key"), variable) == SECRET  # type: ignore[operator]
    assert variable not in os.environ
    look = f"import os; print({variable!r} in os.environ)"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "False\n"


def test_it_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE, SECRET)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert asked_passphrase(Path("some.key"), PASSPHRASE) == SECRET
    with pytest.raises(UsageError):
        asked_passphrase(Path("some.key"), PASSPHRASE)
