"""One suite for every store."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore as Bucket

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.store import FilesystemStore, MemoryStore, Store
from tclearn.store.streams import hand_on
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend

OTHER = Digest(bytes(32))


@pytest.fixture(params=["memory", "filesystem", "vault", "vault in a bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    makers: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "filesystem": lambda: FilesystemStore(tmp_path / "store"),
        "vault": lambda: Vault(FolderBackend(tmp_path / "store"), HeldKeys.new(), create=True),
        "vault in a bucket": lambda: Vault(BucketBackend(Bucket()), HeldKeys.new(), create=True),
    }
    return makers[request.param]()


def refusal(call: Callable[[], object]) -> StorageError:
    with pytest.raises(StorageError) as caught:
        call()
    return caught.value


def test_put_and_get(store: Store) -> None:
    name = store.put(b"weights")
    assert name == blake3(b"weights").digest()
    assert store.has(name)
    assert store.get(name, size_max=7) == b"weights"
    with store.open(name) as stream:
        assert stream.read(3) == b"wei"
        assert stream.read() == b"ghts"


def test_putting_again_changes_nothing(store: Store) -> None:
    assert store.put(b"weights") == store.put(b"weights")
    assert store.get(store.put(b"weights"), size_max=100) == b"weights"


def test_an_empty_object(store: Store) -> None:
    assert store.get(store.put(b""), size_max=0) == b""


@pytest.mark.parametrize(
    "name", [OTHER, Digest(b""), Digest(b"../../etc/passwd"), Digest(bytes(31)), Digest(bytes(33))]
)
def test_what_is_not_there(store: Store, name: Digest) -> None:
    store.put(b"weights")
    assert not store.has(name)
    for error in (refusal(lambda: store.get(name, size_max=10)), refusal(lambda: store.open(name))):
        assert error.code is Code.OBJECT_MISSING
        assert "not in the store" in error.what


def test_larger_than_allowed(store: Store) -> None:
    name = store.put(b"weights")
    error = refusal(lambda: store.get(name, size_max=6))
    assert error.code is Code.TOO_LARGE
    assert "7 bytes" in error.what


def test_what_is_put_cannot_be_changed_later(store: Store) -> None:
    data: Any = bytearray(b"weights")
    name = store.put(data)
    data[0] = 0
    assert store.get(name, size_max=10) == b"weights"


class Trickle:
    """A stream that gives less than is asked for, and perhaps an error in place of its end."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self._stream = io.BytesIO(data)
        self._error = error

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(min(size, 700_001))
        if not piece and self._error is not None:
            raise self._error
        return piece


STREAMED = random.Random(3).randbytes((2 << 20) + 5)


@pytest.mark.parametrize("data", [b"", b"weights", STREAMED, STREAMED[: 1 << 20]])
@pytest.mark.parametrize("named", [True, False])
def test_a_stream_is_kept_as_the_same_bytes_are(store: Store, data: bytes, named: bool) -> None:
    name = Digest(blake3(data).digest())
    for _ in range(2):  # again changes nothing
        wanted = name if named else None
        assert store.put_stream(Trickle(data), size_max=len(data), name=wanted) == name
    assert store.put(data) == name
    assert store.get(name, size_max=len(data)) == data
    assert store.size(name) == len(data)
    assert refusal(lambda: store.size(OTHER)).code is Code.OBJECT_MISSING


@pytest.mark.parametrize("there", [True, False])
def test_a_stream_of_other_bytes_is_not_kept(store: Store, there: bool) -> None:
    name, other = (Digest(blake3(data).digest()) for data in (STREAMED, STREAMED[:-1]))
    if there:
        store.put(STREAMED)
    for data in (STREAMED[:-1], b"", STREAMED[:-1] + b"x"):
        error = refusal(lambda: store.put_stream(Trickle(data), size_max=1 << 30, name=name))  # noqa: B023
        assert error.code is Code.OBJECT_CORRUPT
        assert not store.has(Digest(blake3(data).digest()))
    assert store.has(name) == there
    assert not store.has(other)


def test_a_stream_that_is_too_long_is_not_kept(store: Store) -> None:
    name = Digest(blake3(STREAMED).digest())
    for wanted in (None, name):
        error = refusal(lambda: store.put_stream(Trickle(STREAMED), size_max=len(STREAMED) - 1, name=wanted))  # noqa: B023
        assert error.code is Code.TOO_LARGE
    assert not store.has(name)


def test_what_a_stream_raises_comes_through_and_nothing_is_kept(store: Store) -> None:
    name = Digest(blake3(STREAMED).digest())
    with pytest.raises(KeyError, match="broken off"):
        store.put_stream(Trickle(STREAMED, KeyError("broken off")), size_max=1 << 30)
    assert not store.has(name)


def test_an_object_is_handed_on_from_store_to_store(store: Store, tmp_path: Path) -> None:
    other = Vault(FolderBackend(tmp_path / "other"), HeldKeys.new(), create=True)
    name = store.put(STREAMED)
    hand_on(name, store, other, size_max=len(STREAMED))
    assert other.get(name, size_max=len(STREAMED)) == STREAMED
    assert refusal(lambda: hand_on(OTHER, store, other, size_max=10)).code is Code.OBJECT_MISSING


def test_nothing_unfinished_is_left(tmp_path: Path) -> None:
    vault = Vault(FolderBackend(tmp_path / "vault"), HeldKeys.new(), create=True)
    before = sorted(tmp_path.rglob("*"))
    for store in (FilesystemStore(tmp_path / "files"), vault):
        for wanted, size_max in ((OTHER, 1 << 30), (None, 10)):
            refusal(lambda: store.put_stream(Trickle(STREAMED), size_max=size_max, name=wanted))  # noqa: B023
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [path for path in before if path.is_file()]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_as_a_dictionary(objects: list[bytes]) -> None:
    store = MemoryStore()
    names = [store.put(data) for data in objects]
    assert [store.get(name, size_max=50) for name in names] == objects
