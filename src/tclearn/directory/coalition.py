"""The directory of a coalition: made once from a resolved charter, then opened for reading or for writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from cryptography import x509

from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory.reading import check_file, read_file
from tclearn.encoding import MemberId
from tclearn.errors import AgentError, CharterError, Code, MessageError, StorageError, UnreachableError, UsageError
from tclearn.files import make_folder, write_whole, writing
from tclearn.identity import PublicKey, Signer
from tclearn.identity.enrolment import read_enrolment
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.export import write_export
from tclearn.limits import CHARTER_BYTES_MAX, EXPORT_NOTE_BYTES_MAX, KEY_FILE_BYTES_MAX
from tclearn.protocols.tclearn import contract
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.state import State
from tclearn.store.filesystem import FilesystemStore

CHARTER: Final = "charter.cbor"
LEDGER: Final = "ledger.sqlite"
NOTE: Final = "ledger.note"
"""Beside a member's copy of the ledger: the newest checkpoint that it was shown."""
OBJECTS: Final = "objects"
LOG_KEY: Final = "log.key"
DATA_KEY: Final = "data.key"
ENROLMENTS: Final = "enrolments"
LEDGER_SIDE_FILES: Final = tuple(LEDGER + end for end in ("-wal", "-shm", "-lock"))

_SECRET: Final = 0o600


