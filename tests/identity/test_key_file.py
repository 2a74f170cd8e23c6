"""The private key file: its owner's alone, written once, silent about what is in it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import stat
import subprocess
import traceback
from pathlib import Path

import pytest
from tests.identity.members import LEUVEN, NOW, keys

from tclearn.errors import Code, StorageError, TCLearnError, UsageError
from tclearn.identity.enrolment import write_enrolment
from tclearn.identity.key_file import read_key_file, write_key_file
from tclearn.identity.member_keys import ENTROPY_BYTES, SALT_BYTES, MemberKeys
from tclearn.identity.pem import Block, read_pem, write_pem
from tclearn.limits import KEY_FILE_BYTES_MAX

KEYS = keys()
SALT = bytes(range(SALT_BYTES))
PASSPHRASE = "drie schuintamboers — 3"


def root_scalar(each: MemberKeys) -> int:
    return each.root.private_numbers().private_value


def refusal(path: Path, passphrase: str | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_key_file(path, passphrase)
    assert caught.value.code is Code.KEY_FILE
    assert str(path) in str(caught.value)
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leuven.key"


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_what_was_written_is_read(path: Path) -> None:
    write_key_file(path, KEYS)
    found = read_key_file(path)
    assert found.signer.seed() == KEYS.signer.seed()
    assert root_scalar(found) == root_scalar(KEYS)


def test_with_a_passphrase(path: Path) -> None:
    write_key_file(path, KEYS, PASSPHRASE, salt=SALT)
    content = path.read_bytes()
    assert content.count(b"BEGIN ENCRYPTED PRIVATE KEY") == 2
    for block in read_pem(content):
        assert KEYS.signer.seed() not in block.content
    found = read_key_file(path, PASSPHRASE)
    assert found.signer.seed() == KEYS.signer.seed()
    assert root_scalar(found) == root_scalar(KEYS)
    assert "does not open it" in str(refusal(path, PASSPHRASE + "!"))
    assert "does not open it" in str(refusal(path, ""))
    assert "is encrypted" in str(refusal(path))


def test_a_passphrase_too_many(path: Path) -> None:
    write_key_file(path, KEYS)
    assert "is not encrypted" in str(refusal(path, PASSPHRASE))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_the_owner_can_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        write_key_file(path, KEYS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for mode in (0o640, 0o604, 0o660, 0o622, 0o601):
        path.chmod(mode)
        error = refusal(path)
        assert f"mode {mode:04o}" in error.what
        assert error.remedy.startswith(f"chmod 600 {path}")
    path.chmod(0o400)
    read_key_file(path)


def test_nothing_is_ever_overwritten(path: Path, tmp_path: Path) -> None:
    path.write_text("older")
    with pytest.raises(UsageError) as caught:
        write_key_file(path, KEYS)
    assert "exists already" in str(caught.value)
    assert path.read_text() == "older"
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists already"):
        write_key_file(link, KEYS)
    assert not (tmp_path / "elsewhere").exists()


def test_a_write_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_key_file(path, KEYS)
    assert not path.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        write_key_file(tmp_path / "none" / "leuven.key", KEYS)
    assert "is not there" in str(refusal(tmp_path / "none" / "leuven.key"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TCLearnError, match=str(tmp_path)):
        read_key_file(tmp_path)
    assert "is not a file" in str(refusal(Path(os.devnull)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not hold two private keys"),
        (b"hello", "line 1 does not begin a PEM block"),
        (write_enrolment(LEUVEN, KEYS, NOW), "does not hold two private keys"),
        (write_pem(*read_pem(KEYS.to_pem())[::-1]), "the first key is not ECDSA P-256"),
        (write_pem(read_pem(KEYS.to_pem())[0], read_pem(KEYS.to_pem())[0]), "the second key is not Ed25519"),
        (write_pem(Block("PRIVATE KEY", b"x"), Block("PRIVATE KEY", b"y")), "does not hold two private keys"),
        (write_pem(*read_pem(KEYS.to_pem()), Block("PRIVATE KEY", b"y")), "does not hold two private keys"),
        (b"-" * (KEY_FILE_BYTES_MAX + 1), "is larger than 65536 bytes"),
    ],
)
def test_another_file_is_refused(path: Path, content: bytes, message: str) -> None:
    error = refusal(written(path, content))
    assert message in str(error)
    assert error.expected


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_openssl_reads_it(path: Path, passphrase: str | None) -> None:
    write_key_file(path, KEYS, passphrase, salt=SALT)
    for block in path.read_text().split("-----BEGIN")[1:]:
        command = ["openssl", "pkey", "-noout", "-text", "-passin", f"pass:{passphrase or ''}"]
        told = subprocess.run(command, input="-----BEGIN" + block, capture_output=True, text=True, check=True).stdout
        secret = KEYS.signer.seed() if "ED25519" in told else root_scalar(KEYS).to_bytes(32, "big")
        assert secret.hex() in "".join(told.split()).replace(":", "")


def test_the_rounds_are_those_of_today(path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    write_key_file(path, KEYS, PASSPHRASE, salt=SALT)
    command = ["openssl", "asn1parse", "-in", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f":{600_000:06X}" in told
    assert "aes-256-cbc" in told
    assert "hmacWithSHA256" in told


def test_nothing_shows_a_secret(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    write_key_file(path, KEYS, PASSPHRASE, salt=SALT)
    shown = [repr(KEYS), str(KEYS), f"{KEYS}"]
    for passphrase in ("wrong", None, ""):
        try:
            read_key_file(path, passphrase)
        except UsageError as error:
            shown.append("".join(traceback.format_exception(error)) + repr(error))
            assert error.__cause__ is None
    shown.append(caplog.text)
    seed, scalar = KEYS.signer.seed(), root_scalar(KEYS)
    for text in shown:
        for secret in (seed.hex(), repr(seed), str(scalar), f"{scalar:x}", PASSPHRASE):
            assert secret not in text
    assert KEYS.signer.public.hex()[:16] in repr(KEYS)


def test_keys_come_from_all_of_their_entropy() -> None:
    entropy = secrets.token_bytes(ENTROPY_BYTES)
    one, again = MemberKeys.from_entropy(entropy), MemberKeys.from_entropy(entropy)
    assert one.signer.public == again.signer.public
    assert root_scalar(one) == root_scalar(again)
    other = MemberKeys.from_entropy(entropy[:-1] + bytes([entropy[-1] ^ 1]))
    assert root_scalar(one) != root_scalar(other)
    for size in (0, 32, 63, 65):
        with pytest.raises(ValueError, match="bytes of entropy"):
            MemberKeys.from_entropy(bytes(size))


def test_a_passphrase_needs_its_randomness() -> None:
    with pytest.raises(ValueError, match="bytes of salt"):
        KEYS.to_pem(PASSPHRASE)
    with pytest.raises(UsageError, match="an empty passphrase"):
        KEYS.to_pem("", salt=SALT)
    first, second = (block.content for block in read_pem(KEYS.to_pem(PASSPHRASE, salt=SALT)))
    assert SALT[:16] in first
    assert SALT[32:48] in second
