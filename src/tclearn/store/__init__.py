"""Stores of model files: objects named by the digest of their bytes."""

from tclearn.store.interface import Store

__all__ = ["Store"]
