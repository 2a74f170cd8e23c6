"""A vault: objects sealed at rest, under keys that can be rotated, in a folder or a bucket."""

from tclearn.store.vault.backends import Backend, FolderBackend
from tclearn.store.vault.key_file import KeyFile
from tclearn.store.vault.keys import HeldKeys, KeyEncryption
from tclearn.store.vault.vault import Vault

__all__ = ["Backend", "FolderBackend", "HeldKeys", "KeyEncryption", "KeyFile", "Vault"]
