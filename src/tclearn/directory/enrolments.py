"""By which root certificates members are known: those of founders lie in files, those of later ones on the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from tclearn.coalition.admission import admitted
from tclearn.coalition.terms import MemberRecord
from tclearn.directory.reading import read_file
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError, StorageError, UnreachableError, UsageError
from tclearn.identity.enrolment import Enrolment, read_enrolment
from tclearn.limits import FORMER_ROOTS_MAX, KEY_FILE_BYTES_MAX
from tclearn.protocols.tclearn.state import State

ENROLMENTS: Final = "enrolments"


def present_roots(path: Path, state: State, now: datetime) -> dict[MemberId, x509.Certificate]:
    """Root certificate of each member.

    A member that was admitted, or has rotated its keys, and whose certificates do not hold, is left out: what it has
    brought onto the ledger must not keep the others away.

    Args:
        path: the coalition's directory.
        state: of its ledger.
        now: the time at which they must be valid, with its zone.

    Raises:
        UnreachableError: a founder's enrolment is not here.
        MessageError: it is damaged, or not valid now.
        StorageError: it is not the charter's.
    """
    found = {}
    for record in state.member_records:
        data = state.enrolment(record)
        if data is None:
            found[record.id] = _founder(path, record, now).root
            continue
        with suppress(MessageError):
            shown = read_enrolment(data, now)
            if admitted(shown) == record:
                found[record.id] = shown.root
    return found


def former_roots(path: Path, state: State, now: datetime) -> list[tuple[MemberId, x509.Certificate]]:
    """Root certificates under which somebody was known once, and is not now: who has left, or has other keys.

    At most ``FORMER_ROOTS_MAX``; what is not valid any more is left out.
    """
    present = {record.certificate for record in state.member_records}
    gone = [shown for shown in _readable(path, state, now) if shown.certificate not in present]
    return [(shown.member, shown.root) for shown in gone[:FORMER_ROOTS_MAX]]


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
