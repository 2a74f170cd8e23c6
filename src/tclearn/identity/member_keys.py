"""A member's own keys: the root of its certificates, and the key of its transactions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from tclearn.errors import Code, UsageError
from tclearn.identity import pkcs8
from tclearn.identity.keys import Signer
from tclearn.identity.pem import Block, read_pem, write_pem
from tclearn.limits import EARLIER_KEYS_MAX

ENTROPY_BYTES: Final = 64
SALT_BYTES: Final = 64

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """The private keys of a member. Their ``repr`` shows public halves only.

    Attributes:
        root: ECDSA P-256, signs the member's certificates.
        signer: Ed25519, signs its transactions.
        earlier: its transaction keys before, oldest first. They sign nothing any more; what was derived from them stays
            in use: the member's secrets for salts and files, and seed chains that it has committed to.
    """

    root: ec.EllipticCurvePrivateKey = field(repr=False)
    signer: Signer
    earlier: tuple[Signer, ...] = ()

    @classmethod
    def from_entropy(cls, entropy: bytes) -> Self:
        """Make the keys.

        Args:
            entropy: ``ENTROPY_BYTES`` (64) bytes from the operating system: ``secrets.token_bytes``.

        Raises:
            ValueError: another number of bytes.
        """
        if len(entropy) != ENTROPY_BYTES:
            raise ValueError(f"{len(entropy)} bytes of entropy, not {ENTROPY_BYTES}")
        wide = hashlib.sha512(b"tclearn/root-key/1\x00" + entropy[32:]).digest()
        scalar = int.from_bytes(wide, "big") % (_P256_ORDER - 1) + 1
        return cls(ec.derive_private_key(scalar, ec.SECP256R1()), Signer(entropy[:32]))

    def rotated(self, entropy: bytes) -> Self:
        """New keys of the same member, which still can open whatever was made with these.

        Args:
            entropy: ``ENTROPY_BYTES`` (64) bytes from the operating system.

        Raises:
            ValueError: another number of bytes.
            UsageError: the keys have been rotated ``EARLIER_KEYS_MAX`` times.
        """
        if len(self.earlier) >= EARLIER_KEYS_MAX:
            raise UsageError(
                Code.KEY_FILE,
                f"these keys have been rotated {len(self.earlier)} times",
                expected=f"at most {EARLIER_KEYS_MAX}",
                remedy="have the member admitted with keys of its own making, as one that has lost them",
            )
        fresh = type(self).from_entropy(entropy)
        return type(self)(fresh.root, fresh.signer, (*self.earlier, self.signer))

    def derive(self, purpose: str) -> bytes:
        """32 secret bytes for another purpose; they stay the same when the keys are rotated."""
        return (self.earlier[0] if self.earlier else self.signer).derive(purpose)

    @property
    def salt_bytes(self) -> int:
        """How many random bytes ``to_pem`` needs with a passphrase."""
        return SALT_BYTES // 2 * (2 + len(self.earlier))

    def to_pem(self, passphrase: str | None = None, *, salt: bytes = b"") -> bytes:
        """The keys as PKCS#8 in PEM, as ``openssl pkey`` reads them: root, signer, and earlier ones, newest first.

        Args:
            passphrase: encrypts them; ``None``: they are written in the clear.
            salt: ``salt_bytes`` random bytes, needed with a passphrase: 64, and 32 more for each earlier key.

        Raises:
            UsageError: the passphrase is empty.
            ValueError: another number of random bytes.
        """
        signers = [Ed25519PrivateKey.from_private_bytes(each.seed()) for each in (self.signer, *reversed(self.earlier))]
        keys: list[ec.EllipticCurvePrivateKey | Ed25519PrivateKey] = [self.root, *signers]
        plain = [key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for key in keys]
        if passphrase is None:
            return write_pem(*(Block(pkcs8.PLAIN, der) for der in plain))
        if not passphrase:
            raise UsageError(Code.KEY_FILE, "an empty passphrase", expected="at least one character, or none at all")
        if len(salt) != self.salt_bytes:
            raise ValueError(f"{len(salt)} bytes of salt, not {SALT_BYTES}")
        return write_pem(
            *(pkcs8.encrypted(der, passphrase, salt[32 * at : 32 * at + 32]) for at, der in enumerate(plain))
        )

    @classmethod
    def from_pem(cls, text: bytes, passphrase: str | None = None, *, place: str = "the key file") -> Self:
        """Read what ``to_pem`` wrote.

        Args:
            text: the file's bytes.
            passphrase: if it was written with one.
            place: names the file in messages.

        Raises:
            UsageError: not such a file, or the passphrase is wrong, missing or not needed.
        """
        try:
            blocks = read_pem(text)
        except ValueError as error:
            raise _refused(f"{place}: {error}") from None
        labels = {block.label for block in blocks}
        if not 2 <= len(blocks) <= 2 + EARLIER_KEYS_MAX or labels not in ({pkcs8.PLAIN}, {pkcs8.ENCRYPTED}):
            raise _refused(f"{place} does not hold two private keys")
        if (labels == {pkcs8.ENCRYPTED}) != (passphrase is not None):
            state, remedy = (
                ("not encrypted", "leave the passphrase out")
                if passphrase is not None
                else ("encrypted", "give its passphrase")
            )
            raise UsageError(Code.KEY_FILE, f"{place} is {state}", remedy=remedy)
        secret = passphrase.encode() if passphrase is not None else None
        root, *others = (_load(block.content, secret, place) for block in blocks)
        if not isinstance(root, ec.EllipticCurvePrivateKey) or not isinstance(root.curve, ec.SECP256R1):
            raise _refused(f"{place}: the first key is not ECDSA P-256")
        signers = []
        for number, key in enumerate(others, 2):
            if not isinstance(key, Ed25519PrivateKey):
                raise _refused(f"{place}: the {'second' if number == 2 else 'last'} key is not Ed25519")
            signers.append(Signer(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())))
        return cls(root, signers[0], tuple(reversed(signers[1:])))

    def __repr__(self) -> str:
        point = self.root.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return f"MemberKeys(root={point.hex()[:16]}…, signer={self.signer!r})"


def _load(der: bytes, passphrase: bytes | None, place: str) -> object:
    # `from None` below: the context of these errors could carry what was decrypted.
    try:
        return load_der_private_key(der, passphrase)
    except Exception:  # noqa: BLE001 - many kinds, InternalError where OpenSSL has no word for it; all mean: no such key
        if passphrase is None:
            raise _refused(f"{place} does not hold two private keys") from None
        raise UsageError(Code.KEY_FILE, f"{place}: this passphrase does not open it", remedy="try again") from None


def _refused(what: str) -> UsageError:
    return UsageError(
        Code.KEY_FILE,
        what,
        expected="the .key file that `tclearn member new` wrote",
        remedy="restore it from your backup; without it, enrol again under a new name",
    )
