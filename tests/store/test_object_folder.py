"""A folder of objects from somebody else: only read, and believed only where bytes have the digest of their name."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, TCLearnError, UnreachableError
from tclearn.store import FilesystemStore
from tclearn.store.reading import ObjectFolder

DATA = b"an object" * 100
NAME = Digest(blake3(DATA).digest())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FilesystemStore(tmp_path / "objects").put(DATA)
    return tmp_path


def path_of(folder: Path, name: Digest = NAME) -> Path:
    return folder / "objects" / "objects" / name.hex()[:2] / name.hex()[2:]


def code_of(folder: Path, name: Digest = NAME, *, size_max: int = 1 << 20) -> Code:
    with pytest.raises(StorageError) as raised:
        ObjectFolder(folder).get(name, size_max=size_max)
    return raised.value.code


def test_objects_are_read_wherever_one_points_and_nothing_is_written(folder):
    before = sorted(folder.rglob("*"))
    for place in (folder, folder / "objects", folder / "objects" / "objects"):
        assert ObjectFolder(place).get(NAME, size_max=len(DATA)) == DATA
    assert sorted(folder.rglob("*")) == before


def test_what_is_missing_too_large_or_other_bytes_is_told_apart(folder):
    assert code_of(folder, Digest(bytes(32))) is Code.OBJECT_MISSING
    assert code_of(folder, size_max=len(DATA) - 1) is Code.TOO_LARGE
    path_of(folder).write_bytes(DATA[:-1] + b"x")
    assert code_of(folder) is Code.OBJECT_CORRUPT
    path_of(folder).write_bytes(b"")
    assert code_of(folder) is Code.OBJECT_CORRUPT


def test_what_is_no_file_is_not_opened_and_nobody_waits_for_it(folder):
    path = path_of(folder)
    path.unlink()
    os.mkfifo(path)
    found: list[Code] = []
    looking = threading.Thread(target=lambda: found.append(code_of(folder)), daemon=True)
    looking.start()
    looking.join(10)
    assert found == [Code.OBJECT_CORRUPT]
    path.unlink()
    path.mkdir()
    assert code_of(folder) is Code.OBJECT_CORRUPT
    path.rmdir()
    path.symlink_to("/dev/zero")
    assert code_of(folder) is Code.OBJECT_CORRUPT
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(DATA)
    assert code_of(folder) is Code.OBJECT_MISSING


def test_a_link_gives_away_nothing_of_what_it_points_to(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"a key of mine")
    path_of(folder).unlink()
    path_of(folder).symlink_to(secret)
    with pytest.raises(StorageError) as raised:
        ObjectFolder(folder).get(NAME, size_max=1 << 20)
    assert raised.value.code is Code.OBJECT_CORRUPT and "a key" not in str(raised.value)


@pytest.mark.parametrize(("name", "error", "code"), [("none", UnreachableError, 504), ("file", StorageError, 503)])
def test_what_is_no_folder_is_refused(tmp_path, name, error, code):
    (tmp_path / "file").write_bytes(DATA)
    with pytest.raises(TCLearnError) as raised:
        ObjectFolder(tmp_path / name)
    assert isinstance(raised.value, error) and raised.value.code == code


def test_a_folder_is_looked_for_two_levels_deep_however_many_there_are(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(600):
        Path("objects").mkdir(exist_ok=True)
        os.chdir("objects")
    opened = ObjectFolder(tmp_path)
    assert opened.folder == tmp_path / "objects" / "objects"
    assert opened.get(NAME, size_max=len(DATA)) == DATA


def test_a_folder_that_cannot_be_looked_into_is_refused(tmp_path, monkeypatch):
    # Its own path is as long as one may be: that of anything in it is too long.
    monkeypatch.chdir(tmp_path)
    path = Path(*["a" * 200] * 20, "a" * 70)
    for part in path.parts:
        Path(part).mkdir()
        os.chdir(part)
    os.chdir(tmp_path)
    with pytest.raises(StorageError, match="cannot be read: File name too long") as raised:
        ObjectFolder(path)
    assert raised.value.code is Code.STORE_FAILED


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_may_be_listed_and_not_entered_is_refused(folder):
    folder.chmod(0o744)
    try:
        with pytest.raises(StorageError, match="cannot be read: Permission denied"):
            ObjectFolder(folder)
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("put", [lambda path: path.symlink_to(path.name), os.mkfifo, Path.mkdir])
def test_what_cannot_be_opened_counts_as_damaged(folder, put):
    path_of(folder).unlink()
    put(path_of(folder))
    assert code_of(folder) is Code.OBJECT_CORRUPT
