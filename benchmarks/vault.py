"""The vault beside its bare primitives: AES-256-GCM and BLAKE3 over the same bytes, and a file written and synced.

Three pairs, in turn:

- *sealing*: the vault's chunks made of a stream and thrown away, or opened from memory, beside the two primitives;
- *folder*: an object put into a vault in a folder, or read from it, beside the two primitives and the same file written
  and synced, or read, with nothing of the vault's;
- the folder's vault beside the primitives alone, which touch no file. With another core to write on, `put` comes to
  more than half; on a busy machine it does not.

Keys: the time that one guess of a passphrase takes, and how fast a rotation goes.

Memory is that of another process, which streams an object in and out: its peak above what it needed for a small one.
The disk is the one of the temporary folder (``TMPDIR``).
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.common import Figure, in_turn, show
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.chunks import CHUNK_BYTES, TAG_BYTES, ChunkCipher, Sealing
from tclearn.store.vault.forms import Content
from tclearn.store.vault.key_file import KeyFile
from tclearn.store.vault.keys import new_key
from tclearn.store.vault.reading import Opening, drained
from tclearn.store.vault.rotation import rotate

MB = 10**6
ROUNDS = 7
BAR = 0.5
MEMORY_BAR_MB = 200.0
LARGE_MB = 2000
OBJECTS = 100


class Generated(io.RawIOBase):
    """A stream of so many bytes that are nowhere at once; no chunk is like another."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = bytearray(os.urandom(1 << 20))
        self._number = 0

    def read(self, size: int = -1, /) -> bytes:
        size = min(size, self._left, len(self._block))
        self._left -= size
        self._number += 1
        self._block[:8] = self._number.to_bytes(8, "big")
        return bytes(self._block[:size])


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# --- the primitives --------------------------------------------------------------------------------------------------


def bare_seal(data: memoryview, write: Callable[[bytes], object]) -> None:
    cipher, digest = AESGCM(bytes(32)), blake3()
    for number, at in enumerate(range(0, len(data), CHUNK_BYTES)):
        chunk = data[at : at + CHUNK_BYTES]
        digest.update(chunk)
        write(cipher.encrypt(number.to_bytes(12, "big"), chunk, None))
    digest.digest()


def bare_open(chunks: Iterable[bytes]) -> None:
    cipher, digest = AESGCM(bytes(32)), blake3()
    for number, chunk in enumerate(chunks):
        digest.update(cipher.decrypt(number.to_bytes(12, "big"), chunk, None))
    digest.digest()


