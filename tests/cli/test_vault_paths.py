"""The folders and files that vaults are backed up to and restored from, where the wrong thing lies there.

The rows are in ``tests.cli.named_paths``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.named_paths import BACKUP, OPENED, RESTORE, RESTORED

from tclearn.cli.keys import VAULT_PASSPHRASE
from tclearn.directory.vault import VAULT_KEY
from tclearn.limits import KEY_FILE_BYTES_MAX, VAULT_MANIFEST_BYTES_MAX
from tclearn.simulation.keys import SeededKeys

LONG = "a" * 300  # no file system takes such a name


@pytest.fixture
def office(tclearn: Any, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VAULT_PASSPHRASE, SeededKeys(1).passphrase())
    shutil.copytree(sealed, tmp_path / "coalition")
    tclearn("vault", "backup", "copy")
    (tmp_path / "folder").mkdir()
    (tmp_path / "junk.file").write_bytes(b"junk" * 40)
    (tmp_path / "loop.file").symlink_to("loop.file")
    return tmp_path


def ends(tclearn: Any, command: str, path: str, code: int, label: str) -> str:
    said = tclearn(*command.replace("@", path).split(), code=code)
    assert said.err.startswith(f"error[{label}]"), said.err
    return str(said.err)


def test_a_backup_takes_a_name_that_is_free(tclearn: Any, office: Path) -> None:
    for path in ("folder", "junk.file", "loop.file"):
        assert f"{path} exists already" in ends(tclearn, BACKUP, path, 2, "TCL-901")
    for path in ("junk.file/x", LONG):
        ends(tclearn, BACKUP, path, 1, "TCL-503")
    tclearn("vault", "backup", "new/backup")
    assert (office / "new" / "backup" / VAULT_KEY).is_file()


@pytest.mark.parametrize("command", OPENED)
def test_a_place_without_a_vault(tclearn: Any, office: Path, command: str) -> None:
    key = (office / "coalition" / VAULT_KEY).read_bytes()
    for path in ("missing", "folder"):
        assert f"no vault in {path}" in ends(tclearn, command, path, 4, "TCL-504")
    for path in ("junk.file", "junk.file/x", "loop.file", LONG):
        assert f"the store in {path} failed" in ends(tclearn, command, path, 1, "TCL-503")
    assert not (office / "new").exists() and not (office / "missing").exists()
    assert (office / "coalition" / VAULT_KEY).read_bytes() == key  # no key is made for a vault that is not there


def test_a_folder_that_is_no_backup(tclearn: Any, office: Path) -> None:
    for path in ("missing", "folder"):
        assert f"no file {path}/{VAULT_KEY}" in ends(tclearn, RESTORE, path, 4, "TCL-504")
    for path in ("junk.file", "junk.file/x"):
        assert f"{path} is not a directory" in ends(tclearn, RESTORE, path, 1, "TCL-503")
    for path in ("loop.file", LONG):
        assert "cannot be read" in ends(tclearn, RESTORE, path, 1, "TCL-503")
    for file, size, code, label in (
        (VAULT_KEY, KEY_FILE_BYTES_MAX, 2, "TCL-308"),
        ("manifest", VAULT_MANIFEST_BYTES_MAX, 1, "TCL-502"),
    ):
        bad = shutil.copytree(office / "copy", office / f"bad-{file}")
        for content in (b"", b"junk" * 40):
            (bad / file).write_bytes(content)
            ends(tclearn, RESTORE, bad.name, code, label if file == VAULT_KEY else "TCL-506")
        os.truncate(bad / file, size + 1)
        ends(tclearn, RESTORE, bad.name, code, label)
        (bad / file).unlink()
        (bad / file).mkdir()
        ends(tclearn, RESTORE, bad.name, 1, "TCL-503")
    assert not (office / "fresh" / VAULT_KEY).exists()


@pytest.mark.parametrize("command", RESTORED)
def test_a_place_to_restore_to(tclearn: Any, office: Path, command: str) -> None:
    for path in ("junk.file/x", LONG):
        ends(tclearn, command, path, 1, "TCL-503")
    for path in ("junk.file", "loop.file"):
        code, label = (2, "TCL-901") if "--vault-key" in command else (1, "TCL-503")
        ends(tclearn, command, path, code, label)
    if "--vault-key" in command:
        assert "folder exists already" in ends(tclearn, command, "folder", 2, "TCL-901")
    else:
        tclearn(*command.replace("@", "folder").split())
        assert any((office / "folder").iterdir())
    assert (office / "junk.file").read_bytes() == b"junk" * 40
