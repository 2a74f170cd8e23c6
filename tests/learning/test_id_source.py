"""Where IDs come from: the supervisor, without showing it the records, or a key of the members."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.learning.tables import table, task, work

from tclearn.coalition.allowance import Allowance, Rate, blinded_digest, decide
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, StorageError, UnreachableError
from tclearn.identity.oprf import Blinded, OprfKey
from tclearn.identity.oprf_messages import IdAnswer, IdRequest
from tclearn.learning.data_ids import data_ids, ids_of, record_digests
from tclearn.learning.id_cache import IdCache
from tclearn.learning.id_source import IdsLater, IdSource, KeyedIds, ObliviousIds, SupervisorIds, Transport
from tclearn.learning.member import MemberTrainer
from tclearn.learning.records import Records, materialise
from tclearn.learning.trainer import LocalData
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.limits import OPRF_BATCH_MAX

KEY = OprfKey(bytes(32))
SECRET = b"s" * 32


class Supervisor:
    """The other side in the same process; counts what it is asked."""

    def __init__(self, key: OprfKey = KEY, fails_at: int = -1) -> None:
        self.key = key
        self.fails_at = fails_at
        self.seen: list[Blinded] = []

    def __call__(self, message: bytes) -> bytes:
        if len(self.seen) == self.fails_at:
            raise UnreachableError(Code.LEDGER_UNREACHABLE, "no supervisor")
        request = IdRequest.read(message)
        self.seen.append(request.batch)
        return IdAnswer.of(self.key.evaluate(request.batch)).encode()

    @property
    def asked(self) -> int:
        return sum(len(each.elements) for each in self.seen)


def records(count: int = 6) -> Records:
    return materialise((np.arange(2 * count, dtype=np.float32).reshape(count, 2), np.arange(count) % 2), "test")


def test_both_kinds_are_sources() -> None:
    sources: list[IdSource] = [KeyedIds(bytes(32)), ObliviousIds(KEY.public, Supervisor())]
    assert all(len({len(data_id) for data_id in ids_of(records(), source)} - {16}) == 0 for source in sources)
    assert ids_of(records(), KeyedIds(b"k" * 32)) == data_ids(records(), b"k" * 32)
    assert b"k" * 8 not in repr(KeyedIds(b"k" * 32)).encode()


def test_equal_records_of_two_members_meet() -> None:
    first, second = Supervisor(), Supervisor()
    ids = ids_of(records(4), ObliviousIds(KEY.public, first))
    more = ids_of(records(6), ObliviousIds(KEY.public, second))
    assert more[:4] == ids
    assert len(set(more)) == 6
    assert ids == [KEY.value(digest)[:16] for digest in record_digests(records(4))]
    assert set(first.seen[0].elements).isdisjoint(second.seen[0].elements)


def test_the_supervisor_sees_no_digest() -> None:
    supervisor = Supervisor()
    ids = ids_of(records(), ObliviousIds(KEY.public, supervisor))
    seen = b"".join(supervisor.seen[0].elements)
    for secret in (*record_digests(records()), *ids):
        assert secret not in seen


def test_a_supervisor_with_another_key_for_one_member_is_noticed() -> None:
    source = ObliviousIds(KEY.public, Supervisor(OprfKey(b"\x01" * 32)))
    with pytest.raises(MessageError) as caught:
        ids_of(records(), source)
    assert caught.value.code is Code.OPRF
    with pytest.raises(MessageError):
        ObliviousIds(bytes(32), Supervisor())


def test_each_record_is_asked_for_once_and_in_batches() -> None:
    supervisor = Supervisor()
    source = ObliviousIds(KEY.public, supervisor, batch=4)
    twice = record_digests(records(6)) * 2
    assert source.ids(twice) == source.ids(twice)
    assert [len(each.elements) for each in supervisor.seen] == [4, 2]
    for wrong in (0, OPRF_BATCH_MAX + 1):
        with pytest.raises(ValueError, match="one request"):
            ObliviousIds(KEY.public, supervisor, batch=wrong)


def test_what_was_answered_before_a_failure_is_kept(tmp_path: Path) -> None:
    failing = Supervisor(fails_at=1)
    cache = IdCache(tmp_path / "ids", SECRET)
    with pytest.raises(UnreachableError):
        ids_of(records(6), ObliviousIds(KEY.public, failing, cache, batch=4))
    supervisor = Supervisor()
    ids_of(records(6), ObliviousIds(KEY.public, supervisor, cache, batch=4))
    assert supervisor.asked == 2


def cached(path: Path, entries_max: int = 100) -> tuple[int, list[bytes]]:
    supervisor = Supervisor()
    ids = ids_of(records(6), ObliviousIds(KEY.public, supervisor, IdCache(path, SECRET, entries_max)))
    return supervisor.asked, ids


def test_the_cache_spares_requests(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    asked, ids = cached(path)
    assert asked == 6
    assert cached(path) == (0, ids)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_cache_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    asked, ids = cached(path, 4)
    assert asked == 6
    assert list(IdCache(path, SECRET).load(KEY.public)) == record_digests(records(6))[2:]
    assert cached(path, 4) == (2, ids)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\x00",
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
        lambda data: b"x" + data[1:],
        lambda data: data[:19] + bytes(32) + data[51:],
    ],
)
def test_a_damaged_cache_is_no_cache(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "ids"
    _, ids = cached(path)
    path.write_bytes(damage(path.read_bytes()))
    assert cached(path) == (6, ids)
    assert cached(path) == (0, ids)


def test_the_cache_shows_nothing_of_its_records(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    _, ids = cached(path)
    data = path.read_bytes()
    assert not [secret for secret in (*record_digests(records(6)), *ids) if secret in data]
    assert IdCache(path, b"t" * 32).load(KEY.public) == {}
    once = path.read_bytes()
    IdCache(path, SECRET).save(KEY.public, IdCache(path, SECRET).load(KEY.public))
    assert path.read_bytes()[:40] != once[:40], "a nonce is used once"


def test_whoever_has_the_supervisors_key_computes_the_same(tmp_path: Path) -> None:
    assert ids_of(records(6), SupervisorIds(KEY)) == cached(tmp_path / "ids")[1]


def test_it_says_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    source = ObliviousIds(KEY.public, Supervisor(), batch=4, progress=lambda done, of: told.append((done, of)))
    ids_of(records(6), source)
    ids_of(records(6), source)
    assert told == [(0, 6), (4, 6), (6, 6)]


def test_the_cache_of_another_key_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    cached(path)
    other = OprfKey(b"\x01" * 32)
    supervisor = Supervisor(other)
    source = ObliviousIds(other.public, supervisor, IdCache(path, SECRET))
    assert ids_of(records(6), source) == [other.value(digest)[:16] for digest in record_digests(records(6))]
    assert supervisor.asked == 6


def test_a_cache_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        IdCache(tmp_path, SECRET).load(KEY.public)
    with pytest.raises(StorageError):
        IdCache(tmp_path / "no" / "folder", SECRET).save(KEY.public, {Digest(bytes(32)): bytes(16)})


def test_a_dictionary_runs_into_the_allowance() -> None:
    """A member that tries every value of a record gets as many answers as its allowance has."""
    rate = Rate(per_day=100, at_once=100)
    allowance = Allowance.full(rate, 0)
    supervisor = Supervisor()

    def guarded(message: bytes) -> bytes:
        nonlocal allowance
        request = IdRequest.read(message)
        decision = decide(rate, allowance, None, MemberId("liar"), blinded_digest(request.blinded), request.count, 1000)
        allowance = decision.allowance
        decision.check()
        return supervisor(message)

    source = ObliviousIds(KEY.public, guarded, batch=30)
    with pytest.raises(MessageError) as caught:
        ids_of(records(1000), source)
    assert caught.value.code is Code.ALLOWANCE
    assert supervisor.asked == 90


def test_a_trainer_takes_either_source() -> None:
    recipe = TorchTrainer(epochs=1, batch_size=8)
    supervisor = Supervisor()
    transport: Transport = supervisor
    source = ObliviousIds(KEY.public, transport)
    offered = table(50)
    level_a = recipe.bind(task(), LocalData(offered))
    level_b = recipe.bind(task(), LocalData(offered, ids=source))
    plain = level_a.train(level_a.initial(1), work(1, set()))
    oblivious = level_b.train(level_b.initial(1), work(1, set()))
    assert plain is not None
    assert oblivious is not None
    assert plain.data_ids == tuple(sorted(data_ids(offered, b"k" * 32)))
    assert oblivious.data_ids == tuple(sorted(KEY.value(digest)[:16] for digest in record_digests(offered)))
    assert set(plain.data_ids).isdisjoint(oblivious.data_ids)
    asked = supervisor.asked
    assert level_b.train(level_b.initial(1), work(2, set(oblivious.data_ids))) is None
    assert supervisor.asked == asked


class Rationed:
    """A source whose allowance may be used up for what it was not asked for before."""

    def __init__(self) -> None:
        self.known: set[Digest] = set()
        self.used_up = False

    def ids(self, digests: Sequence[Digest]) -> list[bytes]:
        if self.used_up and not self.known.issuperset(digests):
            raise IdsLater("no more today", until_ms=1)
        self.known.update(digests)
        return [KEY.value(digest)[:16] for digest in digests]


def test_records_whose_ids_are_not_to_be_had_yet_are_left_for_later() -> None:
    source, given, hidden = Rationed(), [table(20)], [table(3, seed=7)]
    data = LocalData(lambda: given[-1], hidden_test=lambda: hidden[-1], contributions=1, ids=source)
    trainer = TorchTrainer(epochs=1, batch_size=8).bind(task(), data)
    assert isinstance(trainer, MemberTrainer)
    start, used = trainer.initial(1), set[bytes]()
    source.used_up = True
    given.append(Records(np.concatenate([given[0].inputs, table(10, seed=3).inputs]), np.arange(30) % 2))
    given[-1].targets[:20] = given[0].targets
    hidden.append(table(3, seed=8))
    first = trainer.train(start, work(1, used))
    assert first is not None
    assert len(first.data_ids) == trainer.inventory(used).records == 20
    assert trainer.hidden_parts(frozenset()) == ()
    used |= set(first.data_ids)
    assert trainer.train(start, work(2, used)) is None
    source.used_up = False
    second = trainer.train(start, work(3, used))
    assert second is not None
    assert len(second.data_ids) == 10
    assert sum(map(len, trainer.hidden_parts(frozenset()))) == 3


def test_where_there_never_were_any_it_is_an_error() -> None:
    source = Rationed()
    source.used_up = True
    with pytest.raises(IdsLater):
        TorchTrainer(epochs=1, batch_size=8).bind(task(), LocalData(table(20), ids=source))
