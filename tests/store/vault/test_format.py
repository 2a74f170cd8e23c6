"""The files of ``docs/formats/vault.md``: made by the vault, and opened with nothing but the primitives."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import cbor2
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.pwhash import argon2id
from tests.store.vault.vaults import files

from tclearn.store.vault import FolderBackend, Vault
from tclearn.store.vault.backup import MANIFEST, backup
from tclearn.store.vault.chunks import CHUNK_BYTES
from tclearn.store.vault.key_file import Cost, KeyFile

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats" / "vault.md"
FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown() -> tuple[dict[str, str], dict[str, bytes]]:
    """What the page's two blocks say: the values, and the files."""
    values, listed = (match.group(1) for match in list(FENCE.finditer(PAGE.read_text(encoding="utf-8")))[:2])
    pairs = [line.split(" = ", 1) for line in values.splitlines()]
    joined = re.sub(r"=?\n  ", " ", listed)
    contents = {}
    for line in joined.splitlines():
        path, _, rest = line.partition(" ")
        contents[path] = bytes.fromhex(rest.replace("=", ""))
    return {name.strip(): value for name, value in pairs}, contents


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    numbers = itertools.count(1)
    monkeypatch.setattr("secrets.token_bytes", lambda size: bytes([next(numbers)]) * size)
    monkeypatch.setattr("secrets.token_hex", lambda size: (bytes([next(numbers)]) * size).hex())
    values, _ = shown()
    keys = KeyFile.create(tmp_path / "vault.key", values["passphrase"], cost=Cost(1, 8))
    vault = Vault(FolderBackend(tmp_path / "vault"), keys, create=True)
    vault.put(bytes.fromhex(values["object"]))
    return vault


def test_the_vault_makes_the_files_of_the_page(tmp_path: Path, example: Vault) -> None:
    _, listed = shown()
    found = {path.relative_to(tmp_path / "vault").as_posix(): path.read_bytes() for path in files(tmp_path / "vault")}
    assert {**found, "vault.key": (tmp_path / "vault.key").read_bytes()} == listed
    assert len(listed) == 4


def test_the_files_of_the_page_are_opened_by_the_vault(tmp_path: Path) -> None:
    values, listed = shown()
    for path, data in listed.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (tmp_path / "vault.key").chmod(0o600)
    vault = Vault(FolderBackend(tmp_path), KeyFile.open(tmp_path / "vault.key", values["passphrase"]))
    (name,) = vault.names()
    assert name.hex() == values["name"]
    assert vault.get(name, size_max=7).hex() == values["object"]


def unwrapped(kek: bytes, name: str, wrapped: bytes, context: list[Any]) -> bytes:
    bound = cbor2.dumps(["tclearn-vault-kek/1", name, cbor2.dumps(context)])
    return AESGCM(kek).decrypt(wrapped[:12], wrapped[12:], bound)


def opened_by_the_page(listed: dict[str, bytes], passphrase: str) -> dict[bytes, bytes]:
    """Every object of a vault by its name, read as the page says and with none of the vault's code."""
    key_file = cbor2.loads(listed["vault.key"])
    check = key_file.pop("check")
    assert check == blake3(cbor2.dumps(key_file)).digest()
    passes, memory, salt = key_file["operations"], key_file["memory_kib"], key_file["salt"]
    key = argon2id.kdf(32, passphrase.encode(), salt, opslimit=passes, memlimit=memory * 1024)
    inside = cbor2.loads(
        AESGCM(key).decrypt(
            key_file["nonce"], key_file["sealed"], cbor2.dumps(["tclearn-vault-keys/1", passes, memory, salt])
        )
    )
    keks = inside["keys"]
    root = cbor2.loads(listed["vault"])
    assert (root["format"], root["kek"]) == ("tclearn-vault/1", inside["current"])
    vault = root["id"]
    names_key = unwrapped(keks[root["kek"]], root["kek"], root["names"], ["tclearn-vault-names/1", vault])
    objects = {}
    for path, data in listed.items():
        if not path.startswith("heads/"):
            continue
        head = cbor2.loads(data)
        assert set(head) == {"format", "body", "kek", "wrapped", "content"}
        assert head["format"] == "tclearn-vault-object/1"
        label, body = bytes.fromhex(path.removeprefix("heads/").replace("/", "")), head["body"]
        key = unwrapped(keks[head["kek"]], head["kek"], head["wrapped"], ["tclearn-vault-key/1", vault, label, body])
        bound = cbor2.dumps(["tclearn-vault-content/1", vault, label, body])
        content = cbor2.loads(AESGCM(key).decrypt(bytes(11) + b"\2", head["content"], bound))
        sealed = listed[f"bodies/{body.hex()[:2]}/{body.hex()[2:]}"]
        plain = b""
        for number, at in enumerate(range(0, len(sealed), CHUNK_BYTES + 16)):
            chunk = sealed[at : at + CHUNK_BYTES + 16]
            flag = b"\1" if at + len(chunk) == len(sealed) else b"\0"
            bound = b"tclearn-vault-chunk/1" + vault + body + number.to_bytes(8, "big")
            plain += AESGCM(key).decrypt(number.to_bytes(11, "big") + flag, chunk, bound)
        assert content == {"size": len(plain), "digest": blake3(plain).digest()}
        assert label == blake3(content["digest"], key=names_key).digest()
        objects[content["digest"]] = plain
    return objects


def test_the_page_is_enough_to_open_its_files() -> None:
    values, listed = shown()
    expected = {bytes.fromhex(values["name"]): bytes.fromhex(values["object"])}
    assert opened_by_the_page(listed, values["passphrase"]) == expected
    (head,) = (path for path in listed if path.startswith("heads/"))
    assert head.removeprefix("heads/").replace("/", "") == values["label"]


def test_the_page_is_enough_to_open_a_backup_of_larger_objects(tmp_path: Path) -> None:
    keys = KeyFile.create(tmp_path / "vault.key", "horse", cost=Cost(1, 8))
    vault = Vault(FolderBackend(tmp_path / "vault"), keys, create=True)
    objects = [bytes(size) for size in (0, CHUNK_BYTES, 2 * CHUNK_BYTES + 1)]
    expected = {bytes(vault.put(data)): data for data in objects}
    backup(vault, tmp_path / "out")
    out = tmp_path / "out"
    listed = {path.relative_to(out).as_posix(): path.read_bytes() for path in files(out)}
    manifest = cbor2.loads(listed.pop(MANIFEST))
    assert manifest["files"] == [
        {"path": path, "size": len(data), "digest": blake3(data).digest()} for path, data in sorted(listed.items())
    ]
    derived = blake3(vault.names_key.reveal(), derive_key_context="tclearn-vault-backup/1 manifest").digest()
    assert manifest["seal"] == blake3(cbor2.dumps(manifest["files"], canonical=True), key=derived).digest()
    assert opened_by_the_page(listed, "horse") == expected
