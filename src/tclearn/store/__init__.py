"""Stores: where model files are kept, named by their digests."""

from tclearn.store.interface import Store

__all__ = ["Store"]
