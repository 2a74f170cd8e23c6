"""Targets: the files of a vault, as a damaged disk or whoever can write to it leaves them."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from blake3 import blake3
from nacl.pwhash import argon2id
from tests.fuzz import samples
from tests.fuzz.harness import Target
from tests.fuzz.mutators import array, by_bytes, cbor

from tclearn.encoding import Digest, decode, encode
from tclearn.store.vault import FolderBackend, Vault, backup
from tclearn.store.vault.chunks import CHUNK_BYTES
from tclearn.store.vault.forms import body_path, head_path, label_of
from tclearn.store.vault.key_file import Cost, KeyFile
from tclearn.store.vault.rotation import rotate

_OBJECTS: Final = (b"weights", b"", b"long" * (CHUNK_BYTES // 4) + b"er")
_PASSPHRASE: Final = "horse"


@cache
def _made() -> Vault:
    """The same vault every time, with two KEKs."""
    choose = random.Random(7)
    folder = samples.folder() / "a vault"
    with (
        patch("secrets.token_bytes", choose.randbytes),
        patch("secrets.token_hex", lambda size: choose.randbytes(size).hex()),
    ):
        keys = KeyFile.create(folder.with_suffix(".key"), _PASSPHRASE, cost=Cost(1, 8))
        vault = Vault(FolderBackend(folder), keys, create=True)
        for data in _OBJECTS[:2]:
            vault.put(data)
        keys.add()
        rotate(vault)
        vault.put(_OBJECTS[2])
        backup.backup(vault, samples.folder() / "a backup")
    return vault


def _file(path: str) -> Path:
    return samples.folder() / "a vault" / path


# --- an object -------------------------------------------------------------------------------------------------------


def _paths(number: int) -> tuple[Path, Path]:
    vault = _made()
    name = blake3(_OBJECTS[number]).digest()
    label = label_of(vault.names_key, Digest(name))
    head = next(head for each, head in vault.heads() if each == label and head)
    return _file(head_path(label)), _file(body_path(head.body))


_CASES: Final = (0, 1)


@cache
def _places() -> tuple[tuple[Path, Path], ...]:
    return tuple(_paths(number) for number in _CASES)


@cache
def _whole() -> dict[Path, bytes]:
    return {path: path.read_bytes() for pair in _places() for path in pair}


def _object(data: bytes) -> object:
    vault, (head, body), whole = _made(), _places()[0], _whole()
    match decode(data):
        case [bytes(first), bytes(second)]:
            head.write_bytes(first)
            body.write_bytes(second)
        case _:
            return None
    try:
        for _ in vault.heads():
            pass
        got = vault.get(Digest(blake3(_OBJECTS[0]).digest()), size_max=100)
    finally:
        for path in (head, body):
            path.write_bytes(whole[path])
    assert got == _OBJECTS[0]
    return len(first)


def _object_samples() -> list[bytes]:
    return [encode([_whole()[head], _whole()[body]]) for head, body in _places()]


# --- the record, the key file, a manifest ----------------------------------------------------------------------------


def _root(data: bytes) -> object:
    vault = _made()
    path = _file("vault")
    whole = path.read_bytes()
    path.write_bytes(data)
    try:
        opened = Vault(vault.backend, vault.keys)
        assert opened.root().encode() == data
        return sorted(opened.names()) == sorted(vault.names())
    finally:
        path.write_bytes(whole)


def _key_file(data: bytes) -> object:
    """The first byte: whether the check is made to fit. Argon2id is left out: it takes as long as it is asked to."""
    _made()
    if data[:1] > b"\x7f":
        data = data[:1] + _checked(data[1:])
    path = samples.folder() / "another.key"
    path.write_bytes(data[1:])
    path.chmod(0o600)
    with patch.object(argon2id, "kdf", _quick):
        keys = KeyFile.open(path, _PASSPHRASE)
    return len(keys.names)


def _quick(size: int, password: bytes, salt: bytes, opslimit: int, memlimit: int) -> bytes:
    real = _kdf(size, b"horse", salt, opslimit=1, memlimit=8 << 10)
    return real if (opslimit, memlimit, password) == (1, 8 << 10, b"horse") else bytes(size)


_kdf: Final[Any] = argon2id.kdf


def _checked(data: bytes) -> bytes:
    form = decode(data)
    if not isinstance(form, dict):
        return data
    form.pop("check", None)
    return encode({**form, "check": blake3(encode(form)).digest()})


def _key_file_samples() -> list[bytes]:
    _made()
    whole = (samples.folder() / "a vault.key").read_bytes()
    return [b"\0" + whole, b"\xff" + whole]


def _manifest(data: bytes) -> object:
    """The first byte: whether the seal is made to fit, which only the vault's keys can."""
    vault = _made()
    place = samples.folder() / "a backup"
    path = place / backup.MANIFEST
    whole = path.read_bytes()
    if data[:1] > b"\x7f":
        form = decode(data[1:])
        if isinstance(form, dict) and "files" in form:
            key = blake3(vault.names_key.reveal(), derive_key_context=backup._SEAL_CONTEXT).digest()
            data = data[:1] + encode({**form, "seal": blake3(encode(form["files"]), key=key).digest()})
    path.write_bytes(data[1:])
    try:
        files = backup.check(place, vault.keys)
    finally:
        path.write_bytes(whole)
    assert len(files) == 2 * len(_OBJECTS) + 2
    return len(files)


def _manifest_samples() -> list[bytes]:
    _made()
    whole = (samples.folder() / "a backup" / backup.MANIFEST).read_bytes()
    return [b"\0" + whole, b"\xff" + whole]


TARGETS: Final = (
    Target("vault-object", _object_samples, _object, array(cbor(), by_bytes), 300),
    Target("vault-record", lambda: [(_made(), _file("vault").read_bytes())[1]], _root, cbor(), 200),
    Target("vault-key-file", _key_file_samples, _key_file, cbor(prefix=1), 300),
    Target("vault-manifest", _manifest_samples, _manifest, cbor(prefix=1), 150),
)
