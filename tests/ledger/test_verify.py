"""Verification: what verifies, and that nothing else does, whatever is changed, by whomever."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.notes import START_MS, Board, Clock, World, signer
from tests.ledger.test_replica import mixed

from tclearn.encoding import Digest, head
from tclearn.errors import CharterError, Code, VerificationError
from tclearn.ledger import Entry
from tclearn.ledger.checkpoint import sign
from tclearn.ledger.cosigning import Cosignature
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.export import FORMAT, ExportReader
from tclearn.ledger.recorded import Recorded
from tclearn.ledger.replica import Replica
from tclearn.ledger.verify import Verified, verify
from tclearn.limits import EXPORT_NOTE_BYTES_MAX, TRANSACTION_BYTES_MAX

FORGER = signer("forger")


def filled(world: World, entries: int = 40) -> MemoryLedger[Board]:
    """A ledger of calls of all kinds; every tenth entry on, all members cosign its head."""
    ledger = world.memory()
    for number, call in enumerate(mixed(world, entries)):
        ledger.submit(call)
        if number % 10 == 9:
            cosigned(world, ledger)
    return ledger


def cosigned(world: World, ledger: MemoryLedger[Board], members: int = 4) -> None:
    at = ledger.head(len(ledger))
    for member in range(members):
        ledger.submit(world.endorse(member, at))


def check(data: bytes, world: World, **options: object) -> Verified:
    return verify(io.BytesIO(data), world.terms, world.coalition, **options)  # type: ignore[arg-type]


def refused(data: bytes, world: World, **options: object) -> VerificationError:
    with pytest.raises(VerificationError) as refusal:
        check(data, world, **options)
    return refusal.value


def test_a_record_verifies(world: World) -> None:
    ledger = filled(world)
    ledger.submit(world.add(0, "after the last cosigned head"))
    said: list[int] = []
    verified = check(world.export(ledger), world, progress=said.append)
    assert verified.coalition == world.coalition
    assert verified.entries == len(ledger)
    assert verified.head == ledger.head(len(ledger))
    assert verified.cosigned is not None
    assert verified.cosigned.members == ("m0", "m1", "m2", "m3")
    assert verified.tail == len(ledger) - verified.cosigned.head.size
    assert ledger.head(verified.cosigned.head.size) == verified.cosigned.head
    assert world.contract.view(verified.state) == ledger.state()
    assert verified.since is None


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_long_records_verify_with_any_number_of_threads(world: World, threads: int) -> None:
    ledger = world.memory()
    for number in range(1100):
        ledger.submit(world.add(number % 4, f"{number}"))
    said: list[int] = []
    data = world.export(ledger)
    assert check(data, world, threads=threads, progress=said.append).entries == 1100
    assert said == [512, 1024]
    items = Items.of(data)
    items.entries[700] = forged_signature(items.entries[700])
    items.entries[900] = forged_signature(items.entries[900])
    assert refused(items.bytes(), world, threads=threads).entry == 700


def test_an_empty_record_verifies(world: World) -> None:
    verified = check(world.export(world.memory()), world)
    assert (verified.entries, verified.cosigned, verified.tail) == (0, None, 0)


def test_entries_of_any_size_are_read(world: World) -> None:
    ledger = world.memory()
    for size in (1, 200, 300, 70_000, 900_000, 900_000, 900_000, 900_000, 900_000, 900_000):
        ledger.submit(world.add(0, "x" * size))
    assert check(world.export(ledger), world).entries == 10


class Trickle(io.BytesIO):
    """A stream that gives less than it is asked for."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 7))


def test_a_stream_may_give_little_at_a_time(world: World) -> None:
    data = world.export(filled(world))
    assert verify(Trickle(data), world.terms, world.coalition).entries > 40


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 2000:
            raise OSError("the disk is gone")
        return super().read(size)


def test_a_stream_that_fails_is_a_verification_error(world: World) -> None:
    with pytest.raises(VerificationError, match="the disk is gone"):
        verify(Broken(world.export(filled(world))), world.terms, world.coalition)


# The head of a quorum


def test_no_cosigned_head_at_all_is_said_and_not_refused(world: World) -> None:
    ledger = world.memory()
    ledger.submit(world.add(0, "a"))
    verified = check(world.export(ledger), world)
    assert (verified.cosigned, verified.tail) == (None, 1)


