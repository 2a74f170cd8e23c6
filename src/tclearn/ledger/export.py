"""The export: a ledger in one file that anybody can check offline. Format: ``docs/formats/export.md``.

A CBOR sequence (RFC 8742): the format's name, the charter, every entry with the head of the results chain after it, and
a checkpoint of the whole, signed by the log's key. The shape leaves so little freedom that the reader frames the items
itself: nothing is allocated before its length has been compared with a limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NoReturn

from tclearn.encoding import Digest, head
from tclearn.errors import Code, UsageError, VerificationError
from tclearn.identity import Signer
from tclearn.ledger.checkpoint import Note, sign
from tclearn.ledger.recorded import Log
from tclearn.limits import CHARTER_BYTES_MAX, ENTRY_BYTES_MAX, EXPORT_BYTES_MAX, EXPORT_NOTE_BYTES_MAX

FORMAT: Final = "tclearn-export/1"

_START: Final = bytes([0x60 | len(FORMAT)]) + FORMAT.encode()
_BYTES: Final = 2
_TEXT: Final = 3
_PAIR: Final = 0x82
_RESULTS_START: Final = b"\x58\x20"


def write_export(stream: BinaryIO, charter: bytes, log: Log, key: Signer | Note) -> Note:
    """Write everything logged so far; entries that arrive meanwhile are left out.

    Args:
        stream: where to; the caller makes it durable.
        charter: the charter's canonical bytes.
        log: the ledger.
        key: the log's own key; or, where only a copy of the log is at hand, a checkpoint of it that the key has signed,
            with which the record then ends.

    Returns:
        The signed checkpoint, the file's last item.

    Raises:
        UsageError: the charter is not the one of this ledger.
    """
    if hashlib.sha256(charter).digest() != log.coalition:
        raise UsageError(
            Code.RECORD_CHARTER,
            "the charter to be exported is not the one of this ledger",
            expected=f"the charter with digest {log.coalition.hex()}",
        )
    size = key.head.size if isinstance(key, Note) else len(log)
    stream.write(_START + head(_BYTES, len(charter)) + charter)
    for item in log.entries(0, size):
        entry = item.entry.encode()
        stream.write(b"".join([b"\x82", head(_BYTES, len(entry)), entry, _RESULTS_START, item.results]))
    note = key if isinstance(key, Note) else sign(key, log.coalition, log.head(size))
    text = note.encode()
    stream.write(head(_TEXT, len(text)) + text)
    return note


class ExportReader:
    """Reads an export item by item, forward only. Everything wrong is a ``VerificationError`` with the entry's index.

    Args:
        stream: the export, from its first byte.

    Attributes:
        charter: the charter's bytes, not checked.
        note: the checkpoint's bytes, not checked; empty until ``entries`` is exhausted.

    Raises:
        VerificationError: the stream does not begin as an export does.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._read_bytes = 0
        self._entry: int | None = None
        if self._some(len(_START)) != _START:
            raise VerificationError(
                Code.RECORD_FORMAT,
                "this is not an exported record, or one of another version",
                expected=f"a file that begins with {FORMAT}",
                remedy="ask for an export made by `tclearn ledger export`",
            )
        self.charter = self._string(_BYTES, self._exactly(1)[0], CHARTER_BYTES_MAX, "the charter")
        self.note = b""

    def entries(self) -> Iterator[tuple[bytes, Digest]]:
        """Every entry's encoding with the recorded head of the results chain; call once.

        Raises:
            VerificationError: the file is cut off, or has an item that does not belong here.
        """
        self._entry = 0
        while (first := self._exactly(1)[0]) == _PAIR:
            entry = self._string(_BYTES, self._exactly(1)[0], ENTRY_BYTES_MAX, "an entry")
            ending = self._exactly(34)
            if ending[:2] != _RESULTS_START:
                self._refuse("an entry without its results head")
            yield entry, Digest(ending[2:])
            self._entry += 1
        note = self._string(_TEXT, first, EXPORT_NOTE_BYTES_MAX, "the checkpoint")
        if self._some(1):
            self._refuse("bytes after the checkpoint")
        self.note = note

    def _string(self, major: int, first: int, size_max: int, what: str) -> bytes:
        extra = {24: 1, 25: 2, 26: 4}.get(first & 0x1F, 0)
        size = int.from_bytes(self._exactly(extra), "big") if extra else first & 0x1F
        if first >> 5 != major or size > size_max:
            self._refuse(f"something else than {what} of at most {size_max} bytes")
        if head(major, size)[0] != first:
            self._refuse(f"{what} with a length that is not in shortest form")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = self._some(size)
        if len(data) != size:
            self._refuse("been cut off")
        return data

    def _some(self, size: int) -> bytes:
        self._read_bytes += size
        if self._read_bytes > EXPORT_BYTES_MAX:
            self._refuse(f"more than {EXPORT_BYTES_MAX} bytes")
        try:
            data = self._stream.read(size)
            while len(data) < size and (more := self._stream.read(size - len(data))):
                data += more
        except (OSError, EOFError, ValueError) as error:
            raise VerificationError(
                Code.RECORD_FORMAT, f"the record could not be read: {error}", entry=self._entry
            ) from error
        return data

    def _refuse(self, what: str) -> NoReturn:
        place = "" if self._entry is None else f" at entry {self._entry}"
        raise VerificationError(
            Code.RECORD_FORMAT,
            f"the record has {what}{place}",
            entry=self._entry,
            expected="entries and then one checkpoint",
            remedy="ask for the file again; a copy that was cut off or changed cannot be used",
        )
