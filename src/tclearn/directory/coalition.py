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

from tclearn.coalition.faults import shown
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.words import PROTOCOLS
from tclearn.directory.data_ids import ID_JOURNAL, ID_KEY, make_id_files
from tclearn.directory.enrolments import ENROLMENTS, Known, known_members
from tclearn.directory.reading import check_file, read_file, read_key
from tclearn.directory.vault import VAULT, VAULT_KEY, LockedStore, make_vault, open_vault
from tclearn.encoding import MemberId
from tclearn.errors import (
    AgentError,
    CharterError,
    Code,
    MessageError,
    StorageError,
    TCLearnError,
    UnreachableError,
    UsageError,
)
from tclearn.files import is_folder, is_there, make_folder, write_whole, writing
from tclearn.identity import PublicKey, Signer
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.export import write_export
from tclearn.limits import CHARTER_BYTES_MAX, EXPORT_NOTE_BYTES_MAX
from tclearn.protocols import protocol_of
from tclearn.protocols.tclearn import contract
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.state import State
from tclearn.store import Store
from tclearn.store.filesystem import FilesystemStore
from tclearn.store.vault.key_file import Cost

CHARTER: Final = "charter.cbor"
LEDGER: Final = "ledger.sqlite"
NOTE: Final = "ledger.note"
"""Beside a member's copy of the ledger: the newest checkpoint that it was shown."""
OBJECTS: Final = "objects"
LOG_KEY: Final = "log.key"
DATA_KEY: Final = "data.key"
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
        store: the model files; at level B the vault, locked unless it was opened with its passphrase.
    """

    path: Path
    charter: ResolvedCharter
    contract: TCLearn
    ledger: EmbeddedLedger[State]
    store: Store

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
        passphrase: str | None = None,
        cost: Cost | None = None,
    ) -> Self:
        """Make a coalition's directory and open it for writing; one made before with the same charter is opened.

        Args:
            path: the directory; made when it is not there.
            charter: what the members agreed on.
            log_key: the key that signs the ledger's heads; kept in a file that only its owner can read.
            data_key: the key of the data IDs (32 bytes); kept likewise. At level B the seed of the supervisor's key.
            clock: milliseconds since 1970.
            enrolments: the members' ``.pem`` files: whoever runs the service knows them by these.
            passphrase: of the vault and of the supervisor's key; needed at level B.
            cost: what a guess of it costs; ``None``: as usual.

        Raises:
            UsageError: a passphrase is missing, or another one than before.
            AgentError: the directory belongs to another charter.
            StorageError: it cannot be written, or is open for writing elsewhere.
        """
        contract(charter)  # what it names is installed, or nothing is made
        if charter.vault is not None and not passphrase:
            what = "a coalition of level B without a passphrase" if passphrase is None else "an empty passphrase"
            raise UsageError(Code.KEY_FILE, what, expected="one that opens its vault")
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
        secrets = {LOG_KEY: log_key.seed()} if charter.vault else {LOG_KEY: log_key.seed(), DATA_KEY: data_key}
        for name, secret in secrets.items():
            if not (path / name).exists():
                write_whole(path / name, secret.hex().encode() + b"\n", mode=_SECRET)
        if charter.vault is not None and passphrase:
            make_vault(path, passphrase, cost)
            make_id_files(path, data_key, passphrase)
        for member, enrolment in enrolments.items():
            make_folder(path / ENROLMENTS)
            write_whole(path / ENROLMENTS / f"{member}.pem", enrolment)
        if not kept.exists():
            write_whole(kept, charter.encode())  # last: a directory with a charter is complete
        return cls._open(path, charter, clock, read_only=False, passphrase=passphrase)

    @classmethod
    def open(cls, path: Path, *, writing: bool = False, passphrase: str | None = None) -> Self:
        """Open for reading, also while another process writes; or for writing, as one process may.

        Args:
            path: the directory.
            writing: open for writing.
            passphrase: of the vault, at level B; ``None``: it stays locked.

        Raises:
            UsageError: the passphrase is another one.
            UnreachableError: there is no coalition in this directory, or its ledger is not there.
            StorageError: the charter or the ledger is not usable.
        """
        charter = kept_charter(path, "name it with --dir; `tclearn demo` and `tclearn coalition new` make one")
        check_file(path / LEDGER, "restore it from a copy")  # not opened: closing would drop SQLite's locks

        def clock() -> int:
            return time.time_ns() // 1_000_000

        return cls._open(path, charter, clock, read_only=not writing, passphrase=passphrase)

    @classmethod
    def _open(
        cls, path: Path, charter: ResolvedCharter, clock: Callable[[], int], *, read_only: bool, passphrase: str | None
    ) -> Self:
        rules = contract(charter)
        try:
            ledger = EmbeddedLedger(
                path / LEDGER, rules, charter.digest, clock=clock, create=not read_only, read_only=read_only
            )
        except StorageError as error:
            if error.code is Code.LEDGER_LOCKED:
                error.remedy = free_remedy(path)
            raise
        try:
            return cls(path, charter, rules, ledger, _store(path, charter, passphrase))
        except BaseException:
            ledger.close()
            raise

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
            signed = checkpoint_or_key(self.path, PublicKey(self.charter.log_key))
            return write_export(stream, self.charter.encode(), self.ledger, signed)

    def log_key(self) -> Signer:
        """The key that signs the ledger's heads; only the computer that runs the ledger has it.

        Raises:
            UnreachableError: it is not here.
            StorageError: it cannot be read, or is not the charter's.
        """
        return kept_log_key(self.path, PublicKey(self.charter.log_key))

    def roots(self, now: datetime) -> dict[MemberId, x509.Certificate]:
        """Root certificate of each member that has a valid one here; see ``known``.

        Args:
            now: the time at which they must be valid, with its zone.
        """
        return self.known(now).roots

    def known(self, now: datetime) -> Known:
        """By which certificates members are known, and who is not, and why.

        Only the computer that runs the service has the certificates of the founders.

        Args:
            now: the time at which they must be valid, with its zone.
        """
        return known_members(self.path, self.state, now)

    def data_key(self) -> bytes:
        """The key of the data IDs, 32 bytes.

        Raises:
            UnreachableError: it is not here.
            StorageError: it cannot be read, or is no key.
        """
        return read_key(self.path / DATA_KEY)

    def close(self) -> None:
        """Release the files."""
        self.ledger.close()

    def __enter__(self) -> Self:
        """Use as a context manager; closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _store(path: Path, charter: ResolvedCharter, passphrase: str | None) -> Store:
    if charter.vault is None:
        return FilesystemStore(path / OBJECTS)
    return LockedStore(path) if passphrase is None else open_vault(path, passphrase)


