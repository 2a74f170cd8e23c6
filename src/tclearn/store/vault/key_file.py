"""The vault's KEKs in a file that a passphrase opens.

The passphrase gives a key by Argon2id (RFC 9106), whose parameters stand in the file; that key seals the KEKs with
AES-256-GCM. Source of the format: ``docs/formats/vault.md``.
"""

from __future__ import annotations

import os
import secrets
import stat
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from tclearn.encoding import Digest, decode, encode
from tclearn.errors import Code, MessageError, StorageError, UsageError
from tclearn.files import write_whole
from tclearn.limits import KEY_FILE_BYTES_MAX, VAULT_KDF_MEMORY_KIB_MAX, VAULT_KDF_OPERATIONS_MAX
from tclearn.records import Record
from tclearn.store.vault.chunks import KEY_BYTES
from tclearn.store.vault.keys import HeldKeys, new_key, new_name
from tclearn.store.vault.secret import Secret

_FORMAT: Final = "tclearn-vault-keys/1"
_SALT_BYTES: Final = argon2id.SALTBYTES
_NONCE_BYTES: Final = 12
_OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077
_MEMORY_KIB_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class Cost:
    """What a guess of the passphrase costs.

    Attributes:
        operations: passes over the memory, 1 to 16.
        memory_kib: memory in KiB, 8 to 2^20.
    """

    operations: int = 3
    memory_kib: int = 256 << 10


@dataclass(frozen=True, slots=True)
class _File(Record):
    format: str
    operations: int
    memory_kib: int
    salt: bytes
    nonce: bytes
    sealed: bytes
    check: Digest
    """BLAKE3-256 of the others: tells a damaged file from a wrong passphrase. It is no secret and proves nothing."""


@dataclass(frozen=True, slots=True)
class _Lock:
    """What a passphrase came to."""

    cost: Cost
    salt: bytes
    key: Secret


