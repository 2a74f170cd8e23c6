"""Two certificates per member (X.509, RFC 5280): a root of its own, and under it the key of its transactions.

The root is a self-signed ECDSA P-256 certificate, so that ordinary tools can use and check it; it signs nothing but the
member's other keys. The certified transaction key is Ed25519. OpenSSL only reads it here; whether it is a usable key is
for libsodium to say (see ``tclearn.identity.keys``).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError
from tclearn.identity.keys import PublicKey, public_key

ROOT_DAYS: Final = 3653
KEY_DAYS: Final = 1096

_SKEW: Final = timedelta(hours=1)
_NO_USE: Final = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}
_ROOT_USE: Final = x509.KeyUsage(**{**_NO_USE, "key_cert_sign": True})
_KEY_USE: Final = x509.KeyUsage(**{**_NO_USE, "digital_signature": True})
_ROOT_CONSTRAINTS: Final = x509.BasicConstraints(ca=True, path_length=0)
_KEY_CONSTRAINTS: Final = x509.BasicConstraints(ca=False, path_length=None)


def issue_root(member: MemberId, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """A member's root certificate, signed by itself, valid for ten years.

    Args:
        member: becomes the common name.
        key: a P-256 key.
        now: the time, with its zone; the certificate is valid from an hour before, for clocks that are behind.
    """
    public = key.public_key()
    unsigned = (
        _dated(member, public, now, now + timedelta(days=ROOT_DAYS))
        .add_extension(_ROOT_CONSTRAINTS, critical=True)
        .add_extension(_ROOT_USE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return unsigned.sign(key, SHA256())


def issue_key_certificate(
    root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, key: PublicKey, now: datetime
) -> x509.Certificate:
    """A certificate for a member's transaction key, valid for three years.

    Args:
        root: the member's root certificate.
        root_key: its key.
        key: the Ed25519 public key.
        now: the time, with its zone.
    """
    public = Ed25519PublicKey.from_public_bytes(key)
    (name,) = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    unsigned = (
        _dated(str(name.value), public, now, min(now + timedelta(days=KEY_DAYS), root.not_valid_after_utc))
        .add_extension(_KEY_CONSTRAINTS, critical=True)
        .add_extension(_KEY_USE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(issuer, critical=False)
    )
    return unsigned.sign(root_key, SHA256())


def check_chain(member: MemberId, root: x509.Certificate, certificate: x509.Certificate, now: datetime) -> PublicKey:
    """The transaction key that a member's root certifies.

    Args:
        member: whose certificates they should be.
        root: the root certificate.
        certificate: the certificate of the transaction key.
        now: the time, with its zone.

    Raises:
        MessageError: the certificates do not name the member, do not belong together, are for other uses, are not
            valid at this time, or certify a key that is not usable.
    """
    # 1. Both name the member and nobody else.
    for what, each in (("root", root), ("key", certificate)):
        if each.subject != _subject(member) or each.issuer != _subject(member):
            raise _refused(f"the {what} certificate names {_printable(each)}", f"CN={member} and nothing else")
    # 2. The root signed itself, and the other.
    if not isinstance(root.public_key(), ec.EllipticCurvePublicKey) or not _is_p256(root):
        raise _refused("the root certificate has another kind of key", "ECDSA on P-256")
    for what, each in (("root", root), ("key", certificate)):
        if each.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256 or not _issued(each, root):
            raise _refused(f"the {what} certificate was not signed by this root", "ECDSA with SHA-256 by the root")
    # 3. Each may do what it is for, and no more.
    _check_use("root", root, (_ROOT_CONSTRAINTS, _ROOT_USE))
    _check_use("key", certificate, (_KEY_CONSTRAINTS, _KEY_USE))
    # 4. Both are valid now.
    for what, each in (("root", root), ("key", certificate)):
        if not each.not_valid_before_utc <= now <= each.not_valid_after_utc:
            first, last = each.not_valid_before_utc.date(), each.not_valid_after_utc.date()
            raise _refused(f"the {what} certificate is valid from {first} to {last}", f"valid on {now.date()}")
    # 5. The certified key is one that can sign.
    certified = certificate.public_key()
    if not isinstance(certified, Ed25519PublicKey):
        raise _refused("the key certificate has another kind of key", "Ed25519")
    return public_key(certified.public_bytes(Encoding.Raw, PublicFormat.Raw))


def read_certificate(der: bytes) -> x509.Certificate:
    """Read a certificate, in DER and nothing but DER.

    Raises:
        MessageError: the bytes are not a certificate of version 3.
    """
    try:
        with warnings.catch_warnings():
            # What the library takes with a warning today, it refuses tomorrow.
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(der)
            # Names, extensions and keys are decoded when they are first asked for; a malformed one shows here.
            decoded = (certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key())
    except Exception:  # noqa: BLE001 - the library raises many kinds; each of them means: not a certificate
        raise _not_a_certificate() from None
    if certificate.version is not x509.Version.v3 or certificate.public_bytes(Encoding.DER) != der or not all(decoded):
        raise _not_a_certificate()
    return certificate


def certificate_digest(certificate: x509.Certificate) -> Digest:
    """SHA-256 of the certificate's DER bytes: what ``openssl x509 -fingerprint -sha256`` prints."""
    return Digest(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())


def _check_use(what: str, certificate: x509.Certificate, wanted: Iterable[x509.ExtensionType]) -> None:
    critical = {extension.oid: extension.value for extension in certificate.extensions if extension.critical}
    if critical != {each.oid: each for each in wanted}:
        raise _refused(f"the {what} certificate is made for another use", "the uses of docs/formats/member.md")


def _issued(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_p256(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _dated(
    member: str, key: ec.EllipticCurvePublicKey | Ed25519PublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    subject = _subject(member)
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    serial = hashlib.sha256(b"\0".join([b"tclearn/serial/1", member.encode(), now.isoformat().encode(), spki])).digest()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key)
        .serial_number(int.from_bytes(serial[:16], "big") | 1)
        .not_valid_before(now - _SKEW)
        .not_valid_after(until)
    )


def _subject(member: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member)])


def _printable(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())[:80]


def _not_a_certificate() -> MessageError:
    return _refused("bytes that are not an X.509 certificate", "DER, version 3, a known kind of key")


def _refused(what: str, expected: str) -> MessageError:
    return MessageError(
        Code.CERTIFICATE, what, expected=expected, remedy="ask the member for a new enrolment (tclearn member new)"
    )
