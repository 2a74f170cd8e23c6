"""Pieces are written while the next are made: in order, all or none, and never by a thread that is left behind."""

from __future__ import annotations

import errno
import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.store.vault.vaults import files, new_vault, noise, refusal

from tclearn.errors import Code
from tclearn.store.vault import FolderBackend, Vault
from tclearn.store.vault.backends.write_behind import WriteBehind
from tclearn.store.vault.chunks import CHUNK_BYTES, sealed_size

THREAD = "write behind"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and limits")


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


class File(io.BytesIO):
    """A file in memory that takes a part of what it is given, and only when it is let."""

    def __init__(self, most: int = 1 << 30) -> None:
        super().__init__()
        self.most = most
        self.let = threading.Event()
        self.let.set()
        self.by: set[str] = set()

    def write(self, data: Any, /) -> int:
        self.by.add(threading.current_thread().name)
        assert self.let.wait(30)
        return super().write(data[: self.most])

    def fileno(self) -> int:
        raise OSError(errno.EBADF, "there is no disk below")


def write(file: File, pieces: Iterable[bytes]) -> None:
    with WriteBehind(file) as behind:
        for piece in pieces:
            behind.write(piece)
        behind.flush()


def put_on_a_full_disk(vault: Vault, room: int, number: int, patches: pytest.MonkeyPatch) -> Any:
    """The refusal of an object of twelve chunks by a disk that takes so many bytes of a file and then says this."""

    class Full(io.FileIO):
        def write(self, data: Any, /) -> int:
            left = room - self.tell()
            if left <= 0:
                raise OSError(number, os.strerror(number))
            return super().write(data[:left])

    with patches.context() as patch:
        patch.setattr(os, "fdopen", lambda descriptor, mode, **_: Full(descriptor, mode))
        return refusal(lambda: vault.put_stream(io.BytesIO(noise(12 * CHUNK_BYTES))))


# --- the bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1000, 1 << 30])
def test_the_bytes_are_in_their_order_whatever_the_pieces(most: int) -> None:
    pieces = [noise(size, size) for size in (7, 0, 100_000, 1, 5 << 20, 3, 3, 999, 0)]
    file = File(most)
    with WriteBehind(file) as behind:
        for piece in pieces:
            behind.write(piece)
        behind.flush()
        assert file.getvalue() == b"".join(pieces)
        assert len(writers()) == 1
    assert writers() == []
    assert file.by == {threading.current_thread().name, THREAD}


def test_a_file_of_one_piece_needs_no_thread() -> None:
    file = File()
    write(file, [b"a head"])
    assert file.by == {threading.current_thread().name}


def test_without_another_thread_it_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    vault, data = new_vault(tmp_path), noise(3 * CHUNK_BYTES + 5)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        name = vault.put_stream(io.BytesIO(data))
    assert vault.get(name, size_max=len(data)) == data


def test_three_pieces_at_the_most_are_in_memory() -> None:
    file = File()
    made = 0
    ahead: list[int] = []

    def hang() -> None:
        end = time.monotonic() + 30
        while ahead[-1] < 3:
            assert time.monotonic() < end
            time.sleep(0.001)
        time.sleep(0.05)
        file.let.set()

    hanging = threading.Thread(target=hang)

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for number in range(50):
            made += 1
            ahead.append(made - file.tell() // 1000)
            if number == 5:  # the disk hangs
                file.let.clear()
                hanging.start()
            yield bytes(1000)

    write(file, pieces())
    hanging.join()
    assert len(file.getvalue()) == 50_000
    assert max(ahead) == 3  # one is being written, one is next, one is being made


def test_all_of_it_is_in_the_file_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault, size = new_vault(tmp_path), 12 * CHUNK_BYTES + 5
    synced: list[tuple[int, int]] = []
    sync = os.fsync

    def looked_at(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            synced.append((status.st_size, len(writers())))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", looked_at)
    vault.put_stream(io.BytesIO(noise(size)))
    (body, writing), (head, _) = synced
    assert (body, writing) == (sealed_size(size), 0)
    assert 0 < head < 4096


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, CHUNK_BYTES // 2, 3 * CHUNK_BYTES, 12 * CHUNK_BYTES])
@pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "make room"), (errno.EIO, "look after that folder")])
def test_a_full_disk_is_the_callers_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str, room: int
) -> None:
    vault = new_vault(tmp_path)
    kept = vault.put(b"before")
    before = files(tmp_path)
    error = put_on_a_full_disk(vault, room, number, monkeypatch)
    assert error.code is Code.STORE_FAILED
    assert says in error.remedy
    assert os.strerror(number) in str(error)
    assert files(tmp_path) == before
    assert writers() == []
    assert vault.get(kept, size_max=6) == b"before"
    assert len(vault.get(vault.put(noise(2 * CHUNK_BYTES)), size_max=1 << 22)) == 2 * CHUNK_BYTES


