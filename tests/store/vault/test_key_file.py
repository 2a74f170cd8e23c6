"""The vault's key file: what opens it, what does not, and that it shows nothing."""

from __future__ import annotations

import io
import logging
import os
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nacl.exceptions
import pytest
from blake3 import blake3
from nacl.pwhash import argon2id
from tests.store.vault.vaults import CHEAP, PASSPHRASE, noise, vault_with_key_file

from tclearn.encoding import Digest, decode, encode
from tclearn.errors import Code, StorageError, TCLearnError, UsageError
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.key_file import Cost, KeyFile
from tclearn.store.vault.keys import new_key
from tclearn.store.vault.rotation import rotate
from tclearn.store.vault.secret import Secret


def create(tmp_path: Path) -> KeyFile:
    return KeyFile.create(tmp_path / "vault.key", PASSPHRASE, cost=CHEAP)


def usage(call: Callable[[], object]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call()
    assert caught.value.code is Code.KEY_FILE
    return caught.value


def test_it_opens_with_its_passphrase_and_has_the_same_keys(tmp_path: Path) -> None:
    keys = create(tmp_path)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    wrapped = keys.wrap(Secret(bytes(range(32))), b"for this")
    opened = KeyFile.open(keys.path, PASSPHRASE)
    assert opened.current == keys.current
    assert opened.names == [keys.current]
    found = opened.unwrap(wrapped, b"for this", keys.current)
    assert found is not None
    assert found.reveal() == bytes(range(32))
    assert opened.unwrap(wrapped, b"for that", keys.current) is None
    assert opened.unwrap(wrapped[:-1], b"for this", keys.current) is None
    assert opened.unwrap(b"", b"for this", keys.current) is None


@pytest.mark.parametrize("wrong", ["seven blue horse", "Seven blue horses", " ", "\ud800"])
def test_another_passphrase_is_refused(tmp_path: Path, wrong: str) -> None:
    path = create(tmp_path).path
    assert "passphrase" in usage(lambda: KeyFile.open(path, wrong)).what


def test_a_passphrase_is_the_same_from_every_keyboard(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    KeyFile.create(path, "caf\u00e9", cost=CHEAP)
    KeyFile.open(path, "cafe\u0301")


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    assert "empty" in usage(lambda: KeyFile.create(tmp_path / "vault.key", "")).what
    assert not (tmp_path / "vault.key").exists()


def test_a_flipped_bit_or_a_missing_end_is_damage_and_not_a_wrong_passphrase(tmp_path: Path) -> None:
    path = create(tmp_path).path
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        assert "damaged" in usage(lambda: KeyFile.open(path, PASSPHRASE)).what
        path.write_bytes(whole[:at])
        assert "damaged" in usage(lambda: KeyFile.open(path, PASSPHRASE)).what


def with_fields(data: bytes, **fields: object) -> bytes:
    """The file with other fields, and a check that fits them."""
    form = decode(data)
    assert isinstance(form, dict)
    form |= fields
    del form["check"]
    return encode({**form, "check": blake3(encode(form)).digest()})


@pytest.mark.parametrize(
    "cost",
    [(17, 8), (0, 8), (1, 7), (1, (1 << 20) + 1), (1 << 40, 8), (1, 1 << 40)],
)
def test_a_file_cannot_ask_for_any_amount_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: tuple[int, int]
) -> None:
    path = create(tmp_path).path
    path.write_bytes(with_fields(path.read_bytes(), operations=cost[0], memory_kib=cost[1]))
    monkeypatch.setattr(argon2id, "kdf", lambda *_, **__: pytest.fail("it was tried"))
    assert "asks for" in usage(lambda: KeyFile.open(path, PASSPHRASE)).what


@pytest.mark.parametrize("fields", [{"operations": 2}, {"memory_kib": 9}, {"salt": bytes(16)}, {"nonce": bytes(12)}])
def test_what_a_file_says_of_itself_is_bound(tmp_path: Path, fields: dict[str, object]) -> None:
    path = create(tmp_path).path
    path.write_bytes(with_fields(path.read_bytes(), **fields))
    assert "passphrase" in usage(lambda: KeyFile.open(path, PASSPHRASE)).what


@pytest.mark.parametrize("fields", [{"format": "tclearn-vault-keys/2"}, {"salt": b""}, {"nonce": b""}])
def test_other_forms_are_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    path = create(tmp_path).path
    path.write_bytes(with_fields(path.read_bytes(), **fields))
    assert "damaged" in usage(lambda: KeyFile.open(path, PASSPHRASE)).what


def test_what_is_not_there_or_not_ours_to_read(tmp_path: Path) -> None:
    assert "not there" in usage(lambda: KeyFile.open(tmp_path / "none.key", PASSPHRASE)).what
    path = create(tmp_path).path
    path.chmod(0o640)
    assert "by others" in usage(lambda: KeyFile.open(path, PASSPHRASE)).what
    path.chmod(0o600)
    path.write_bytes(bytes(1 << 17))
    assert "larger" in usage(lambda: KeyFile.open(path, PASSPHRASE)).what
    with pytest.raises(StorageError) as caught:
        KeyFile.open(tmp_path, PASSPHRASE)
    assert caught.value.code is Code.KEY_FILE


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    keys = create(tmp_path)
    before = keys.path.read_bytes()
    assert "exists already" in usage(lambda: create(tmp_path)).what
    assert keys.path.read_bytes() == before
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")
    usage(lambda: KeyFile.create(link, PASSPHRASE, cost=CHEAP))
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(StorageError):
        KeyFile.create(tmp_path / "no folder" / "vault.key", PASSPHRASE, cost=CHEAP)


def test_the_usual_cost_is_that_of_the_documentation(tmp_path: Path) -> None:
    keys = KeyFile.create(tmp_path / "vault.key", PASSPHRASE)
    form = decode(keys.path.read_bytes())
    assert isinstance(form, dict)
    assert (form["operations"], form["memory_kib"]) == (3, 262_144)
    assert argon2id.OPSLIMIT_MODERATE == 3
    assert argon2id.MEMLIMIT_MODERATE == 262_144 << 10


def test_more_memory_than_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> bytes:
        raise nacl.exceptions.RuntimeError("Unexpected failure in key derivation")

    monkeypatch.setattr(argon2id, "kdf", none_left)
    with pytest.raises(StorageError) as caught:
        KeyFile.create(tmp_path / "vault.key", PASSPHRASE, cost=Cost(1, 1 << 19))
    assert caught.value.code is Code.KEY_FILE
    assert "memory" in caught.value.what


# --- changes ---------------------------------------------------------------------------------------------------------


def test_another_passphrase_opens_the_same_keys(tmp_path: Path) -> None:
    keys = create(tmp_path)
    wrapped = keys.wrap(new_key(), b"")
    keys.change_passphrase("eight red cows", cost=Cost(2, 16))
    usage(lambda: KeyFile.open(keys.path, PASSPHRASE))
    assert KeyFile.open(keys.path, "eight red cows").unwrap(wrapped, b"", keys.current) is not None


def test_new_keys_are_added_and_old_ones_retired(tmp_path: Path) -> None:
    keys = create(tmp_path)
    first = keys.current
    wrapped = keys.wrap(new_key(), b"")
    names = [first, *(keys.add() for _ in range(11))]
    assert [name.partition("-")[0] for name in names] == [str(number) for number in range(1, 13)]
    opened = KeyFile.open(keys.path, PASSPHRASE)
    assert opened.names == keys.names == names
    assert opened.current == keys.current == names[-1]
    assert opened.unwrap(wrapped, b"", first) is not None
    assert opened.retire([names[3]]) == [*names[:3], *names[4:-1]]
    assert opened.retire([names[3]]) == []
    assert KeyFile.open(keys.path, PASSPHRASE).names == [names[3], names[-1]]
    with pytest.raises(StorageError) as caught:
        opened.unwrap(wrapped, b"", first)
    assert caught.value.code is Code.VAULT_KEY


def test_two_that_change_one_file_lose_nothing(tmp_path: Path) -> None:
    keys = create(tmp_path)
    other = KeyFile.open(keys.path, PASSPHRASE)
    keys.add()
    with pytest.raises(StorageError, match="was changed since it was read") as caught:
        other.add()
    assert caught.value.code is Code.KEY_FILE
    assert KeyFile.open(keys.path, PASSPHRASE).names == keys.names


ADDER = """
import sys
from pathlib import Path
from tclearn.errors import StorageError
from tclearn.store.vault.key_file import KeyFile
done = 0
while done < 10:
    try:
        KeyFile.open(Path(sys.argv[1]), sys.argv[2]).add()
        done += 1
    except StorageError:
        pass
"""


def test_processes_that_add_keys_at_once_lose_none(tmp_path: Path) -> None:
    keys = create(tmp_path)
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, str(keys.path), PASSPHRASE]) for _ in range(2)]
    assert [adder.wait(timeout=60) for adder in adders] == [0, 0]
    assert len(KeyFile.open(keys.path, PASSPHRASE).names) == 21


