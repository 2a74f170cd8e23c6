"""Training at level B over TLS: data IDs come from the service, and equal records of two members count once."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.service.conftest import NAMES, PATIENCE_S, Service, all_joined, now, now_ms, until
from tests.service.level_b import PASSPHRASE, SITE, found_b

from tclearn.directory.data_ids import open_id_journal
from tclearn.identity.oprf_key import oprf_key
from tclearn.learning.data_ids import record_digests
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import materialise
from tclearn.learning.trainer import Contribution, Trainer, Work
from tclearn.protocols.tclearn.history import step_of
from tclearn.service.binding import bound_at


@dataclass
class Forgetful:
    """A trainer that offers its records though they have been used; the data IDs it cannot choose."""

    inner: Trainer

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        return self.inner.train(start, replace(work, used=frozenset()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_equal_records_of_two_members_count_once(tmp_path: Path) -> None:
    from tests.service import material

    schedule = "stop = { blocks = 3 }\nverdict_minutes = 1"
    service = Service(found_b(tmp_path / "founder", schedule=schedule), passphrase=PASSPHRASE)
    service.start()
    try:
        members = all_joined(service, tmp_path)
        with ExitStack() as running:
            works = [running.enter_context(each.working(offers=name == "leuven")) for name, each in members.items()]
            until(lambda: all(work.ledger.state().increments == 1 for work in works), 60)
        with ExitStack() as running:
            for name in NAMES:
                if name != "namur":
                    running.enter_context(members[name].working(offers=False))
            namur = members["namur"].home
            connection = running.enter_context(namur.connection(now()))
            site = replace(SITE, data="tests.service.material:of_leuven")
            trainer = Forgetful(bound_at(namur, site, connection, clock=now_ms, say=lambda _: None))
            work = running.enter_context(namur.work(trainer, now(), clock=now_ms, say=lambda _: None))
            thread = threading.Thread(target=work.run)
            thread.start()
            try:
                until(lambda: work.ledger.state().candidates >= 2, 60)  # it goes on offering them
            finally:
                work.end()
                thread.join(PATIENCE_S)
            state = work.ledger.state()
        first, second = step_of(state, 0), step_of(state, 1)
        assert (first.member, first.block) == ("leuven", 1)
        assert (second.member, second.block) == ("namur", None)
        assert second.reason == "40 of 40 records already used"
        key = oprf_key(bytes(range(32)))
        digests = record_digests(materialise(material.of_leuven(), "leuven"))
        assert state.data_ids(1) == b"".join(sorted(key.value(digest)[:16] for digest in digests))
        with open_id_journal(service.directory, namur.charter, read_only=True) as journal:
            assert {entry.member for entry in journal.entries()} == set(NAMES)
    finally:
        service.end()
