"""Certificates of connections: whose they are, and for how long."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError
from tclearn.identity import Signer
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.tls import (
    SERVICE_ROOT_DAYS,
    TLS_DAYS,
    TlsIdentity,
    check_service_root,
    identity_of_member,
    identity_of_service,
    issue_service_root,
    issued_by,
)
from tclearn.service.tls import client_context, server_context

NOW = datetime.now(UTC).replace(microsecond=0)
LOG, OTHER_LOG = Signer(bytes(32)), Signer(b"\1" * 32)
HOSTS = ["service.example", "127.0.0.1", "::1"]


def member(name: str, issued: datetime = NOW) -> tuple[x509.Certificate, MemberKeys]:
    keys = MemberKeys.from_entropy(hashlib.sha512(name.encode()).digest())
    return read_enrolment(write_enrolment(MemberId(name), keys, issued), issued).root, keys


LEUVEN, LEUVEN_KEYS = member("leuven")
NAMUR, _ = member("namur")


def of_leuven(now: datetime = NOW) -> TlsIdentity:
    return identity_of_member(LEUVEN, LEUVEN_KEYS.root, now)


def connected(service: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1") -> None:
    """A handshake and a word in each direction; raises what goes wrong at either end, all of it in one error."""
    near, far = socket.socketpair()
    failed: list[OSError] = []

    def answer() -> None:
        try:
            with service.wrap_socket(far, server_side=True) as secured:
                secured.sendall(secured.recv(1))
        except OSError as error:
            failed.append(error)
            far.close()

    for end in (near, far):
        end.settimeout(20)
    answering = threading.Thread(target=answer)
    answering.start()
    try:
        with client.wrap_socket(near, server_hostname=host) as secured:
            assert secured.version() == "TLSv1.3"
            secured.sendall(b"x")
            assert secured.recv(1) == b"x" or failed
    except OSError as error:
        failed.append(error)
    finally:
        near.close()
        answering.join()
    # The end that is turned away may see no more than that the connection is gone; the other one knows why.
    if failed:
        raise ssl.SSLError("; ".join(map(str, failed)))


def test_both_ends_know_each_other() -> None:
    service = identity_of_service(LOG, HOSTS, NOW)
    check_service_root(service.root, LOG.public)
    assert issued_by(service.certificate, service.root)
    for host in HOSTS:
        connected(server_context(service, [LEUVEN, NAMUR]), client_context(of_leuven(), service.root), host)


def test_another_host_is_refused() -> None:
    service = identity_of_service(LOG, HOSTS, NOW)
    with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
        connected(server_context(service, [LEUVEN]), client_context(of_leuven(), service.root), "elsewhere.example")


def test_a_service_with_another_log_key_is_refused() -> None:
    named, other = identity_of_service(LOG, HOSTS, NOW), identity_of_service(OTHER_LOG, HOSTS, NOW)
    with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_VERIFY_FAILED|UNKNOWN_CA"):
        connected(server_context(other, [LEUVEN]), client_context(of_leuven(), named.root))
    with pytest.raises(MessageError) as refused:
        check_service_root(other.root, LOG.public)
    assert refused.value.code is Code.CERTIFICATE


def test_a_root_with_the_right_key_and_another_signature_is_refused() -> None:
    root = issue_service_root(LOG, NOW)
    data = bytearray(root.public_bytes(Encoding.DER))
    data[-1] ^= 1
    with pytest.raises(MessageError):
        check_service_root(x509.load_der_x509_certificate(bytes(data)), LOG.public)


def test_the_members_own_root_is_no_service_root() -> None:
    with pytest.raises(MessageError):
        check_service_root(LEUVEN, LOG.public)


def test_a_member_of_no_charter_is_refused() -> None:
    service = identity_of_service(LOG, HOSTS, NOW)
    with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_VERIFY_FAILED|UNKNOWN_CA"):
        connected(server_context(service, [NAMUR]), client_context(of_leuven(), service.root))


def test_the_same_name_under_another_root_is_refused() -> None:
    impostor = MemberKeys.from_entropy(bytes(64))
    root = read_enrolment(write_enrolment(MemberId("leuven"), impostor, NOW), NOW).root
    identity = identity_of_member(root, impostor.root, NOW)
    assert identity.certificate.subject == of_leuven().certificate.subject
    assert not issued_by(identity.certificate, LEUVEN)
    service = identity_of_service(LOG, HOSTS, NOW)
    with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_VERIFY_FAILED|UNKNOWN_CA|DECRYPT|SIGNATURE"):
        connected(server_context(service, [LEUVEN]), client_context(identity, service.root))


@pytest.mark.parametrize("days", [-TLS_DAYS - 1, 2])
def test_certificates_out_of_their_time_are_refused(days: int) -> None:
    then = NOW + timedelta(days=days)
    now, other = identity_of_service(LOG, HOSTS, NOW), identity_of_service(LOG, HOSTS, then)
    with pytest.raises(ssl.SSLError, match=r"(?i)expired|not yet valid|verify failed|bad.certificate"):
        connected(server_context(other, [LEUVEN]), client_context(of_leuven(), now.root))
    root, keys = member("leuven", then)
    theirs = identity_of_member(root, keys.root, then)
    with pytest.raises(ssl.SSLError, match=r"(?i)expired|not yet valid|verify failed|bad.certificate"):
        connected(server_context(now, [root]), client_context(theirs, now.root))


def test_a_certificate_of_a_member_serves_no_service() -> None:
    identity = of_leuven()
    with pytest.raises(ssl.SSLError, match=r"(?i)unsuitable|purpose|verify failed"):
        connected(server_context(identity, [LEUVEN]), client_context(of_leuven(), LEUVEN))


def test_what_the_certificates_say() -> None:
    service, leuven = identity_of_service(LOG, HOSTS, NOW), of_leuven()
    assert service.root.not_valid_after_utc - NOW == timedelta(days=SERVICE_ROOT_DAYS)
    for identity, use in ((service, ExtendedKeyUsageOID.SERVER_AUTH), (leuven, ExtendedKeyUsageOID.CLIENT_AUTH)):
        certificate = identity.certificate
        assert certificate.not_valid_after_utc - NOW == timedelta(days=TLS_DAYS)
        extensions = certificate.extensions
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [use]
        assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.digital_signature and not usage.key_cert_sign
    root = service.root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (root.ca, root.path_length) == (True, 0)


def test_no_certificate_outlasts_its_root() -> None:
    late = LEUVEN.not_valid_after_utc - timedelta(days=3)
    assert of_leuven(late).certificate.not_valid_after_utc == LEUVEN.not_valid_after_utc


def test_keys_and_serial_numbers_differ_from_start_to_start() -> None:
    one, two = of_leuven(), of_leuven()
    assert one.certificate.serial_number != two.certificate.serial_number
    assert one.key.private_numbers() != two.key.private_numbers()
