"""A member's end on its own disk: what it has joined, its copy of the log, its decisions, its models."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
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
from tclearn.directory.coalition import CHARTER, DATA_KEY, LEDGER, NOTE, OBJECTS
from tclearn.directory.reading import read_file
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, UsageError, VerificationError
from tclearn.files import make_folder, write_whole
from tclearn.identity import PublicKey
from tclearn.identity.certificates import certificate_digest, read_certificate
from tclearn.identity.enrolment import read_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.tls import check_service_root, identity_of_member
from tclearn.learning.trainer import Trainer
from tclearn.ledger.engines.copy import LedgerCopy
from tclearn.ledger.engines.follower import Follower, Fork
from tclearn.limits import CHARTER_BYTES_MAX, KEY_FILE_BYTES_MAX
from tclearn.protocols.tclearn import contract
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.state import State
from tclearn.service.computing import Computing
from tclearn.service.remote import Connection, RemoteLog, RemoteStore
from tclearn.service.tls import client_context, stranger_context
from tclearn.service.work import Work
from tclearn.store.filesystem import FilesystemStore

SERVICE: Final = "service.pem"
ADDRESS: Final = "service.url"
OUTBOX: Final = "outbox.sqlite"
DRAFTS: Final = "drafts"
FORKS: Final = "evidence"
_SECRET: Final = 0o600
_DATA_KEY_BYTES: Final = 32


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
            UsageError: the charter has no such member, or has it with other keys.
            UnreachableError: no answer.
        """
        agreed, service = _introduction(url, charter, oneself, now)
        _check_member(agreed, oneself)
        home = cls(path, agreed, service, url, oneself)
        with home.connection(now) as connection:
            key = connection.get("/v1/data-key", size_max=_DATA_KEY_BYTES)
        if len(key) != _DATA_KEY_BYTES:
            raise MessageError(Code.KEY_FILE, f"the service sent a data key of {len(key)} bytes", expected="32")
        make_folder(path)
        write_whole(path / DATA_KEY, key.hex().encode() + b"\n", mode=_SECRET)
        write_whole(path / SERVICE, service.public_bytes(Encoding.PEM))
        write_whole(path / ADDRESS, url.encode() + b"\n")
        with home._copy():
            pass
        write_whole(path / CHARTER, agreed.encode())  # last: a directory with a charter is complete
        return home

    @classmethod
    def open(cls, path: Path, oneself: Oneself) -> MemberHome:
        """A directory that ``join`` has made.

        Raises:
            UnreachableError: it has made none there.
            StorageError: a file cannot be read.
            MessageError: a file is damaged.
        """
        remedy = "run `tclearn join` first"
        agreed = ResolvedCharter.from_bytes(read_file(path / CHARTER, CHARTER_BYTES_MAX, remedy))
        pem = read_file(path / SERVICE, KEY_FILE_BYTES_MAX, remedy)
        url = read_file(path / ADDRESS, KEY_FILE_BYTES_MAX, remedy).decode(errors="replace").strip()
        try:
            service = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise MessageError(Code.CERTIFICATE, f"{path / SERVICE} is no certificate", remedy=remedy) from None
        _check_member(agreed, oneself)
        return cls(path, agreed, service, url, oneself)

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
    ) -> Iterator[Work]:
        """The member's agent, ready to run.

        Args:
            trainer: its model and data.
            now: the time, with its zone.
            clock: milliseconds since 1970.
            say: is told in a line what goes wrong and what goes on.
            on_state: is given the state whenever it has changed.
            finished: whether nothing more is to come; the work then ends.

        Raises:
            StorageError: another process of this member runs here, or a file is damaged.
        """
        with ExitStack() as open_now:
            copy = open_now.enter_context(self._copy())
            connection = open_now.enter_context(self.connection(now))
            rules = contract(self.charter)
            ledger: Follower[State] = Follower(
                rules,
                self.charter.digest,
                self.charter_log_key,
                RemoteLog(connection),
                clock,
                on_fork=self._keep_fork,
                kept=copy,
            )
            outbox = open_now.enter_context(FileOutbox(self.path / OUTBOX))
            signer = self.oneself.keys.signer
            site = Site(
                member=self.oneself.member,
                coalition=self.charter.digest,
                signer=signer,
                store=RemoteStore(connection, FilesystemStore(self.path / OBJECTS)),
                drafts=FilesystemStore(self.path / DRAFTS),
                trainer=trainer,
                outbox=outbox,
                clock_ms=clock,
                secret=signer.derive("site"),
            )
            news = threading.Event()
            computing = Computing(lambda: Participant(rules), news.set)
            agent = Agent(computing, ledger, site)
            yield Work(agent, computing, ledger, connection, news, say, on_state, finished)

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

    @property
    def charter_log_key(self) -> PublicKey:
        """The key that signs the log's heads."""
        return PublicKey(self.charter.log_key)

    def _copy(self) -> LedgerCopy[State]:
        return LedgerCopy(self.path / LEDGER, self.path / NOTE, contract(self.charter), self.charter.digest)

    def _keep_fork(self, fork: Fork) -> None:
        data = fork.evidence(self.charter.encode())
        make_folder(self.path / FORKS)
        write_whole(self.path / FORKS / f"{blake3(data).hexdigest()[:16]}.evidence", data)


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


def _check_member(charter: ResolvedCharter, oneself: Oneself) -> None:
    known = {member.id: member for member in charter.members}.get(oneself.member)
    if (
        known is None
        or known.key != oneself.keys.signer.public
        or known.certificate != certificate_digest(oneself.root)
    ):
        what = "has no member" if known is None else "has other keys for"
        raise UsageError(
            Code.CHARTER_MEMBER,
            f"the charter of {charter.name} {what} {oneself.member}",
            expected=", ".join(member.id for member in charter.members),
            remedy="name the .key file that belongs to this coalition",
        )