@dataclass(frozen=True)
class CoalitionDirectory:
    """A coalition's files, open.

    Attributes:
        path: the directory.
        charter: what the members agreed on.
        contract: its rules.
        ledger: the ledger.
        store: the model files.
    """

    path: Path
    charter: ResolvedCharter
    contract: TCLearn
    ledger: EmbeddedLedger[State]
    store: FilesystemStore

    @classmethod
    def make(
        cls,
        path: Path,
        charter: ResolvedCharter,
        *,
        log_key: Signer,
        data_key: bytes,
        clock: Callable[[], int],
        enrolments: Mapping[MemberId, bytes] = MappingProxyType({}),
    ) -> Self:
        """Make a coalition's directory and open it for writing; one made before with the same charter is opened.

        Args:
            path: the directory; made when it is not there.
            charter: what the members agreed on.
            log_key: the key that signs the ledger's heads; kept in a file that only its owner can read.
            data_key: the key of the data IDs (32 bytes); kept likewise.
            clock: milliseconds since 1970.
            enrolments: the members' ``.pem`` files: whoever runs the service knows them by these.

        Raises:
            AgentError: the directory belongs to another charter.
            StorageError: it cannot be written, or is open for writing elsewhere.
        """
        contract(charter)  # what it names is installed, or nothing is made
        _check_free(path)
        make_folder(path)
        kept = path / CHARTER
        if kept.exists() and kept.read_bytes() != charter.encode():
            raise AgentError(
                Code.RESUME,
                f"{path} holds a coalition with another charter, seed, model code or data",
                expected="the same arguments as before",
                remedy="choose another directory",
            )
        for name, secret in ((LOG_KEY, log_key.seed()), (DATA_KEY, data_key)):
            if not (path / name).exists():
                write_whole(path / name, secret.hex().encode() + b"\n", mode=_SECRET)
        for member, enrolment in enrolments.items():
            make_folder(path / ENROLMENTS)
            write_whole(path / ENROLMENTS / f"{member}.pem", enrolment)
        if not kept.exists():
            write_whole(kept, charter.encode())  # last: a directory with a charter is complete
        return cls._open(path, charter, clock, read_only=False)

    @classmethod
    def open(cls, path: Path, *, writing: bool = False) -> Self:
        """Open for reading, also while another process writes; or for writing, as one process may.

        Raises:
            UnreachableError: there is no coalition in this directory, or its ledger is not there.
            StorageError: the charter or the ledger is not usable.
        """
        file = path / CHARTER
        try:
            data = read_file(file, CHARTER_BYTES_MAX, "")
        except UnreachableError:
            raise UnreachableError(
                Code.FILE_MISSING,
                f"there is no coalition in {path}",
                expected=f"a directory with {CHARTER} and {LEDGER}",
                remedy="name it with --dir; `tclearn demo` and `tclearn coalition new` make one",
            ) from None
        check_file(path / LEDGER, "restore it from a copy")  # not opened: closing would drop SQLite's locks
        try:
            charter = ResolvedCharter.from_bytes(data)
        except (MessageError, CharterError) as error:
            raise StorageError(
                Code.LEDGER_FILE, f"{file} is no charter: {error.what}", remedy="restore it from a copy"
            ) from error
        return cls._open(path, charter, lambda: time.time_ns() // 1_000_000, read_only=not writing)

    @classmethod
    def _open(cls, path: Path, charter: ResolvedCharter, clock: Callable[[], int], *, read_only: bool) -> Self:
        rules = contract(charter)
        ledger = EmbeddedLedger(
            path / LEDGER, rules, charter.digest, clock=clock, create=not read_only, read_only=read_only
        )
        return cls(path, charter, rules, ledger, FilesystemStore(path / OBJECTS))

    @property
    def state(self) -> State:
        """The ledger's present state."""
        return self.ledger.state()

    def export(self, target: Path) -> Note:
        """Write the whole record into one file.

        Args:
            target: the file; replaced when it is there.

        Returns:
            The checkpoint that ends the record.

        Raises:
            UnreachableError: neither the log's key nor a checkpoint that it has signed is here.
            StorageError: the log's key is not the charter's, or the file cannot be written.
            MessageError: the checkpoint is damaged.
        """
        with writing(target) as stream:
            return write_export(stream, self.charter.encode(), self.ledger, self._signed())

    def _signed(self) -> Signer | Note:
        if (self.path / LOG_KEY).exists() or not (self.path / NOTE).exists():
            return self.log_key()
        note = Note.parse(read_file(self.path / NOTE, EXPORT_NOTE_BYTES_MAX, ""))
        note.check(PublicKey(self.charter.log_key))
        return note

    def log_key(self) -> Signer:
        """The key that signs the ledger's heads; only the computer that runs the ledger has it.

        Raises:
            UnreachableError: it is not here.
            StorageError: it cannot be read, or is not the charter's.
        """
        signer = Signer(self._secret(LOG_KEY))
        if signer.public != self.charter.log_key:
            raise StorageError(Code.KEY_FILE, f"{self.path / LOG_KEY} is not the key that the charter names")
        return signer

    def roots(self, now: datetime) -> dict[MemberId, x509.Certificate]:
        """Root certificate of each member, from the enrolments; only the computer that runs the service has them.

        Args:
            now: the time at which they must be valid, with its zone.

        Raises:
            UnreachableError: one is not here.
            MessageError: one is damaged, or not valid now.
            StorageError: one is not the charter's.
        """
        found = {}
        for member in self.charter.members:
            file = self.path / ENROLMENTS / f"{member.id}.pem"
            enrolment = read_enrolment(
                read_file(file, KEY_FILE_BYTES_MAX, f"put {member.id}'s .pem file there"), now, place=str(file)
            )
            if enrolment.certificate != member.certificate:
                raise StorageError(Code.CERTIFICATE, f"{file} is not the enrolment that the charter names")
            found[member.id] = enrolment.root
        return found

    def data_key(self) -> bytes:
        """The key of the data IDs, 32 bytes.

        Raises:
            UnreachableError: it is not here.
            StorageError: it cannot be read, or is no key.
        """
        return self._secret(DATA_KEY)

    def close(self) -> None:
        """Release the files."""
        self.ledger.close()

    def __enter__(self) -> Self:
        """Use as a context manager; closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _secret(self, name: str) -> bytes:
        file = self.path / name
        content = read_file(file, KEY_FILE_BYTES_MAX, "run this where the file is kept, or restore it")
        try:
            secret = bytes.fromhex(content.decode("ascii").strip())
        except ValueError:
            secret = b""
        if len(secret) != 32:
            raise StorageError(
                Code.KEY_FILE, f"{file} is no key", expected="64 hexadecimal digits", remedy="restore it from a copy"
            )
        return secret


def _check_free(path: Path) -> None:
    known = {CHARTER, DATA_KEY, LOG_KEY, LEDGER, *LEDGER_SIDE_FILES, OBJECTS, ENROLMENTS}
    if (path / CHARTER).exists() or not path.is_dir():
        return
    names = {entry.name for entry in path.iterdir()}
    if names and not names & known and not names & {"demo.json", "cast.json", "members"}:
        raise UsageError(
            Code.USAGE,
            f"{path} holds something that is no coalition",
            expected="an empty or new directory",
            remedy="choose another one",
        )
