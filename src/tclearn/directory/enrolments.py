"""By which root certificates members are known: those of founders lie in files, those of later ones on the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from tclearn.coalition.admission import admitted
from tclearn.coalition.terms import MemberRecord
from tclearn.directory.reading import read_file
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UnreachableError, UsageError
from tclearn.identity.enrolment import Enrolment, read_enrolment
from tclearn.limits import FORMER_ROOTS_MAX, KEY_FILE_BYTES_MAX
from tclearn.protocols.tclearn.state import State

ENROLMENTS: Final = "enrolments"


@dataclass(frozen=True, slots=True)
class Known:
    """The members as a service can know them.

    Attributes:
        roots: root certificate of each member that can be let in.
        unknown: why the others cannot, by name.
    """

    roots: dict[MemberId, x509.Certificate]
    unknown: dict[MemberId, TCLearnError]

    def lines(self) -> list[str]:
        """Who is not let in, for whoever runs the service."""
        return [f"{member} is not let in: {why.what}" for member, why in sorted(self.unknown.items())]


def known_members(path: Path, state: State, now: datetime) -> Known:
    """Root certificate of each member that has one.

    A member whose certificates do not hold, or whose file is gone, is left out: it must not keep the others away, nor
    from giving it other keys.

    Args:
        path: the coalition's directory.
        state: of its ledger.
        now: the time at which they must be valid, with its zone.
    """
    known = Known({}, {})
    for record in state.member_records:
        try:
            known.roots[record.id] = _root(path, state, record, now)
        except (UnreachableError, MessageError, StorageError, UsageError) as error:
            known.unknown[record.id] = error
    return known


def former_roots(path: Path, state: State, now: datetime) -> list[tuple[MemberId, x509.Certificate]]:
    """Root certificates under which somebody was known once, and is not now: who has left, or has other keys.

    At most ``FORMER_ROOTS_MAX``; what is not valid any more is left out.
    """
    present = {record.certificate for record in state.member_records}
    gone = [shown for shown in _readable(path, state, now) if shown.certificate not in present]
    return [(shown.member, shown.root) for shown in gone[:FORMER_ROOTS_MAX]]


def _root(path: Path, state: State, record: MemberRecord, now: datetime) -> x509.Certificate:
    data = state.enrolment(record)
    if data is None:
        return _founder(path, record, now).root
    shown = read_enrolment(data, now, place=f"the enrolment of {record.id} on the ledger")
    if admitted(shown) != record:
        raise MessageError(Code.CERTIFICATE, f"the enrolment of {record.id} on the ledger is of other keys")
    return shown.root


def _founder(path: Path, record: MemberRecord, now: datetime) -> Enrolment:
    file = path / ENROLMENTS / f"{record.id}.pem"
    enrolment = read_enrolment(
        read_file(file, KEY_FILE_BYTES_MAX, f"put {record.id}'s .pem file there"), now, place=str(file)
    )
    if enrolment.certificate != record.certificate:
        raise StorageError(Code.CERTIFICATE, f"{file} is not the enrolment that the charter names")
    return enrolment


def _readable(path: Path, state: State, now: datetime) -> Iterator[Enrolment]:
    for record in state.charter.members:
        with suppress(UnreachableError, MessageError, StorageError, UsageError):
            yield _founder(path, record, now)
    for data in state.enrolments():
        with suppress(MessageError):
            yield read_enrolment(data, now)
