"""The private key file ``<name>.key``: written once, readable by its owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tclearn.errors import Code, StorageError, UsageError
from tclearn.identity import pkcs8
from tclearn.identity.member_keys import MemberKeys
from tclearn.limits import KEY_FILE_BYTES_MAX

_OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077


def write_key_file(path: Path, keys: MemberKeys, passphrase: str | None = None, *, salt: bytes = b"") -> None:
    """Write the keys into a new file with mode 0600; durable when it returns.

    Args:
        path: ``<name>.key``; nothing may be there yet.
        keys: the member's keys.
        passphrase: encrypts them; ``None``: the file's mode is their only protection.
        salt: 64 random bytes, needed with a passphrase.

    Raises:
        UsageError: something is there already; it is never overwritten.
        StorageError: the file cannot be written.
    """
    write_private(path, keys.to_pem(passphrase, salt=salt))


def read_key_file(path: Path, passphrase: str | None = None) -> MemberKeys:
    """Read the keys.

    Args:
        path: ``<name>.key``.
        passphrase: if the file was written with one.

    Raises:
        UsageError: there is no such file, others may read it, it is not a key file, or the passphrase does not fit.
        StorageError: the file cannot be read.
    """
    content = read_private(
        path,
        missing="name the .key file that `tclearn member new` wrote",
        exposed="if others had access to it, enrol again with new keys",
    )
    return MemberKeys.from_pem(content, passphrase, place=str(path))


def write_private(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600; durable when it returns.

    Raises:
        UsageError: something is there already; it is never overwritten.
        StorageError: the file cannot be written.
    """
    try:
        # O_EXCL does not follow a link either, so nobody can have the key written to a place of theirs.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except FileExistsError:
        raise UsageError(
            Code.KEY_FILE,
            f"{path} exists already",
            expected="a name that is not taken",
            remedy="choose another name, or move the file away; a lost key cannot be made again",
        ) from None
    except OSError as error:
        raise _failed(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _failed(path, error) from error


def read_private(path: Path, *, missing: str, exposed: str) -> bytes:
    """The content of a file that only its owner may read.

    Args:
        path: the file.
        missing: what to do when it is not there.
        exposed: what to do when others could read it.

    Raises:
        UsageError: there is no such file, others may read it, or it is too large for a key file.
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(Code.KEY_FILE, f"{path} is not a file", expected="a .key file")
            if os.name == "posix" and status.st_mode & _OTHERS:
                raise UsageError(
                    Code.KEY_FILE,
                    f"{path} can be read by others (mode {stat.S_IMODE(status.st_mode):04o})",
                    expected="mode 0600",
                    remedy=f"chmod 600 {path}; {exposed}",
                )
            content = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise UsageError(Code.KEY_FILE, f"{path} is not there", remedy=missing) from None
    except OSError as error:
        raise _failed(path, error) from error
    if len(content) > KEY_FILE_BYTES_MAX:
        raise UsageError(Code.KEY_FILE, f"{path} is larger than {KEY_FILE_BYTES_MAX} bytes", expected="a .key file")
    return content


def is_encrypted(path: Path) -> bool:
    """Whether a key file needs a passphrase; ``False`` also where there is none."""
    try:
        with path.open("rb") as file:
            return pkcs8.ENCRYPTED.encode() in file.read(KEY_FILE_BYTES_MAX)
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, error: OSError) -> StorageError:
    return StorageError(Code.KEY_FILE, f"{path}: {error.strerror}", expected="a folder that you may write to")
