"""A member's command and its agent speak with one key: a number that both take accuses nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.conftest import Member, Service, all_joined, now, now_ms, until
from tests.service.level_b import PASSPHRASE, found_b

from tclearn.errors import Code, MessageError
from tclearn.ledger import Transaction
from tclearn.protocols.tclearn.calls import Delivered, call
from tclearn.service.refused import refused_requests
from tclearn.service.remote import RemoteLog


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Service]:
    running = Service(found_b(tmp_path / "founder"), passphrase=PASSPHRASE)
    running.start()
    yield running
    running.end()


def word(member: Member, sequence: int) -> bytes:
    home = member.home
    return Transaction.signed(
        home.oneself.keys.signer,
        home.charter.digest,
        call(Delivered(0)),
        sequence=sequence,
        expires_ms=now_ms() + 60_000,
    ).raw


def test_a_number_of_ones_own_that_was_overtaken_is_no_alarm_and_what_others_hand_in_is(
    sealed: Service, tmp_path: Path
) -> None:
    members = all_joined(sealed, tmp_path)
    leuven, namur = members["leuven"], members["namur"]
    with leuven.home.connection(now()) as connection, namur.home.connection(now()) as other:
        first = word(leuven, 5)
        RemoteLog(connection).submit(first)
        with pytest.raises(MessageError) as overtaken:
            RemoteLog(connection).submit(word(leuven, 4))
        assert overtaken.value.code is Code.SEQUENCE
        RemoteLog(connection).submit(first)  # said again, it is the same word
        assert list(refused_requests(sealed.directory)) == []
        for raw in (first, word(leuven, 4)):
            with pytest.raises(MessageError) as strange:
                RemoteLog(other).submit(raw)
            assert strange.value.code is Code.UNKNOWN_SIGNER
    lines = list(refused_requests(sealed.directory))
    assert [(line["member"], line["code"]) for line in lines] == [("namur", "TCL-304")] * 2


def test_an_agent_that_was_overtaken_says_nothing_and_goes_on(
    service: Service, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    leuven, said, overtaken = members["leuven"], list[str](), list[int]()
    submit = RemoteLog.submit

    def beaten(log: RemoteLog, raw: bytes) -> None:
        # A command of the same member is faster, with the number that the agent has just taken.
        if not overtaken:
            overtaken.append(1)
            submit(log, word(leuven, Transaction.parse(raw).sequence + 1))
        submit(log, raw)

    monkeypatch.setattr(RemoteLog, "submit", beaten)
    with leuven.working(said) as work:
        until(lambda: work.ledger.state().candidates > 0)
    assert overtaken
    assert not [line for line in said if "TCL-" in line or "answers again" in line]