def test_cosigned_heads_without_a_quorum_are_refused(world: World) -> None:
    ledger = world.memory()
    ledger.submit(world.add(0, "a"))
    for _ in range(3):
        cosigned(world, ledger, members=2)
    assert refused(world.export(ledger), world).code is Code.RECORD_QUORUM
    at = ledger.head(2)
    ledger.submit(world.endorse(2, at))
    ledger.submit(world.endorse(2, at))
    assert refused(world.export(ledger), world).code is Code.RECORD_QUORUM
    for member in range(2):
        ledger.submit(world.endorse(member, at))
    verified = check(world.export(ledger), world)
    assert verified.cosigned is not None
    assert verified.cosigned.head == at
    assert verified.cosigned.members == ("m0", "m1", "m2")


# What the log's operator could do


class Careless(Replica[Board]):
    """The replica of a dishonest operator: it logs what it likes."""

    def _cosignature(self, transaction: object, sender: object) -> Cosignature | None:
        return None


@dataclass
class Forged:
    """A log without rules, with whatever roots its operator computes for it."""

    replica: Replica[Board]
    logged: list[Recorded]

    @property
    def coalition(self) -> Digest:
        return self.replica.coalition

    def __len__(self) -> int:
        return len(self.logged)

    def entries(self, start: int, stop: int) -> Iterator[Recorded]:
        yield from self.logged[start:stop]

    def head(self, size: int) -> object:
        return self.replica.head(size)

    def add(self, raw: bytes, time_ms: int) -> None:
        applied = self.replica.append(raw, time_ms)
        self.logged.append(Recorded(applied.entry, applied.outcome, applied.results))


def forged(world: World) -> Forged:
    return Forged(Careless(world.contract, world.coalition), [])


def test_a_fork_is_named_at_the_first_cosignature_of_the_other_history(world: World) -> None:
    honest = world.memory(Clock(step_ms=0))
    shown = forged(world)
    first, second = world.add(0, "bought"), world.add(1, "sold")
    for transaction in (first, second):
        honest.submit(transaction)
    shown.add(second.raw, START_MS)
    shown.add(first.raw, START_MS)
    for member in range(4):
        endorsement = world.endorse(member, honest.head(2))
        honest.submit(endorsement)
        shown.add(endorsement.raw, START_MS)
    assert check(world.export(honest), world).cosigned is not None
    refusal = refused(world.export(shown), world)
    assert (refusal.code, refusal.entry) == (Code.RECORD_ENTRY, 2)
    assert "not this ledger's" in str(refusal)


def test_two_histories_without_their_cosignatures_are_told_apart_by_a_remembered_head(world: World) -> None:
    honest, shown = world.memory(Clock(step_ms=0)), forged(world)
    first, second = world.add(0, "bought"), world.add(1, "sold")
    for transaction in (first, second):
        honest.submit(transaction)
    for transaction in (second, first):
        shown.add(transaction.raw, START_MS)
    remembered = check(world.export(honest), world).head
    assert check(world.export(shown), world).head != remembered
    assert refused(world.export(shown), world, since=remembered).code is Code.RECORD_EXTENSION


def test_a_head_cosigned_by_forged_keys_is_refused(world: World) -> None:
    shown = forged(world)
    shown.add(world.add(0, "a").raw, START_MS)
    at = shown.replica.head(1)
    world_of_forger = World()
    world_of_forger.signers = dict.fromkeys(world.members, FORGER)
    endorsement = world_of_forger.endorse(1, at)
    borrowed = world.call(1, "endorse", dict(endorsement.call.arguments))
    shown.add(borrowed.raw, START_MS)
    assert refused(world.export(shown), world).entry == 1


def test_a_record_signed_by_another_key_is_refused(world: World) -> None:
    ledger = filled(world)
    assert refused(world.export(ledger, FORGER), world).code is Code.RECORD_HEAD


def test_a_cut_back_record_verifies_unless_its_head_is_remembered(world: World) -> None:
    ledger = filled(world)
    data = world.export(ledger)
    remembered = check(data, world).head
    items = Items.of(data)
    del items.entries[20:]
    items.note = sign(world.log, world.coalition, ledger.head(20)).encode()
    short = items.bytes()
    assert check(short, world).entries == 20
    for since in (remembered, sign(world.log, world.coalition, remembered).encode()):
        assert refused(short, world, since=since).code is Code.RECORD_EXTENSION


def test_since(world: World) -> None:
    ledger = filled(world)
    remembered = sign(world.log, world.coalition, ledger.head(25))
    data = world.export(ledger)
    for since in (remembered.head, remembered.encode(), ledger.head(0), ledger.head(len(ledger))):
        assert check(data, world, since=since).since is not None
    for wrong in (
        replace(remembered.head, root=Digest(bytes(32))),
        replace(remembered.head, results=Digest(bytes(32))),
        replace(remembered.head, time_ms=5),
        replace(remembered.head, size=len(ledger) + 1),
        replace(remembered.head, size=-1),
        sign(FORGER, world.coalition, remembered.head).encode(),
        sign(world.log, Digest(bytes(32)), remembered.head).encode(),
        remembered.encode()[:-1],
        b"",
    ):
        assert refused(data, world, since=wrong).code is Code.RECORD_EXTENSION


