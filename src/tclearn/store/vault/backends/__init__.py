"""Where the files of a vault lie: in a folder, or in a bucket (the extra ``s3``)."""

from tclearn.store.vault.backends.folder import FolderBackend
from tclearn.store.vault.backends.interface import Backend, Entry, Source

__all__ = ["Backend", "Entry", "FolderBackend", "Source"]
