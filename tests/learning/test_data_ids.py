"""Digests and IDs of records: one for each record, whatever holds it."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any

import numpy as np
import pytest
import torch
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import TensorDataset

from tclearn.errors import UsageError
from tclearn.learning.data_ids import data_ids, data_set_digest, digest_from_text, digest_text, record_digests
from tclearn.learning.records import Records, materialise

KEY = bytes(range(32))


def records(**changes: Any) -> Records:
    inputs = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    return materialise((changes.get("inputs", inputs), changes.get("targets", np.arange(4))), "test")


def test_digest_is_what_is_written() -> None:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    first = text(b"F32") + struct.pack("<4Q", 2, 2, 3, 24) + struct.pack("<6f", *range(6))
    target = text(b"I64") + struct.pack("<2Q", 0, 8) + struct.pack("<q", 0)
    digest = blake3(b"tclearn/record/1\x00" + first + target).digest()
    assert record_digests(records())[0] == digest
    assert data_ids(records(), KEY)[0] == hmac.new(KEY, digest, hashlib.sha256).digest()[:16]
    joined = b"".join(record_digests(records()))
    expected = blake3(b"tclearn/data-set/1\x00" + struct.pack("<Q", 4) + joined).digest()
    assert data_set_digest(records()) == expected


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: TensorDataset(torch.tensor(x), torch.tensor(y)),
        lambda x, y: (x.astype(np.float64), y.astype(np.int32)),
        lambda x, y: (np.asfortranarray(x), y.astype(np.uint8)),
        lambda x, y: (x.astype(">f4"), y.astype(">i8")),
        lambda x, y: (x.astype(np.float16), y),
        lambda x, y: (x.tolist(), y.tolist()),
        lambda x, y: _Pairs(x, targets=y),
        lambda x, y: lambda: (torch.tensor(x), torch.tensor(y)),
    ],
)
def test_one_digest_in_every_form(form: Any) -> None:
    plain = records()
    other = materialise(form(plain.inputs, plain.targets), "test")
    assert data_set_digest(other) == data_set_digest(plain)
    assert data_ids(other, KEY) == data_ids(plain, KEY)


class _Pairs:
    def __init__(self, inputs: Any, targets: Any) -> None:
        self.pairs = list(zip(inputs, targets, strict=True))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return torch.tensor(self.pairs[index][0]), int(self.pairs[index][1])


def test_what_makes_another_record() -> None:
    plain = records()
    one = plain.inputs.copy()
    one[0, 0, 0] = 7
    for other in (
        records(inputs=one),
        records(inputs=plain.inputs.reshape(4, 3, 2)),
        records(inputs=plain.inputs.astype(np.int64)),
        records(targets=np.array([1, 1, 2, 3])),
        records(targets=np.arange(4.0)),
        plain.take([1, 0, 2, 3]),
        plain.take([0, 1, 2]),
    ):
        assert data_set_digest(other) != data_set_digest(plain)
        assert data_ids(other, KEY)[0] != data_ids(plain, KEY)[0] or len(other) < 4
    assert set(data_ids(plain, KEY)).isdisjoint(data_ids(plain, bytes(32)))


def test_negative_zero_is_zero() -> None:
    zero, minus = (records(inputs=np.full((4, 1), value, np.float32)) for value in (0.0, -0.0))
    assert data_set_digest(zero) == data_set_digest(minus)


@given(st.integers(1, 40), st.integers(1, 9))
def test_chunks_do_not_show(count: int, chunk: int) -> None:
    random = np.random.default_rng(count)
    plain = Records(random.standard_normal((count, 2)), random.integers(0, 3, count))
    whole = record_digests(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tclearn.learning.data_ids._CHUNK", chunk)
        assert record_digests(plain) == whole


def test_digests_as_text() -> None:
    digest = data_set_digest(records())
    text = digest_text(digest)
    assert text == f"blake3:{digest.hex()}"
    assert digest_from_text(text) == digest
    for wrong in ("", "blake3:", text[:-1], text + "0", text[7:], text.replace("blake3", "sha256"), text[:-2] + "xy"):
        with pytest.raises(UsageError):
            digest_from_text(wrong)
