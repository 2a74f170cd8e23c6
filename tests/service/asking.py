"""Asking for data IDs, as the tests do it: with little allowance, and without waiting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.service.conftest import Member, Service, now, now_ms

from tclearn.coalition.allowance import Rate
from tclearn.encoding import Digest
from tclearn.identity.oprf import blind
from tclearn.identity.oprf_key import oprf_key
from tclearn.identity.oprf_messages import IdRequest
from tclearn.learning.id_source import IdSource
from tclearn.service.binding import id_source
from tclearn.service.id_messages import IdAsk
from tclearn.service.remote import Connection
from tclearn.service.remote_ids import PATH, PatientIds

KEY = oprf_key(bytes(range(32)))
AT_ONCE = 300
RATE = Rate(per_day=2400, at_once=AT_ONCE)


def records(count: int, first: int = 0) -> list[Digest]:
    return [Digest(bytes([7]) * 28 + each.to_bytes(4, "big")) for each in range(first, first + count)]


def ids_of(member: Member, digests: list[Digest], said: list[str] | None = None) -> list[bytes]:
    """As a member gets them, without waiting."""
    with member.home.connection(now()) as connection:
        return impatient(member, connection, said).ids(digests)


def impatient(member: Member, connection: Connection, said: list[str] | None = None) -> IdSource:
    source = id_source(member.home, connection, clock=now_ms, say=([] if said is None else said).append)
    assert isinstance(source, PatientIds)
    source.patient = False
    return source


def asked(member: Member, count: int = 1, **changes: Any) -> bytes:
    """A request as a member signs it, or with other fields."""
    request = IdRequest.of(blind(records(count)).blinded).encode()
    ask = IdAsk(member.home.charter.digest, now_ms(), request)
    return replace(ask, **changes).signed(member.home.oneself.keys.signer)


def send(member: Member, message: bytes) -> bytes:
    with member.home.connection(now()) as connection:
        return connection.exchange(PATH, message, "application/cose", size_max=1 << 20, quiet_s=20)


def journal_of(service: Service) -> list[tuple[str, int, int]]:
    return [(each.member, each.count, each.granted) for each in service.desk.ids.journal.entries()]  # type: ignore[union-attr]
