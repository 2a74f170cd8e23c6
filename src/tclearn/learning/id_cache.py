"""A member's own file of data IDs that it has asked for, so that it asks for each record once.

It tells the member nothing new; to somebody else it would tell which records the member has, so it is sealed under a
key of the member, and its owner alone may read it. It may be deleted at any time. Format: ``docs/formats/data-ids.md``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tclearn.coalition.block import ID_BYTES
from tclearn.encoding import Digest
from tclearn.errors import Code, StorageError
from tclearn.files import write_whole
from tclearn.limits import ID_CACHE_ENTRIES_MAX

_MAGIC: Final = b"tclearn/id-cache/1\x00"
_ENTRY: Final = 32 + ID_BYTES
_NONCE: Final = 12
_TAG: Final = 16
_OWNER_ONLY: Final = 0o600


class IdCache:
    """The file.

    Args:
        path: where it is, or will be.
        secret: 32 bytes that the member's own key gives: seals it.
        entries_max: how many records it keeps, the newest.
    """

    def __init__(self, path: Path, secret: bytes, entries_max: int = ID_CACHE_ENTRIES_MAX) -> None:
        self._path = path
        self._aead = AESGCM(secret)
        self._entries_max = min(entries_max, ID_CACHE_ENTRIES_MAX)

    def load(self, key: bytes) -> dict[Digest, bytes]:
        """What it holds, the oldest first; nothing where it is not there, is damaged, or is of other keys.

        Args:
            key: the supervisor's public key.

        Raises:
            StorageError: it is there and cannot be read.
        """
        size_max = len(_MAGIC) + _NONCE + ID_CACHE_ENTRIES_MAX * _ENTRY + _TAG
        try:
            with self._path.open("rb") as file:
                data = file.read(size_max + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(
                Code.STORE_FAILED, f"{self._path} cannot be read: {error.strerror}", remedy="delete it, or its folder"
            ) from error
        sealed = data[len(_MAGIC) :]
        if len(data) > size_max or not data.startswith(_MAGIC) or len(sealed) < _NONCE + _TAG:
            return {}
        try:
            entries = self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], _MAGIC + key)
        except InvalidTag:
            return {}
        if len(entries) % _ENTRY:
            return {}
        return {Digest(entries[at : at + 32]): entries[at + 32 : at + _ENTRY] for at in range(0, len(entries), _ENTRY)}

    def save(self, key: bytes, known: Mapping[Digest, bytes]) -> None:
        """Replace what it holds.

        Args:
            key: the supervisor's public key.
            known: data IDs by record digest, the oldest first.

        Raises:
            StorageError: it cannot be written.
        """
        kept = islice(known.items(), max(0, len(known) - self._entries_max), None)
        nonce = secrets.token_bytes(_NONCE)
        entries = b"".join(digest + data_id for digest, data_id in kept)
        write_whole(self._path, _MAGIC + nonce + self._aead.encrypt(nonce, entries, _MAGIC + key), mode=_OWNER_ONLY)
