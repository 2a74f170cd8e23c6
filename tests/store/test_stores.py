"""One suite for every store."""

from __future__ import annotations

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


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_as_a_dictionary(objects: list[bytes]) -> None:
    store = MemoryStore()
    names = [store.put(data) for data in objects]
    assert [store.get(name, size_max=50) for name in names] == objects
