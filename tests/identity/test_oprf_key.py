"""The key file of the data IDs."""

from __future__ import annotations

import secrets
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.identity.members import keys

from tclearn.errors import Code, UsageError
from tclearn.identity.key_file import is_encrypted, write_key_file
from tclearn.identity.oprf import OprfKey
from tclearn.identity.oprf_key import new_oprf_key, read_oprf_key
from tclearn.identity.pem import Block, write_pem


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data-ids.key"


@pytest.mark.parametrize("passphrase", [None, "drie schuintamboers — 3"])
def test_what_was_written_is_read(path: Path, passphrase: str | None) -> None:
    made = new_oprf_key(path, passphrase)
    assert read_oprf_key(path, passphrase).value(b"record") == made.value(b"record")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert is_encrypted(path) == (passphrase is not None)
    with pytest.raises(UsageError) as caught:
        new_oprf_key(path, passphrase)
    assert caught.value.code is Code.KEY_FILE


def test_it_holds_the_seed_and_openssl_reads_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = bytes(range(32))
    monkeypatch.setattr(secrets, "token_bytes", lambda size: seed[:size])
    made = new_oprf_key(path, "p")
    assert made.public == OprfKey(seed, b"tclearn/data-ids/1").public
    assert seed not in path.read_bytes()
    shown = subprocess.run(
        ["openssl", "pkey", "-in", str(path), "-passin", "pass:p", "-outform", "DER"], capture_output=True, check=True
    )
    assert shown.stdout.endswith(seed)


def test_the_example_of_the_format_is_right(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_bytes", bytes)
    key = new_oprf_key(path)
    page = (Path(__file__).parents[2] / "docs" / "formats" / "data-ids.md").read_text(encoding="utf-8")
    assert f"public key  {key.public.hex()}\n" in page
    for byte in range(2):
        assert f"ID of {byte:02x}…   {key.value(bytes([byte]) * 32)[:16].hex()}\n" in page


def test_what_is_refused(path: Path, tmp_path: Path) -> None:
    new_oprf_key(path, "p")
    plain = tmp_path / "plain.key"
    new_oprf_key(plain)
    two = tmp_path / "two.key"
    write_key_file(two, keys())
    broken = tmp_path / "broken.key"
    broken.write_bytes(plain.read_bytes()[:-30])
    broken.chmod(0o600)
    rubbish = tmp_path / "rubbish.key"
    rubbish.write_bytes(write_pem(Block("PRIVATE KEY", b"rubbish")))
    rubbish.chmod(0o600)
    member = tmp_path / "member.key"
    member.write_bytes(b"".join(two.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[:2]))
    member.chmod(0o600)
    for file, passphrase in (
        (path, None),
        (path, "q"),
        (plain, "p"),
        (two, None),
        (broken, None),
        (rubbish, None),
        (member, None),
        (tmp_path / "missing.key", None),
    ):
        with pytest.raises(UsageError) as caught:
            read_oprf_key(file, passphrase)
        assert caught.value.code is Code.KEY_FILE
        assert caught.value.__cause__ is None
    with pytest.raises(UsageError, match="empty passphrase"):
        new_oprf_key(tmp_path / "another.key", "")
    plain.chmod(0o644)
    with pytest.raises(UsageError, match="0644"):
        read_oprf_key(plain)


def test_every_byte_of_the_seed_counts(tmp_path: Path) -> None:
    """X25519 overrides five bits of a private key; the container must not."""
    public = set()
    for number, seed in enumerate((bytes(32), b"\x01" + bytes(31), bytes(31) + b"\x80", bytes(31) + b"\x40")):
        der = X25519PrivateKey.from_private_bytes(seed).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        file = tmp_path / f"{number}.key"
        file.write_bytes(write_pem(Block("PRIVATE KEY", der)))
        file.chmod(0o600)
        public.add(read_oprf_key(file).public)
    assert len(public) == 4
