"""Files of a record, from a folder that nobody trusts: hashed before anything of them is kept, and read in batches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError, StorageError
from tclearn.protocols.deepchain.agent.files import Batch, batches_bytes_max, stream_batches
from tclearn.protocols.deepchain.records import Handed
from tclearn.protocols.deepchain.terms import KeyTerms
from tclearn.store.faults import check_size, failed
from tclearn.store.streams import checked

_WORDS: Final = {
    Code.OBJECT_MISSING: "is not among the objects",
    Code.TOO_LARGE: "is larger than such a file can be",
    Code.OBJECT_CORRUPT: "is damaged: its bytes are not those of its name",
}
_UNREADABLE: Final = "cannot be read"


class Objects(Protocol):
    """Where the files are: a store, or a folder of objects from somebody else."""

    def open(self, name: Digest) -> BinaryIO:
        """See ``tclearn.store.Store.open``; the stream can be set back."""


@dataclass(frozen=True, slots=True)
class File:
    """What lies under a locator.

    Attributes:
        name: the locator.
        batches: ``None``: there are none.
        why: then, in words.
        damaged: whether nobody can say now what it was. One such file hides nothing that others show.
    """

    name: Digest
    batches: tuple[Batch, ...] | None = field(repr=False)
    why: str = ""
    damaged: bool = False


def fetched(objects: Objects, handed: Handed, key: KeyTerms) -> File:
    """The batches that the ledger names, or why they are not to be had."""
    name = handed.locator
    try:
        with _checked(objects, name, batches_bytes_max(key)) as stream:
            return File(name, stream_batches(stream, handed.root, key))
    except StorageError as error:
        damaged = error.code not in (Code.OBJECT_MISSING, Code.TOO_LARGE)
        return File(name, None, _WORDS.get(error.code, _UNREADABLE), damaged)
    except MessageError:
        return File(name, None, "is not what the ledger names")


def why_not(objects: Objects, name: Digest, size_max: int) -> str:
    """Why an object is not to be had, in words; nothing when it is."""
    try:
        with _checked(objects, name, size_max):
            return ""
    except StorageError as error:
        return _WORDS.get(error.code, _UNREADABLE)


@contextmanager
def _checked(objects: Objects, name: Digest, size_max: int) -> Iterator[BinaryIO]:
    # An object whose bytes are those of its name, at the first of them.
    try:
        with objects.open(name) as stream:
            check_size(name, stream.seek(0, os.SEEK_END), size_max)
            stream.seek(0)
            checked(stream, size_max, name)
            stream.seek(0)
            yield stream
    except OSError as error:
        raise failed(error, "that folder") from error
