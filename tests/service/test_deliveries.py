"""The vault's desk: what is handed out, to whom, and that it is in the journal before."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.service.conftest import NAMES, SCHEDULE, keys_of, now_ms
from tests.service.level_b import PASSPHRASE, found_b
from tests.service.vault_bench import Bench

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.vault import open_vault
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UsageError
from tclearn.identity import Signer
from tclearn.identity.cose import sign
from tclearn.ledger import Transaction
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.ledger.cose_receipt import sign as sign_receipt
from tclearn.limits import DELIVERY_REQUEST_AGE_MS_MAX
from tclearn.protocols.tclearn import calls
from tclearn.service.challenges import Challenges
from tclearn.service.delivery import DeliveryRequest
from tclearn.service.vault import VaultDesk
from tclearn.store.vault.key_file import KeyFile

DATA = random.Random(1).randbytes((1 << 20) + 5)  # more than one chunk


@pytest.fixture(scope="session")
def confidential(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests take copies."""
    return found_b(tmp_path_factory.mktemp("confidential"))


@pytest.fixture(scope="session")
def vault_keys(confidential: Path) -> KeyFile:
    keys = open_vault(confidential, PASSPHRASE).keys
    assert isinstance(keys, KeyFile)
    return keys


@pytest.fixture
def bench(confidential: Path, vault_keys: KeyFile, tmp_path: Path) -> Iterator[Bench]:
    shutil.copytree(confidential, tmp_path / "coalition")
    made = Bench.open(tmp_path / "coalition", vault_keys)
    yield made
    made.coalition.close()


def test_an_access_is_handed_out_again_and_again_the_same_bytes(bench: Bench) -> None:
    access = bench.test_access("namur", bench.offer(DATA))
    assert bench.fetch("namur", access) == bench.fetch("namur", access) == DATA
    for start in (1, 1 << 20, (1 << 20) + 4, len(DATA)):
        assert bench.fetch("namur", access, start) == DATA[start:]
    with pytest.raises(UsageError):
        bench.fetch("namur", access, len(DATA) + 1)
    bench.say("namur", calls.Delivered(access.number))
    assert bench.fetch("namur", access) == DATA


def test_an_own_use_reading_is_handed_out_when_a_quorum_knows_of_it(bench: Bench) -> None:
    bench.chain(DATA)
    block = bench.state.block(1)
    assert block.locator is not None
    assert bench.say("porto", calls.Access(block.locator, "use", block=1)).code == 0
    access = bench.state.access(bench.state.accesses - 1)
    with pytest.raises(MessageError, match="not witnessed"):
        bench.fetch("porto", access)
    bench.witness("leuven", "namur")
    with pytest.raises(MessageError, match="not witnessed"):
        bench.fetch("porto", access)
    bench.witness("turin")
    assert bench.fetch("porto", access) == DATA


# --- who is refused --------------------------------------------------------------------------------------------------

Change = Callable[[Bench, DeliveryRequest], DeliveryRequest]


def changed(**fields: object) -> Change:
    return lambda _, request: replace(request, **fields)  # type: ignore[arg-type]


def later(milliseconds: int) -> Change:
    return lambda _, request: replace(request, time_ms=request.time_ms + milliseconds)


def receipt_of(entry: int) -> Change:
    return lambda bench, request: replace(request, receipt=bench.office.receipt(entry, len(bench.coalition.ledger)))


def receipt_by_another(bench: Bench, request: DeliveryRequest) -> DeliveryRequest:
    honest = CoseReceipt.parse(request.receipt)
    root = bench.coalition.ledger.head(honest.size).root
    forged = sign_receipt(Signer(digest("no log")), honest.log, root, honest.size, honest.index, honest.path)
    return replace(request, receipt=forged.encode())


def receipt_of_another_history(bench: Bench, request: DeliveryRequest) -> DeliveryRequest:
    honest = CoseReceipt.parse(request.receipt)
    forged = sign_receipt(bench.office.log_key, honest.log, digest("fork"), honest.size, honest.index, honest.path)
    return replace(request, receipt=forged.encode())


