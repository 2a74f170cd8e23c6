"""TLS 1.3 and nothing else, with a certificate at both ends (RFC 8446)."""

from __future__ import annotations

import secrets
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tclearn.identity.tls import TlsIdentity


def server_context(identity: TlsIdentity, members: Iterable[x509.Certificate]) -> ssl.SSLContext:
    """The service's end: whoever shows no certificate of a member is turned away before it can ask anything.

    Args:
        identity: of the service.
        members: root certificates of the members.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # no resumption: each connection shows its certificate
    return _restricted(context, identity, members)


def client_context(identity: TlsIdentity, service: x509.Certificate) -> ssl.SSLContext:
    """A member's end: it talks to the service that the charter names, under a host name of its certificate.

    Args:
        identity: of the member.
        service: root certificate of the service.
    """
    return _restricted(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), identity, [service])


def stranger_context(identity: TlsIdentity) -> ssl.SSLContext:
    """A member's end before it knows the service: whoever answers is talked to, and nothing it says is believed.

    Args:
        identity: of the member.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _show(context, identity)
    return context


def _restricted(context: ssl.SSLContext, identity: TlsIdentity, trusted: Iterable[x509.Certificate]) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    pem = b"".join(root.public_bytes(Encoding.PEM) for root in trusted)
    context.load_verify_locations(cadata=pem.decode())
    _show(context, identity)
    return context


def _show(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    # OpenSSL takes keys from files only; what lies there for a moment is encrypted with a word that is never kept.
    word = secrets.token_hex(32)
    locked = BestAvailableEncryption(word.encode())
    with tempfile.TemporaryDirectory(prefix="tclearn-tls-") as folder:
        key, chain = Path(folder) / "key.pem", Path(folder) / "chain.pem"
        key.write_bytes(identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
        chain.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (identity.certificate, identity.root)))
        context.load_cert_chain(chain, key, password=word)
