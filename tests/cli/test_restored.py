"""A service that is restored from backups: what does not fit together is named, with the way out."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tclearn.cli.keys import VAULT_PASSPHRASE
from tclearn.cli.vault_files import NEW_PASSPHRASE
from tclearn.cli.vault_put import say_missing
from tclearn.directory import CoalitionDirectory
from tclearn.directory.missing import missing_versions
from tclearn.directory.vault import VAULT, VAULT_KEY
from tclearn.service.id_desk import IdDesk
from tclearn.simulation.keys import SeededKeys

PASSPHRASE, NEW = SeededKeys(1).passphrase(), "four green cows"


@pytest.fixture
def office(sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(sealed, tmp_path / "coalition")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VAULT_PASSPHRASE, PASSPHRASE)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path / "coalition"


def test_a_vault_of_before_the_passphrase_was_changed(
    tclearn: Any, office: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tclearn("vault", "backup", "copy")
    monkeypatch.setenv(NEW_PASSPHRASE, NEW)
    tclearn("vault", "passphrase")
    shutil.rmtree(office / VAULT)
    (office / VAULT_KEY).unlink()
    tclearn("vault", "restore", "copy")
    # Neither passphrase opens both files; each message names the way out.
    for passphrase, damaged in ((PASSPHRASE, "data-ids.key"), (NEW, "vault.key")):
        monkeypatch.setenv(VAULT_PASSPHRASE, passphrase)
        said = tclearn("serve", "--listen", "127.0.0.1:0", code=2).err
        assert damaged in said
        assert "`tclearn vault passphrase --dir coalition`" in said
        assert NEW not in said
    monkeypatch.setenv(VAULT_PASSPHRASE, PASSPHRASE)
    tclearn("vault", "passphrase")
    with CoalitionDirectory.open(office, passphrase=NEW) as coalition, IdDesk.open(coalition, NEW):
        assert missing_versions(coalition) == []


def test_models_that_the_backup_has_not_are_named_and_brought_back(
    tclearn: Any, office: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tclearn("model", "get", "1", "--to", "one.safetensors", "--dir", office)
    with CoalitionDirectory.open(office, passphrase=PASSPHRASE) as coalition:
        say_missing(coalition)
        assert capsys.readouterr().out == ""
        block = coalition.state.block(1)
        same = [each.block.index for each in coalition.state.blocks() if each.block.locator == block.locator]
        coalition.store.remove(block.locator)  # type: ignore[attr-defined]
        say_missing(coalition)
        said = " ".join(capsys.readouterr().out.split())
        assert missing_versions(coalition) == same
    assert "no model of block 1" in said
    assert "tclearn vault put FILE --dir" in said
    (tmp_path / "other").write_bytes((tmp_path / "one.safetensors").read_bytes() + b"\0")
    assert "names no object" in tclearn("vault", "put", "other", code=2).err
    assert "block 1" in tclearn("vault", "put", "one.safetensors").out
    assert tclearn("vault", "put", "one.safetensors", "--json").json["blocks"] == same
    with CoalitionDirectory.open(office, passphrase=PASSPHRASE) as coalition:
        assert missing_versions(coalition) == []
