"""Round trips of any size, in any order of reading."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore
from tests.store.vault.vaults import SEALED, backend_in, noise, refusal

from tclearn.errors import Code
from tclearn.store.vault import HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend
from tclearn.store.vault.chunks import CHUNK_BYTES, TAG_BYTES, ChunkCipher, Sealing, chunk_count, sealed_size
from tclearn.store.vault.keys import new_key

SIZES = st.one_of(
    st.integers(0, 5000),
    st.builds(lambda chunks, off: max(0, chunks * CHUNK_BYTES + off), st.integers(0, 3), st.integers(-2, 2)),
    st.integers(0, 3 * CHUNK_BYTES),
)


class Trickle(io.RawIOBase):
    """A stream, such as a socket, that gives out less than it is asked for."""

    def __init__(self, data: bytes, steps: list[int]) -> None:
        self._data, self._steps, self._at, self._turn = data, steps, 0, 0

    def read(self, size: int = -1, /) -> bytes:
        step = min(size, self._steps[self._turn % len(self._steps)])
        self._turn += 1
        part = self._data[self._at : self._at + step]
        self._at += len(part)
        return part


@given(size=SIZES, seed=st.integers(0, 9), steps=st.lists(st.integers(1000, 3 * CHUNK_BYTES), min_size=1, max_size=4))
@settings(max_examples=40)
def test_what_goes_in_comes_out(size: int, seed: int, steps: list[int]) -> None:
    data = noise(size, seed)
    vault = Vault(BucketBackend(MemoryStore()), HeldKeys.new(), create=True)
    name = vault.put_stream(Trickle(data, steps))
    assert name == blake3(data).digest()
    assert vault.size(name) == size
    assert vault.get(name, size_max=size) == data
    with vault.open(name) as stream:
        parts = [stream.read(step) for step in steps * (2 + size // sum(steps))]
    assert b"".join(parts) == data
    (body,) = vault.backend.list("bodies")
    assert body.size == sealed_size(size) == size + TAG_BYTES * chunk_count(size)


@given(size=SIZES, share=st.floats(0, 1), kind=st.sampled_from(["bucket", "folder"]))
@settings(max_examples=40)
def test_from_any_byte_on_and_nothing_before_its_chunk_is_opened(size: int, share: float, kind: str) -> None:
    data, start = noise(size), round(share * size)
    opened: list[int] = []
    honest = ChunkCipher.open

    def counting(self: ChunkCipher, number: int, sealed: bytes, *, last: bool) -> bytes | None:
        opened.append(number)
        return honest(self, number, sealed, last=last)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChunkCipher, "open", counting)
        vault = Vault(backend_in(kind, Path(folder)), HeldKeys.new(), create=True)
        name = vault.put_stream(io.BytesIO(data))
        with vault.open(name, start) as stream:
            assert stream.read() == data[start:]
    assert opened == list(range(start // CHUNK_BYTES, chunk_count(size)))


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 1), (CHUNK_BYTES, 1), (CHUNK_BYTES + 1, 2)])
def test_in_how_many_chunks(size: int, count: int) -> None:
    cipher = ChunkCipher(new_key(), bytes(16), bytes(16))
    sealed = list(Sealing(io.BytesIO(bytes(size)), cipher, size).pieces())
    assert len(sealed) == chunk_count(size) == count
    assert [len(piece) for piece in sealed[:-1]] == [SEALED] * (count - 1)


def test_a_chunk_opens_in_its_place_only() -> None:
    key = new_key()
    cipher = ChunkCipher(key, b"v" * 16, b"b" * 16)
    sealed = cipher.seal(3, b"weights", last=False)
    assert cipher.open(3, sealed, last=False) == b"weights"
    assert cipher.open(2, sealed, last=False) is None
    assert cipher.open(3, sealed, last=True) is None
    assert cipher.open(3, sealed[:-1], last=False) is None
    assert cipher.open(3, b"", last=False) is None
    for other in (
        ChunkCipher(key, b"w" * 16, b"b" * 16),
        ChunkCipher(key, b"v" * 16, b"c" * 16),
        ChunkCipher(new_key(), b"v" * 16, b"b" * 16),
    ):
        assert other.open(3, sealed, last=False) is None


def test_no_two_seals_of_an_object_share_a_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bytes] = []

    class Watched:
        def __init__(self, key: bytes) -> None:
            pass

        def encrypt(self, nonce: bytes, data: bytes, context: bytes) -> bytes:
            used.append(nonce)
            return data + bytes(TAG_BYTES)

    monkeypatch.setattr("tclearn.store.vault.chunks.AESGCM", Watched)
    cipher = ChunkCipher(new_key(), bytes(16), bytes(16))
    list(Sealing(io.BytesIO(bytes(3 * CHUNK_BYTES)), cipher, 1 << 30).pieces())
    cipher.seal_content(b"", b"")
    assert len(used) == len(set(used)) == 4


def test_a_stream_that_is_too_long_is_refused_and_leaves_nothing() -> None:
    vault = Vault(BucketBackend(MemoryStore()), HeldKeys.new(), create=True)
    error = refusal(lambda: vault.put_stream(io.BytesIO(bytes(2 * CHUNK_BYTES)), size_max=2 * CHUNK_BYTES - 1))
    assert error.code is Code.TOO_LARGE
    assert [entry.path for folder in ("heads", "bodies") for entry in vault.backend.list(folder)] == []


def test_a_reader_may_close_early_and_twice() -> None:
    vault = Vault(BucketBackend(MemoryStore()), HeldKeys.new(), create=True)
    stream: Any = vault.open(vault.put(noise(3 * CHUNK_BYTES)))
    assert len(stream.read(5)) == 5
    stream.close()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)