def test_a_disk_that_refuses_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = create(tmp_path)
    before, current = keys.path.read_bytes(), keys.current

    def refuse(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(StorageError):
            keys.add()
    assert keys.path.read_bytes() == before
    assert keys.current == current
    assert keys.add() != current


# --- what shows nothing ----------------------------------------------------------------------------------------------


def test_no_repr_log_or_traceback_has_a_key_or_a_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[bytes] = []
    real_token, real_kdf = __import__("secrets").token_bytes, argon2id.kdf

    def token(size: int) -> bytes:
        made.append(real_token(size))
        return made[-1]

    def kdf(*arguments: Any, **options: Any) -> bytes:
        made.append(real_kdf(*arguments, **options))
        return made[-1]

    monkeypatch.setattr("secrets.token_bytes", token)
    monkeypatch.setattr(argon2id, "kdf", kdf)
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    def failing(call: Callable[[], object]) -> None:
        try:
            call()
        except (TCLearnError, RuntimeError, TypeError, ZeroDivisionError) as error:
            below = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
            shown.extend(traceback.TracebackException.from_exception(below, capture_locals=True).format())
            shown.append(str(error))
        else:
            pytest.fail("nothing failed")

    class Broken(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            raise RuntimeError("the source broke")

    vault, keys = vault_with_key_file(tmp_path)
    name = vault.put(noise(100))
    keys.add()
    rotate(vault)
    secret = new_key()
    shown += [repr(each) for each in (vault, keys, keys._held, keys._lock, vault.envelope, vault.names_key, secret)]
    shown += [str(each) for each in (vault.names_key, HeldKeys.new(), f"{secret}", vault.envelope.cipher(secret, b""))]
    failing(lambda: vault.put_stream(Broken()))
    failing(lambda: vault.put_stream(io.BytesIO(bytes(10)), size_max=1))
    failing(lambda: vault.get(Digest(bytes(32)), size_max=1))
    failing(lambda: __import__("copy").deepcopy(secret))
    failing(lambda: __import__("pickle").dumps(keys))
    for path in [path for path in (tmp_path / "vault").rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        failing(lambda: Vault(FolderBackend(tmp_path / "vault"), keys).get(name, size_max=100))
        path.write_bytes(whole)
    failing(lambda: KeyFile.open(keys.path, PASSPHRASE[:-1]))
    failing(lambda: KeyFile.create(keys.path, PASSPHRASE, cost=CHEAP))
    with monkeypatch.context() as patch:
        patch.setattr("tclearn.store.vault.key_file.write_whole", lambda *_, **__: 1 // 0)
        failing(keys.add)
        failing(lambda: keys.change_passphrase(PASSPHRASE, cost=CHEAP))
    keys.path.write_bytes(b"")
    failing(lambda: KeyFile.open(keys.path, PASSPHRASE))
    failing(keys.add)
    text = "".join(shown) + caplog.text
    assert len(text) > 10_000
    material = [PASSPHRASE[:-1]]
    for value in made:
        if len(value) == 32:
            material += [value.hex(), repr(value)[2:22], repr(value)[-21:-1]]
    assert len(material) > 24
    assert [each for each in material if each in text] == []
