"""Transactions (COSE_Sign1) and entries (a transaction at its place and time). Format: ``docs/formats/entry.md``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from tclearn.encoding import Digest, Value, decode, encode_plain, read_head
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signed, Signer, open_signed, sign
from tclearn.limits import ENTRY_BYTES_MAX
from tclearn.records import Record

_DOMAIN: Final = b"TCLearn/tx/v1"


def signed_for(coalition: Digest) -> bytes:
    """What the signature of a coalition's transactions binds without carrying it."""
    return _DOMAIN + coalition


def transaction_id(raw: bytes) -> Digest:
    """The id of a transaction: SHA-256 of its bytes."""
    return Digest(hashlib.sha256(raw).digest())


@dataclass(frozen=True, slots=True)
class Call(Record):
    """What a transaction asks of a contract.

    Attributes:
        contract: the contract's name and version.
        method: one of its methods.
        arguments: a map that the contract reads strictly.
    """

    contract: str
    method: str
    arguments: dict[str, Value]


@dataclass(frozen=True, slots=True)
class _Payload(Record):
    contract: str
    method: str
    arguments: dict[str, Value]
    sequence: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed call.

    Attributes:
        raw: the COSE_Sign1 bytes; everything else is read from them.
        signer: the Ed25519 key that signed, at the same time the key id.
        call: what is asked.
        sequence: strictly increasing per key; gaps are allowed.
        expires_ms: ledger time after which it may no longer be logged.
    """

    raw: bytes
    signer: PublicKey
    call: Call
    sequence: int
    expires_ms: int

    @classmethod
    def signed(cls, signer: Signer, coalition: Digest, call: Call, *, sequence: int, expires_ms: int) -> Self:
        """Make and sign a transaction for one coalition; no other coalition's ledger admits it."""
        payload = _Payload(call.contract, call.method, call.arguments, sequence, expires_ms)
        raw = sign(signer, payload.encode(), signed_for(coalition))
        return cls(raw, signer.public, call, sequence, expires_ms)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a transaction without checking its signature.

        Raises:
            MessageError: too large (1 MiB) or malformed.
        """
        return cls._read(raw, open_signed(raw))

    @classmethod
    def parse_checked(cls, raw: bytes, coalition: Digest) -> Self:
        """Read a transaction that its signer said to this coalition.

        Raises:
            MessageError: too large (1 MiB), malformed, or the signature does not hold.
        """
        envelope = open_signed(raw)
        # The signature first: decoding a megabyte of nested arrays costs hundreds of times as much.
        envelope.check(signed_for(coalition))
        return cls._read(raw, envelope)

    @classmethod
    def _read(cls, raw: bytes, envelope: Signed) -> Self:
        payload = _Payload.from_value(decode(envelope.payload), "transaction")
        call = Call(payload.contract, payload.method, payload.arguments)
        return cls(raw, envelope.signer, call, payload.sequence, payload.expires_ms)

    def check_signature(self, coalition: Digest) -> None:
        """Check that the signer said this to this coalition; returns nothing.

        Raises:
            MessageError: the signature does not hold.
        """
        open_signed(self.raw).check(signed_for(coalition))

    @property
    def id(self) -> Digest:
        """SHA-256 of the bytes."""
        return transaction_id(self.raw)


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """A transaction at its place in the log. The Merkle leaf is the entry's encoding.

    Attributes:
        index: position, from 0.
        time_ms: ledger time, never less than the entry's before.
        transaction: the COSE_Sign1 bytes.
    """

    index: int
    time_ms: int
    transaction: bytes

    def encode(self) -> bytes:
        """The deterministic encoding of the entry."""
        return encode_plain({"index": self.index, "time_ms": self.time_ms, "transaction": self.transaction})

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read an entry.

        Raises:
            MessageError: malformed or too large.
        """
        if len(data) > ENTRY_BYTES_MAX:
            raise MessageError(Code.TOO_LARGE, f"an entry of {len(data)} bytes", expected=f"at most {ENTRY_BYTES_MAX}")
        index, at = read_head(data, len(_INDEX))
        time_ms, at = read_head(data, at + len(_TIME))
        _, at = read_head(data, at + len(_TRANSACTION))
        entry = cls(index, time_ms, data[at:])
        # What was read from the wrong place, or from a longer form, does not give these bytes again.
        if index > _NATURAL_MAX or time_ms > _NATURAL_MAX or entry.encode() != data:
            raise MessageError(Code.ENCODING, "bytes that are not an entry", expected="index, time_ms and transaction")
        return entry


_INDEX: Final = b"\xa3\x65index"
_TIME: Final = b"\x67time_ms"
_TRANSACTION: Final = b"\x6btransaction"
_NATURAL_MAX: Final = (1 << 63) - 1
