"""Vaults for tests: in a folder or a bucket in memory, with a key file that opens in no time."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from obstore.store import MemoryStore

from tclearn.encoding import Digest
from tclearn.errors import StorageError
from tclearn.store.vault import Backend, FolderBackend, HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend
from tclearn.store.vault.chunks import CHUNK_BYTES, TAG_BYTES
from tclearn.store.vault.forms import Head, body_path, head_path, label_of
from tclearn.store.vault.key_file import Cost, KeyFile

CHEAP: Final = Cost(operations=1, memory_kib=8)
PASSPHRASE: Final = "seven blue horses"
SEALED: Final = CHUNK_BYTES + TAG_BYTES


def backend_in(kind: str, folder: Path) -> Backend:
    return BucketBackend(MemoryStore()) if kind == "bucket" else FolderBackend(folder)


def new_vault(folder: Path) -> Vault:
    return Vault(FolderBackend(folder / "vault"), HeldKeys.new(), create=True)


def vault_with_key_file(folder: Path) -> tuple[Vault, KeyFile]:
    keys = KeyFile.create(folder / "vault.key", PASSPHRASE, cost=CHEAP)
    return Vault(FolderBackend(folder / "vault"), keys, create=True), keys


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def place(vault: Vault) -> Path:
    assert isinstance(vault.backend, FolderBackend)
    return vault.backend.folder


def head_file(vault: Vault, name: Digest) -> Path:
    return place(vault) / head_path(label_of(vault.names_key, name))


def body_file(vault: Vault, name: Digest) -> Path:
    head = Head.read(head_file(vault, name).read_bytes())
    assert head is not None
    return place(vault) / body_path(head.body)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def refusal(call: Callable[[], object]) -> StorageError:
    with pytest.raises(StorageError) as caught:
        call()
    return caught.value
