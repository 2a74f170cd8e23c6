"""The public enrolment file ``<name>.pem``: what a member sends to the others. Format: ``docs/formats/member.md``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tclearn.encoding import Digest, MemberId, decode
from tclearn.errors import Code, MessageError
from tclearn.identity.certificates import (
    certificate_digest,
    check_chain,
    issue_key_certificate,
    issue_root,
    read_certificate,
)
from tclearn.identity.cose import Signed, open_signed, sign
from tclearn.identity.keys import PublicKey
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.pem import Block, read_pem, write_pem
from tclearn.identity.seed_chain import tip
from tclearn.limits import KEY_FILE_BYTES_MAX, SEED_CHAIN_LENGTH
from tclearn.records import Record

_CERTIFICATE: Final = "CERTIFICATE"
_ENROLMENT: Final = "TCLEARN ENROLMENT"
_LABELS: Final = [_CERTIFICATE, _CERTIFICATE, _ENROLMENT]
_DOMAIN: Final = b"TCLearn/enrolment/v1"


@dataclass(frozen=True, slots=True)
class _Statement(Record):
    member: MemberId
    seed_tip: Digest
    seed_links: int
    certificate: Digest


@dataclass(frozen=True, slots=True)
class Stated:
    """What an enrolment file says and its transaction key has signed; its certificates have not been looked at.

    Attributes:
        member: the member's name.
        key: Ed25519 public key that signed.
        seed_tip: tip of the member's hash chain.
        certificate: SHA-256 of the root certificate (DER) in the file.
    """

    member: MemberId
    key: PublicKey
    seed_tip: Digest
    certificate: Digest


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a member has shown of itself; every signature has been checked.

    Attributes:
        member: its name.
        key: Ed25519 public key of its transactions.
        seed_tip: tip of its hash chain.
        certificate: SHA-256 of its root certificate (DER).
        root: the root certificate.
        key_certificate: the certificate of the transaction key.
    """

    member: MemberId
    key: PublicKey
    seed_tip: Digest
    certificate: Digest
    root: x509.Certificate = field(repr=False, compare=False)
    key_certificate: x509.Certificate = field(repr=False, compare=False)


def write_enrolment(member: MemberId, keys: MemberKeys, now: datetime) -> bytes:
    """The content of ``<name>.pem``: both certificates, newly issued, and the signed statement.

    Args:
        member: the member's name.
        keys: its private keys; only public halves and signatures are written.
        now: the time, with its zone.
    """
    root = issue_root(member, keys.root, now)
    certificate = issue_key_certificate(root, keys.root, keys.signer.public, now)
    seed_tip = tip(keys.signer.derive("seed chain"))
    statement = _Statement(member, seed_tip, SEED_CHAIN_LENGTH, certificate_digest(root))
    return write_pem(
        Block(_CERTIFICATE, root.public_bytes(Encoding.DER)),
        Block(_CERTIFICATE, certificate.public_bytes(Encoding.DER)),
        Block(_ENROLMENT, sign(keys.signer, statement.encode(), _DOMAIN)),
    )


def read_enrolment(text: bytes, now: datetime, *, place: str = "the enrolment file") -> Enrolment:
    """Read and check the content of ``<name>.pem``.

    Args:
        text: the file's bytes.
        now: the time at which the certificates must be valid, with its zone.
        place: names the file in messages.

    Raises:
        MessageError: the file is too large or malformed, a certificate or a signature does not hold, or the parts do
            not belong together; the message names the file and what is wrong with it.
    """
    try:
        return _read(text, now)
    except MessageError as error:
        raise MessageError(
            error.code,
            f"{place}: {error.what}",
            expected=error.expected,
            remedy=error.remedy or "ask the member to send its .pem file again, by another way",
        ) from error


def read_statement(text: bytes, size_max: int = KEY_FILE_BYTES_MAX) -> Stated:
    """The signed statement of ``<name>.pem``, for those who must not depend on how a library reads certificates.

    Every replica comes to the same answer: besides our own encodings there is only base64, SHA-256 and one Ed25519
    signature in it. That the root certifies the key, and is valid, is for ``read_enrolment`` to say.

    Args:
        text: the file's bytes.
        size_max: how many it may have.

    Raises:
        MessageError: too large or malformed, or the signature does not hold.
    """
    blocks = _blocks(text, size_max)
    statement, signed = _statement(blocks, Digest(hashlib.sha256(blocks[0].content).digest()))
    _check_signed(statement, signed)
    return Stated(statement.member, signed.signer, statement.seed_tip, statement.certificate)


def _read(text: bytes, now: datetime) -> Enrolment:
    # 1. Three blocks, in this order, and nothing else.
    blocks = _blocks(text, KEY_FILE_BYTES_MAX)
    root, certificate = (read_certificate(block.content) for block in blocks[:2])
    # 2. The statement speaks of this root.
    statement, signed = _statement(blocks, certificate_digest(root))
    # 3. The root certifies the key that signed it.
    key = check_chain(statement.member, root, certificate, now)
    if signed.signer != key:
        raise MessageError(Code.CERTIFICATE, "the statement was signed by another key", expected="the certified key")
    # 4. The signature holds, and the hash chain has the length that all have.
    _check_signed(statement, signed)
    return Enrolment(statement.member, key, statement.seed_tip, statement.certificate, root, certificate)


def _statement(blocks: list[Block], root: Digest) -> tuple[_Statement, Signed]:
    signed = open_signed(blocks[2].content, size_max=KEY_FILE_BYTES_MAX)
    statement = _Statement.from_value(decode(signed.payload), "enrolment")
    if statement.certificate != root:
        raise MessageError(Code.CERTIFICATE, "the statement is about another root certificate", expected="this one")
    return statement, signed


def _check_signed(statement: _Statement, signed: Signed) -> None:
    signed.check(_DOMAIN)
    if statement.seed_links != SEED_CHAIN_LENGTH:
        raise MessageError(
            Code.CERTIFICATE, f"a seed chain of {statement.seed_links} links", expected=f"{SEED_CHAIN_LENGTH}"
        )


def _blocks(text: bytes, size_max: int) -> list[Block]:
    if len(text) > size_max:
        raise MessageError(Code.TOO_LARGE, f"{len(text)} bytes", expected=f"at most {size_max}")
    try:
        blocks = read_pem(text)
    except ValueError as error:
        raise MessageError(Code.CERTIFICATE, str(error), expected="the .pem file of `tclearn member new`") from None
    labels = [block.label for block in blocks]
    if any("PRIVATE KEY" in label for label in labels):
        raise MessageError(
            Code.CERTIFICATE,
            "this is a private key",
            expected="the .pem file",
            remedy="never send the .key file; if it was sent, enrol again with new keys",
        )
    if labels != _LABELS:
        found = ", ".join(labels[:5]) or "nothing"
        raise MessageError(Code.CERTIFICATE, f"blocks {found}", expected=", ".join(_LABELS))
    return blocks
