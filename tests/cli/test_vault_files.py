"""``tclearn vault backup``, ``restore``, ``keys``, ``passphrase`` and ``sweep``, on a coalition of level B."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tclearn.cli.keys import VAULT_PASSPHRASE
from tclearn.cli.vault_files import NEW_PASSPHRASE
from tclearn.directory import CoalitionDirectory
from tclearn.directory.data_ids import ID_KEY
from tclearn.directory.vault import VAULT, VAULT_KEY
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError, UsageError
from tclearn.identity.oprf_key import read_oprf_key
from tclearn.service.refused import REFUSED, RefusedRequests
from tclearn.simulation.keys import SeededKeys
from tclearn.store.vault import FolderBackend, KeyFile, Vault

PASSPHRASE = SeededKeys(1).passphrase()


@pytest.fixture
def office(sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(sealed, tmp_path / "coalition")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VAULT_PASSPHRASE, PASSPHRASE)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path


def models(folder: Path, passphrase: str = PASSPHRASE) -> list[bytes]:
    with CoalitionDirectory.open(folder, passphrase=passphrase) as opened:
        return [
            opened.store.get(chained.block.locator, size_max=1 << 20)
            for chained in opened.state.blocks()
            if chained.block.locator is not None
        ]


def test_a_backup_is_restored(tclearn: Any, office: Path) -> None:
    said = tclearn("vault", "backup", "copy")
    digest = said.out.split("digest ")[1].split()[0]
    before = models(office / "coalition")
    shutil.rmtree(office / "coalition" / VAULT)
    (office / "coalition" / VAULT_KEY).unlink()
    assert "there is no vault in coalition" in tclearn("vault", "backup", "another", code=2).err
    restored = tclearn("vault", "restore", "copy", "--digest", digest)
    assert "objects, restored from copy" in restored.out
    assert models(office / "coalition") == before and len(before) == 2
    # nothing is replaced
    assert tclearn("vault", "restore", "copy", code=2).err.startswith("error[TCL-506]")
    assert tclearn("vault", "backup", "copy", code=2).err.startswith("error[TCL-901]")
    assert models(office / "coalition") == before


def test_an_older_or_damaged_backup_is_refused(tclearn: Any, office: Path) -> None:
    tclearn("vault", "backup", "copy")
    newer = tclearn("vault", "keys", "rotate", "--json").json
    assert newer["rewrapped"] > 0 and newer["damaged"] == []
    digest = tclearn("vault", "backup", "newer", "--json").json["digest"]
    shutil.rmtree(office / "coalition" / VAULT)
    (office / "coalition" / VAULT_KEY).unlink()
    said = tclearn("vault", "restore", "copy", "--digest", digest, code=1)
    assert said.err.startswith("error[TCL-506]") and "another one than the digest says" in said.err
    body = next(path for path in (office / "newer" / "bodies").rglob("*") if path.is_file())
    body.write_bytes(body.read_bytes()[:-1] + b"\0")
    assert tclearn("vault", "restore", "newer", code=1).err.startswith("error[TCL-50")
    assert not (office / "coalition" / VAULT / "vault").exists()
    assert not (office / "coalition" / VAULT_KEY).exists()
    tclearn("vault", "restore", "copy")
    assert len(models(office / "coalition")) == 2
    missing = tclearn("vault", "restore", "nowhere", code=4).err
    assert missing.startswith("error[TCL-504]") and "nowhere" in missing


def test_keys_are_rotated_and_retired(tclearn: Any, office: Path) -> None:
    before = models(office / "coalition")
    first = tclearn("vault", "keys", "retire", "--json").json
    assert first["retired"] == []
    rotated = tclearn("vault", "keys", "rotate")
    assert "start `tclearn serve` again" in rotated.out
    gone = tclearn("vault", "keys", "retire", "--json").json
    assert gone["retired"] == [first["current"]] and gone["current"] != first["current"]
    assert models(office / "coalition") == before
    with (office / "coalition" / VAULT_KEY).open("rb"):
        assert KeyFile.open(office / "coalition" / VAULT_KEY, PASSPHRASE).names == [gone["current"]]


def test_an_interrupted_rotation_goes_on_with_the_same_key(tclearn: Any, office: Path) -> None:
    held = KeyFile.open(office / "coalition" / VAULT_KEY, PASSPHRASE)
    name = held.add()  # and then the power went
    assert tclearn("vault", "keys", "retire", code=1).err.startswith("error[TCL-505]")
    said = tclearn("vault", "keys", "rotate", "--json").json
    assert said["resumed"] and said["current"] == name
    assert len(KeyFile.open(office / "coalition" / VAULT_KEY, PASSPHRASE).names) == 2


def test_a_damaged_head_is_named(tclearn: Any, office: Path) -> None:
    head = next(path for path in (office / "coalition" / VAULT / "heads").rglob("*") if path.is_file())
    head.write_bytes(b"no head")
    said = tclearn("vault", "keys", "rotate", code=1)
    assert str(head.relative_to(office / "coalition" / VAULT)) in said.out
    assert tclearn("vault", "backup", "copy", code=1).err.startswith("error[TCL-502]")
    assert not (office / "copy").exists()
    assert tclearn("vault", "sweep", code=1).err.startswith("error[TCL-502]")


def test_the_passphrase_of_both_files(tclearn: Any, office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = models(office / "coalition")
    monkeypatch.setenv(NEW_PASSPHRASE, "four green cows")
    said = tclearn("vault", "passphrase")
    assert VAULT_KEY in said.out and ID_KEY in said.out
    assert "horse" not in said.out and "cows" not in said.out + said.err
    assert models(office / "coalition", "four green cows") == before
    assert read_oprf_key(office / "coalition" / ID_KEY, "four green cows").public == SeededKeys(1).ids().public
    for file in (VAULT_KEY, ID_KEY):
        assert (office / "coalition" / file).stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError):
        models(office / "coalition")
    assert tclearn("vault", "passphrase", code=2).err.startswith("error[TCL-308]")  # the old one no longer fits


def test_a_change_of_the_passphrase_that_was_interrupted_comes_to_its_end(
    tclearn: Any, office: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tclearn.identity.oprf_key import reseal_oprf_key

    reseal_oprf_key(office / "coalition" / ID_KEY, PASSPHRASE, "four green cows")  # and then the power went
    monkeypatch.setenv(NEW_PASSPHRASE, "four green cows")
    tclearn("vault", "passphrase")
    assert models(office / "coalition", "four green cows")
    assert read_oprf_key(office / "coalition" / ID_KEY, "four green cows").public == SeededKeys(1).ids().public


def test_passphrases_that_are_none(tclearn: Any, office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for new in ("", PASSPHRASE):
        monkeypatch.setenv(NEW_PASSPHRASE, new)
        assert tclearn("vault", "passphrase", code=2).err.startswith("error[TCL-308]")
    monkeypatch.delenv(NEW_PASSPHRASE)
    assert NEW_PASSPHRASE in tclearn("vault", "passphrase", code=2).err
    monkeypatch.setenv(VAULT_PASSPHRASE, "wrong")
    for words in ("backup copy", "keys rotate", "keys retire", "passphrase", "sweep"):
        said = tclearn("vault", *words.split(), code=2)
        assert said.err.startswith("error[TCL-308]") and "wrong" not in said.err
    monkeypatch.delenv(VAULT_PASSPHRASE)
    assert VAULT_PASSPHRASE in tclearn("vault", "sweep", code=2).err
    assert models(office / "coalition")


def test_left_overs_are_swept(tclearn: Any, office: Path) -> None:
    import os

    body = office / "coalition" / VAULT / "bodies" / "ab" / "cd"
    some = next(path for path in (office / "coalition" / VAULT / "bodies").rglob("*") if path.is_file())
    body = some.with_name("0" * len(some.name))
    body.write_bytes(b"half of something")
    assert tclearn("vault", "sweep", "--json").json == {"removed": 0}
    os.utime(body, (1, 1))
    assert "1 left-over removed" in tclearn("vault", "sweep").out
    assert not body.exists() and models(office / "coalition")
    assert tclearn("vault", "sweep", "--older-than", 0, code=2).err.startswith("error[TCL-901]")


def test_a_vault_in_another_place(tclearn: Any, office: Path) -> None:
    shutil.move(office / "coalition" / VAULT, office / "elsewhere")
    shutil.move(office / "coalition" / VAULT_KEY, office / "its.key")
    assert tclearn("vault", "sweep", "--at", "elsewhere", code=2).err.startswith("error[TCL-506]")
    assert tclearn("vault", "sweep", "--at", "elsewhere", "--vault-key", "its.key", "--json").json == {"removed": 0}
    tclearn("vault", "backup", "copy", "--at", "elsewhere", "--vault-key", "its.key")
    tclearn("vault", "restore", "copy", "--at", "third", "--vault-key", "third.key")
    vault = Vault(FolderBackend(office / "third"), KeyFile.open(office / "third.key", PASSPHRASE))
    assert len(list(vault.names())) >= 2


@pytest.mark.parametrize("place", ["ftp://somewhere/x", "s3://", "s3://me:secret@bucket/x", "s3://bucket?key=1"])
def test_places_that_are_none(tclearn: Any, office: Path, place: str) -> None:
    said = tclearn("vault", "sweep", "--at", place, "--vault-key", "coalition/vault.key", code=2)
    assert said.err.startswith("error[TCL-901]") and "no place of a vault" in said.err
    assert "secret" not in said.err


def test_level_a_has_no_vault(tclearn: Any, office: Path, demo: Path) -> None:
    for words in (("backup", "copy"), ("keys", "rotate"), ("keys", "retire"), ("passphrase",), ("sweep",)):
        said = tclearn("vault", *words, "-C", demo, code=2)
        assert said.err.startswith("error[TCL-506]") and "of level A" in said.err
    for words in (("journal",), ("who-had", "1"), ("statistics",)):
        assert "public" in tclearn("vault", *words, "-C", demo).out
        assert tclearn("vault", *words, "-C", demo, "--json").json["public"] is True
    assert tclearn("vault", "journal", "--export", "j", "-C", demo, code=2).err.startswith("error[TCL-901]")
    assert not (office / "j").exists()


def test_what_the_service_has_refused(tclearn: Any, office: Path) -> None:
    folder = office / "coalition"
    noted = RefusedRequests(folder, lambda: 1_767_225_600_000)
    error = MessageError(Code.SEQUENCE, "a request for a delivery that was sent before")
    noted.note(MemberId("hospital-1"), "/v1/vault/deliveries", error)
    noted.note(MemberId("hospital-2"), "/v1/ledger/transactions", MessageError(Code.SIGNATURE, "\x1b[2J[red]no"))
    with (folder / REFUSED).open("ab") as file:  # as somebody else may leave it
        file.write(b'{"time_ms": 1e400, "member": [1], "code": null, "omitted": 3}\n{"time_ms": 17672')
    shown = tclearn("vault", "journal", "--refused").out
    assert "hospital-1" in shown and "TCL-305" in shown and "sent before" in shown
    assert "\x1b" not in shown and "[red]no" in shown
    assert "3 refused requests, and 3 more that were only counted" in shown
    (one,) = tclearn("vault", "journal", "--refused", "--member", "hospital-2", "--json").json["refused"]
    assert (one["member"], one["code"], one["path"]) == ("hospital-2", "TCL-303", "/v1/ledger/transactions")
    assert tclearn("vault", "journal", "--refused", "--export", "x", code=2).err.startswith("error[TCL-901]")
    (folder / "log.key").unlink()
    assert tclearn("vault", "journal", "--refused", code=4).err.startswith("error[TCL-504]")
