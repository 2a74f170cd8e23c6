"""A member's end on its own disk: what it has joined, its copy of the log, its decisions, its models."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from blake3 import blake3
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tclearn.agents.loop import Agent
from tclearn.agents.outbox import FileOutbox
from tclearn.agents.site import Site
from tclearn.coalition.digest_text import format_digest
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import MemberRecord
from tclearn.directory.coalition import (
    CHARTER,
    DATA_KEY,
    LEDGER,
    LOG_KEY,
    NOTE,
    OBJECTS,
    free_remedy,
    kept_charter,
)
from tclearn.directory.reading import read_file
from tclearn.directory.vault import own_vault
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, StorageError, UsageError, VerificationError
from tclearn.files import is_folder, is_there, make_folder, write_whole
from tclearn.identity import PublicKey
from tclearn.identity.certificates import certificate_digest, read_certificate
from tclearn.identity.enrolment import read_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.tls import check_service_root, identity_of_member
from tclearn.learning.trainer import Trainer
from tclearn.ledger.engines.copy import LedgerCopy
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.follower import Follower, Fork
from tclearn.limits import CHARTER_BYTES_MAX, KEY_FILE_BYTES_MAX
from tclearn.protocols.tclearn import contract
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.state import State
from tclearn.service.computing import Computing
from tclearn.service.fetching import FetchingStore, Pause, RemoteStore, slept
from tclearn.service.remote import Connection, RemoteLog
from tclearn.service.tls import client_context, stranger_context
from tclearn.service.vault_store import VaultStore
from tclearn.service.work import Work
from tclearn.store import Store
from tclearn.store.filesystem import FilesystemStore

SERVICE: Final = "service.pem"
ADDRESS: Final = "service.url"
OUTBOX: Final = "outbox.sqlite"
DRAFTS: Final = "drafts"
FORKS: Final = "evidence"
_SECRET: Final = 0o600
_HELD_S_MAX: Final = 30.0
"""How long a command may have the copy of the log open while the service is silent, and some more."""
_PAUSE_S: Final = 0.1
_DATA_KEY_BYTES: Final = 32
_HEALTH_BYTES_MAX: Final = 1 << 16


@dataclass(frozen=True)
class Oneself:
    """A member, with its keys.

    Attributes:
        member: its name.
        keys: its private keys.
        root: its root certificate.
    """

    member: MemberId
    keys: MemberKeys
    root: x509.Certificate

    @classmethod
    def read(cls, enrolment: Path, keys: MemberKeys, now: datetime) -> Oneself:
        """From the ``.pem`` file that goes with the keys.

        Args:
            enrolment: ``NAME.pem``.
            keys: from ``NAME.key``.
            now: the time, with its zone.

        Raises:
            MessageError: it is no enrolment file, or its certificates are not valid now.
            UsageError: it belongs to other keys.
        """
        data = read_file(enrolment, KEY_FILE_BYTES_MAX, "it was made together with the .key file")
        shown = read_enrolment(data, now, place=str(enrolment))
        if shown.key != keys.signer.public:
            raise UsageError(Code.KEY_FILE, f"{enrolment} belongs to other keys", expected="the .pem of this .key")
        return cls(shown.member, keys, shown.root)


@dataclass(frozen=True)
class MemberHome:
    """The directory of a member that has joined a coalition.

    Attributes:
        path: the directory.
        charter: what the members agreed on.
        service: root certificate of the service.
        url: where it is reached.
        oneself: the member.
    """

    path: Path
    charter: ResolvedCharter
    service: x509.Certificate
    url: str
    oneself: Oneself

    @classmethod
    def join(cls, path: Path, url: str, charter: Digest, oneself: Oneself, now: datetime) -> MemberHome:
        """Fetch what a member needs from the service, check it, and make the directory; again changes nothing.

        Args:
            path: the directory to make.
            url: ``https://host:port`` of the service.
            charter: the charter's digest, as the members have compared it.
            oneself: the member.
            now: the time, with its zone.

        Raises:
            VerificationError: the service shows another charter, or a certificate that the charter does not name.
            UsageError: the coalition has no such member, or has it with other keys; or the directory is of another
                coalition.
            MessageError: it is a member no longer, or has other keys now.
            UnreachableError: no answer; or the service does not know the member, which perhaps is not admitted yet.

        Turned away by the service, it leaves no file behind.
        """
        check_no_service(path, "add --dir NAME: a directory of your own as a member")
        _check_free(path, charter)
        agreed, service = _introduction(url, charter, oneself, now)
        home = cls(path, agreed, service, url, oneself)
        # At level B nobody but the supervisor has the key. Either answer comes over a connection that is checked both
        # ways: who is not admitted yet, or another host name than the certificate's, shows before anything is written.
        data_key = home._fetched_data_key(now) if agreed.data_ids is None else home._greeted(now)
        make_folder(path)
        with home.copy() as copy:
            if not _named(agreed.members, oneself):  # then it was admitted later, or has other keys: the log says so
                with home.connection(now) as connection:
                    _check_member(agreed, home._caught_up(connection, copy), oneself)
        if data_key:
            write_whole(path / DATA_KEY, data_key.hex().encode() + b"\n", mode=_SECRET)
        write_whole(path / SERVICE, service.public_bytes(Encoding.PEM))
        write_whole(path / ADDRESS, url.encode() + b"\n")
        if agreed.vault is not None:
            for folder in (OBJECTS, DRAFTS):  # now: an agent and a command that start together would both make them
                if not is_folder(path / folder):
                    home.kept(folder)
        write_whole(path / CHARTER, agreed.encode())  # last: a directory with a charter is complete
        return home

    @classmethod
    def open(cls, path: Path, oneself: Oneself) -> MemberHome:
        """A directory that ``join`` has made.

        Raises:
            UnreachableError: it has made none there.
            StorageError: a file cannot be read.
            MessageError: a file is damaged.
            UsageError: the keys are not those of a member, as far as is known here.
        """
        remedy = "run `tclearn join` first"
        agreed = kept_charter(path, remedy)
        check_no_service(path, "name with --dir the directory that you have joined it with, as a member")
        pem = read_file(path / SERVICE, KEY_FILE_BYTES_MAX, remedy)
        url = read_file(path / ADDRESS, KEY_FILE_BYTES_MAX, remedy).decode(errors="replace").strip()
        try:
            service = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise MessageError(Code.CERTIFICATE, f"{path / SERVICE} is no certificate", remedy=remedy) from None
        home = cls(path, agreed, service, url, oneself)
        if not _named(agreed.members, oneself):
            _check_member(agreed, home._records(), oneself)
        return home

    @contextmanager
    def connection(self, now: datetime) -> Iterator[Connection]:
        """A connection to the service, closed at the end."""
        identity = identity_of_member(self.oneself.root, self.oneself.keys.root, now)
        connection = Connection(self.url, client_context(identity, self.service))
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def work(
        self,
        trainer: Trainer,
        now: datetime,
        *,
        clock: Callable[[], int],
        say: Callable[[str], None],
        on_state: Callable[[State], None] = lambda _: None,
        finished: Callable[[State], bool] = lambda _: False,
        offers: bool = True,
    ) -> Iterator[Work]:
        """The member's agent, ready to run.

        Args:
            trainer: its model and data.
            now: the time, with its zone.
            clock: milliseconds since 1970.
            say: is told in a line what goes wrong and what goes on.
            on_state: is given the state whenever it has changed.
            finished: whether nothing more is to come; the work then ends.
            offers: whether to train in one's turn; else it is passed on.

        Raises:
            StorageError: another agent of this member runs here, or a file is damaged.
        """
        with ExitStack() as open_now:
            copy = open_now.enter_context(self._copy_when_free(say))
            connection = open_now.enter_context(self.connection(now))
            rules = contract(self.charter)
            ledger: Follower[State] = Follower(
                rules,
                self.charter.digest,
                self.charter_log_key,
                RemoteLog(connection),
                clock,
                on_fork=self.keep_fork,
                kept=copy,
            )
            outbox = open_now.enter_context(FileOutbox(self.path / OUTBOX))
            signer = self.oneself.keys.signer
            stop = threading.Event()
            site = Site(
                member=self.oneself.member,
                coalition=self.charter.digest,
                signer=signer,
                store=self.store(connection, ledger, clock, pause=stop.wait),
                drafts=self.kept(DRAFTS),
                trainer=trainer,
                outbox=outbox,
                clock_ms=clock,
                secret=self.oneself.keys.derive("site"),
                earlier=self.oneself.keys.earlier,
            )
            news = threading.Event()
            computing = Computing(lambda: Participant(rules), news.set, offers=offers)
            agent = Agent(computing, ledger, site)
            yield Work(agent, computing, ledger, connection, news, say, on_state, finished, stop)

    def store(
        self, connection: Connection, ledger: Follower[State], clock: Callable[[], int], *, pause: Pause = slept
    ) -> FetchingStore:
        """The coalition's store: models come from the service, and stay here.

        Args:
            connection: to the service.
            ledger: the member's copy of the log; at level B it says what may be read.
            clock: milliseconds since 1970.
            pause: before a transfer that has broken off goes on.

        Raises:
            StorageError: what was kept before is damaged.
        """
        if self.charter.vault is None:
            return RemoteStore(connection, self.kept(OBJECTS), pause=pause)
        keys = self.oneself.keys
        return VaultStore(connection, self.kept(OBJECTS), ledger, self.oneself.member, keys.signer, clock, pause=pause)

    def kept(self, folder: str) -> Store:
        """A store on the member's own disk; at level B sealed under its key.

        Args:
            folder: ``OBJECTS`` (what was fetched) or ``DRAFTS`` (candidates that nobody may see yet).

        Raises:
            StorageError: it is damaged.
        """
        if self.charter.vault is None:
            return FilesystemStore(self.path / folder)
        return own_vault(self.path / folder, self.oneself.keys.derive("vault"))

    def data_key(self) -> bytes:
        """The key of the data IDs, 32 bytes.

        Raises:
            UnreachableError: it is not here.
            MessageError: it is damaged.
        """
        content = read_file(self.path / DATA_KEY, KEY_FILE_BYTES_MAX, "run `tclearn join` again")
        try:
            key = bytes.fromhex(content.decode().strip())
        except ValueError:
            key = b""
        if len(key) != _DATA_KEY_BYTES:
            raise MessageError(Code.KEY_FILE, f"{self.path / DATA_KEY} is no key", remedy="run `tclearn join` again")
        return key

    def _fetched_data_key(self, now: datetime) -> bytes:
        with self.connection(now) as connection:
            key = connection.get("/v1/data-key", size_max=_DATA_KEY_BYTES)
        if len(key) != _DATA_KEY_BYTES:
            raise MessageError(Code.KEY_FILE, f"the service sent a data key of {len(key)} bytes", expected="32")
        return key

    def _greeted(self, now: datetime) -> bytes:
        with self.connection(now) as connection:
            connection.get("/v1/health", size_max=_HEALTH_BYTES_MAX)
        return b""

    def _caught_up(self, connection: Connection, copy: LedgerCopy[State]) -> Sequence[MemberRecord]:
        ledger: Follower[State] = Follower(
            contract(self.charter),
            self.charter.digest,
            self.charter_log_key,
            RemoteLog(connection),
            lambda: 0,
            on_fork=self.keep_fork,
            kept=copy,
        )
        while ledger.pull():
            pass
        return ledger.state().member_records

    def _records(self) -> Sequence[MemberRecord]:
        rules = contract(self.charter)
        with EmbeddedLedger(
            self.path / LEDGER, rules, self.charter.digest, clock=lambda: 0, create=False, read_only=True
        ) as ledger:
            return ledger.state().member_records

    @property
    def charter_log_key(self) -> PublicKey:
        """The key that signs the log's heads."""
        return PublicKey(self.charter.log_key)

    def copy(self) -> LedgerCopy[State]:
        """The member's copy of the log, open for writing.

        Raises:
            StorageError: ``LEDGER_LOCKED``, the member's agent runs; or it is damaged.
        """
        try:
            return LedgerCopy(self.path / LEDGER, self.path / NOTE, contract(self.charter), self.charter.digest)
        except StorageError as error:
            if error.code is Code.LEDGER_LOCKED:
                error.remedy = free_remedy(self.path)
            raise

    def _copy_when_free(self, say: Callable[[str], None]) -> LedgerCopy[State]:
        # Commands have it open for a moment, as long as the service takes to answer (``service.beside``).
        end_s = time.monotonic() + _HELD_S_MAX
        told = False
        while True:
            try:
                return self.copy()
            except StorageError as error:
                if error.code is not Code.LEDGER_LOCKED or time.monotonic() > end_s:
                    raise
            if not told:
                say(f"waits until another command has closed {self.path / LEDGER}")
                told = True
            time.sleep(_PAUSE_S)

    def keep_fork(self, fork: Fork) -> None:
        """Keep what proves that the log has shown two histories."""
        data = fork.evidence(self.charter.encode())
        make_folder(self.path / FORKS)
        write_whole(self.path / FORKS / f"{blake3(data).hexdigest()[:16]}.evidence", data)