def free_remedy(path: Path) -> str:
    """Who has the ledger of a directory open for writing, as a sentence that says what to do about it."""
    runs = "`tclearn serve`" if is_there(path / LOG_KEY) else "`tclearn agent` or `tclearn propose`"
    return f"end the {runs} that runs in {path}, or only read: `tclearn status`, `tclearn ledger show`"


def kept_charter(path: Path, remedy: str) -> ResolvedCharter:
    """The charter in a coalition's directory, a member's or the founder's.

    Args:
        path: the directory.
        remedy: what to do when there is none.

    Raises:
        UnreachableError: there is none.
        StorageError: it is not usable.
        UsageError: it is larger than a charter may be, or one of another protocol.
    """
    data = kept_charter_bytes(path, remedy)
    try:
        _check_protocol(path, data)
        return ResolvedCharter.from_bytes(data)
    except (MessageError, CharterError) as error:
        raise no_charter(path, error) from error


def check_protocol(path: Path) -> None:
    """Whether a command of TCLearn's own protocol is wrong in a directory; before it asks for other files.

    Returns nothing, also where there is no charter that can be read: that is said by whoever needs it.

    Raises:
        UsageError: it is a coalition of another protocol.
    """
    try:
        _check_protocol(path, kept_charter_bytes(path, ""))
    except (UnreachableError, StorageError, MessageError):
        return
    except UsageError as error:
        if error.code is Code.USAGE:
            raise


def _check_protocol(path: Path, charter: bytes) -> None:
    protocol = protocol_of(charter)
    if protocol not in PROTOCOLS:
        raise UsageError(
            Code.USAGE,
            f"{path} is a coalition of the protocol {shown(protocol)}",
            expected=f"one of {' or '.join(PROTOCOLS)}, for this command",
            remedy="`tclearn status`, `ledger show`, `export` and `receipt` read it; "
            "`ledger verify --proofs` checks it all",
        )


def kept_charter_bytes(path: Path, remedy: str) -> bytes:
    """The bytes of the charter in a directory, of any protocol; arguments and errors are those of ``kept_charter``."""
    try:
        return read_file(path / CHARTER, CHARTER_BYTES_MAX, "")
    except UnreachableError:
        raise UnreachableError(
            Code.FILE_MISSING,
            f"there is no coalition in {path}",
            expected=f"a directory with {CHARTER} and {LEDGER}",
            remedy=remedy,
        ) from None


def no_charter(path: Path, error: TCLearnError) -> StorageError:
    """The error for a directory whose charter cannot be read."""
    return StorageError(
        Code.LEDGER_FILE, f"{path / CHARTER} is no charter: {error.what}", remedy="restore it from a copy"
    )


def kept_log_key(path: Path, public: PublicKey) -> Signer:
    """The key in a coalition's directory that signs the ledger's heads; see ``CoalitionDirectory.log_key``."""
    signer = Signer(read_key(path / LOG_KEY))
    if signer.public != public:
        raise StorageError(Code.KEY_FILE, f"{path / LOG_KEY} is not the key that the charter names")
    return signer


def checkpoint_or_key(path: Path, public: PublicKey) -> Signer | Note:
    """What a record of a directory's ledger ends with: the log's key, or beside a copy the checkpoint that it signed.

    Raises:
        UnreachableError: neither is here.
        StorageError: the key cannot be read, or is not the charter's.
        MessageError: the checkpoint is damaged.
    """
    if (path / LOG_KEY).exists() or not (path / NOTE).exists():
        return kept_log_key(path, public)
    note = Note.parse(read_file(path / NOTE, EXPORT_NOTE_BYTES_MAX, ""))
    note.check(public)
    return note


def _check_free(path: Path) -> None:
    known = {CHARTER, DATA_KEY, LOG_KEY, LEDGER, *LEDGER_SIDE_FILES, OBJECTS, ENROLMENTS}
    known |= {VAULT, VAULT_KEY, ID_KEY, ID_JOURNAL}
    if is_there(path / CHARTER) or not is_folder(path):
        return
    names = {entry.name for entry in path.iterdir()}
    if names and not names & known and not names & {"demo.json", "cast.json", "members"}:
        raise UsageError(
            Code.USAGE,
            f"{path} holds something that is no coalition",
            expected="an empty or new directory",
            remedy="choose another one",
        )
