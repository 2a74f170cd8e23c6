"""The store in a folder: durable, atomic, shared by processes, and honest about its disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.store import FilesystemStore
from tclearn.store.streams import hand_on

WRITER = """
import os, sys
from tclearn.store import FilesystemStore
store = FilesystemStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    store.put(number.to_bytes(4, "big") * 20_000)
print("done", flush=True)
"""


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def writer(folder: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_where_objects_lie(tmp_path: Path) -> None:
    name = FilesystemStore(tmp_path / "a" / "b").put(b"weights").hex()
    assert files(tmp_path) == [tmp_path / "a" / "b" / "objects" / name[:2] / name[2:]]


def test_another_store_of_the_same_folder_has_them(tmp_path: Path) -> None:
    name = FilesystemStore(tmp_path).put(b"weights")
    assert FilesystemStore(str(tmp_path)).get(name, size_max=10) == b"weights"


def test_damage_is_seen_and_healed(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    name = store.put(b"weights")
    (path,) = files(tmp_path)
    for damage in (b"weightz", b"weight", b""):
        path.write_bytes(damage)
        with pytest.raises(StorageError, match="is damaged") as caught:
            store.get(name, size_max=10)
        assert caught.value.code is Code.OBJECT_CORRUPT
        assert store.put(b"weights") == name
        assert store.get(name, size_max=10) == b"weights"
    path.write_bytes(bytes(100))
    with pytest.raises(StorageError) as caught:
        store.get(name, size_max=10)
    assert caught.value.code is Code.TOO_LARGE


def test_a_file_that_grows_is_not_read_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FilesystemStore(tmp_path)
    name = store.put(b"weights")
    (path,) = files(tmp_path)
    path.write_bytes(bytes(100))

    class Small:
        st_size = 7

    monkeypatch.setattr("tclearn.store.filesystem.os.fstat", lambda _: Small)
    with pytest.raises(StorageError) as caught:
        store.get(name, size_max=10)
    assert caught.value.code is Code.TOO_LARGE


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "make room on that disk"),
        (errno.EACCES, "let this user read and write"),
        (errno.EROFS, "mount that disk for writing"),
        (errno.EIO, "look after that folder"),
    ],
)
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str) -> None:
    store = FilesystemStore(tmp_path)
    kept = store.put(b"before")

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("tclearn.store.filesystem.os.fsync", refuse)
        with pytest.raises(StorageError) as caught:
            store.put(b"weights")
    assert caught.value.code is Code.STORE_FAILED
    assert os.strerror(number) in caught.value.what
    assert says in caught.value.remedy
    assert not store.has(Digest(blake3(b"weights").digest()))
    assert len(files(tmp_path)) == 1
    assert store.get(kept, size_max=10) == b"before"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        FilesystemStore(tmp_path / "file" / "store")
    assert caught.value.code is Code.STORE_FAILED


def test_an_object_that_cannot_be_read(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    name = store.put(b"weights")
    (path,) = files(tmp_path)
    path.unlink()
    path.mkdir()
    assert not store.has(name)
    with pytest.raises(StorageError) as caught:
        store.get(name, size_max=10)
    assert caught.value.code is Code.STORE_FAILED


def unreadable(path: Path) -> None:
    """Put a file in its place that can be opened, and fails with EIO when it is read."""
    if not Path("/proc/self/mem").exists():
        pytest.skip("no /proc on this system")
    path.unlink()
    path.symlink_to("/proc/self/mem")


def test_a_disk_that_cannot_read_is_told_as_such(tmp_path: Path) -> None:
    store, other = FilesystemStore(tmp_path / "store"), FilesystemStore(tmp_path / "other")
    name = store.put(b"weights")
    (path,) = files(tmp_path / "store")
    unreadable(path)

    def whole() -> None:
        with store.open(name) as stream:
            stream.read()

    def part() -> None:
        with store.open(name) as stream:
            stream.read(3)

    for call in (whole, part, lambda: hand_on(name, store, other, size_max=100)):
        with pytest.raises(StorageError) as caught:
            call()
        assert caught.value.code is Code.STORE_FAILED
        assert str(tmp_path / "store") in caught.value.what
    assert files(tmp_path / "other") == []


def test_left_over_files_go_after_a_day(tmp_path: Path) -> None:
    FilesystemStore(tmp_path)
    old, new = tmp_path / "incoming" / "old", tmp_path / "incoming" / "new"
    for path in (old, new):
        path.write_bytes(b"half an object")
    long_ago = time.time() - 90_000
    os.utime(old, (long_ago, long_ago))
    FilesystemStore(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_everything_is_made_durable_before_put_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FilesystemStore(tmp_path)
    synced: list[str] = []
    original = os.fsync

    def watch(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        original(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc on this system")
    monkeypatch.setattr("tclearn.store.filesystem.os.fsync", watch)
    name = store.put(b"weights").hex()
    assert synced[0].startswith(str(tmp_path / "incoming"))
    assert synced[1:] == [str(tmp_path / "objects" / name[:2]), str(tmp_path / "objects")]


def test_processes_write_the_same_objects_at_once(tmp_path: Path) -> None:
    processes = [writer(tmp_path, 40) for _ in range(3)]
    for process in processes:
        go(process)
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert output == "done\n"
        assert process.returncode == 0
    store = FilesystemStore(tmp_path)
    assert len(files(tmp_path)) == 40
    for number in range(40):
        data = number.to_bytes(4, "big") * 20_000
        assert store.get(Digest(blake3(data).digest()), size_max=len(data)) == data


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05])
def test_a_killed_process_leaves_nothing_that_counts(tmp_path: Path, delay: float) -> None:
    process = writer(tmp_path, 100_000)
    go(process)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = FilesystemStore(tmp_path)
    for path in files(tmp_path / "objects"):
        name = Digest(bytes.fromhex(path.parent.name + path.name))
        assert store.get(name, size_max=100_000)
    assert store.get(store.put(b"weights"), size_max=10) == b"weights"


def test_any_buffer_may_be_put(tmp_path: Path) -> None:
    data: Any = memoryview(b"weights")
    store = FilesystemStore(tmp_path)
    assert store.get(store.put(data), size_max=10) == b"weights"