# The charter


def test_the_charter_must_be_the_one_that_is_meant_and_usable(world: World) -> None:
    data = world.export(filled(world))
    other = World(charter=b"another")
    assert refused(data, other).code is Code.RECORD_CHARTER

    def unusable(charter: bytes) -> None:
        raise CharterError(Code.EXTENSION_UNKNOWN, "the protocol notes/1 is not installed")

    def broken(charter: bytes) -> None:
        raise KeyError("protocol")

    for terms in (unusable, broken):
        with pytest.raises(VerificationError) as refusal:
            verify(io.BytesIO(data), terms, world.coalition)  # type: ignore[arg-type]
        assert refusal.value.code is Code.RECORD_CHARTER


def test_a_contract_that_fails_names_the_entry(world: World) -> None:
    data = world.export(filled(world))

    class Fragile(type(world.contract)):  # type: ignore[misc]
        def apply(self, state, call, context):
            if context.index == 7:
                raise KeyError("only here")
            return super().apply(state, call, context)

    world.contract = Fragile(world.contract._members)
    assert refused(data, world).entry == 7


# Changes to the file


@dataclass
class Items:
    """An export taken apart, to be put together wrongly."""

    charter: bytes
    entries: list[tuple[bytes, bytes]]
    note: bytes

    @classmethod
    def of(cls, data: bytes) -> Items:
        reader = ExportReader(io.BytesIO(data))
        entries = list(reader.entries())
        return cls(reader.charter, list(entries), reader.note)

    def bytes(self) -> bytes:
        parts = [head(3, len(FORMAT)), FORMAT.encode(), head(2, len(self.charter)), self.charter]
        for entry, results in self.entries:
            parts += [b"\x82", head(2, len(entry)), entry, head(2, len(results)), results]
        return b"".join([*parts, head(3, len(self.note)), self.note])