class KeyFile:
    """KEKs that a passphrase has opened; see ``tclearn.store.vault.KeyEncryption``.

    Made by ``create`` and ``open``. The KEKs and what the passphrase came to stay in memory, the passphrase does not.
    """

    __slots__ = ("_held", "_keys", "_lock", "_read", "path")

    def __init__(self, path: Path, lock: _Lock, keys: dict[str, Secret], current: str, read: bytes) -> None:
        self.path = path
        self._lock = lock
        self._keys = keys
        self._held = HeldKeys(keys, current)
        self._read = read

    @classmethod
    def create(cls, path: Path, passphrase: str, *, cost: Cost | None = None) -> Self:
        """Make a file with one new KEK; durable when it returns.

        Args:
            path: nothing may be there yet.
            passphrase: not empty.
            cost: of a guess; ``None``: 3 passes over 256 MiB.

        Raises:
            UsageError: something is there already, or the passphrase is empty.
            StorageError: the file cannot be written.
        """
        secret = _bytes_of(passphrase)
        del passphrase
        _check_free(path)
        salt = secrets.token_bytes(_SALT_BYTES)
        lock = _Lock(cost or Cost(), salt, _derived(secret, salt, cost or Cost()))
        name = new_name(1)
        made = cls(path, lock, {name: new_key()}, name, b"")
        with _alone(path.parent):
            _check_free(path)
            made._write(lock, made._keys, name)
        return made

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Self:
        """Open a file.

        Raises:
            UsageError: there is no such file, others may read it, it is damaged or no key file, or the passphrase does
                not fit.
            StorageError: it cannot be read.
        """
        secret = _bytes_of(passphrase)
        del passphrase
        data = _content(path)
        form = _form(path, data)
        cost = Cost(form.operations, form.memory_kib)
        lock = _Lock(cost, form.salt, _derived(secret, form.salt, cost))
        opened = _opened(lock, form)
        if opened is None:
            raise UsageError(
                Code.KEY_FILE,
                f"the passphrase of {path} is another one",
                remedy="try again; what was restored from a backup opens with the passphrase of that time, and "
                f"`tclearn vault passphrase --dir {path.parent}` gives it that of today",
            )
        keys, current = opened
        return cls(path, lock, keys, current, data)

    @property
    def current(self) -> str:
        """The name of the KEK that ``wrap`` uses."""
        return self._held.current

    @property
    def names(self) -> list[str]:
        """The names of all KEKs, the oldest first."""
        return sorted(self._keys, key=_version)

    def wrap(self, key: Secret, context: bytes) -> bytes:
        """Seal a key under the current KEK."""
        return self._held.wrap(key, context)

    def unwrap(self, wrapped: bytes, context: bytes, name: str) -> Secret | None:
        """The key that ``wrap`` sealed under the KEK of this name; ``None``: it was not this, or not for this.

        Raises:
            StorageError: there is no KEK of this name.
        """
        return self._held.unwrap(wrapped, context, name)

    def sealed(self) -> bytes:
        """The file, as it is now.

        Raises:
            UsageError: it is gone, or not a key file any more.
            StorageError: it cannot be read.
        """
        return _content(self.path)

    def add(self) -> str:
        """Make a new KEK, which is current from now on, and write the file; returns the KEK's name.

        The vault is to be rotated to it: ``tclearn.store.vault.rotation.rotate``.

        Raises:
            StorageError: the file was changed since it was read, or cannot be written.
        """
        name = new_name(max(map(_version, self._keys)) + 1)
        self._replace(self._lock, {**self._keys, name: new_key()}, name)
        return name

    def retire(self, kept: Collection[str]) -> list[str]:
        """Forget all KEKs but the current one and those named; returns what was forgotten.

        What is still wrapped under a forgotten KEK is lost: see ``tclearn.store.vault.rotation.retire``.

        Raises:
            StorageError: the file was changed since it was read, or cannot be written.
        """
        gone = [name for name in self.names if name != self.current and name not in kept]
        if gone:
            self._replace(self._lock, {name: key for name, key in self._keys.items() if name not in gone}, self.current)
        return gone

    def change_passphrase(self, passphrase: str, *, cost: Cost | None = None) -> None:
        """Seal the same KEKs under another passphrase, in the file's place. Old copies open with the old one.

        Raises:
            UsageError: the passphrase is empty.
            StorageError: the file was changed since it was read, or cannot be written.
        """
        secret = _bytes_of(passphrase)
        del passphrase
        salt = secrets.token_bytes(_SALT_BYTES)
        lock = _Lock(cost or Cost(), salt, _derived(secret, salt, cost or Cost()))
        self._replace(lock, self._keys, self.current)

    def __repr__(self) -> str:
        return f"KeyFile({str(self.path)!r}, {len(self._keys)} keys, current {self.current})"

    def _replace(self, lock: _Lock, keys: dict[str, Secret], current: str) -> None:
        with _alone(self.path.parent):
            if _content(self.path) != self._read:
                raise StorageError(
                    Code.KEY_FILE,
                    f"{self.path} was changed since it was read here",
                    expected="one process that changes it",
                    remedy="open it again",
                )
            self._write(lock, keys, current)

    def _write(self, lock: _Lock, keys: dict[str, Secret], current: str) -> None:
        data = _sealed(lock, keys, current)
        write_whole(self.path, data, mode=_OWNER_ONLY)
        self._lock, self._keys, self._read = lock, keys, data
        self._held = HeldKeys(keys, current)


def _check_free(path: Path) -> None:
    if os.path.lexists(path):  # no where it cannot be looked up: then writing it says why
        raise UsageError(
            Code.KEY_FILE,
            f"{path} exists already",
            expected="a name that is not taken",
            remedy="choose another name; without its key file a vault cannot be read",
        )