def receipt_of_a_longer_log(bench: Bench, request: DeliveryRequest) -> DeliveryRequest:
    honest = CoseReceipt.parse(request.receipt)
    root = bench.coalition.ledger.head(honest.size).root
    forged = sign_receipt(bench.office.log_key, honest.log, root, honest.size + 9, honest.index, honest.path)
    return replace(request, receipt=forged.encode())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (changed(access=1), Code.REFUSED),
        (changed(access=7), Code.REFUSED),
        (changed(entry=0), Code.RECORD_HEAD),
        (changed(entry=1 << 40), Code.RECORD_HEAD),
        (changed(leaf=digest("another")), Code.RECORD_ENTRY),
        (changed(coalition=digest("another")), Code.WRONG_COALITION),
        (changed(nonce=b"short"), Code.ENCODING),
        (changed(challenge=b"short"), Code.ENCODING),
        (changed(challenge=bytes(16)), Code.EXPIRED),
        (changed(receipt=b""), Code.ENCODING),
        (changed(receipt=b"\xd2" * 300), Code.ENCODING),
        (later(-DELIVERY_REQUEST_AGE_MS_MAX - 1000), Code.EXPIRED),
        (later(DELIVERY_REQUEST_AGE_MS_MAX + 5000), Code.EXPIRED),
        (receipt_of(0), Code.RECORD_HEAD),
        (receipt_by_another, Code.UNKNOWN_SIGNER),
        (receipt_of_another_history, Code.SIGNATURE),
        (receipt_of_a_longer_log, Code.RECORD_HEAD),
    ],
)
def test_what_is_not_right_in_a_request_is_refused_with_its_code(bench: Bench, change: Change, code: Code) -> None:
    candidate = bench.offer(DATA)
    access = bench.test_access("namur", candidate)
    bench.test_access("porto", candidate)
    request = bench.request(access.number, access.entry)
    with pytest.raises(MessageError) as refused:
        bench.sent("namur", change(bench, request), "namur")
    assert refused.value.code is code, refused.value
    assert bench.fetch("namur", access) == DATA, "and what is right is answered"


@pytest.mark.parametrize(
    ("sender", "signer", "code"),
    [
        ("namur", "porto", Code.UNKNOWN_SIGNER),
        ("porto", "namur", Code.UNKNOWN_SIGNER),
        ("porto", "porto", Code.REFUSED),
        ("namur", "stranger", Code.UNKNOWN_SIGNER),
        ("stranger", "stranger", Code.UNKNOWN_SIGNER),
    ],
)
def test_only_the_member_of_the_access_is_handed_it(bench: Bench, sender: str, signer: str, code: Code) -> None:
    access = bench.test_access("namur", bench.offer(DATA))
    with pytest.raises(MessageError) as refused:
        bench.sent(sender, bench.request(access.number, access.entry), signer)
    assert refused.value.code is code


def test_a_request_is_answered_once(bench: Bench) -> None:
    access = bench.test_access("namur", bench.offer(DATA))
    request = bench.request(access.number, access.entry)
    assert bench.sent("namur", request, "namur") == DATA
    with pytest.raises(MessageError) as replayed:
        bench.sent("namur", request, "namur")
    assert replayed.value.code is Code.SEQUENCE


def test_a_request_from_before_a_restart_is_not_answered(bench: Bench, tmp_path: Path) -> None:
    """A service that has just started knows no nonces."""
    access = bench.test_access("namur", bench.offer(DATA))
    request = bench.request(access.number, access.entry)
    assert bench.sent("namur", request, "namur") == DATA
    again = bench.crash(tmp_path / "again")
    with pytest.raises(MessageError) as replayed:
        again.sent("namur", request, "namur")
    assert replayed.value.code is Code.EXPIRED
    assert again.fetch("namur", access) == DATA
    again.coalition.close()


def test_a_request_with_a_time_to_come_is_not_answered_again_after_a_restart(bench: Bench, tmp_path: Path) -> None:
    access = bench.test_access("namur", bench.offer(DATA))
    ahead = replace(bench.request(access.number, access.entry), time_ms=now_ms() + DELIVERY_REQUEST_AGE_MS_MAX - 20_000)
    assert bench.sent("namur", ahead, "namur") == DATA
    again = bench.crash(tmp_path / "again")
    with pytest.raises(MessageError) as replayed:
        again.sent("namur", ahead, "namur")
    assert replayed.value.code is Code.EXPIRED
    again.coalition.close()


def test_a_service_whose_clock_was_ahead_hands_out_when_it_is_set_right(bench: Bench) -> None:
    access = bench.test_access("namur", bench.offer(DATA))
    ahead_ms = [3_600_000]
    bench.desk = VaultDesk(bench.coalition, bench.vault, lambda: now_ms() + ahead_ms[0])
    with pytest.raises(MessageError) as late:
        bench.fetch("namur", access)
    assert late.value.code is Code.EXPIRED
    ahead_ms[0] = 0
    assert bench.fetch("namur", access) == DATA


def test_a_clock_that_is_set_back_makes_no_request_new(bench: Bench) -> None:
    """Within the minutes of a challenge its nonces are remembered, and no longer is it taken."""
    access = bench.test_access("namur", bench.offer(DATA))
    seconds = [0.0]
    bench.desk.challenges = Challenges(lambda: seconds[0])
    request = bench.request(access.number, access.entry)
    assert bench.sent("namur", request, "namur") == DATA
    for seconds[0], code in ((1, Code.SEQUENCE), (239, Code.SEQUENCE), (240, Code.EXPIRED), (9_999, Code.EXPIRED)):
        with pytest.raises(MessageError) as replayed:
            bench.sent("namur", request, "namur")  # by the wall clock no time has passed
        assert replayed.value.code is code, seconds
    assert bench.fetch("namur", access) == DATA


