"""Certificates of TLS connections (X.509, RFC 5280), made anew at every start and never kept.

A member's agent and the service each make a P-256 key when they start, and certify it: a member under its root
certificate, the service under a root that the log's own key signs. Whoever knows the charter therefore knows whom it is
connected to, in both directions, and no file has to be exchanged for it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tclearn.errors import Code, MessageError
from tclearn.identity.keys import PublicKey, Signer

TLS_DAYS: Final = 397
SERVICE_ROOT_DAYS: Final = 3653
_SKEW: Final = timedelta(hours=1)
_USES: Final = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
_USES_OF_CA: Final = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What one end of a connection shows, and the key behind it.

    Attributes:
        certificate: for this start only.
        root: the certificate that it was issued under.
        key: ECDSA P-256.
    """

    certificate: x509.Certificate
    root: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def issue_service_root(log_key: Signer, now: datetime) -> x509.Certificate:
    """The service's root certificate: self-signed by the key that signs the log's heads.

    Args:
        log_key: the private half of ``log_key`` in the charter.
        now: the time, with its zone.
    """
    key = Ed25519PrivateKey.from_private_bytes(log_key.seed())
    name = _name(f"TCLearn log {log_key.public.hex()[:16]}")
    return (
        _dated(name, name, key.public_key(), now, now + timedelta(days=SERVICE_ROOT_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign"), critical=True)
        .sign(key, None)
    )


def check_service_root(root: x509.Certificate, log_key: PublicKey) -> None:
    """Whether a root certificate is that of the service which a charter names.

    Args:
        root: as the service shows it.
        log_key: from the charter.

    Raises:
        MessageError: its key is another one, or did not sign it.
    """
    key = root.public_key()
    try:
        if not isinstance(key, Ed25519PublicKey) or key.public_bytes_raw() != log_key:
            raise ValueError("another key")
        root.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        raise MessageError(
            Code.CERTIFICATE,
            "the service's certificate is not from the log key that the charter names",
            expected=f"a root certificate signed by {log_key.hex()[:16]}…",
            remedy="check the address; if it is right, ask whoever runs the service",
        ) from None


def identity_of_service(log_key: Signer, hosts: Sequence[str], now: datetime) -> TlsIdentity:
    """The service's end of its connections.

    Args:
        log_key: the private half of ``log_key`` in the charter.
        hosts: names and addresses under which members reach it.
        now: the time, with its zone.
    """
    root = issue_service_root(log_key, now)
    signer = Ed25519PrivateKey.from_private_bytes(log_key.seed())
    key = ec.generate_private_key(ec.SECP256R1())
    unsigned = _leaf(root, key.public_key(), now, ExtendedKeyUsageOID.SERVER_AUTH)
    unsigned = unsigned.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return TlsIdentity(unsigned.sign(signer, None), root, key)


def identity_of_member(root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, now: datetime) -> TlsIdentity:
    """A member's end of its connections.

    Args:
        root: the member's root certificate.
        root_key: its key.
        now: the time, with its zone.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    unsigned = _leaf(root, key.public_key(), now, ExtendedKeyUsageOID.CLIENT_AUTH)
    return TlsIdentity(unsigned.sign(root_key, SHA256()), root, key)


def issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    """Whether a root signed a certificate."""
    with suppress(InvalidSignature, ValueError, TypeError):
        certificate.verify_directly_issued_by(root)
        return True
    return False


def _leaf(
    root: x509.Certificate, key: ec.EllipticCurvePublicKey, now: datetime, use: x509.ObjectIdentifier
) -> x509.CertificateBuilder:
    until = min(now + timedelta(days=TLS_DAYS), root.not_valid_after_utc)
    return (
        _dated(root.subject, root.subject, key, now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(_issuer(root), critical=False)
    )


def _dated(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | Ed25519PublicKey,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    serial = hashlib.sha256(b"tclearn/tls-serial/1\0" + now.isoformat().encode() + b"\0" + spki).digest()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(int.from_bytes(serial[:16], "big") | 1)
        .not_valid_before(now - _SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _issuer(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    known = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in allowed for use in (*_USES, *_USES_OF_CA)})


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
