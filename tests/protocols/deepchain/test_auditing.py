"""The public audit: with the record, the files and public keys alone, what is wrong and counted is found and named."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from tests.protocols.deepchain.blindness import all_blind, blind
from tests.protocols.deepchain.recorded import (
    exported,
    handed,
    object_file,
    objects,
    said,
    verified,
    write_objects,
)
from tests.protocols.deepchain.test_faulty_members import Garbage, Greedy
from tests.protocols.deepchain.training import Coalition, Faulty, Plan

from tclearn.agents import Site
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, VerificationError
from tclearn.ledger import Call
from tclearn.ledger.replaying import replayed
from tclearn.protocols import terms_of
from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.auditing import audit, audit_dossiers
from tclearn.protocols.deepchain.agent.cores import Processes
from tclearn.protocols.deepchain.agent.fetching import Objects
from tclearn.protocols.deepchain.agent.files import read_opened, write_opened
from tclearn.protocols.deepchain.dossiers import Dossiers
from tclearn.protocols.deepchain.findings import OPENED, SHARES, SUM, Audit, Kind
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import EMPTY, SUMS, VOID
from tclearn.protocols.deepchain.times import RETURNING
from tclearn.store import MemoryStore, Store
from tclearn.store.reading import ObjectFolder

SMALL = Plan(hidden=2, iterations=1)


def looked_at(coalition: Coalition, where: Objects | None = None) -> Audit:
    record = exported(coalition)
    return audit(record, verified(coalition, record), coalition.store if where is None else where)


def kinds(made: Audit) -> list[tuple[Kind, str | None, str]]:
    return [(remark.kind, remark.member, remark.what) for remark in made.remarks]


@pytest.fixture(scope="module")
def clean() -> Coalition:
    return Coalition(SMALL).run()


# --- what honest members leave ----------------------------------------------------------------------------------------


def test_of_honest_members_every_proof_holds_and_nothing_is_remarked(clean):
    told: list[tuple[int, int]] = []
    record = exported(clean)
    made = audit(record, verified(clean, record), clean.store, progress=lambda *numbers: told.append(numbers))
    count = clean.terms.key.ciphertexts
    assert made == Audit(
        iterations=1, rounds=1, gradients=7, shares=7, proofs=14, ciphertexts=14 * count, sums=1, added=count, opened=1
    )
    assert made.fault() is None
    assert told[0] == (0, 14) and told[-1] == (14, 14) and told == sorted(told)


def test_processes_find_the_same(clean):
    record = exported(clean)
    with Processes(1_000_000) as run:
        assert audit(record, verified(clean, record), clean.store, run=run) == looked_at(clean)


def test_a_record_that_ends_in_the_middle_is_audited_as_far_as_it_goes():
    coalition = Coalition(SMALL)

    def goes_on() -> bool:
        iteration = coalition.state.iteration
        return iteration is None or iteration.phase != RETURNING

    coalition.run(goes_on)
    made = looked_at(coalition)
    assert (made.gradients, made.sums, made.shares, made.opened, made.remarks) == (7, 1, 7, 0, [])
    assert looked_at(Coalition(SMALL)) == Audit(), "a record without an entry"


# --- files that somebody has changed ----------------------------------------------------------------------------------


def test_every_file_that_the_ledger_relied_on_is_missed(clean):
    files = handed(clean)
    assert sorted({each.method for each in files}) == ["contribute", "report", "share", "update"] and len(files) == 16
    for each in files:
        made = looked_at(clean, without(clean, each.locator))
        fault = made.fault()
        assert fault is not None and fault.code is Code.PROOFS_FILE and fault.exit_code == 3
        assert fault.what.startswith(f"cannot be verified: file {each.locator.hex()}, ")
        assert "iteration 1, is not among the objects" in fault.what
        assert each.method == "report" or each.member in fault.what
        assert made.of(Kind.WRONG) == [] and len(made.of(Kind.MISSING)) == 1


def test_a_changed_byte_in_any_file_is_noticed_and_so_is_a_file_in_the_place_of_another(clean, tmp_path):
    choose = random.Random(5)
    store = write_objects(clean, tmp_path / "objects")
    files = handed(clean)
    damages: list[Callable[[bytes, bytes], bytes]] = [
        lambda right, _: flipped(right, choose),
        lambda _, other: other,
        lambda right, _: right[:-1],
        lambda right, _: right + b"\0",
        lambda _right, _: b"",
    ]
    for place, each in enumerate(files):
        path, other = object_file(store, each.locator), object_file(store, files[place - 1].locator).read_bytes()
        right = path.read_bytes()
        path.write_bytes(damages[place % len(damages)](right, other))
        fault = looked_at(clean, ObjectFolder(tmp_path)).fault()
        assert fault is not None and fault.code is Code.PROOFS_FILE, each
        assert f"file {each.locator.hex()}, " in fault.what and "is damaged" in fault.what
        path.write_bytes(right)
    assert looked_at(clean, ObjectFolder(tmp_path)).fault() is None


def flipped(data: bytes, choose: random.Random) -> bytes:
    changed = bytearray(data)
    changed[choose.randrange(len(changed))] ^= 1 << choose.randrange(8)
    return bytes(changed)


# --- what the ledger has dealt with -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_leader(clean: Coalition) -> str:
    leader = clean.state.block(0).leader
    assert leader is not None
    return leader


def test_what_was_shown_to_be_wrong_is_reported_and_is_no_fault(first_leader):
    faulty: Mapping[str, Faulty] = {"p01": a.WrongGradient, "p06": a.WrongShares, first_leader: a.WrongSum}
    made = looked_at(Coalition(SMALL, faulty).run())
    assert kinds(made) == [
        (Kind.CONVICTED, "p01", "gradient"),
        (Kind.CONVICTED, first_leader, SUM),
        (Kind.CONVICTED, "p06", SHARES),
    ]
    assert made.remarks[0].text == "batch 0 of the gradient of p01 in iteration 1 is wrong, and was shown to be"
    assert [remark.batch for remark in made.remarks] == [0, 0, 0]
    assert made.fault() is None and made.sums == 2


def test_a_sum_that_nobody_can_compute_again_is_not_said_to_be_right(first_leader):
    coalition = Coalition(SMALL, {first_leader: a.WrongSum}).run()
    made = looked_at(coalition, without(coalition, locator(coalition, "contribute", "p00")))
    assert kinds(made) == [(Kind.MISSING, "p00", "gradient")] and made.sums == 0


@pytest.mark.parametrize(
    ("faulty", "what", "why"),
    [
        (a.WithheldShares, SHARES, "is not among the objects"),
        (Garbage, "gradient", "is not what the ledger names"),
    ],
)
def test_what_was_never_there_did_not_count_and_is_no_fault(faulty, what, why):
    made = looked_at(Coalition(SMALL, {"p02": faulty}).run())
    assert kinds(made) == [(Kind.REFUSED, "p02", what)] and why in made.remarks[0].text
    assert made.fault() is None


def test_a_value_out_of_range_is_no_fault_as_nobody_reported_it_as_opened():
    coalition = Coalition(SMALL, {"p04": Greedy})
    coalition.run(lambda: coalition.state.group.iterations < 2)
    made = looked_at(coalition)
    assert (made.rounds, made.opened, made.fault()) == (0, 0, None)


class Unfair(a.Faulty):
    """A worker that does not approve p02's gradient, whatever it is."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method != "verify":
            return call
        said = calls.Verify.from_value(call.arguments)
        return calls.call(replace(said, approved=tuple(each for each in said.approved if each != "p02")))


