"""Rotating a vault's keys: a new KEK wraps the keys of all objects, whose chunks stay as they are.

In order: ``KeyFile.add``, then ``rotate``, and, once no backup needs it, ``retire``. Each can be interrupted anywhere
and done again; until ``retire`` everything can be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.errors import Code, StorageError
from tclearn.store.vault.forms import head_path
from tclearn.store.vault.key_file import KeyFile
from tclearn.store.vault.vault import Vault, damaged_head


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation has done.

    Attributes:
        rewrapped: so many objects have their key under the current KEK now.
        before: so many had it already.
        damaged: the paths of heads that do not open, and stay as they are.
    """

    rewrapped: int
    before: int
    damaged: tuple[str, ...]


def rotate(vault: Vault) -> Rotation:
    """Bring the whole vault under the current KEK, or go on where that was interrupted. One process at a time.

    Raises:
        StorageError: the backend fails, or a KEK is missing; what was done until then stays done.
    """
    # First, so that writers that have missed the rotation stop, and none wraps under an old KEK behind its back.
    if vault.root().kek != vault.keys.current:
        vault.write_root()
    rewrapped = before = 0
    damaged = []
    for label, head in vault.heads():
        if head is not None and head.kek == vault.keys.current:
            before += 1
            continue
        again = vault.envelope.rewrap(label, head) if head is not None else None
        if again is None:
            damaged.append(head_path(label))
            continue
        vault.write_head(label, again)
        rewrapped += 1
    return Rotation(rewrapped, before, tuple(damaged))


def retire(vault: Vault, keys: KeyFile) -> list[str]:
    """Forget the KEKs that nothing in the vault is wrapped under; returns their names.

    Backups made before keep their own copy of the key file. Bodies and heads that somebody has kept elsewhere, together
    with the old key file and its passphrase, stay readable: rotation takes nothing back.

    Raises:
        StorageError: a head is damaged, so that its KEK cannot be told; or the rotation has not come to its end.
    """
    if vault.root().kek != keys.current:
        raise StorageError(
            Code.VAULT_KEY, "the rotation is not finished", expected="a vault under its current key", remedy="rotate"
        )
    used = set()
    for label, head in vault.heads():
        if head is None:
            raise damaged_head(label)
        used.add(head.kek)
    return keys.retire(used)
