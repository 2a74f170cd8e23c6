"""What lies in the store is read strictly, whatever it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.deepchain.world import terms

from tclearn.encoding import digest, encode
from tclearn.errors import MessageError
from tclearn.limits import DEEPCHAIN_BATCH
from tclearn.protocols.deepchain.agent import files
from tclearn.protocols.deepchain.agent.files import Batch

KEY = replace(terms().key, ciphertexts=DEEPCHAIN_BATCH + 2)
BATCHES = (Batch((b"12345678",) * DEEPCHAIN_BATCH, b"proof"), Batch((b"abcdefgh", b""), b""))
ROOT, FILE = files.root_of(BATCHES), files.write_batches(BATCHES)
SUMS = [-(1 << 22), -1, 0, 1, (1 << 23) - 1]


def test_batches_come_back():
    assert files.read_batches(FILE, ROOT, KEY) == BATCHES


@pytest.mark.parametrize(
    ("data", "root"),
    [
        (FILE, digest("another root")),
        (FILE[:-1], ROOT),
        (FILE + b"\0", ROOT),
        (b"", ROOT),
        (files.write_batches(BATCHES[:1]), files.root_of(BATCHES[:1])),
        (encode({"format": "something", "batches": [each.to_value() for each in BATCHES]}), ROOT),
        (encode({"format": "tclearn/deepchain-batches/1", "batches": [1]}), ROOT),
        (bytes(files.batches_bytes_max(KEY) + 1), ROOT),
    ],
)
def test_other_batches_than_those_of_the_ledger_are_refused(data, root):
    with pytest.raises(MessageError):
        files.read_batches(data, root, KEY)


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_noticed(place, change):
    data = bytearray(FILE)
    data[place] ^= change
    with pytest.raises(MessageError):
        files.read_batches(bytes(data), ROOT, KEY)


@pytest.mark.parametrize("slot_bits", [24, 64])
def test_opened_sums_come_back_for_their_iteration_only(slot_bits):
    data = files.write_opened(3, SUMS, slot_bits)
    assert files.read_opened(data, 3, len(SUMS), slot_bits).tolist() == SUMS
    assert len(data) <= files.opened_bytes_max(len(SUMS))
    for iteration, count in ((4, len(SUMS)), (3, len(SUMS) + 1)):
        with pytest.raises(MessageError):
            files.read_opened(data, iteration, count, slot_bits)
    with pytest.raises(MessageError):
        files.read_opened(files.write_batches(BATCHES), 3, len(SUMS), slot_bits)