class Nay(a.Faulty):
    """Says that the sum is wrong, or not there, whatever it is."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method not in ("check", "take"):
            return call
        said = calls.METHODS[call.method].from_value(call.arguments)
        assert isinstance(said, calls.Check | calls.Take)
        return calls.call(replace(said, right=0))


def first_iteration(faulty: Mapping[str, Faulty]) -> Coalition:
    coalition = Coalition(SMALL, faulty)

    def goes_on() -> bool:
        iteration = coalition.state.iteration
        return iteration is None or (iteration.number == 1 and iteration.attempt == 0)

    return coalition.run(goes_on)


def without(coalition: Coalition, missing: Digest) -> Store:
    store = MemoryStore()
    store._objects = {name: data for name, data in objects(coalition).items() if name != missing}
    return store


def locator(coalition: Coalition, method: str, member: str) -> Digest:
    return next(each.locator for each in handed(coalition) if (each.method, each.member) == (method, member))


def test_what_is_right_and_was_voted_down_is_doubtful_and_need_not_be_there(tmp_path):
    workers = Coalition(SMALL).terms.workers
    coalition = Coalition(SMALL, dict.fromkeys(workers, Unfair)).run()
    made = looked_at(coalition)
    assert kinds(made) == [(Kind.DOUBTFUL, "p02", "gradient")] and made.fault() is None
    name = locator(coalition, "contribute", "p02")
    made = looked_at(coalition, without(coalition, name))
    assert kinds(made) == [(Kind.REFUSED, "p02", "gradient")] and made.fault() is None
    object_file(write_objects(coalition, tmp_path), name).write_bytes(b"damaged")
    made = looked_at(coalition, ObjectFolder(tmp_path))
    assert kinds(made) == [(Kind.MISSING, "p02", "gradient")], "nobody can say what it was"


def test_a_sum_that_is_right_and_was_rejected_or_taken_back_is_doubtful(first_leader):
    honest = Coalition(SMALL).terms
    for refusing, kind in ((honest.workers, EMPTY), (honest.parties, VOID)):
        coalition = first_iteration(dict.fromkeys(refusing, Nay))
        assert coalition.state.block(coalition.state.group.blocks - 1).kind == kind
        made = looked_at(coalition)
        assert kinds(made) == [(Kind.DOUBTFUL, first_leader, SUM)] and made.fault() is None
        made = looked_at(coalition, without(coalition, locator(coalition, "update", first_leader)))
        assert kinds(made) == [(Kind.REFUSED, first_leader, SUM)] and made.fault() is None


def test_a_wrong_sum_that_the_workers_approved_is_a_fault_also_when_the_parties_take_it_back():
    honest = Coalition(SMALL).terms
    lying: dict[str, Faulty] = dict.fromkeys(honest.workers, blind(a.WrongSum))
    lying |= dict.fromkeys(honest.parties, blind(Nay))
    coalition = first_iteration(lying)
    assert [coalition.state.block(number).kind for number in range(2)] == [SUMS, VOID]
    assert [(remark.kind, remark.what) for remark in looked_at(coalition).remarks] == [(Kind.WRONG, SUM)]


# --- what nobody has dealt with ---------------------------------------------------------------------------------------


class Forged(a.Faulty):
    """Reports another opened sum than it has found, the same as its accomplices."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method != "report":
            return call
        said = calls.Report.from_value(call.arguments)
        assert said.opened is not None
        count, bits = self.role.rules.terms.values, self.role.rules.terms.key.slot_bits
        sums = read_opened(site.store.get(said.opened, size_max=1 << 20), said.iteration, count, bits)
        forged = site.store.put(write_opened(said.iteration, [int(each) + 1 for each in sums], bits))
        return calls.call(replace(said, opened=forged))