def is_joined(path: Path) -> bool:
    """Whether a directory is what a member has joined with, and not the service's own."""
    return is_there(path / ADDRESS) and not is_there(path / LOG_KEY)


def check_no_service(path: Path, remedy: str) -> None:
    """Refuse the directory of a service where a member's is wanted.

    Args:
        path: the directory.
        remedy: what to do instead.

    Raises:
        UsageError: it is the service's.
    """
    if is_there(path / LOG_KEY):
        raise UsageError(
            Code.USAGE, f"{path} is the service's directory", expected="a member's, or a new one", remedy=remedy
        )


def _check_free(path: Path, charter: Digest) -> None:
    kept = path / CHARTER
    if not is_there(kept):
        return
    found = Digest(hashlib.sha256(read_file(kept, CHARTER_BYTES_MAX, "")).digest())
    if found != charter:
        raise UsageError(
            Code.RESUME,
            f"{path} is the directory of another coalition, {format_digest(found)}",
            expected=f"a new directory, or that of {format_digest(charter)}",
            remedy="choose another one with --dir",
        )


def _introduction(
    url: str, charter: Digest, oneself: Oneself, now: datetime
) -> tuple[ResolvedCharter, x509.Certificate]:
    # Nothing that comes over this connection is believed but by the charter's digest, which the user has compared.
    connection = Connection(url, stranger_context(identity_of_member(oneself.root, oneself.keys.root, now)))
    try:
        data = connection.get("/v1/charter", size_max=CHARTER_BYTES_MAX)
        shown = connection.get("/v1/certificate", size_max=KEY_FILE_BYTES_MAX)
    finally:
        connection.close()
    found = Digest(hashlib.sha256(data).digest())
    if found != charter:
        raise VerificationError(
            Code.RECORD_CHARTER,
            f"{url} shows a charter with the digest {format_digest(found)}",
            expected=format_digest(charter),
            remedy="check the address, and compare the digest with the other members once more",
        )
    agreed = ResolvedCharter.from_bytes(data)
    try:
        service = read_certificate(shown)
        check_service_root(service, PublicKey(agreed.log_key))
    except MessageError as error:
        raise VerificationError(error.code, error.what, expected=error.expected, remedy=error.remedy) from error
    return agreed, service


def _named(members: Sequence[MemberRecord], oneself: Oneself) -> bool:
    known = next((member for member in members if member.id == oneself.member), None)
    if known is None:
        return False
    if known.key in {each.public for each in oneself.keys.earlier}:
        return True  # rotated since: whether that is in force, the service will say
    return known.key == oneself.keys.signer.public and known.certificate == certificate_digest(oneself.root)


def _check_member(charter: ResolvedCharter, members: Sequence[MemberRecord], oneself: Oneself) -> None:
    if not _named(members, oneself):
        known = any(member.id == oneself.member for member in members)
        raise UsageError(
            Code.CHARTER_MEMBER,
            f"{charter.name} {'has other keys for' if known else 'has no member'} {oneself.member}",
            expected=", ".join(member.id for member in members),
            remedy="name the .key file that belongs to this coalition; with other keys run `tclearn join` again, once "
            "`tclearn coalition admit` of their .pem file was approved",
        )
