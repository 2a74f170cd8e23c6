"""Several writers, dying writers, and disks that refuse: an object is there as a whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from tests.store.vault.vaults import (
    PASSPHRASE,
    backend_in,
    files,
    new_vault,
    noise,
    place,
    refusal,
    vault_with_key_file,
)

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError, TCLearnError, UsageError
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.chunks import CHUNK_BYTES
from tclearn.store.vault.forms import Head
from tclearn.store.vault.key_file import KeyFile

WRITER = """
import sys, time
from pathlib import Path
from tclearn.store.vault import FolderBackend, Vault
from tclearn.store.vault.key_file import KeyFile
folder, passphrase, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
vault = Vault(FolderBackend(folder / "vault"), KeyFile.open(folder / "vault.key", passphrase))
print("ready", flush=True)
sys.stdin.readline()

class Slow:
    def __init__(self):
        self.left = count
    def read(self, size):
        if not self.left:
            return b""
        self.left -= 1
        time.sleep(0.01)
        return bytes([self.left % 251]) * size

vault.put_stream(Slow())
print("done", flush=True)
"""


def writer(folder: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), PASSPHRASE, str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_kill_9_during_put_leaves_nothing_visible_and_the_vault_goes_on(tmp_path: Path) -> None:
    vault, keys = vault_with_key_file(tmp_path)
    kept = vault.put(b"before")
    before = files(place(vault) / "heads") + files(place(vault) / "bodies")
    process = writer(tmp_path, 1000)
    go(process)
    end = time.monotonic() + 30
    while sum(path.stat().st_size for path in files(place(vault) / "incoming")) < 5 * CHUNK_BYTES:
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert files(place(vault) / "heads") + files(place(vault) / "bodies") == before
    again = Vault(FolderBackend(place(vault)), KeyFile.open(keys.path, PASSPHRASE))
    assert list(again.names()) == [kept]
    assert again.get(again.put(b"after"), size_max=5) == b"after"
    (left,) = files(place(vault) / "incoming")
    long_ago = time.time() - 90_000
    os.utime(left, (long_ago, long_ago))
    Vault(FolderBackend(place(vault)), keys).put(b"another day")
    assert files(place(vault) / "incoming") == []


def test_processes_that_write_the_same_object_at_once(tmp_path: Path) -> None:
    vault, _ = vault_with_key_file(tmp_path)
    data = b"".join(bytes([number % 251]) * CHUNK_BYTES for number in reversed(range(20)))
    processes = [writer(tmp_path, 20) for _ in range(3)]
    for process in processes:
        go(process)
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert (output, process.returncode) == ("done\n", 0)
    name = Digest(blake3(data).digest())
    assert list(vault.names()) == [name]
    assert vault.get(name, size_max=len(data)) == data
    vault.sweep(older_than_s=-60)
    assert len(files(place(vault) / "bodies")) == 1
    assert vault.get(name, size_max=len(data)) == data


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_threads_that_write_and_read_the_same_objects_at_once(tmp_path: Path, kind: str) -> None:
    vault = Vault(backend_in(kind, tmp_path / "vault"), HeldKeys.new(), create=True)
    objects = [noise(size, size) for size in (0, 100, CHUNK_BYTES + 1)]
    start = threading.Barrier(6)

    def work(number: int) -> None:
        start.wait(30)
        for turn in range(8):
            data = objects[(number + turn) % 3]
            name = vault.put_stream(io.BytesIO(data)) if turn % 2 else vault.put(data)
            assert vault.get(name, size_max=len(data)) == data

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work, number) for number in range(6)]:
            done.result(60)
    assert len(list(vault.names())) == 3
    vault.sweep(older_than_s=-60)
    assert len(list(vault.backend.list("bodies"))) == 3
    assert sorted(vault.get(name, size_max=1 << 21) for name in vault.names()) == sorted(objects)


def test_a_source_that_breaks_leaves_nothing_and_its_error_comes_through(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 3 * CHUNK_BYTES:
                raise ConnectionResetError("the line broke")
            return super().read(size)

    for kind in ("folder", "bucket"):
        vault = Vault(backend_in(kind, tmp_path / "vault"), HeldKeys.new(), create=True)
        with pytest.raises(ConnectionResetError, match="the line broke"):
            vault.put_stream(Broken(noise(4 * CHUNK_BYTES)))
        assert [entry.path for part in ("heads", "bodies") for entry in vault.backend.list(part)] == []
    assert files(tmp_path / "vault") == [tmp_path / "vault" / "vault"]


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "make room"), (errno.EACCES, "let this user"), (errno.EIO, "look after that folder")],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, says: str
) -> None:
    vault = new_vault(tmp_path)
    kept = vault.put(b"before")
    before = files(tmp_path)

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        error = refusal(lambda: vault.put(b"weights"))
    assert error.code is Code.STORE_FAILED
    assert says in error.remedy
    assert files(tmp_path) == before
    assert not vault.has(Digest(blake3(b"weights").digest()))
    assert vault.get(kept, size_max=6) == b"before"


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_head_that_cannot_be_written_leaves_no_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    vault = Vault(backend_in(kind, tmp_path / "vault"), HeldKeys.new(), create=True)
    create = vault.backend.create

    def refuse(*_: Any) -> bool:
        raise StorageError(Code.STORE_FAILED, "the disk is full")

    def written_and_lost(path: str, data: bytes) -> bool:
        create(path, data)
        raise StorageError(Code.STORE_FAILED, "no answer")

    def left(part: str) -> int:
        return len(list(vault.backend.list(part)))

    monkeypatch.setattr(vault.backend, "create", refuse)
    for _ in range(3):
        assert refusal(lambda: vault.put(b"weights")).code is Code.STORE_FAILED
        assert (left("bodies"), left("heads")) == (0, 0)
    monkeypatch.setattr(vault.backend, "create", written_and_lost)
    assert refusal(lambda: vault.put(b"weights")).code is Code.STORE_FAILED
    assert (left("bodies"), left("heads")) == (1, 1), "the head is there: then its body must be"
    monkeypatch.setattr(vault.backend, "create", create)
    assert vault.get(vault.put(b"weights"), size_max=7) == b"weights"
    assert (left("bodies"), left("heads")) == (1, 1)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_of_two_that_put_an_object_at_once_one_body_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    backend, keys = backend_in(kind, tmp_path / "vault"), HeldKeys.new()
    vault, other = Vault(backend, keys, create=True), Vault(backend, keys)
    seal = vault.envelope.seal
    heads: list[bytes] = []

    def just_then(*arguments: Any) -> Head:
        name = other.put(b"weights")  # after the last look, before the head
        heads.append(other._head(name)[0].body)
        return seal(*arguments)

    class Envelope:
        cipher = staticmethod(vault.envelope.cipher)
        open = staticmethod(vault.envelope.open)
        seal = staticmethod(just_then)

    monkeypatch.setattr(vault, "envelope", Envelope)
    name = vault.put(b"weights")
    assert [vault._head(name)[0].body] == heads, "the first head stays: somebody may be reading by it"
    assert len(list(backend.list("bodies"))) == 1
    assert vault.get(name, size_max=7) == b"weights"


def test_a_disk_that_fails_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = new_vault(tmp_path)
    name = vault.put(noise(3 * CHUNK_BYTES))
    stream = vault.open(name)
    stream.read(CHUNK_BYTES)
    raw: Any = stream

    def refuse(_: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    raw.raw._source.close()
    monkeypatch.setattr(raw.raw._source, "_stream", type("Bad", (), {"read": staticmethod(refuse), "close": int}))
    assert refusal(lambda: stream.read(CHUNK_BYTES)).code is Code.STORE_FAILED
    stream.close()


def test_everything_is_durable_before_the_head_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc on this system")
    vault = new_vault(tmp_path)
    calls: list[str] = []
    sync, replace, link = os.fsync, os.replace, os.link

    def shown(path: Any) -> str:
        parts = Path(path).relative_to(place(vault)).parts
        return parts[0] if len(parts) < 3 else f"{parts[0]}/file"

    def synced(descriptor: int) -> None:
        found = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append(f"sync {shown(found)}{'/sub' if found.parent.name in {'heads', 'bodies'} else ''}")
        sync(descriptor)

    def replaced(source: Any, target: Any) -> None:
        calls.append(f"replace {shown(target)}")
        replace(source, target)

    def linked(source: Any, target: Any) -> None:
        calls.append(f"link {shown(target)}")
        link(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "link", linked)
    vault.put(b"weights")
    for move, part in (("replace", "bodies"), ("link", "heads")):
        assert calls[:4] == ["sync incoming", f"{move} {part}/file", f"sync {part}/sub", f"sync {part}"]
        del calls[:4]
    assert calls == []
    vault.put(b"weights")  # is there: whoever put it may not have come to syncing yet
    assert calls == ["sync heads/sub", "sync heads"]


# --- opening and making ----------------------------------------------------------------------------------------------


def test_a_place_without_a_vault(tmp_path: Path) -> None:
    for kind in ("folder", "bucket"):
        with pytest.raises(TCLearnError, match="there is no vault") as caught:
            Vault(backend_in(kind, tmp_path / "none"), HeldKeys.new())
        assert caught.value.code is Code.FILE_MISSING
        assert caught.value.exit_code == 4
    assert not (tmp_path / "none").exists()


def test_a_vault_is_not_made_over_another(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    vault.put(b"weights")
    for _ in range(2):  # whole, and without its record
        with pytest.raises(UsageError) as caught:
            Vault(FolderBackend(place(vault)), HeldKeys.new(), create=True)
        assert caught.value.code is Code.VAULT
        (place(vault) / "vault").unlink(missing_ok=True)


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("")
    with pytest.raises(StorageError) as caught:
        new_vault(tmp_path)
    assert caught.value.code is Code.STORE_FAILED


def test_there_is_nothing_beyond_an_objects_end(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    name = vault.put(noise(CHUNK_BYTES))
    for start in (CHUNK_BYTES + 1, 3 * CHUNK_BYTES, -1):
        with pytest.raises(UsageError):
            vault.open(name, start)
    with vault.open(name, CHUNK_BYTES) as stream:
        assert stream.read() == b""


def test_unfinished_files_of_others_go_while_a_process_goes_on_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = new_vault(tmp_path)
    vault.put(b"one")
    left_over = place(vault) / "incoming" / "left"
    left_over.write_bytes(b"half of it")
    os.utime(left_over, (time.time() - 90_000,) * 2)
    vault.put(b"two")
    assert left_over.exists(), "it is not looked for at every writing"
    later = time.monotonic() + 3601
    monkeypatch.setattr("tclearn.store.filesystem.time.monotonic", lambda: later)
    vault.put(b"three")
    assert not left_over.exists()


def test_sweeping_takes_old_bodies_without_a_head_only(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    name = vault.put(b"weights")
    long_ago = time.time() - 90_000
    orphans = [place(vault) / "bodies" / "ab" / (f"{number:02x}" * 15) for number in range(2)]
    orphans[0].parent.mkdir(exist_ok=True)
    for path in orphans:
        path.write_bytes(b"left over")
    for path in [orphans[0], *files(place(vault) / "bodies")[:1]]:
        os.utime(path, (long_ago, long_ago))
    assert vault.sweep() == 1
    assert not orphans[0].exists()
    assert orphans[1].exists()
    assert vault.get(name, size_max=7) == b"weights"
    assert vault.sweep() == 0


def test_removing(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    names = [vault.put(b"one"), vault.put(b"two")]
    vault.remove(names[0])
    vault.remove(names[0])
    assert refusal(lambda: vault.open(names[0])).code is Code.OBJECT_MISSING
    assert list(vault.names()) == [names[1]]
    assert len(files(place(vault) / "bodies")) == 1
