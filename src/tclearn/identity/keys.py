"""Ed25519 keys (RFC 8032), through one library only.

Ed25519 libraries disagree about keys of small order: OpenSSL accepts one that "signs" every message, libsodium refuses
it. Two libraries in one coalition would be two ledgers, so PyNaCl (libsodium) is the only one, and its verdict the
rule.
"""

from __future__ import annotations

import hashlib
from typing import NewType, NoReturn

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tclearn.errors import Code, MessageError

PublicKey = NewType("PublicKey", bytes)
"""32 bytes, an Ed25519 public key; it is also the key id (``kid``) of what it signs."""


class Signer:
    """A private Ed25519 key. Its ``repr`` shows the public half only.

    Args:
        seed: 32 bytes, from the operating system; from a printed seed only in simulations.
    """

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.public = PublicKey(bytes(self._key.verify_key))

    def sign(self, message: bytes) -> bytes:
        """64 bytes of Ed25519 signature over the message."""
        return self._key.sign(message).signature

    def seed(self) -> bytes:
        """The private half, for the one function that writes it to the owner's key file."""
        return bytes(self._key)

    def derive(self, purpose: str) -> bytes:
        """32 secret bytes for another purpose, fixed by this key."""
        return hashlib.blake2b(purpose.encode(), key=bytes(self._key), digest_size=32).digest()

    def __reduce__(self) -> NoReturn:
        # Copies of a key that nobody meant to make end in files and in other processes.
        raise TypeError("a Signer is not copied or pickled")

    def __repr__(self) -> str:
        return f"Signer({self.public.hex()[:16]}…)"


def public_key(data: bytes) -> PublicKey:
    """Check that bytes can be an Ed25519 public key.

    Raises:
        MessageError: not 32 bytes, or a point that libsodium refuses as of small order or not canonical.
    """
    try:
        key = VerifyKey(data)
        # libsodium validates the point when it converts it; a small-order or non-canonical key fails here, at
        # registration, and not at somebody's first signature.
        key.to_curve25519_public_key()
    except Exception as error:
        raise MessageError(
            Code.SIGNATURE,
            "bytes that are not a usable Ed25519 public key",
            expected="32 bytes, a point of prime order",
        ) from error
    return PublicKey(data)


def verify(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Check a signature; returns nothing.

    Raises:
        MessageError: the signature does not hold.
    """
    try:
        VerifyKey(key).verify(message, signature)
    except (BadSignatureError, ValueError, TypeError) as error:
        raise MessageError(Code.SIGNATURE, f"a signature that key {key.hex()[:16]}… did not make") from error
