"""Backups: whole or not there, checked before anything of them appears, and restored to the same vault."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from blake3 import blake3
from obstore.store import MemoryStore
from tests.store.vault.vaults import (
    PASSPHRASE,
    backend_in,
    body_file,
    files,
    head_file,
    noise,
    place,
    refusal,
    vault_with_key_file,
)

from tclearn.encoding import Digest, decode, encode
from tclearn.errors import Code, StorageError, TCLearnError, UsageError
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend
from tclearn.store.vault.backup import KEY_FILE, MANIFEST, backup, check, restore
from tclearn.store.vault.key_file import KeyFile
from tclearn.store.vault.rotation import retire, rotate

OBJECTS = (b"", b"weights", noise((1 << 20) + 5))


def filled(folder: Path) -> tuple[Vault, KeyFile]:
    vault, keys = vault_with_key_file(folder)
    for data in OBJECTS:
        vault.put(data)
    return vault, keys


def contents(vault: Vault) -> list[bytes]:
    return sorted((vault.get(name, size_max=1 << 21) for name in vault.names()), key=len)


def opened(source: Path) -> KeyFile:
    return KeyFile.open(source / KEY_FILE, PASSPHRASE)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_backup_and_back(tmp_path: Path, kind: str) -> None:
    vault, _ = filled(tmp_path)
    out = tmp_path / "backups" / "monday"
    noted = backup(vault, out)
    assert noted == blake3((out / MANIFEST).read_bytes()).digest()
    assert {path.relative_to(out).parts[0] for path in files(out)} == {"vault", KEY_FILE, MANIFEST, "heads", "bodies"}
    assert [path.name for path in out.parent.iterdir()] == ["monday"]
    before = {path: path.read_bytes() for path in files(out)}
    shutil.rmtree(tmp_path / "vault")
    (tmp_path / "vault.key").unlink()
    target = backend_in(kind, tmp_path / "new")
    restored = restore(out, target, opened(out), key_file=tmp_path / "new.key", expected=noted)
    assert contents(restored) == list(OBJECTS)
    assert (tmp_path / "new.key").read_bytes() == (out / KEY_FILE).read_bytes()
    assert (tmp_path / "new.key").stat().st_mode & 0o777 == 0o600
    again = Vault(target, KeyFile.open(tmp_path / "new.key", PASSPHRASE))
    assert contents(again) == list(OBJECTS)
    again.put(b"and goes on")
    assert {path: path.read_bytes() for path in files(out)} == before
    assert not (out / "incoming").exists()


def test_a_bucket_is_backed_up_too_and_a_backup_is_a_vault(tmp_path: Path) -> None:
    _, keys = vault_with_key_file(tmp_path)
    vault = Vault(BucketBackend(MemoryStore()), keys, create=True)
    for data in OBJECTS:
        vault.put(data)
    backup(vault, tmp_path / "out")
    assert contents(Vault(FolderBackend(tmp_path / "out"), opened(tmp_path / "out"))) == list(OBJECTS)


def test_an_empty_vault(tmp_path: Path) -> None:
    vault, _ = vault_with_key_file(tmp_path)
    backup(vault, tmp_path / "out")
    assert contents(restore(tmp_path / "out", FolderBackend(tmp_path / "new"), opened(tmp_path / "out"))) == []


def test_keys_that_are_elsewhere_are_not_in_it(tmp_path: Path) -> None:
    keys = HeldKeys.new()
    vault = Vault(FolderBackend(tmp_path / "vault"), keys, create=True)
    vault.put(b"weights")
    backup(vault, tmp_path / "out")
    assert not (tmp_path / "out" / KEY_FILE).exists()
    restored = restore(tmp_path / "out", FolderBackend(tmp_path / "new"), keys, key_file=tmp_path / "new.key")
    assert contents(restored) == [b"weights"]
    assert not (tmp_path / "new.key").exists()


def test_no_backup_shows_a_byte_of_the_parameters(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path)
    backup(vault, tmp_path / "out")
    together = b"".join(path.read_bytes() for path in files(tmp_path / "out"))
    assert b"weights" not in together
    assert not any(OBJECTS[2][at : at + 8] in together for at in range(0, len(OBJECTS[2]) - 8, 8192))
    assert not any(bytes(name) in together for name in vault.names())


def test_a_backup_from_before_a_rotation_opens_with_its_own_keys(tmp_path: Path) -> None:
    vault, keys = filled(tmp_path)
    backup(vault, tmp_path / "before")
    keys.add()
    rotate(vault)
    backup(vault, tmp_path / "between")
    retire(vault, keys)
    backup(vault, tmp_path / "after")
    for number, name in enumerate(("before", "between", "after")):
        source = tmp_path / name
        restored = restore(source, FolderBackend(tmp_path / f"new {number}"), opened(source))
        assert contents(restored) == list(OBJECTS)


# --- refusals --------------------------------------------------------------------------------------------------------


def refused(source: Path, keys: KeyFile, folder: Path, expected: Digest | None = None) -> None:
    """Restoring is refused, and nothing is there."""
    for target in (FolderBackend(folder / "new"), BucketBackend(MemoryStore())):
        with pytest.raises(StorageError) as caught:
            restore(source, target, keys, key_file=folder / "new.key", expected=expected)
        assert caught.value.code in {Code.VAULT, Code.VAULT_KEY, Code.OBJECT_CORRUPT}
        assert [entry for part in ("heads", "bodies") for entry in target.list(part)] == []
        assert target.size("vault") is None
    assert not (folder / "new").exists()
    assert not (folder / "new.key").exists()


def test_any_changed_missing_or_additional_file_is_refused(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path)
    source = tmp_path / "out"
    backup(vault, source)
    keys = opened(source)
    for path in files(source):
        whole = path.read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
            refused(source, keys, tmp_path)
        for wrong in (whole[:-1], whole + b"\0", b""):
            path.write_bytes(wrong)
            refused(source, keys, tmp_path)
        path.unlink()
        refused(source, keys, tmp_path)
        path.write_bytes(whole)
    added = source / "heads" / "ab" / ("c" * 62)
    added.parent.mkdir(exist_ok=True)
    added.write_bytes(files(source / "heads")[0].read_bytes())
    refused(source, keys, tmp_path)
    added.unlink()
    check(source, keys)
    shutil.rmtree(source)
    refused(source, keys, tmp_path)


def test_another_backup_than_was_noted_is_refused(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path)
    old = backup(vault, tmp_path / "old")
    vault.put(b"more")
    new = backup(vault, tmp_path / "new backup")
    refused(tmp_path / "old", opened(tmp_path / "old"), tmp_path, expected=new)
    check(tmp_path / "old", opened(tmp_path / "old"), expected=old)


def test_a_manifest_that_was_made_up_is_refused(tmp_path: Path) -> None:
    vault, keys = filled(tmp_path)
    source = tmp_path / "out"
    backup(vault, source)
    manifest = decode((source / MANIFEST).read_bytes())
    assert isinstance(manifest, dict)
    listed = list(manifest["files"])
    # Without one object: its two files are taken away, and the list is made to fit.
    name = next(vault.names())
    gone = {str(file(vault, name).relative_to(place(vault))) for file in (head_file, body_file)}
    for path in gone:
        (source / path).unlink()
    manifest["files"] = [item for item in listed if item["path"] not in gone]
    assert len(manifest["files"]) == len(listed) - 2
    (source / MANIFEST).write_bytes(encode(manifest))
    refused(source, keys, tmp_path)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "heads/../../outside", "heads/AB/cd", "manifest", ""])
def test_a_path_that_no_vault_has_is_refused_though_it_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    from tclearn.store.vault import backup as module

    vault, keys = filled(tmp_path)
    gathered = module._gathered
    (tmp_path / "outside").write_bytes(b"outside")

    def with_one_more(vault: Vault, part: FolderBackend) -> list[module.Item]:
        return [*gathered(vault, part), module._item(path, b"outside")]

    with monkeypatch.context() as patch:
        patch.setattr(module, "_gathered", with_one_more)
        patch.setattr(module, "_check_objects", lambda *_: None)
        backup(vault, tmp_path / "out")
    refused(tmp_path / "out", keys, tmp_path)
    assert (tmp_path / "outside").read_bytes() == b"outside"


def test_a_damaged_vault_is_not_backed_up(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path)
    name = vault.put(b"one more")

    def flip(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))

    for damage in (flip, Path.unlink, lambda path: path.write_bytes(b"")):
        for file in (body_file(vault, name), head_file(vault, name)):
            if damage is Path.unlink and "heads" in file.parts:
                continue  # then it is not there
            whole = file.read_bytes()
            damage(file)
            assert refusal(lambda: backup(vault, tmp_path / "out")).code is Code.OBJECT_CORRUPT
            assert sorted(path.name for path in tmp_path.iterdir()) == ["vault", "vault.key"]
            file.write_bytes(whole)
    backup(vault, tmp_path / "out")


def test_bodies_that_nobody_refers_to_are_not_backed_up(tmp_path: Path) -> None:
    vault, _ = filled(tmp_path)
    orphan = place(vault) / "bodies" / "ab" / ("c" * 30)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"half an object")
    backup(vault, tmp_path / "out")
    assert len(files(tmp_path / "out" / "bodies")) == 3


def test_keys_that_change_during_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault, keys = filled(tmp_path)
    heads = vault.heads

    def rotating() -> Iterable[object]:
        yield from heads()
        keys.add()

    monkeypatch.setattr(vault, "heads", rotating)
    assert refusal(lambda: backup(vault, tmp_path / "out")).code is Code.VAULT_KEY
    assert not (tmp_path / "out").exists()


def usage(call: Callable[[], object]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call()
    return caught.value


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    vault, keys = filled(tmp_path)
    out = tmp_path / "out"
    backup(vault, out)
    assert usage(lambda: backup(vault, out)).code is Code.USAGE
    assert usage(lambda: restore(out, vault.backend, keys)).code is Code.VAULT
    (tmp_path / "other.key").write_bytes(b"somebody else's")
    target = FolderBackend(tmp_path / "new")
    assert usage(lambda: restore(out, target, keys, key_file=tmp_path / "other.key")).code is Code.USAGE
    assert (tmp_path / "other.key").read_bytes() == b"somebody else's"
    assert not target.folder.exists()
    other = Vault(FolderBackend(tmp_path / "third"), HeldKeys.new(), create=True)
    other.put(b"of another vault")
    (tmp_path / "third" / "vault").unlink()
    assert usage(lambda: restore(out, other.backend, keys)).code is Code.VAULT


# --- interruptions ---------------------------------------------------------------------------------------------------


class Failing(BucketBackend):
    """A backend whose n-th file cannot be written."""

    def __init__(self, store: MemoryStore, left: int) -> None:
        super().__init__(store)
        self.left = left

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        if self.left == 0:
            raise StorageError(Code.STORE_FAILED, "the bucket is full")
        self.left -= 1
        super().write(path, pieces)


@pytest.mark.parametrize("left", range(7))
def test_a_restoration_that_fails_leaves_nothing(tmp_path: Path, left: int) -> None:
    vault, keys = filled(tmp_path)
    backup(vault, tmp_path / "out")
    memory = MemoryStore()
    with pytest.raises(StorageError, match="is full"):
        restore(tmp_path / "out", Failing(memory, left), keys, key_file=tmp_path / "new.key")
    target = BucketBackend(memory)
    assert [entry for part in ("heads", "bodies") for entry in target.list(part)] == []
    assert not (tmp_path / "new.key").exists()
    with pytest.raises(TCLearnError, match="there is no vault"):
        Vault(target, keys)
    assert contents(restore(tmp_path / "out", target, keys)) == list(OBJECTS)


RESTORER = """
import os, signal, sys
from pathlib import Path
from tclearn.store.vault import FolderBackend
from tclearn.store.vault.backup import KEY_FILE, backup, restore
from tclearn.store.vault.key_file import KeyFile
from tclearn.store.vault import Vault
what, source, target, passphrase, left = sys.argv[1:]
left = int(left)
write = FolderBackend.write