def _bytes_of(passphrase: str) -> Secret:
    if not passphrase:
        raise UsageError(Code.KEY_FILE, "an empty passphrase", expected="a passphrase")
    # The same passphrase is other bytes from another keyboard, unless it is brought to one form.
    return Secret(unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass"))


def _derived(passphrase: Secret, salt: bytes, cost: Cost) -> Secret:
    try:
        return Secret(
            argon2id.kdf(KEY_BYTES, passphrase.reveal(), salt, opslimit=cost.operations, memlimit=cost.memory_kib << 10)
        )
    except CryptoError:
        raise StorageError(
            Code.KEY_FILE,
            f"the passphrase cannot be tried: Argon2id needs {cost.memory_kib} KiB of memory",
            remedy="free some memory",
        ) from None  # the library's own frames hold the passphrase


def _bound(salt: bytes, cost: Cost) -> bytes:
    return encode([_FORMAT, cost.operations, cost.memory_kib, salt])


def _sealed(lock: _Lock, keys: dict[str, Secret], current: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(lock.key.reveal()).encrypt(
        nonce,
        encode({"current": current, "keys": {name: key.reveal() for name, key in keys.items()}}),
        _bound(lock.salt, lock.cost),
    )
    form = _File(_FORMAT, lock.cost.operations, lock.cost.memory_kib, lock.salt, nonce, sealed, Digest(bytes(32)))
    return _File(form.format, form.operations, form.memory_kib, form.salt, nonce, sealed, _check(form)).encode()


def _check(form: _File) -> Digest:
    rest = {name: value for name, value in form.to_value().items() if name != "check"}
    return Digest(blake3(encode(rest)).digest())


def _opened(lock: _Lock, form: _File) -> tuple[dict[str, Secret], str] | None:
    try:
        found = decode(AESGCM(lock.key.reveal()).decrypt(form.nonce, form.sealed, _bound(lock.salt, lock.cost)))
    except (InvalidTag, MessageError):  # the latter: sealed with this passphrase, by something else
        return None
    match found:
        case {"current": str(current), "keys": dict(keys)} if current in keys and all(map(_is_key, keys.values())):
            return {name: Secret(key) for name, key in keys.items()}, current
    return None


def _is_key(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == KEY_BYTES


def _form(path: Path, data: bytes) -> _File:
    try:
        form = _File.from_value(decode(data, size_max=KEY_FILE_BYTES_MAX))
    except MessageError:
        raise _no_key_file(path, "is not a vault's key file, or is damaged") from None
    if form.format != _FORMAT:
        raise _no_key_file(path, "is of another version, or damaged")
    if _check(form) != form.check or len(form.salt) != _SALT_BYTES or len(form.nonce) != _NONCE_BYTES:
        raise _no_key_file(path, "is damaged")
    if (
        not 1 <= form.operations <= VAULT_KDF_OPERATIONS_MAX
        or not _MEMORY_KIB_MIN <= form.memory_kib <= VAULT_KDF_MEMORY_KIB_MAX
    ):
        raise _no_key_file(path, f"asks for {form.operations} passes over {form.memory_kib} KiB of memory")
    return form


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if os.name == "posix" and status.st_mode & _OTHERS:
                raise UsageError(
                    Code.KEY_FILE,
                    f"{path} can be read by others (mode {stat.S_IMODE(status.st_mode):04o})",
                    expected="mode 0600",
                    remedy=f"chmod 600 {path}; if others had access to it, change the passphrase and rotate the keys",
                )
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise UsageError(
            Code.KEY_FILE, f"{path} is not there", expected="the vault's key file", remedy="name it"
        ) from None
    except OSError as error:
        raise StorageError(
            Code.KEY_FILE, f"{path} cannot be read: {error.strerror}", expected="a file that you may read"
        ) from error
    if len(data) > KEY_FILE_BYTES_MAX:
        raise _no_key_file(path, f"is larger than {KEY_FILE_BYTES_MAX} bytes")
    return data


def _no_key_file(path: Path, what: str) -> UsageError:
    return UsageError(
        Code.KEY_FILE,
        f"{path} {what}",
        expected="the key file as the vault wrote it",
        remedy="use the copy in a backup",
    )


def _version(name: str) -> int:
    version = name.partition("-")[0]
    return int(version) if version.isascii() and version.isdigit() else 0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes that change a key file do so one after the other, or one would lose the other's new KEK."""
    if os.name != "posix":
        yield
        return
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(
            Code.KEY_FILE, f"{folder}: {error.strerror}", expected="a folder that you may write to"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
