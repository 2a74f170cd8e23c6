"""The record in a coalition's directory, whatever its protocol: charter, ledger, and what signs its head."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tclearn.coalition.words import COALITION_NAME
from tclearn.directory.coalition import LEDGER, checkpoint_or_key, kept_charter_bytes, kept_log_key, no_charter
from tclearn.directory.reading import check_file
from tclearn.encoding import Digest, decode
from tclearn.errors import CharterError, Code, MessageError
from tclearn.files import writing
from tclearn.identity import Signer
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.verify import Terms
from tclearn.limits import CHARTER_BYTES_MAX
from tclearn.protocols import protocol_of, terms_of


@dataclass(frozen=True)
class RecordDirectory:
    """A coalition's record, open for reading; another process may be writing it.

    Attributes:
        path: the directory.
        charter: the charter's canonical bytes.
        protocol: the protocol that it names.
        terms: its rules, and the key that signs the ledger's heads.
        ledger: the ledger.
    """

    path: Path
    charter: bytes
    protocol: str
    terms: Terms[Any]
    ledger: EmbeddedLedger[Any]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the record in a directory.

        Raises:
            UnreachableError: there is no coalition in it, or its ledger is not there.
            StorageError: the charter or the ledger is not usable.
            CharterError: the protocol, or a rule that the charter names, is not installed.
            UsageError: a file is larger than it may be; or what the protocol needs is not installed.
        """
        charter = kept_charter_bytes(path, "name it with --dir; `tclearn demo` and `tclearn coalition new` make one")
        check_file(path / LEDGER, "restore it from a copy")  # not opened: closing would drop SQLite's locks
        try:
            protocol, terms = protocol_of(charter), terms_of(charter)
        except MessageError as error:
            raise no_charter(path, error) from error
        except CharterError as error:
            if error.code is Code.EXTENSION_UNKNOWN:  # what it names is not installed here
                raise
            raise no_charter(path, error) from error
        coalition = Digest(hashlib.sha256(charter).digest())
        ledger = EmbeddedLedger(path / LEDGER, terms.contract, coalition, clock=_now_ms, read_only=True)
        return cls(path, charter, protocol, terms, ledger)

    @property
    def coalition(self) -> Digest:
        """Digest of the charter."""
        return self.ledger.coalition

    @property
    def name(self) -> str:
        """The coalition's name; ``"coalition"`` where the charter has none that can name a file."""
        charter = decode(self.charter, size_max=CHARTER_BYTES_MAX)
        name = charter.get("name") if isinstance(charter, dict) else None
        return name if isinstance(name, str) and COALITION_NAME.fullmatch(name) else "coalition"

    def export(self, target: Path) -> Note:
        """Write the whole record into one file; see ``CoalitionDirectory.export``."""
        with writing(target) as stream:
            return write_export(stream, self.charter, self.ledger, checkpoint_or_key(self.path, self.terms.log_key))

    def log_key(self) -> Signer:
        """The key that signs the ledger's heads; see ``CoalitionDirectory.log_key``."""
        return kept_log_key(self.path, self.terms.log_key)

    def close(self) -> None:
        """Release the files."""
        self.ledger.close()

    def __enter__(self) -> Self:
        """Use as a context manager; closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