def bare_write(data: memoryview, path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        bare_seal(data, file.write)
        os.fsync(file.fileno())


def bare_read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        bare_open(iter(lambda: file.read(CHUNK_BYTES + TAG_BYTES), b""))


# --- the comparison --------------------------------------------------------------------------------------------------


def throughput(size: int, folder: Path) -> list[Figure]:
    data = os.urandom(size)
    view = memoryview(data)
    vault = Vault(FolderBackend(folder / "vault"), HeldKeys.new(), create=True)
    cipher = ChunkCipher(new_key(), bytes(16), bytes(16))
    sealing = Sealing(io.BytesIO(data), cipher, size)
    sealed = b"".join(sealing.pieces())
    content = Content(sealing.digest, size)
    bare: list[bytes] = []
    bare_seal(view, bare.append)
    file = folder / "bare"

    def seal() -> None:
        for _ in Sealing(io.BytesIO(data), cipher, size).pieces():
            pass

    def unseal() -> None:
        drained(Opening(io.BytesIO(sealed), cipher, content))

    def put() -> float:
        vault.remove(content.digest)
        return seconds(lambda: vault.put_stream(io.BytesIO(data)))

    def get() -> None:
        with vault.open(content.digest) as stream:
            while stream.read(CHUNK_BYTES):
                pass

    def remade() -> float:
        file.unlink(missing_ok=True)
        return seconds(lambda: bare_write(view, file))

    put(), remade()
    took = in_turn(
        ROUNDS,
        lambda: seconds(lambda: bare_seal(view, len)),
        lambda: seconds(seal),
        remade,
        put,
        lambda: seconds(lambda: bare_open(bare)),
        lambda: seconds(unseal),
        lambda: seconds(lambda: bare_read(file)),
        lambda: seconds(get),
    )
    names = ("bare seal", "seal", "bare write", "put", "bare open", "open", "bare read", "get")
    rate = {name: size / MB / each for name, each in zip(names, took, strict=True)}
    primitives, files = "AES-256-GCM and BLAKE3 of the same bytes", "the same, and the file written and synced"
    return [
        Figure("sealing: chunks made, over the primitives", rate["seal"] / rate["bare seal"], "x", BAR, primitives),
        Figure("sealing: chunks opened, over the primitives", rate["open"] / rate["bare open"], "x", BAR, primitives),
        Figure("folder: put, over primitives and file", rate["put"] / rate["bare write"], "x", BAR, files),
        Figure(
            "folder: read, over primitives and file",
            rate["get"] / rate["bare read"],
            "x",
            BAR,
            "the same, and the file read",
        ),
        Figure("folder: put, over the primitives", rate["put"] / rate["bare seal"], "x", BAR, primitives),
        Figure("folder: read, over the primitives", rate["get"] / rate["bare open"], "x", BAR, primitives),
        *(Figure(f"throughput: {name}", value, "MB/s") for name, value in rate.items()),
    ]


# --- keys ------------------------------------------------------------------------------------------------------------


def keys_at_work(folder: Path) -> list[Figure]:
    keys = KeyFile.create(folder / "vault.key", "a passphrase of the benchmark")
    tries = [seconds(lambda: KeyFile.open(keys.path, "a passphrase of the benchmark")) for _ in range(5)]
    vault = Vault(FolderBackend(folder / "many"), keys, create=True)
    for number in range(OBJECTS):
        vault.put(number.to_bytes(8, "big"))
    keys.add()
    took = seconds(lambda: rotate(vault))
    return [
        Figure("keys: one passphrase tried", statistics.median(tries), "s"),
        Figure("keys: rotation, whatever the objects' size", OBJECTS / took, "objects/s"),
    ]


# --- memory ----------------------------------------------------------------------------------------------------------


def peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says there is at least the peak of the process that started this one
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB


def stream_through(size: int, folder: Path) -> None:
    """In a process of its own: prints the peak of memory above that with a small object, in MB."""
    vault = Vault(FolderBackend(folder), HeldKeys.new(), create=True)

    def through(size: int) -> None:
        name = vault.put_stream(Generated(size))
        with vault.open(name) as stream:
            read = 0
            while chunk := stream.read(CHUNK_BYTES):
                read += len(chunk)
        if read != size:
            raise SystemExit(f"{read} bytes came back of {size}")

    through(1)
    before = peak_mb()
    through(size)
    print(peak_mb() - before)


def memory(size: int, folder: Path) -> Figure:
    command = [sys.executable, __file__, "--through", str(size), str(folder / "streamed")]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return Figure(
        f"memory: {size // MB} MB streamed in and out", float(result.stdout), "MB", MEMORY_BAR_MB, at_most=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The vault beside its bare primitives.")
    parser.add_argument("--table", action="store_true", help="a table in place of JSON lines")
    parser.add_argument("--size", type=int, default=256, help="of the object, in MB (256)")
    parser.add_argument("--large", action="store_true", help=f"memory with {LARGE_MB} MB in place of that size")
    parser.add_argument("--through", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.through:
        stream_through(int(options.through[0]), Path(options.through[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        needed = memory((LARGE_MB if options.large else options.size) * MB, Path(folder))
        figures = [*throughput(options.size * MB, Path(folder)), *keys_at_work(Path(folder))]
    show([*figures, needed])


if __name__ == "__main__":
    main()