def counted(self, path, pieces):
    global left
    if left == 0:
        def dying():
            for piece in pieces:
                yield piece[: len(piece) // 2]
                os.kill(os.getpid(), signal.SIGKILL)
        write(self, path, dying())
    left -= 1
    write(self, path, pieces)

FolderBackend.write = counted
source = Path(source)
if what == "restore":
    restore(source, FolderBackend(target), KeyFile.open(source / KEY_FILE, passphrase), key_file=Path(target + ".key"))
else:
    backup(Vault(FolderBackend(source), KeyFile.open(source.parent / KEY_FILE, passphrase)), Path(target))
"""


def killed(what: str, source: Path, target: Path, left: int) -> None:
    command = [sys.executable, "-c", RESTORER, what, str(source), str(target), PASSPHRASE, str(left)]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize("left", [0, 2, 4, 6])
def test_kill_9_during_backup_and_restoration_leaves_nothing_half_there(tmp_path: Path, left: int) -> None:
    vault, keys = filled(tmp_path)
    out, new = tmp_path / "out", tmp_path / "new"
    killed("backup", place(vault), out, left)
    assert not out.exists()
    backup(vault, out)
    killed("restore", out, new, left)
    assert not (new / "vault").exists()
    with pytest.raises(TCLearnError, match="there is no vault"):
        Vault(FolderBackend(new), keys)
    restored = restore(out, FolderBackend(new), keys, key_file=tmp_path / "new.key")
    assert contents(restored) == list(OBJECTS)