@pytest.mark.parametrize(
    ("liars", "what", "text"),
    [
        (["p03"], "gradient", "batch 0 of the gradient of p03 in iteration 1 is wrong, and was taken as right"),
        (["w00", "w01", "w02", "w03"], SUM, "batch 0 of the sum of {leader} in iteration 1 is wrong, and was taken"),
        (["p05"], SHARES, "batch 0 of the shares of p05 in iteration 1 is wrong, and was taken as right"),
        (
            ["p00", "p01", "p02", "p03", "p04"],
            OPENED,
            "the opened sum of iteration 1 is {opened}, and not {forged} as p00, p01, p02, p03, p04 reported",
        ),
    ],
)
def test_where_all_look_away_what_is_wrong_and_counted_is_found_and_named(
    clean: Coalition, liars: Sequence[str], what: str, text: str
) -> None:
    lies: Mapping[str, Faulty] = {"gradient": a.WrongGradient, SUM: a.WrongSum, SHARES: a.WrongShares, OPENED: Forged}
    coalition = all_blind(SMALL, {liar: blind(lies[what]) for liar in liars})
    result, block = coalition.state.result(1), coalition.state.block(0)
    assert block.kind == SUMS, "it has succeeded"
    made = looked_at(coalition)
    assert [(remark.kind, remark.what) for remark in made.of(Kind.WRONG)] == [(Kind.WRONG, what)]
    fault = made.fault()
    reports = {member: words.opened for member, words in said(coalition) if isinstance(words, calls.Report)}
    opened = next(digest for party, digest in reports.items() if party not in liars)
    assert opened is not None
    assert fault is not None and fault.code is Code.PROOFS and fault.exit_code == 3
    assert fault.what.startswith(text.format(leader=block.leader, opened=opened.hex(), forged=result.opened.hex()))


@pytest.mark.slow
def test_a_wrong_sum_that_a_quorum_of_the_workers_approved_is_a_fault_though_the_parties_did_not_sign():
    honest = Coalition(SMALL)
    roles: dict[str, Faulty] = {
        each: a.Agreeable if each in honest.terms.workers else a.Faulty for each in honest.members
    }
    coalition = Coalition(SMALL, roles)
    coalition.run(lambda: coalition.state.iteration is None or coalition.state.iteration.attempt == 0)
    assert coalition.state.block(0).kind == EMPTY
    fault = looked_at(coalition).fault()
    assert fault is not None and fault.code is Code.PROOFS and "batch 0 of the sum of w" in fault.what


def test_another_record_in_the_place_of_the_verified_one_is_refused(clean):
    record = exported(clean)
    found = verified(clean, record)
    longer = Coalition(SMALL, {"p01": a.WrongGradient}).run()
    changed = BytesIO(exported(longer).getvalue())
    with pytest.raises(VerificationError) as raised:
        audit(changed, found, clean.store)
    assert raised.value.code is Code.RECORD_EXTENSION


def test_a_conviction_of_what_is_right_would_be_a_fault(clean):
    record = exported(clean)
    found = verified(clean, record)
    dossiers = Dossiers(clean.terms)
    for applied, state in replayed(record, terms_of, found.coalition, found.head):
        dossiers.note(applied, state)
    (dossier,) = dossiers.all()
    dossier.convicted[MemberId("p02")] = 0
    made = audit_dossiers([dossier], PaillierJudge.of(clean.terms), clean.store)
    fault = made.fault()
    assert fault is not None and "nothing is wrong with the gradient of p02" in fault.what


def test_the_folder_may_be_that_of_the_coalition_of_the_store_or_the_innermost(clean, tmp_path: Path):
    store = write_objects(clean, tmp_path / "objects")
    for folder in (tmp_path, store, store / "objects"):
        assert looked_at(clean, ObjectFolder(folder)).fault() is None
