"""Stores of model files: objects named by the digest of their bytes."""

from tclearn.store.filesystem import FilesystemStore
from tclearn.store.interface import Store
from tclearn.store.memory import MemoryStore

__all__ = ["FilesystemStore", "MemoryStore", "Store"]
