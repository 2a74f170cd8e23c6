"""A folder from somebody else: no file in it takes more memory than an honest one, or hides what others show."""

from __future__ import annotations

import io
import os
import socket
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from tests.paillier.material import dealing
from tests.protocols.deepchain.blindness import all_blind, blind
from tests.protocols.deepchain.recorded import exported, handed, object_file, verified, write_objects
from tests.protocols.deepchain.training import Coalition, Plan
from tests.protocols.deepchain.world import terms

from tclearn.encoding import Digest, digest, encode
from tclearn.errors import Code, MessageError, StorageError
from tclearn.limits import DEEPCHAIN_BATCH, PAILLIER_BATCH_BYTES_MAX
from tclearn.paillier.masks import HIDING_BITS
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_decryption import response_bits as share_response_bits
from tclearn.paillier.proof_encryption import response_bits, rows
from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain.agent.auditing import audit
from tclearn.protocols.deepchain.agent.fetching import fetched, why_not
from tclearn.protocols.deepchain.agent.files import (
    Batch,
    batch_bytes_max,
    batches_bytes_max,
    read_batches,
    root_of,
    write_batches,
)
from tclearn.protocols.deepchain.findings import SHARES, Kind
from tclearn.protocols.deepchain.records import Handed
from tclearn.store import MemoryStore
from tclearn.store.reading import ObjectFolder

KEY = replace(terms().key, ciphertexts=1000 * DEEPCHAIN_BATCH, ciphertext_bytes=128, share_bytes=128)
SMALL = Plan(parties=4, threshold=3, hidden=2, iterations=2)


def peak(work: Callable[[], object]) -> int:
    """Bytes that Python has asked for at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def sparse(folder: Path, name: Digest, size: int) -> None:
    path = folder / name.hex()[:2] / name.hex()[2:]
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, size)


@pytest.mark.parametrize("named", [True, False])
def test_a_hollow_file_of_the_largest_size_is_refused_in_little_memory(tmp_path, named):
    size = batches_bytes_max(KEY)
    assert size > 80_000_000
    name = Digest(blake3(bytes(size)).digest()) if named else digest("other bytes")
    sparse(tmp_path, name, size)
    folder, found = ObjectFolder(tmp_path), []
    needed = peak(lambda: found.append(fetched(folder, Handed(0, digest("root"), name), KEY)))
    assert needed < 8 << 20
    assert found[0].batches is None and found[0].damaged is not named
    assert found[0].why.startswith("is not what the ledger names" if named else "is damaged: ")
    assert peak(lambda: why_not(folder, name, size)) < 8 << 20
    if not named:
        with pytest.raises(StorageError) as raised:
            folder.get(name, size_max=size)
        assert raised.value.code is Code.OBJECT_CORRUPT
    sparse(tmp_path, digest("longer"), size + 1)
    assert fetched(folder, Handed(0, digest("root"), digest("longer")), KEY).why == "is larger than such a file can be"


@pytest.mark.parametrize("bits", [512, 2048, 3072])
def test_the_largest_batch_is_hardly_larger_than_an_honest_one(bits):
    key, layout = dealing(4, 3, bits).key, Layout(bits, (1,) * 4)
    size = key.group.element_bytes
    proof = rows(DEEPCHAIN_BATCH) * (size + sum(each + 7 >> 3 for each in response_bits(key, layout))) + 400
    named = replace(KEY, ciphertext_bytes=size, share_bytes=size)
    honest = DEEPCHAIN_BATCH * (size + 16) + proof
    assert honest <= batch_bytes_max(named) < 1.1 * honest
    assert batch_bytes_max(named) < DEEPCHAIN_BATCH * (size + 16) + PAILLIER_BATCH_BYTES_MAX
    # Of 256 parties Δ, by which responses of shares are longer, has 1684 bits.
    assert share_response_bits(key) + 1684 + HIDING_BITS < 8 * rows(DEEPCHAIN_BATCH) * size


BATCHES = st.lists(st.builds(Batch, st.lists(st.binary(max_size=300), max_size=30).map(tuple), st.binary(max_size=400)))


@given(BATCHES.filter(bool))
def test_what_is_written_is_read_a_string_at_a_time(batches):
    key = replace(KEY, ciphertexts=len(batches) * DEEPCHAIN_BATCH)
    assert read_batches(write_batches(batches), root_of(batches), key) == tuple(batches)


def test_forms_that_are_not_the_shortest_and_other_types_are_refused():
    batches, key = [Batch((b"12345678",), b"proof")], replace(KEY, ciphertexts=1)
    data = write_batches(batches)
    assert read_batches(data, root_of(batches), key) == tuple(batches)
    for right, wrong in (
        (encode(b"12345678"), b"\x58\x08" + b"12345678"),
        (encode(b"12345678"), encode("12345678")),
        (encode(b"12345678"), b"\x5f" + encode(b"12345678") + b"\xff"),
        (encode(b"12345678"), b"\x5b" + b"\xff" * 8),
        (encode("items") + b"\x81", encode("items") + b"\x98\x01"),
        (encode("items") + b"\x81", encode("items") + b"\x9b" + b"\xff" * 8),
        (encode("batches") + b"\x81", encode("batches") + b"\x9b" + b"\xff" * 8),
    ):
        assert data.count(right) == 1
        with pytest.raises(MessageError):
            read_batches(data.replace(right, wrong), root_of(batches), key)


class Exhausted(io.BytesIO):
    """What is read when there is no memory left."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise MemoryError


class Full(MemoryStore):
    """A store whose files do not fit into memory."""

    def open(self, name: Digest) -> BinaryIO:
        return Exhausted(b"file")


def test_an_audit_that_has_not_enough_memory_says_so():
    coalition = Coalition(replace(SMALL, iterations=1)).run()
    record = exported(coalition)
    with pytest.raises(StorageError, match="the files of iteration 1 do not fit into memory") as raised:
        audit(record, verified(coalition, record), Full())
    assert raised.value.code is Code.TOO_LARGE


# --- names that cannot be opened --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hidden() -> Coalition:
    """All look away while p01 hands in a wrong gradient."""
    return all_blind(SMALL, {"p01": blind(a.WrongGradient)})


def link(path: Path) -> None:
    path.symlink_to(path.name)


def bound(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [link, bound, os.mkfifo, Path.mkdir, endless])
def test_one_name_that_cannot_be_opened_hides_nothing_of_what_others_show(hidden, tmp_path, put):
    folder = write_objects(hidden, tmp_path / "objects")
    last = [each for each in handed(hidden) if each.method == "share"][-1]
    path = object_file(folder, last.locator)
    path.unlink()
    put(path)
    record = exported(hidden)
    made = audit(record, verified(hidden, record), ObjectFolder(folder))
    assert {(each.member, each.what) for each in made.of(Kind.WRONG)} == {("p01", "gradient")}
    assert [(each.member, each.what, each.iteration) for each in made.of(Kind.MISSING)] == [(last.member, SHARES, 2)]
    fault = made.fault()
    assert fault is not None and fault.code is Code.PROOFS


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_hides_nothing_either(hidden, tmp_path):
    folder = write_objects(hidden, tmp_path / "objects")
    last = [each for each in handed(hidden) if each.method == "share"][-1]
    object_file(folder, last.locator).chmod(0)
    record = exported(hidden)
    made = audit(record, verified(hidden, record), ObjectFolder(folder))
    assert made.of(Kind.WRONG) and [each.text.split(", ")[-1] for each in made.of(Kind.MISSING)] == ["cannot be read"]
