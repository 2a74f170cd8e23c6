"""Where models lie sealed: the coalition's vault, which a passphrase opens, and each member's own, under its key."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError
from tclearn.store import Store
from tclearn.store.interface import Readable
from tclearn.store.vault import FolderBackend, HeldKeys, KeyFile, Vault
from tclearn.store.vault.backends.interface import Backend
from tclearn.store.vault.forms import ROOT
from tclearn.store.vault.key_file import Cost
from tclearn.store.vault.secret import Secret

VAULT: Final = "vault"
VAULT_KEY: Final = "vault.key"
_OWN: Final = "1-member"


class LockedStore:
    """Stands for a vault that nobody has opened; see ``tclearn.store.Store``. Whatever is asked of it is refused.

    Args:
        folder: the coalition's directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> Digest:
        """Refused."""
        raise self._refused()

    def put_stream(self, stream: Readable, *, size_max: int, name: Digest | None = None) -> Digest:
        """Refused."""
        raise self._refused()

    def has(self, name: Digest) -> bool:
        """Refused."""
        raise self._refused()

    def size(self, name: Digest) -> int:
        """Refused."""
        raise self._refused()

    def get(self, name: Digest, *, size_max: int) -> bytes:
        """Refused."""
        raise self._refused()

    def open(self, name: Digest) -> BinaryIO:
        """Refused."""
        raise self._refused()

    def _refused(self) -> UsageError:
        return UsageError(
            Code.VAULT,
            f"the models of {self._folder} lie in a vault, which is locked",
            expected="members read them through the service, by an access on the ledger",
            remedy="whoever runs the service opens the vault with its passphrase",
        )


def make_vault(folder: Path, passphrase: str, cost: Cost | None = None, backend: Backend | None = None) -> None:
    """Make a coalition's vault and its key file; what is there already stays as it is.

    Args:
        folder: the coalition's directory.
        passphrase: opens the key file; not empty.
        cost: of a guess of it; ``None``: 3 passes over 256 MiB.
        backend: where the sealed files go; ``None``: into the directory.

    Raises:
        UsageError: the passphrase is empty, or another one than that of the key file that is there.
        StorageError: something cannot be written.
    """
    file = folder / VAULT_KEY
    keys = KeyFile.open(file, passphrase) if file.exists() else KeyFile.create(file, passphrase, cost=cost)
    _opened(backend or FolderBackend(folder / VAULT), keys)


def open_vault(folder: Path, passphrase: str, backend: Backend | None = None) -> Vault:
    """A coalition's vault; arguments as ``make_vault``.

    Raises:
        UsageError: there is no key file, others may read it, or the passphrase is another one.
        UnreachableError: there is no vault.
        StorageError: it is damaged.
    """
    keys = KeyFile.open(folder / VAULT_KEY, passphrase)
    return Vault(backend or FolderBackend(folder / VAULT), keys)


def own_vault(folder: Path, secret: bytes) -> Store:
    """A member's own vault, on its own disk; made when it is not there.

    Args:
        folder: where its files lie.
        secret: 32 bytes that only the member has.

    Raises:
        StorageError: it is damaged, or another secret's.
    """
    return _opened(FolderBackend(folder), HeldKeys({_OWN: Secret(secret)}, _OWN))


def _opened(backend: Backend, keys: KeyFile | HeldKeys) -> Vault:
    try:
        return Vault(backend, keys, create=backend.size(ROOT) is None)
    except UsageError:
        if backend.size(ROOT) is None:
            raise
        return Vault(backend, keys)  # another process has just made it
