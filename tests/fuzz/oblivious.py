"""Targets: what the supervisor of data IDs and its members send each other, and the files that they keep."""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor, pages

from tclearn.encoding import Digest
from tclearn.identity.oprf import OprfKey, Pending, blind, finalize
from tclearn.identity.oprf_messages import IdAnswer, IdRequest
from tclearn.learning.id_cache import IdCache

KEY: Final = OprfKey(bytes(32))
RECORDS: Final = (b"first", b"second")


@cache
def _pending() -> Pending:
    # Fixed blinds: an input that was found must mean the same in the next run.
    return blind(RECORDS, entropy=lambda size: hashlib.shake_256(b"blinds").digest(size))


def _request_samples() -> list[bytes]:
    return [IdRequest.of(_pending().blinded).encode()]


def _request(data: bytes) -> object:
    request = IdRequest.read(data)
    assert request.encode() == data
    assert len(KEY.evaluate(request.batch).elements) == request.count
    return request.count


@cache
def _answer_samples() -> list[bytes]:
    evaluation = KEY.evaluate(_pending().blinded, entropy=lambda size: hashlib.shake_256(b"nonce").digest(size))
    return [IdAnswer.of(evaluation).encode()]


def _answer(data: bytes) -> object:
    outputs = finalize(_pending(), IdAnswer.read(data).batch, KEY.public)
    assert [data] == _answer_samples()
    assert outputs == [KEY.value(each) for each in RECORDS]
    return "the answer"


def _cache_samples() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ids"
        IdCache(file).save(KEY.public, {Digest(bytes([each]) * 32): bytes([each]) * 16 for each in range(4)})
        return [file.read_bytes()]


def _cache(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ids"
        file.write_bytes(data)
        held = IdCache(file).load(KEY.public)
        if held:
            IdCache(file).save(KEY.public, held)
            assert IdCache(file).load(KEY.public) == held
        return len(held)


TARGETS: Final = (
    Target("id-request", _request_samples, _request, cbor(), 150),
    Target("id-answer", _answer_samples, _answer, cbor(), 100),
    Target("id-cache", _cache_samples, _cache, pages, 60),
)
