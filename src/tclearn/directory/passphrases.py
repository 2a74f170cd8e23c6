"""The passphrase that a coalition's service is started with at level B; two files open with it."""

from __future__ import annotations

from pathlib import Path

from tclearn.directory.data_ids import ID_KEY
from tclearn.directory.vault import VAULT_KEY
from tclearn.errors import Code, UsageError
from tclearn.identity.oprf_key import read_oprf_key, reseal_oprf_key
from tclearn.store.vault import KeyFile


def change_passphrase(folder: Path, old: str, new: str) -> list[Path]:
    """Change the passphrase of the vault's key file and of the key of the data IDs.

    Interrupted between the two, the same change done again comes to its end.

    Args:
        folder: the coalition's directory.
        old: opens both now.
        new: not empty.

    Returns:
        The files that open with the new one now.

    Raises:
        UsageError: the old one does not fit, the new one is empty or the same, or there is no vault.
        StorageError: a file cannot be read or written.
    """
    if old == new:
        raise UsageError(Code.KEY_FILE, "the new passphrase is the old one", expected="another one")
    keys = KeyFile.open(folder / VAULT_KEY, old)  # first: with a wrong passphrase nothing changes
    changed = []
    if (folder / ID_KEY).exists():
        # The vault's file comes last, and so is the one whose passphrase is the old one until all is done.
        if not _opens(folder / ID_KEY, new):
            reseal_oprf_key(folder / ID_KEY, old, new)
        changed.append(folder / ID_KEY)
    keys.change_passphrase(new)
    return [*changed, folder / VAULT_KEY]


def _opens(file: Path, passphrase: str) -> bool:
    try:
        read_oprf_key(file, passphrase)
    except UsageError:
        return False
    return True