def test_a_challenge_is_taken_for_two_minutes_at_least_and_four_at_most() -> None:
    seconds = [0.0]
    challenges, namur = Challenges(lambda: seconds[0]), MemberId("namur")
    first = challenges.now()
    seconds[0] = 119.0
    assert challenges.now() == first
    seconds[0] = 120.0
    second = challenges.now()
    assert len(second) == 16 and second != first
    seconds[0] = 238.0
    challenges.take(namur, first, b"a nonce")
    challenges.take(namur, second, b"a nonce")
    challenges.take(MemberId("porto"), second, b"a nonce")
    seconds[0] = 240.0
    challenges.take(namur, second, b"another")
    with pytest.raises(MessageError):
        challenges.take(namur, first, b"another")
    seconds[0] = 10_000.0
    with pytest.raises(MessageError):
        challenges.take(namur, second, b"a third")
    challenges.take(namur, challenges.now(), b"a nonce")


def test_what_is_signed_for_something_else_is_no_request(bench: Bench) -> None:
    access = bench.test_access("namur", bench.offer(DATA))
    payload = bench.request(access.number, access.entry).encode()
    elsewhere = sign(keys_of("namur").signer, payload, b"tclearn/data-ids/ask/1")
    with pytest.raises(MessageError) as refused:
        bench.desk.hand_out(MemberId("namur"), elsewhere)
    assert refused.value.code is Code.SIGNATURE
    for garbage in (b"", b"\xff" * 40, bytes(1 << 14)):
        with pytest.raises(MessageError):
            bench.desk.hand_out(MemberId("namur"), garbage)


def test_a_damaged_object_is_not_handed_out(bench: Bench) -> None:
    access = bench.test_access("namur", bench.offer(DATA))
    (body,) = (file for file in (bench.directory / "vault" / "bodies").rglob("*") if file.is_file())
    data = bytearray(body.read_bytes())
    data[-1] ^= 1
    body.write_bytes(data)
    with pytest.raises(StorageError) as damaged:
        bench.fetch("namur", access)
    assert damaged.value.code is Code.OBJECT_CORRUPT


# --- no object leaves without an entry in the journal ----------------------------------------------------------------


def granted_on_disk(directory: Path, copy: Path) -> set[tuple[str, Digest]]:
    """Member and object of every access that a process started now finds in the ledger, read entry by entry."""
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("*-lock", "*-shm"))
    found: set[tuple[str, Digest]] = set()
    with CoalitionDirectory.open(copy) as coalition:
        names = {member.key: member.id for member in coalition.charter.members}
        for item in coalition.ledger.entries(0, len(coalition.ledger)):
            transaction = Transaction.parse(item.entry.transaction)
            if item.outcome.code == 0 and transaction.call.method == "access":
                asked = calls.Access.from_value(transaction.call.arguments)
                found.add((names[transaction.signer], asked.object))
    shutil.rmtree(copy)
    return found


@pytest.fixture(scope="session")
def in_free_turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found_b(tmp_path_factory.mktemp("free"), schedule=f'turns = "free"\n{SCHEDULE}')


@pytest.mark.parametrize("seed", range(8))
def test_no_object_leaves_without_an_entry_in_the_durable_ledger(
    in_free_turns: Path, tmp_path: Path, seed: int
) -> None:
    """Random requests, honest and not, and a crash between any two steps; what was handed out stays the same bytes."""
    chance = random.Random(seed)
    shutil.copytree(in_free_turns, tmp_path / "coalition")
    bench = Bench.open(tmp_path / "coalition", open_vault(in_free_turns, PASSPHRASE).keys)
    handed: dict[int, bytes] = {}
    files: dict[Digest, bytes] = {}
    refused = 0
    here, crashes = bench, 0
    for step in range(150):
        state = here.state
        what = chance.choice(["offer", "access", "access", "fetch", "fetch", "fetch", "crash", "witness"])
        member = chance.choice(NAMES)
        if what == "offer" and all(each.proposer != member for each in state.open_candidates()):
            data = chance.randbytes(chance.choice([9, 5000]))
            files[here.offer(data, member).locator] = data
        elif what == "access" and files:
            candidate = chance.choice(state.open_candidates())
            wanted = candidate.locator if chance.random() < 0.6 else chance.choice(list(files))
            here.say(member, calls.Access(wanted, chance.choice(["test", "test", "train"]), candidate.id))
        elif what == "witness":
            here.witness(member)
        elif what == "crash":
            crashes += 1
            here = here.crash(tmp_path / f"after-{crashes}")
        elif what == "fetch" and len(here.coalition.ledger):
            number = chance.randrange(state.accesses + 1)
            entry = chance.randrange(len(here.coalition.ledger))
            if number < state.accesses and chance.random() < 0.8:
                member, entry = state.access(number).member, state.access(number).entry
            request = here.request(number, entry)
            try:
                data = here.sent(member, request, member if chance.random() < 0.9 else chance.choice(NAMES))
            except TCLearnError as error:
                assert isinstance(error, MessageError | UsageError)
                refused += 1
                continue
            access = here.state.access(number)
            assert (member, access.object) in granted_on_disk(here.directory, tmp_path / "look"), step
            assert files[access.object] == data == handed.setdefault(number, data)
    assert handed and refused, "or nothing was tried"
    here.coalition.close()
