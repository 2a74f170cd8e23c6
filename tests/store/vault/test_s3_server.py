"""A vault in a bucket of a real S3 server process; see ``tools/s3``."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from obstore.store import S3Store
from tests.store.vault.vaults import noise, vault_with_key_file

from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend
from tclearn.store.vault.backends.places import backend_at
from tclearn.store.vault.backup import backup, restore
from tclearn.store.vault.chunks import CHUNK_BYTES
from tclearn.store.vault.rotation import Rotation, retire, rotate

ROOT = Path(__file__).resolve().parents[3]
SERVER = Path(os.environ.get("TCLEARN_MOTO_SERVER") or ROOT / "build" / "s3" / "bin" / "moto_server")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not SERVER.exists(), reason=f"no S3 server in {SERVER}: tools/s3/README.md says how to have one"
    ),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 60
        while True:
            try:
                httpx.get(url, timeout=5)
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, "the S3 server does not answer"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def store(address: str, request: pytest.FixtureRequest) -> S3Store:
    name = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    httpx.put(f"{address}/{name}", timeout=30).raise_for_status()
    return S3Store(
        name,
        prefix="coalition/vault",
        endpoint=address,
        access_key_id="test",
        secret_access_key="test",
        region="us-east-1",
        client_options={"allow_http": True},
    )


def uploads(address: str, store: S3Store) -> str:
    bucket: Any = store.config["bucket"]
    return httpx.get(f"{address}/{bucket}?uploads", timeout=30).text


def test_objects_small_and_large(store: S3Store, address: str) -> None:
    keys = HeldKeys.new()
    vault = Vault(BucketBackend(store), keys, create=True)
    objects = [b"", b"weights", noise(8 << 20), noise((30 << 20) + 17)]
    names = [vault.put_stream(io.BytesIO(data)) for data in objects]
    assert [vault.put(data) for data in objects] == names
    again = Vault(BucketBackend(store), keys)
    assert [again.get(name, size_max=1 << 30) for name in names] == objects
    assert set(again.names()) == set(names)
    assert len(list(again.backend.list("bodies"))) == 4
    assert "<Upload>" not in uploads(address, store)
    again.remove(names[3])
    assert [again.has(name) for name in names] == [True, True, True, False]
    assert again.sweep(older_than_s=-60) == 0


def test_an_upload_that_is_broken_off_is_not_there(store: S3Store, address: str) -> None:
    vault = Vault(BucketBackend(store), HeldKeys.new(), create=True)

    seen: list[bool] = []

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 25 << 20:
                seen.append("<Upload>" in uploads(address, store))
                raise ConnectionResetError("the line broke")
            return super().read(size)

    with pytest.raises(ConnectionResetError, match="the line broke"):
        vault.put_stream(Broken(noise(30 << 20)))
    assert [entry.path for part in ("heads", "bodies") for entry in vault.backend.list(part)] == []
    assert seen == [True]
    assert "<Upload>" not in uploads(address, store)


def test_rotation_backup_and_restoration(store: S3Store, tmp_path: Path) -> None:
    _, keys = vault_with_key_file(tmp_path)
    vault = Vault(BucketBackend(store), keys, create=True)
    objects = [b"weights", noise(9 << 20)]
    names = [vault.put(data) for data in objects]
    bodies = {entry.path: entry.modified_s for entry in vault.backend.list("bodies")}
    keys.add()
    assert rotate(vault) == Rotation(rewrapped=2, before=0, damaged=())
    assert len(retire(vault, keys)) == 1
    assert {entry.path: entry.modified_s for entry in vault.backend.list("bodies")} == bodies
    backup(vault, tmp_path / "out")
    for target in (FolderBackend(tmp_path / "new"), None):
        if target is None:
            for part in ("heads", "bodies"):
                for entry in vault.backend.list(part):
                    vault.backend.remove(entry.path)
            vault.backend.remove("vault")
        restored = restore(tmp_path / "out", target or BucketBackend(store), keys)
        assert [restored.get(name, size_max=1 << 30) for name in names] == objects


def test_a_flipped_byte_in_the_bucket(store: S3Store) -> None:
    vault = Vault(BucketBackend(store), HeldKeys.new(), create=True)
    name = vault.put(noise(2 * CHUNK_BYTES))
    (body,) = vault.backend.list("bodies")
    whole = bytearray(bytes(obstore.get(store, body.path).bytes()))
    whole[-1] ^= 1
    obstore.put(store, body.path, bytes(whole))
    with vault.open(name) as stream, pytest.raises(Exception, match="is damaged in chunk 1 of 2"):
        stream.read()


def test_a_place_as_users_write_it(store: S3Store, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and credentials come from the environment, as other programs for S3 take them."""
    for variable, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(variable, value)
    keys = HeldKeys.new()
    vault = Vault(BucketBackend(store), keys, create=True)
    name = vault.put(b"weights")
    place = f"s3://{store.config['bucket']}/coalition/vault"
    assert Vault(backend_at(place), keys).get(name, size_max=100) == b"weights"
    assert "test" not in repr(backend_at(place))
