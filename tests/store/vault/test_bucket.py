"""The bucket's own ways: streams in parts, and failures in the vault's words. What all backends share is elsewhere."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import MemoryStore, S3Store
from tests.store.vault.vaults import noise, refusal

from tclearn.encoding import Digest
from tclearn.errors import Code
from tclearn.store.vault import HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend
from tclearn.store.vault.chunks import CHUNK_BYTES


def test_large_objects_go_up_in_parts_and_are_there_when_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore()
    vault = Vault(BucketBackend(memory), HeldKeys.new(), create=True)
    seen: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            seen.append(len(list(vault.backend.list("bodies"))))
            return super().read(size)

    data = noise(20 * CHUNK_BYTES + 3)
    name = vault.put_stream(Watched(data))
    assert set(seen) == {0}
    assert vault.get(name, size_max=len(data)) == data


class Answering(BaseHTTPRequestHandler):
    """A bucket that answers everything with one status."""

    status = 403

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b"<Error><Code>Nope</Code><Message>no such luck</Message></Error>"
        self.send_response(self.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


def bucket(port: int) -> BucketBackend:
    return BucketBackend(
        S3Store(
            "models",
            endpoint=f"http://127.0.0.1:{port}",
            access_key_id="AKIDEXAMPLE",
            secret_access_key="wJalrXUtnFEMI",
            region="eu-west-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
        )
    )


CALLS: list[Callable[[BucketBackend], object]] = [
    lambda backend: backend.write("heads/ab/cd", [b"data"]),
    lambda backend: backend.write("bodies/ab/cd", [bytes(9 << 20), bytes(9 << 20)]),
    lambda backend: backend.open("heads/ab/cd"),
    lambda backend: backend.size("heads/ab/cd"),
    lambda backend: list(backend.list("heads")),
    lambda backend: backend.remove("heads/ab/cd"),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_bucket_that_refuses(call: Callable[[BucketBackend], object]) -> None:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        error = refusal(lambda: call(bucket(server.server_port)))
        server.shutdown()
        thread.join(10)
    assert error.code is Code.STORE_FAILED
    assert "models" in error.what
    assert "credentials" in error.remedy
    for secret in ("AKIDEXAMPLE", "wJalrXUtnFEMI"):
        assert secret not in str(error)
    assert len(error.what) < 400


def test_a_bucket_that_cannot_be_reached() -> None:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        port = server.server_port
    error = refusal(lambda: bucket(port).size("vault"))
    assert error.code is Code.STORE_FAILED
    assert "network" in error.remedy


@pytest.mark.parametrize("error", [GenericError("the line broke"), PermissionDeniedError("not any more")])
def test_a_bucket_that_fails_while_it_is_read(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    vault = Vault(BucketBackend(MemoryStore()), HeldKeys.new(), create=True)
    data = noise(3 * CHUNK_BYTES)
    name = vault.put(data)
    stream: Any = vault.open(name)
    assert stream.read(CHUNK_BYTES) == data[:CHUNK_BYTES]

    class Failing:
        def read(self, _: int) -> bytes:
            raise error

        def close(self) -> None:
            pass

    monkeypatch.setattr(stream.raw._source, "_reader", Failing())
    assert refusal(lambda: stream.read(CHUNK_BYTES)).code is Code.STORE_FAILED
    stream.close()


def test_bodies_that_are_cut_off_while_they_are_read() -> None:
    memory = MemoryStore()
    vault = Vault(BucketBackend(memory), HeldKeys.new(), create=True)
    data = noise(12 * CHUNK_BYTES)
    name = vault.put(data)
    (body,) = vault.backend.list("bodies")
    with vault.open(name) as stream:
        assert stream.read(CHUNK_BYTES) == data[:CHUNK_BYTES]
        obstore.put(memory, body.path, bytes(obstore.get(memory, body.path).bytes())[: 2 * CHUNK_BYTES])
        error = refusal(lambda: [stream.read(CHUNK_BYTES) for _ in range(12)])
    assert error.code in {Code.OBJECT_CORRUPT, Code.STORE_FAILED}


def test_from_one_bucket_into_another() -> None:
    one, two = (Vault(BucketBackend(MemoryStore()), HeldKeys.new(), create=True) for _ in range(2))
    data = noise(20 * CHUNK_BYTES)
    name = one.put(data)
    with one.open(name) as stream:
        assert two.put_stream(stream) == name
    assert two.get(name, size_max=len(data)) == data


def test_strangers_files_beside_the_vaults_do_no_harm() -> None:
    memory = MemoryStore()
    vault = Vault(BucketBackend(memory), HeldKeys.new(), create=True)
    name = vault.put(b"weights")
    for path in ("heads/notes.txt", "heads/ab/zz", "bodies/readme", "elsewhere"):
        obstore.put(memory, path, b"a stranger's")
    assert list(vault.names()) == [name]
    assert not vault.has(Digest(bytes(32)))
