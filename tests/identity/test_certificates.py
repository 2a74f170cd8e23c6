"""Certificates: what OpenSSL accepts, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from tests.identity.members import LEUVEN, NOW, keys

from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError
from tclearn.identity.certificates import (
    KEY_DAYS,
    ROOT_DAYS,
    certificate_digest,
    check_chain,
    issue_key_certificate,
    issue_root,
    read_certificate,
)

KEYS = keys()
ROOT = issue_root(LEUVEN, KEYS.root, NOW)
CERTIFICATE = issue_key_certificate(ROOT, KEYS.root, KEYS.signer.public, NOW)
OTHER = ec.generate_private_key(ec.SECP256R1())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def built(
    key: Any = KEYS.root,
    public: Any = None,
    subject: str = "leuven",
    issuer: str = "leuven",
    constraints: x509.BasicConstraints | None = None,
    usage: str = "key_cert_sign",
    algorithm: Any = None,
    extra: x509.ExtensionType | None = None,
) -> x509.Certificate:
    """A certificate that is wrong in the ways that the arguments say."""
    uses = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    ) | {usage: True}
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public or key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(constraints or x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**uses), critical=True)
    )
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return builder.sign(key, algorithm or (None if isinstance(key, Ed25519PrivateKey) else SHA256()))


def leaf(**changes: Any) -> x509.Certificate:
    public = Ed25519PublicKey.from_public_bytes(KEYS.signer.public)
    usual = {"public": public, "constraints": x509.BasicConstraints(ca=False, path_length=None)}
    return built(**{**usual, "usage": "digital_signature", **changes})


def refusal(root: x509.Certificate, certificate: x509.Certificate, now: datetime = NOW) -> str:
    with pytest.raises(MessageError) as caught:
        check_chain(LEUVEN, root, certificate, now)
    assert caught.value.code in (Code.CERTIFICATE, Code.SIGNATURE)
    return str(caught.value)


def test_the_chain_gives_the_transaction_key() -> None:
    assert check_chain(LEUVEN, ROOT, CERTIFICATE, NOW) == KEYS.signer.public
    assert check_chain(LEUVEN, built(), leaf(), NOW) == KEYS.signer.public


def test_bytes_and_back() -> None:
    assert read_certificate(der(ROOT)) == ROOT
    assert certificate_digest(ROOT) == ROOT.fingerprint(SHA256())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_accepts_both(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root = issue_root(LEUVEN, KEYS.root, now)
    certificate = issue_key_certificate(root, KEYS.root, KEYS.signer.public, now)
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    other = issue_root(LEUVEN, OTHER, now)
    (tmp_path / "other.pem").write_bytes(other.public_bytes(Encoding.PEM))

    def verify(trusted: str, name: str) -> int:
        command = ["openssl", "verify", "-x509_strict", "-CAfile", trusted, name]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert verify("root.pem", "key.pem") == 0
    assert verify("root.pem", "root.pem") == 0
    assert verify("other.pem", "key.pem") != 0
    told = subprocess.run(
        ["openssl", "x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256", "-subject"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert certificate_digest(root).hex() in told.replace(":", "").lower()
    assert "CN" in told
    assert "leuven" in told


def test_each_is_valid_for_its_time_only() -> None:
    hour = timedelta(hours=1)
    assert check_chain(LEUVEN, ROOT, CERTIFICATE, NOW - hour)
    assert check_chain(LEUVEN, ROOT, CERTIFICATE, NOW + timedelta(days=KEY_DAYS))
    assert "root certificate is valid from 2030-06-01" in refusal(ROOT, CERTIFICATE, NOW - 2 * hour)
    late = refusal(ROOT, CERTIFICATE, NOW + timedelta(days=KEY_DAYS) + hour)
    assert "key certificate is valid from 2030-06-01 to 2033-06-01" in late
    assert "valid on 2033-06-01" in late
    assert "root certificate is valid" in refusal(ROOT, CERTIFICATE, NOW + timedelta(days=ROOT_DAYS) + hour)


def test_a_key_is_not_certified_for_longer_than_its_root() -> None:
    late = NOW + timedelta(days=ROOT_DAYS - 10)
    certificate = issue_key_certificate(ROOT, KEYS.root, KEYS.signer.public, late)
    assert certificate.not_valid_after_utc == ROOT.not_valid_after_utc


@pytest.mark.parametrize(
    ("root", "certificate", "message"),
    [
        (built(subject="namur"), leaf(), "the root certificate names 'CN=namur'"),
        (built(issuer="namur"), leaf(), "the root certificate names"),
        (built(), leaf(subject="namur"), "the key certificate names 'CN=namur'"),
        (built(), leaf(issuer="namur"), "the key certificate names"),
        (built(OTHER), leaf(), "the key certificate was not signed by this root"),
        (built(OTHER, public=KEYS.root.public_key()), leaf(), "the root certificate was not signed by this root"),
        (built(algorithm=SHA384()), leaf(), "the root certificate was not signed"),
        (built(), leaf(algorithm=SHA384()), "the key certificate was not signed"),
        (built(constraints=x509.BasicConstraints(ca=False, path_length=None)), leaf(), "root certificate is made for"),
        (built(constraints=x509.BasicConstraints(ca=True, path_length=None)), leaf(), "root certificate is made for"),
        (built(usage="digital_signature"), leaf(), "the root certificate is made for another use"),
        (built(), leaf(constraints=x509.BasicConstraints(ca=True, path_length=0)), "key certificate is made for"),
        (built(), leaf(usage="key_cert_sign"), "the key certificate is made for another use"),
        (built(), leaf(extra=x509.PolicyConstraints(0, None)), "the key certificate is made for another use"),
        (built(), leaf(public=OTHER.public_key()), "the key certificate has another kind of key"),
        (built(ec.derive_private_key(7, ec.SECP384R1())), leaf(), "the root certificate has another kind of key"),
        (built(Ed25519PrivateKey.from_private_bytes(bytes(32))), leaf(), "root certificate has another kind of key"),
        (built(), leaf(public=Ed25519PublicKey.from_public_bytes(bytes([1]) + bytes(31))), "not a usable Ed25519"),
    ],
)
def test_what_is_refused(root: x509.Certificate, certificate: x509.Certificate, message: str) -> None:
    assert message in refusal(root, certificate)


def test_an_rsa_root_is_refused() -> None:
    root = built(rsa.generate_private_key(65537, 2048))
    assert "another kind of key" in refusal(root, leaf())


def test_a_changed_byte_is_refused() -> None:
    whole = der(CERTIFICATE)
    for at in range(0, len(whole), 3):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(MessageError):
            check_chain(LEUVEN, ROOT, read_certificate(damaged), NOW)


@pytest.mark.parametrize(
    "data", [b"", b"0", bytes(100), der(ROOT)[:-1], der(ROOT) + b"\0", ROOT.public_bytes(Encoding.PEM)]
)
def test_what_is_not_a_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError, match=r"not an X\.509 certificate"):
        read_certificate(data)


def test_a_name_with_control_characters_is_shown_escaped() -> None:
    message = refusal(built(subject="leu\x1b[2Jven"), leaf())
    assert "\x1b" not in message


def test_the_serial_number_is_within_the_standard() -> None:
    for certificate in (ROOT, CERTIFICATE, issue_root(MemberId("a"), OTHER, NOW)):
        assert 0 < certificate.serial_number < 1 << 159
    assert ROOT.serial_number != CERTIFICATE.serial_number


def test_the_certified_bytes_are_the_key() -> None:
    found = CERTIFICATE.public_key()
    assert isinstance(found, Ed25519PublicKey)
    assert found.public_bytes(Encoding.Raw, PublicFormat.Raw) == KEYS.signer.public
