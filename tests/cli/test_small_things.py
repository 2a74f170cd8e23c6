"""What a new user meets first: the directory that is meant, new passphrases, ``python -m tclearn``."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tclearn.identity.key_file import read_key_file


def test_coalition_is_meant_where_there_is_no_demo(
    tclearn: Any, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "elsewhere"
    shutil.copytree(demo, place / "coalition")
    monkeypatch.chdir(place)
    for words in (("status",), ("ledger", "show"), ("model", "list"), ("coalition", "show")):
        assert tclearn(*words, "--json").json
        assert "demo" in tclearn(*words, "--dir", "demo", code=4).err, "what was named is not exchanged"
    (place / "demo").mkdir()
    assert "demo" in tclearn("status", code=4).err


def test_a_members_passphrase_comes_from_the_environment_and_is_not_short(
    tclearn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    said = tclearn("member", "new", "leuven", "--passphrase", code=2).err
    assert said.startswith("error[TCL-308]")
    assert "TCLEARN_PASSPHRASE" in said
    monkeypatch.setenv("TCLEARN_PASSPHRASE", "eleven char")
    assert "expected at least 12" in tclearn("member", "new", "leuven", "--passphrase", code=2).err
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("TCLEARN_PASSPHRASE", "twelve chars")
    tclearn("member", "new", "leuven", "--passphrase")
    assert b"ENCRYPTED" in (tmp_path / "leuven.key").read_bytes()
    assert read_key_file(tmp_path / "leuven.key", "twelve chars").signer.public


def test_it_runs_as_a_module() -> None:
    ended = subprocess.run([sys.executable, "-m", "tclearn", "--version"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("tclearn ")
