"""The key that encrypts the objects' keys: what the vault asks of it, and the one that is held in memory."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tclearn.encoding import encode
from tclearn.errors import Code, StorageError
from tclearn.store.vault.chunks import KEY_BYTES
from tclearn.store.vault.secret import Secret

_NONCE_BYTES: Final = 12


class KeyEncryption(Protocol):
    """Wraps the keys of objects under a key-encryption key (KEK) that never leaves it.

    A key file does it here; a hardware module or a key service can do it in its place. KEKs have names; the newest
    wraps, the older ones still unwrap until they are retired.
    """

    @property
    def current(self) -> str:
        """The name of the KEK that ``wrap`` uses."""

    def wrap(self, key: Secret, context: bytes) -> bytes:
        """Seal a key under the current KEK, bound to what it is for.

        Raises:
            StorageError: the KEK cannot be used now.
        """

    def unwrap(self, wrapped: bytes, context: bytes, name: str) -> Secret | None:
        """The key that ``wrap`` sealed under the KEK of this name; ``None``: it was not this, or not for this.

        Raises:
            StorageError: there is no KEK of this name, or it cannot be used now.
        """

    def sealed(self) -> bytes:
        """What a backup must hold to have these KEKs again, still sealed; empty: they are kept elsewhere."""


class HeldKeys:
    """KEKs in memory; see ``KeyEncryption``. Nothing shows them but ``reveal`` of the secrets that came in.

    Args:
        keys: 32 random bytes by name.
        current: the name of the one that wraps.
    """

    __slots__ = ("_current", "_keys")

    def __init__(self, keys: Mapping[str, Secret], current: str) -> None:
        self._keys = {name: AESGCM(key.reveal()) for name, key in keys.items()}
        self._current = current

    @classmethod
    def new(cls) -> HeldKeys:
        """One new KEK, gone with the process."""
        name = new_name(1)
        return cls({name: new_key()}, name)

    @property
    def current(self) -> str:
        """The name of the KEK that ``wrap`` uses."""
        return self._current

    def wrap(self, key: Secret, context: bytes) -> bytes:
        """Seal a key: nonce of 12 random bytes, ciphertext, tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._keys[self._current].encrypt(nonce, key.reveal(), _bound(context, self._current))

    def unwrap(self, wrapped: bytes, context: bytes, name: str) -> Secret | None:
        """The key that ``wrap`` sealed under the KEK of this name; ``None``: it was not this, or not for this.

        Raises:
            StorageError: there is no KEK of this name.
        """
        if name not in self._keys:
            raise unknown_key(name)
        try:
            return Secret(
                self._keys[name].decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _bound(context, name))
            )
        except (InvalidTag, ValueError):  # ValueError: too short to have a nonce
            return None

    def sealed(self) -> bytes:
        """Nothing: they are gone with the process."""
        return b""

    def __repr__(self) -> str:
        return f"HeldKeys({len(self._keys)} keys, current {self._current})"


def new_key() -> Secret:
    """A key from the operating system's randomness."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def new_name(version: int) -> str:
    """A name for a KEK: its version, and some digits that no KEK of another vault has."""
    return f"{version}-{secrets.token_hex(6)}"


def unknown_key(name: str) -> StorageError:
    """The error for a KEK that is not there."""
    return StorageError(
        Code.VAULT_KEY,
        f"something in the vault is sealed under the key {name[:40]!r}, which these keys do not have",
        expected="the vault's own key file, as it is now",
        remedy="open the vault again if its keys were rotated meanwhile; otherwise name the right key file",
    )


def _bound(context: bytes, name: str) -> bytes:
    return encode(["tclearn-vault-kek/1", name, context])
