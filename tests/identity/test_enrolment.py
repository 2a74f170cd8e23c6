"""The enrolment file: what the others learn of a member, and what they refuse."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tests.identity.members import LEUVEN, NOW, keys

from tclearn.coalition.admission import admitted
from tclearn.encoding import Digest, MemberId, decode, encode
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signer, open_signed, sign
from tclearn.identity.certificates import certificate_digest, issue_key_certificate, issue_root
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.pem import Block, read_pem, write_pem
from tclearn.identity.seed_chain import follows, reveal, tip
from tclearn.limits import KEY_FILE_BYTES_MAX, SEED_CHAIN_LENGTH

KEYS = keys()
FILE = write_enrolment(LEUVEN, KEYS, NOW)
BLOCKS = read_pem(FILE)
ROOT = issue_root(LEUVEN, KEYS.root, NOW)
DOMAIN = b"TCLearn/enrolment/v1"


def refusal(text: bytes, **changes: Any) -> MessageError:
    with pytest.raises(MessageError) as caught:
        read_enrolment(text, changes.get("now", NOW), place="leuven.pem")
    assert caught.value.what.startswith("leuven.pem: ")
    assert caught.value.remedy
    return caught.value


def stated(signer: Signer = KEYS.signer, domain: bytes = DOMAIN, **changes: Any) -> bytes:
    """A file whose statement says something else."""
    statement: dict[str, Any] = {
        "member": "leuven",
        "seed_tip": bytes(32),
        "seed_links": SEED_CHAIN_LENGTH,
        "certificate": certificate_digest(ROOT),
    } | changes
    certificate = issue_key_certificate(ROOT, KEYS.root, KEYS.signer.public, NOW)
    return write_pem(
        Block("CERTIFICATE", ROOT.public_bytes(Encoding.DER)),
        Block("CERTIFICATE", certificate.public_bytes(Encoding.DER)),
        Block("TCLEARN ENROLMENT", sign(signer, encode(statement), domain)),
    )


def test_what_was_written_is_read() -> None:
    enrolment = read_enrolment(FILE, NOW)
    assert enrolment.member == "leuven"
    assert enrolment.key == KEYS.signer.public
    assert follows(enrolment.seed_tip, reveal(KEYS.signer.derive("seed chain"), 1))
    assert enrolment.certificate == certificate_digest(enrolment.root)
    record = admitted(enrolment)
    assert (record.id, record.key, record.seed_tip) == ("leuven", KEYS.signer.public, enrolment.seed_tip)
    assert (record.origin, record.certificate) == ("os", enrolment.certificate)


def test_no_secret_is_in_the_file() -> None:
    secrets = [KEYS.signer.seed(), KEYS.signer.derive("seed chain")]
    secrets.append(KEYS.root.private_numbers().private_value.to_bytes(32, "big"))
    for block in BLOCKS:
        assert not any(secret in block.content for secret in secrets)


def test_mail_may_change_the_line_ends() -> None:
    assert read_enrolment(FILE.replace(b"\n", b"\r\n"), NOW) == read_enrolment(FILE, NOW)
    assert read_enrolment(b"\n" + FILE + b"\n\n", NOW) == read_enrolment(FILE, NOW)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_reads_the_certificates_in_it(tmp_path: Path) -> None:
    (tmp_path / "leuven.pem").write_bytes(FILE)
    command = ["openssl", "x509", "-in", "leuven.pem", "-noout", "-ext", "basicConstraints,keyUsage"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "CA:TRUE, pathlen:0" in told
    assert "Certificate Sign" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "blocks nothing"),
        (b"hello\n", "line 1 does not begin a PEM block"),
        (FILE + b"hello\n", "does not begin a PEM block"),
        (write_pem(*BLOCKS[:2]), "blocks CERTIFICATE, CERTIFICATE"),
        (write_pem(*BLOCKS[::-1]), "blocks TCLEARN ENROLMENT, CERTIFICATE, CERTIFICATE"),
        (write_pem(*BLOCKS, BLOCKS[0]), "blocks CERTIFICATE, CERTIFICATE, TCLEARN ENROLMENT, CERTIFICATE"),
        (write_pem(BLOCKS[1], BLOCKS[0], BLOCKS[2]), "the statement is about another root certificate"),
        (write_pem(BLOCKS[0], BLOCKS[0], BLOCKS[2]), "the key certificate is made for another use"),
        (write_pem(Block("CERTIFICATE", b"x"), *BLOCKS[1:]), "not an X.509 certificate"),
        (write_pem(*BLOCKS[:2], Block("TCLEARN ENROLMENT", b"x")), "not a COSE_Sign1 message"),
        (FILE.replace(b"-----BEGIN TCLEARN ENROLMENT-----\n", b"-----BEGIN TCLEARN ENROLMENT-----\n="), "not base64"),
        (KEYS.to_pem(), "this is a private key"),
        (FILE + KEYS.to_pem(), "this is a private key"),
        (stated(member="namur"), "names 'CN=leuven'"),
        (stated(member="Leuven"), "enrolment.member is str"),
        (stated(certificate=bytes(32)), "the statement is about another root certificate"),
        (stated(seed_links=7), "a seed chain of 7 links"),
        (stated(seed_tip=b"short"), "enrolment.seed_tip is bytes of length 5"),
        (stated(extra=1), "unknown field 'extra'"),
        (stated(signer=keys("namur").signer), "the statement was signed by another key"),
        (stated(domain=b"TCLearn/tx/v1"), "a signature that key"),
    ],
)
def test_what_is_refused(text: bytes, message: str) -> None:
    assert message in str(refusal(text))


def test_never_send_the_private_key() -> None:
    assert "never send the .key file" in refusal(KEYS.to_pem()).remedy


def test_a_file_too_large_is_not_read() -> None:
    assert refusal(bytes(KEY_FILE_BYTES_MAX + 1)).code is Code.TOO_LARGE


def test_an_enrolment_out_of_date_is_refused() -> None:
    assert "valid from" in str(refusal(FILE, now=NOW + timedelta(days=4000)))
    assert "valid from" in str(refusal(FILE, now=NOW - timedelta(days=1)))


def test_a_key_of_small_order_is_refused() -> None:
    # This point "signs" every message under OpenSSL: R = A = the identity, S = 0.
    point = PublicKey(bytes([1]) + bytes(31))
    forged = point + bytes(32)
    certificate = issue_key_certificate(ROOT, KEYS.root, point, NOW)
    statement = read_pem(stated())[2].content
    at = statement.index(KEYS.signer.public)
    statement = statement[:at] + point + statement[at + 32 : -64] + forged
    Ed25519PublicKey.from_public_bytes(point).verify(forged, b"anything")
    text = write_pem(
        Block("CERTIFICATE", ROOT.public_bytes(Encoding.DER)),
        Block("CERTIFICATE", certificate.public_bytes(Encoding.DER)),
        Block("TCLEARN ENROLMENT", statement),
    )
    assert "not a usable Ed25519 public key" in str(refusal(text))


def test_another_members_statement_does_not_fit() -> None:
    other = read_pem(write_enrolment(MemberId("leuven"), keys("namur"), NOW))
    mixed = write_pem(BLOCKS[0], BLOCKS[1], other[2])
    assert "another root certificate" in str(refusal(mixed))


def test_the_statement_is_what_the_specification_says() -> None:
    signed = open_signed(BLOCKS[2].content)
    enrolment = read_enrolment(FILE, NOW)
    assert decode(signed.payload) == {
        "member": "leuven",
        "seed_tip": enrolment.seed_tip,
        "seed_links": 4096,
        "certificate": enrolment.certificate,
    }
    signed.check(DOMAIN)


@given(st.integers(0, len(FILE) - 1), st.integers(0, 3), st.binary(max_size=3))
def test_any_damage_is_refused_by_code(at: int, cut: int, put: bytes) -> None:
    damaged = FILE[:at] + put + FILE[at + cut :]
    try:
        enrolment = read_enrolment(damaged, NOW)
    except MessageError as error:
        assert error.what
        return
    # Only what PEM leaves open may differ: line breaks, unused bits of the last base64 digit.
    assert enrolment == read_enrolment(FILE, NOW)


def test_the_tip_is_of_the_chain_that_all_derive() -> None:
    assert read_enrolment(FILE, NOW).seed_tip == Digest(tip(KEYS.signer.derive("seed chain")))
