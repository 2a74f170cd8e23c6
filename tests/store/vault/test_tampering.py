"""Whatever is changed in a vault's files: a coded error, and never other bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.store.vault.vaults import (
    SEALED,
    body_file,
    files,
    head_file,
    new_vault,
    noise,
    place,
    refusal,
    vault_with_key_file,
)

from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.store.vault import FolderBackend, Vault
from tclearn.store.vault.chunks import CHUNK_BYTES


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def read_in_parts(vault: Vault, name: Digest, start: int = 0) -> tuple[bytes, StorageError | None]:
    """What comes out of a stream before it refuses."""
    got = bytearray()
    try:
        with vault.opening(name, start=start) as stream:
            while part := stream.read(100_000):
                got += part
    except StorageError as error:
        return bytes(got), error
    return bytes(got), None


def refused(vault: Vault, name: Digest, data: bytes) -> None:
    """Reading in any way is refused with a code, and what came before was right."""
    assert refusal(lambda: vault.get(name, size_max=len(data) + 10)).code in {Code.OBJECT_CORRUPT, Code.VAULT_KEY}
    before, error = read_in_parts(vault, name)
    assert error is not None
    assert error.code in {Code.OBJECT_CORRUPT, Code.VAULT_KEY}
    assert data.startswith(before)
    assert len(before) < len(data) or not data


def test_a_flipped_bit_in_any_byte_of_an_objects_files(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    data = b"weights of a small model"
    name = vault.put(data)
    for path in (head_file(vault, name), body_file(vault, name)):
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(flipped(whole, at, at % 8))
            refused(vault, name, data)
        for size in range(len(whole)):
            path.write_bytes(whole[:size])
            refused(vault, name, data)
        path.write_bytes(whole + b"\0")
        refused(vault, name, data)
        path.write_bytes(whole)
        assert vault.get(name, size_max=100) == data


def test_a_flipped_bit_in_any_byte_of_the_vaults_record(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    path = place(vault) / "vault"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(flipped(whole, at, at % 8))
        error = refusal(lambda: Vault(FolderBackend(place(vault)), vault.keys))
        assert error.code in {Code.VAULT, Code.VAULT_KEY}
    path.write_bytes(bytes(5000))
    assert refusal(lambda: Vault(FolderBackend(place(vault)), vault.keys)).code is Code.OBJECT_CORRUPT


@pytest.mark.parametrize("at", [0, 15, CHUNK_BYTES - 1, CHUNK_BYTES, SEALED - 1, SEALED, 2 * SEALED + 99, -1, -16, -17])
def test_a_flipped_bit_in_a_large_object(tmp_path: Path, at: int) -> None:
    vault = new_vault(tmp_path)
    data = noise(2 * CHUNK_BYTES + 1000)
    name = vault.put(data)
    path = body_file(vault, name)
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, at % len(whole), 3))
    refused(vault, name, data)
    before, _ = read_in_parts(vault, name)
    assert len(before) <= at % len(whole) // SEALED * CHUNK_BYTES
    assert vault.has(name)


def three_chunks(vault: Vault, seed: int = 1, *, extra: int = 0) -> tuple[Digest, bytes, Path, list[bytes]]:
    data = noise(3 * CHUNK_BYTES + extra, seed)
    name = vault.put(data)
    path = body_file(vault, name)
    whole = path.read_bytes()
    return name, data, path, [whole[at : at + SEALED] for at in range(0, len(whole), SEALED)]


@pytest.mark.parametrize("extra", [0, 7])
def test_chunks_that_are_missing_doubled_or_in_another_order(tmp_path: Path, extra: int) -> None:
    vault = new_vault(tmp_path)
    name, data, path, chunks = three_chunks(vault, extra=extra)
    assert len(chunks) == (4 if extra else 3)
    ends = range(len(chunks))
    changed = [chunks[:end] for end in ends]  # cut off at every chunk's end
    changed += [[*chunks[:at], *chunks[at + 1 :]] for at in ends]
    changed += [[*chunks[: at + 1], *chunks[at:]] for at in ends]
    changed += [[chunks[1], chunks[0], *chunks[2:]], [chunks[0], chunks[2], chunks[1], *chunks[3:]], chunks[::-1]]
    for wrong in changed:
        path.write_bytes(b"".join(wrong))
        refused(vault, name, data)
    path.write_bytes(b"".join(chunks))
    assert vault.get(name, size_max=len(data)) == data


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES + 1, SEALED + CHUNK_BYTES])
def test_a_body_that_is_cut_off(tmp_path: Path, size: int) -> None:
    vault = new_vault(tmp_path)
    name, data, path, chunks = three_chunks(vault)
    path.write_bytes(b"".join(chunks)[:size])
    refused(vault, name, data)
    assert not vault.has(name)


def test_chunks_bodies_and_heads_of_other_objects(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    one, data, path, chunks = three_chunks(vault, 1)
    two, others, other_path, other_chunks = three_chunks(vault, 2)
    for at in range(3):
        path.write_bytes(b"".join([*chunks[:at], other_chunks[at], *chunks[at + 1 :]]))
        refused(vault, one, data)
    path.write_bytes(b"".join(other_chunks))
    other_path.write_bytes(b"".join(chunks))
    refused(vault, one, data)
    refused(vault, two, others)
    path.write_bytes(b"".join(chunks))
    other_path.write_bytes(b"".join(other_chunks))
    heads = head_file(vault, one), head_file(vault, two)
    first, second = (head.read_bytes() for head in heads)
    heads[0].write_bytes(second)
    heads[1].write_bytes(first)
    refused(vault, one, data)
    refused(vault, two, others)


def test_an_older_file_in_a_newer_ones_place_is_the_same_object(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    name = vault.put(b"weights")
    head, body = head_file(vault, name), body_file(vault, name)
    kept = head.read_bytes(), body.read_bytes()
    vault.remove(name)
    assert not vault.has(name)
    assert files(place(vault)) == [place(vault) / "vault"]
    vault.put(b"weights")
    head.write_bytes(kept[0])
    assert refusal(lambda: vault.get(name, size_max=7)).what.endswith("has lost its chunks")
    body.write_bytes(kept[1])
    assert vault.get(name, size_max=7) == b"weights"


def test_an_object_of_another_vault_with_the_same_keys(tmp_path: Path) -> None:
    vault, keys = vault_with_key_file(tmp_path)
    other = Vault(FolderBackend(tmp_path / "other"), keys, create=True)
    name = vault.put(b"weights")
    other.put(b"weights")
    target = head_file(other, name)
    shutil.copy(head_file(vault, name), target)
    body = body_file(vault, name)
    copied = place(other) / body.relative_to(place(vault))
    copied.parent.mkdir(exist_ok=True)
    shutil.copy(body, copied)
    refused(other, name, b"weights")


@pytest.mark.parametrize("damaged", ["head", "name of the key", "body", "no body"])
def test_damage_is_healed_by_putting_again(tmp_path: Path, damaged: str) -> None:
    vault = new_vault(tmp_path)
    name = vault.put(b"weights")
    path = head_file(vault, name) if damaged in {"head", "name of the key"} else body_file(vault, name)
    whole = path.read_bytes()
    if damaged == "no body":
        path.unlink()
    else:
        at = whole.index(vault.keys.current.encode()) + 3 if damaged == "name of the key" else 20
        path.write_bytes(flipped(whole, at, 1))
    refused(vault, name, b"weights")
    if damaged != "name of the key":
        assert vault.has(name) is (damaged == "body")
    assert vault.put(b"weights") == name
    assert vault.get(name, size_max=7) == b"weights"


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("start", [0, 5, CHUNK_BYTES, 2 * CHUNK_BYTES + 7])
def test_read_from_the_middle_on_no_changed_byte_comes_out(tmp_path: Path, start: int, cut: int) -> None:
    vault, data = new_vault(tmp_path), noise(3 * CHUNK_BYTES + 9)
    name = vault.put(data)
    path = body_file(vault, name)
    whole = path.read_bytes()
    for chunk in range(4):
        damaged = whole[: chunk * SEALED] if cut else flipped(whole, chunk * SEALED + 3, 1)
        path.write_bytes(damaged)
        if chunk < start // CHUNK_BYTES and not cut:  # it is not looked at, and nothing of it comes out
            with vault.open(name, start) as stream:
                assert stream.read() == data[start:]
            continue
        got, error = read_in_parts(vault, name, start)
        assert error is not None
        assert error.code is Code.OBJECT_CORRUPT
        assert data[start:].startswith(got)
        assert start + len(got) == max(start, chunk * CHUNK_BYTES)
    path.write_bytes(whole + b"x")
    assert read_in_parts(vault, name, start)[1] is not None


def test_reading_on_after_a_refusal_is_refused_again(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    name, data, path, chunks = three_chunks(vault)
    path.write_bytes(b"".join([chunks[0], bytes(SEALED), chunks[2]]))
    with vault.open(name) as stream:
        assert stream.read(CHUNK_BYTES) == data[:CHUNK_BYTES]
        for _ in range(3):
            assert refusal(lambda: stream.read(1)).code is Code.OBJECT_CORRUPT
        assert refusal(stream.read).code is Code.OBJECT_CORRUPT


# --- what an observer sees -------------------------------------------------------------------------------------------


def test_no_file_shows_a_byte_of_the_parameters_their_names_or_any_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    real = __import__("secrets").token_bytes

    def watched(size: int) -> bytes:
        made.append(real(size))
        return made[-1]

    monkeypatch.setattr("secrets.token_bytes", watched)
    vault, _ = vault_with_key_file(tmp_path)
    parameters = noise(CHUNK_BYTES + 5000)
    names = [vault.put(parameters), vault.put(b"weights" * 1000), vault.put(b"weights" * 1000 + b"!")]
    all_bytes = b"".join(str(path).encode() + b"\0" + path.read_bytes() for path in files(tmp_path))
    for at in range(0, len(parameters) - 8, 4096):
        assert parameters[at : at + 8] not in all_bytes
    assert b"weights" not in all_bytes
    for name in names:
        assert bytes(name) not in all_bytes
        assert name[:8] not in all_bytes
        assert name.hex()[:12].encode() not in all_bytes
    keys = [value for value in made if len(value) == 32]
    assert len(keys) == 5  # the KEK, the key of names, one for each object
    assert not any(key[:16] in all_bytes for key in keys)


def test_equal_objects_in_two_vaults_have_no_file_in_common(tmp_path: Path) -> None:
    one, two = new_vault(tmp_path / "one"), new_vault(tmp_path / "two")
    assert one.put(b"weights") == two.put(b"weights")
    seen = [{(str(path.relative_to(place(vault)))) for path in files(place(vault))} for vault in (one, two)]
    assert seen[0] & seen[1] == {"vault"}
    contents = [{path.read_bytes() for path in files(place(vault))} for vault in (one, two)]
    assert not contents[0] & contents[1]


def test_files_are_their_owners_only(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    vault.put(b"weights")
    assert {path.stat().st_mode & 0o777 for path in files(place(vault))} == {0o600}


@pytest.mark.parametrize("call", [lambda vault, name: vault.size(name), lambda vault, name: list(vault.names())])
def test_a_damaged_head_is_named(tmp_path: Path, call: Callable[[Vault, Digest], object]) -> None:
    vault = new_vault(tmp_path)
    name = vault.put(b"weights")
    head_file(vault, name).write_bytes(b"")
    assert refusal(lambda: call(vault, name)).code is Code.OBJECT_CORRUPT
    assert refusal(vault.sweep).code is Code.OBJECT_CORRUPT