@POSIX
def test_the_same_of_the_operating_system(tmp_path: Path) -> None:
    import resource

    vault = new_vault(tmp_path)
    before = files(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * CHUNK_BYTES + 77, hard))
    try:
        error = refusal(lambda: vault.put_stream(io.BytesIO(noise(8 * CHUNK_BYTES))))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.code is Code.STORE_FAILED
    assert os.strerror(errno.EFBIG) in str(error)
    assert files(tmp_path) == before
    assert writers() == []


def test_nothing_is_written_after_a_piece_that_could_not_be() -> None:
    class Once(File):
        def write(self, data: Any, /) -> int:
            if bytes(data) == b"2":
                raise OSError(errno.EIO, "it comes back later")
            return super().write(data)

    file = Once()
    with pytest.raises(OSError, match="it comes back later"):
        write(file, [b"0", b"1", b"2", b"3"])
    assert file.getvalue() == b"01"


@pytest.mark.parametrize("kind", [ConnectionResetError, KeyboardInterrupt, SystemExit, MemoryError])
def test_whatever_the_source_raises_comes_through_and_leaves_nothing(tmp_path: Path, kind: type[BaseException]) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 6 * CHUNK_BYTES:
                raise kind("in the middle")
            return super().read(size)

    vault = new_vault(tmp_path)
    before = files(tmp_path)
    with pytest.raises(kind, match="in the middle"):
        vault.put_stream(Broken(noise(8 * CHUNK_BYTES)))
    assert files(tmp_path) == before
    assert writers() == []


@POSIX
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals are the main thread's")
def test_the_impatient_wait_until_nobody_writes_any_more(interrupt: Callable[[], None]) -> None:
    file = File()

    def hang() -> None:
        for _ in range(3):  # while it waits for the disk, then while it waits for the thread
            time.sleep(0.1)
            interrupt()
        time.sleep(0.1)
        file.let.set()

    hanging = threading.Thread(target=hang)

    def pieces() -> Iterator[bytes]:
        yield b"0"
        file.let.clear()
        hanging.start()
        yield from (b"1", b"2", b"3")

    with pytest.raises(KeyboardInterrupt):
        write(file, pieces())
    assert file.let.is_set()
    hanging.join()
    assert writers() == []
    assert file.getvalue() == b"012"  # what had been handed over


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """As Ctrl-C; not by SIGINT, which belongs to who runs the tests."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupted)
    main = threading.main_thread().ident
    assert main is not None
    yield partial(signal.pthread_kill, main, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


INTERRUPTED = """
import signal, sys, threading
from pathlib import Path
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
folder = Path(sys.argv[1])
vault = Vault(FolderBackend(folder), HeldKeys.new(), create=True)

class Endless:
    def read(self, size):
        return bytes(size)

print("ready", flush=True)
try:
    vault.put_stream(Endless())
except KeyboardInterrupt:
    print([str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()], threading.active_count())
"""


@POSIX
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "vault")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    end = time.monotonic() + 30
    incoming = FolderBackend(tmp_path / "vault").folder / "incoming"
    while sum(path.stat().st_size for path in files(incoming)) < 5 * CHUNK_BYTES:
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert output == "['vault'] 1\n"
    assert process.returncode == 0
