"""The supervisor's key of the data IDs, in a file. Format: ``docs/formats/data-ids.md``.

The file is a member's key file with one key in it: PKCS#8 in PEM, encrypted with a passphrase. What it holds is the
seed, for there is no registered type for keys of ristretto255; it is labelled X25519 because that is 32 bytes of any
value, which every tool leaves as they are.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from tclearn.errors import Code, UsageError
from tclearn.files import write_whole
from tclearn.identity import pkcs8
from tclearn.identity.key_file import read_private, write_private
from tclearn.identity.oprf import SEED_BYTES, OprfKey
from tclearn.identity.pem import Block, read_pem, write_pem

_INFO: Final = b"tclearn/data-ids/1"
_RANDOM_BYTES: Final = 32


def oprf_key(seed: bytes) -> OprfKey:
    """The key that a seed gives.

    Args:
        seed: 32 bytes, from the operating system; from a printed seed only in simulations.
    """
    return OprfKey(seed, _INFO)


def new_oprf_key(path: Path, passphrase: str | None = None) -> OprfKey:
    """Make a key and write it into a new file; see ``write_oprf_key``."""
    seed = secrets.token_bytes(SEED_BYTES)
    write_oprf_key(path, seed, passphrase)
    return oprf_key(seed)


def write_oprf_key(path: Path, seed: bytes, passphrase: str | None = None) -> None:
    """Write a key's seed into a new file with mode 0600; durable when it returns.

    Args:
        path: nothing may be there yet.
        seed: 32 bytes.
        passphrase: encrypts it; ``None``: the file's mode is its only protection.

    Raises:
        UsageError: something is there already, or the passphrase is empty.
        StorageError: the file cannot be written.
    """
    if passphrase == "":
        raise UsageError(Code.KEY_FILE, "an empty passphrase", expected="at least one character, or none at all")
    der = X25519PrivateKey.from_private_bytes(seed).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    if passphrase is None:
        block = Block(pkcs8.PLAIN, der)
    else:
        block = pkcs8.encrypted(der, passphrase, secrets.token_bytes(_RANDOM_BYTES))
    write_private(path, write_pem(block))


def reseal_oprf_key(path: Path, old: str | None, new: str) -> None:
    """Encrypt a key file with another passphrase, in its place; whole or not at all.

    Raises:
        UsageError: as ``read_oprf_key``, or the new passphrase is empty.
        StorageError: the file cannot be read or written.
    """
    if not new:
        raise UsageError(Code.KEY_FILE, "an empty passphrase", expected="at least one character")
    seed = _read_seed(path, old)
    der = X25519PrivateKey.from_private_bytes(seed).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    sealed = pkcs8.encrypted(der, new, secrets.token_bytes(_RANDOM_BYTES))
    write_whole(path, write_pem(sealed), mode=0o600)


def read_oprf_key(path: Path, passphrase: str | None = None) -> OprfKey:
    """Read the key.

    Args:
        path: what ``new_oprf_key`` wrote.
        passphrase: if it was written with one.

    Raises:
        UsageError: there is no such file, others may read it, it is not such a file, or the passphrase does not fit.
        StorageError: the file cannot be read.
    """
    return oprf_key(_read_seed(path, passphrase))


def _read_seed(path: Path, passphrase: str | None) -> bytes:
    content = read_private(
        path,
        missing="restore it from your backup; with another key every record gets another data ID",
        exposed="if others had access to it, they can test whether a record was used",
    )
    try:
        blocks = read_pem(content)
    except ValueError as error:
        raise _refused(f"{path}: {error}") from None
    if len(blocks) != 1 or blocks[0].label not in (pkcs8.PLAIN, pkcs8.ENCRYPTED):
        raise _refused(f"{path} does not hold one private key")
    if (blocks[0].label == pkcs8.ENCRYPTED) != (passphrase is not None):
        state, remedy = (
            ("not encrypted", "leave the passphrase out")
            if passphrase is not None
            else ("encrypted", "give its passphrase; `tclearn serve` asks for it where vault.key is beside it")
        )
        raise UsageError(Code.KEY_FILE, f"{path} is {state}", remedy=remedy)
    return _seed(blocks[0].content, passphrase, path)


def _seed(der: bytes, passphrase: str | None, path: Path) -> bytes:
    # `from None` below: the context of these errors could carry what was decrypted.
    try:
        key = load_der_private_key(der, None if passphrase is None else passphrase.encode())
    except Exception:  # noqa: BLE001 - many kinds; all mean: no such key
        if passphrase is None:
            raise _refused(f"{path} does not hold one private key") from None
        raise UsageError(
            Code.KEY_FILE,
            f"{path}: this passphrase does not open it",
            remedy="try again; where it and vault.key open with different ones, since one of them was restored: "
            f"`tclearn vault passphrase --dir {path.parent}`, first that of vault.key, then, as the "
            "new one, that of this file",
        ) from None
    if not isinstance(key, X25519PrivateKey):
        raise _refused(f"{path} holds another kind of key")
    return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def _refused(what: str) -> UsageError:
    return UsageError(
        Code.KEY_FILE, what, expected="the key file of the data IDs", remedy="restore it from your backup"
    )
