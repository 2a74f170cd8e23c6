"""A word with the service, whether the member's agent runs beside it or not: for commands that end soon.

The member's copy of the log is open for a moment only, and left to the agent where that runs: neither keeps the other
from running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from tclearn.directory.coalition import LEDGER, NOTE
from tclearn.errors import Code, MessageError, StorageError
from tclearn.ledger import Head
from tclearn.ledger.engines.database import Database
from tclearn.ledger.engines.embedded import load
from tclearn.ledger.engines.follower import Follower, Kept
from tclearn.ledger.replica import Applied, Replica
from tclearn.limits import EXPORT_NOTE_BYTES_MAX
from tclearn.protocols.tclearn import contract
from tclearn.protocols.tclearn.state import State
from tclearn.service.home import MemberHome
from tclearn.service.remote import Connection, RemoteLog


@dataclass(frozen=True, slots=True)
class Beside:
    """A connection, and the log as it is now.

    Attributes:
        home: the member's directory.
        connection: to the service.
        ledger: a verified copy of the log, which the member may write to through the service.
        clock: milliseconds since 1970.
    """

    home: MemberHome
    connection: Connection
    ledger: Follower[State]
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the copy held just now; nothing is said before the log extends it."""

    replica: Replica[State]
    remembered: bytes | None

    def keep(self, batch: Sequence[Applied], head: Head, note: bytes) -> None:
        """Nothing: the file is the agent's, which keeps this when it comes to it."""


@contextmanager
def beside(home: MemberHome, now: datetime, clock: Callable[[], int]) -> Iterator[Beside]:
    """Connect, and follow the log to its end.

    Args:
        home: the member's directory.
        now: the time, with its zone.
        clock: milliseconds since 1970.

    Raises:
        UnreachableError: the service does not answer.
        VerificationError: what it shows does not verify, or it has shown another history before.
        StorageError: the member's copy is damaged.
    """
    with home.connection(now) as connection:
        _keep(home, connection, clock)
        shown = _shown(home)
        yield Beside(home, connection, _follower(home, connection, clock, shown), clock)
        _keep(home, connection, clock)


def _keep(home: MemberHome, connection: Connection, clock: Callable[[], int]) -> None:
    """Bring the copy up to date, unless the agent does."""
    try:
        with home.copy() as copy:
            _follower(home, connection, clock, copy)
    except StorageError as error:
        if error.code is not Code.LEDGER_LOCKED:
            raise
    except MessageError as error:
        if error.code is not Code.FORMER_MEMBER:  # it has left, or taken other keys, with what it has said just now
            raise


def _follower(home: MemberHome, connection: Connection, clock: Callable[[], int], kept: Kept[State]) -> Follower[State]:
    ledger: Follower[State] = Follower(
        contract(home.charter),
        home.charter.digest,
        home.charter_log_key,
        RemoteLog(connection),
        clock,
        on_fork=home.keep_fork,
        kept=kept,
    )
    while ledger.pull():
        pass
    return ledger


def _shown(home: MemberHome) -> _Shown:
    # The note first: the entries of which it speaks are in the file by then.
    try:
        with (home.path / NOTE).open("rb") as file:
            note = file.read(EXPORT_NOTE_BYTES_MAX)
    except FileNotFoundError:
        note = None
    with closing(Database(home.path / LEDGER, "ro")) as database:
        replica = load(home.path / LEDGER, database, contract(home.charter), home.charter.digest)
    return _Shown(replica, note)
