"""Saying something as a member: through the service, from where it has joined, or on a ledger here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tclearn.cli.keys import oneself
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory import CoalitionDirectory
from tclearn.directory.coalition import check_protocol
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, StorageError
from tclearn.identity import Signer
from tclearn.ledger import Ledger
from tclearn.protocols.tclearn.state import State

if TYPE_CHECKING:
    from tclearn.service.home import Oneself


@dataclass(frozen=True, slots=True)
class Speaker:
    """A member with a ledger that it may write to.

    Attributes:
        member: who it is.
        charter: the coalition's.
        ledger: the ledger.
        signer: its transaction key.
        now: the time, with its zone.
    """

    member: MemberId
    charter: ResolvedCharter
    ledger: Ledger[State]
    signer: Signer = field(repr=False)
    now: datetime

    @property
    def coalition(self) -> Digest:
        """Digest of the charter."""
        return self.charter.digest


@contextmanager
def speaking(directory: Path, key: Path | None = None, *, who: Oneself | None = None) -> Iterator[Speaker]:
    """The member whose key file is named or lies here, ready to say something.

    Args:
        directory: what the member has joined with; or the founder's, where no service runs.
        key: its ``.key`` file; ``None``: the only one here.
        who: the member, where its keys have been read already.

    Raises:
        TCLearnError: key, directory, ledger or service cannot be used; the message says which.
    """
    from tclearn.service.beside import beside
    from tclearn.service.home import MemberHome, is_joined

    check_protocol(directory)
    now = datetime.now(UTC)
    who = who or oneself(key, now)
    if is_joined(directory):
        home = MemberHome.open(directory, who)
        with beside(home, now, lambda: time.time_ns() // 1_000_000) as at:
            yield Speaker(who.member, home.charter, at.ledger, who.keys.signer, now)
        return
    with _opened(directory) as coalition:
        yield Speaker(who.member, coalition.charter, coalition.ledger, who.keys.signer, now)


def _opened(directory: Path) -> CoalitionDirectory:
    try:
        return CoalitionDirectory.open(directory, writing=True)
    except StorageError as error:
        if error.code is not Code.LEDGER_LOCKED:
            raise
        raise StorageError(
            error.code,
            error.what,
            expected="a ledger that nobody else writes to",
            remedy="while the service runs here, name the directory that you have joined it with, as a member",
        ) from error