def forged_signature(item: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    entry = Entry.parse(item[0])
    raw = entry.transaction[:-40] + bytes([entry.transaction[-40] ^ 1]) + entry.transaction[-39:]
    return replace(entry, transaction=raw).encode(), item[1]


def edited(field: str, change: Callable[[random.Random, int], int]) -> Callable[..., int]:
    def mutate(items: Items, rng: random.Random) -> int:
        at = rng.randrange(len(items.entries))
        data, results = items.entries[at]
        entry = Entry.parse(data)
        changed = replace(entry, **{field: max(0, change(rng, getattr(entry, field)))})  # type: ignore[arg-type]
        items.entries[at] = changed.encode(), results
        return at

    return mutate


def flip_in_entry(items: Items, rng: random.Random) -> int:
    at = rng.randrange(len(items.entries))
    data, results = items.entries[at]
    place = rng.randrange(len(data))
    items.entries[at] = data[:place] + bytes([data[place] ^ rng.randrange(1, 256)]) + data[place + 1 :], results
    return at


def flip_in_results(items: Items, rng: random.Random) -> int:
    at = rng.randrange(len(items.entries))
    data, results = items.entries[at]
    place = rng.randrange(32)
    items.entries[at] = data, results[:place] + bytes([results[place] ^ rng.randrange(1, 256)]) + results[place + 1 :]
    return at


def other_length_of_results(items: Items, rng: random.Random) -> int:
    at = rng.randrange(len(items.entries))
    data, results = items.entries[at]
    items.entries[at] = data, results[: rng.randrange(32)]
    return at


def cut_entry(items: Items, rng: random.Random) -> int:
    at = rng.randrange(len(items.entries))
    data, results = items.entries[at]
    items.entries[at] = data[: rng.randrange(len(data))], results
    return at


def grow_entry(items: Items, rng: random.Random) -> int:
    at = rng.randrange(len(items.entries))
    data, results = items.entries[at]
    items.entries[at] = data + rng.randbytes(rng.choice([1, 100, TRANSACTION_BYTES_MAX])), results
    return at


def drop(items: Items, rng: random.Random) -> int | None:
    at = rng.randrange(len(items.entries))
    del items.entries[at]
    return at if at < len(items.entries) else None


def duplicate(items: Items, rng: random.Random) -> int:
    at = rng.randrange(len(items.entries))
    items.entries.insert(at, items.entries[at])
    return at + 1


def swap(items: Items, rng: random.Random) -> int:
    first, second = sorted(rng.sample(range(len(items.entries)), 2))
    items.entries[first], items.entries[second] = items.entries[second], items.entries[first]
    return first


def swap_transactions(items: Items, rng: random.Random) -> int:
    first, second = sorted(rng.sample(range(len(items.entries)), 2))
    one, other = Entry.parse(items.entries[first][0]), Entry.parse(items.entries[second][0])
    items.entries[first] = replace(one, transaction=other.transaction).encode(), items.entries[first][1]
    items.entries[second] = replace(other, transaction=one.transaction).encode(), items.entries[second][1]
    return first


def flip_in_note(items: Items, rng: random.Random) -> None:
    place = rng.randrange(len(items.note))
    items.note = items.note[:place] + bytes([items.note[place] ^ rng.randrange(1, 256)]) + items.note[place + 1 :]


def cut_note(items: Items, rng: random.Random) -> None:
    items.note = items.note[: rng.randrange(len(items.note))]


def long_note(items: Items, rng: random.Random) -> int | None:
    more = rng.choice([1, EXPORT_NOTE_BYTES_MAX])
    items.note += b" " * more
    return None if more == 1 else len(items.entries)


def flip_in_charter(items: Items, rng: random.Random) -> None:
    place = rng.randrange(len(items.charter))
    items.charter = items.charter[:place] + bytes([items.charter[place] ^ 1]) + items.charter[place + 1 :]


MUTATIONS: list[Callable[[Items, random.Random], int | None]] = [
    edited("time_ms", lambda rng, value: value + rng.choice([-100_000, -1, 1, 3])),
    edited("index", lambda rng, value: value + rng.choice([-1, 1, 2**40])),
    flip_in_entry,
    flip_in_results,
    other_length_of_results,
    cut_entry,
    grow_entry,
    drop,
    duplicate,
    swap,
    swap_transactions,
    flip_in_note,
    cut_note,
    long_note,
    flip_in_charter,
]


def test_a_thousand_changed_records_are_refused_and_the_changed_entry_is_named() -> None:
    world = World()
    data = world.export(filled(world, 25))
    for seed in range(1000):
        rng = random.Random(seed)
        items = Items.of(data)
        mutate = MUTATIONS[seed % len(MUTATIONS)]
        named = mutate(items, rng)
        changed = items.bytes()
        if changed == data:  # an index or a time of 0 cannot become less
            continue
        refusal = refused(changed, world, threads=1)
        assert refusal.entry == named, (seed, mutate, str(refusal))


def test_a_changed_byte_anywhere_in_the_file_is_refused() -> None:
    world = World(2)
    ledger = world.memory()
    for number in range(3):
        ledger.submit(world.add(number % 2, "a"))
    data = world.export(ledger)
    rng = random.Random(7)
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ rng.randrange(1, 256)]) + data[place + 1 :]
        refused(changed, world, threads=1)


def test_a_record_cut_off_anywhere_is_refused() -> None:
    world = World(2)
    ledger = world.memory()
    for number in range(3):
        ledger.submit(world.add(number % 2, "a"))
    data = world.export(ledger)
    for size in range(len(data)):
        refusal = refused(data[:size], world, threads=1)
        assert refusal.code is Code.RECORD_FORMAT
    for more in (b"\x00", b"\x82", data):
        assert refused(data + more, world).code is Code.RECORD_FORMAT


START = head(3, len(FORMAT)) + FORMAT.encode()


@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_are_refused(data: bytes, begins_well: bool) -> None:
    world = World(2)
    refused((START if begins_well else b"") + data, world, threads=1)


class Greedy(io.BytesIO):
    """Notices when it is asked for more at once than any item may hold."""

    largest = 0

    def read(self, size: int | None = -1) -> bytes:
        self.largest = max(self.largest, size if size is not None and size >= 0 else 1 << 62)
        return super().read(size)


@pytest.mark.parametrize("major", [0x5A, 0x5B, 0x7A, 0x9B, 0xBB, 0x5F])
def test_a_length_is_compared_with_a_limit_before_anything_is_read(world: World, major: int) -> None:
    huge = bytes([major]) + b"\xff" * 8
    for data in (
        START + huge,
        START + head(2, 1) + b"c" + huge,
        START + head(2, 1) + b"c" + b"\x82" + huge,
    ):
        stream = Greedy(data)
        with pytest.raises(VerificationError):
            list(ExportReader(stream).entries())
        assert stream.largest <= 2 << 20


def test_a_reader_holds_one_item_at_a_time(world: World) -> None:
    ledger = world.memory()
    for number in range(50):
        ledger.submit(world.add(0, f"{number}"))
    stream: BinaryIO = io.BytesIO(world.export(ledger))
    entries = ExportReader(stream).entries()
    next(entries)
    assert stream.tell() < 1000
