"""What members, former members and thieves of keys try with changes of the members, and do not get."""

from __future__ import annotations

import pytest
from tests.protocols.company import NOW, Company, enrolment_of, keys_of, record_of
from tests.protocols.test_membership import FOUR, admit, expel, rotate

from tclearn.directory.changes import ask_to_admit, ask_to_expel, submitted, take_keys
from tclearn.encoding import Digest, MemberId, digest, encode
from tclearn.errors import AgentError
from tclearn.limits import CHANGES_OF_MEMBERS_ASKED_MAX
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.calls import EXPEL, Change
from tclearn.protocols.tclearn.drawing import next_link, settled
from tclearn.protocols.tclearn.governing import CHANGE_OPEN_BLOCKS, open_changes
from tclearn.protocols.tclearn.records import ASKED, DONE, VOID
from tclearn.records import Record

TURIN = MemberId("turin")


@pytest.fixture
def company() -> Company:
    return Company(list(FOUR))


@pytest.fixture
def busy() -> Company:
    """A candidate is open: what is decided of the members waits."""
    company = Company(list(FOUR))
    company.blocks(1)
    while not company.state.open_candidates():
        if not company.step():
            company.pass_time()
    return company


def say(company: Company, name: str, arguments: Record) -> str:
    """Why the contract refuses; empty when it does not."""
    return submitted(company.ledger, company.coalition, company.signer(name), calls.call(arguments))


def to_expel(company: Company, name: str) -> calls.Request:
    return calls.Request(Change(EXPEL, company.state.tip + 1, expelled=MemberId(name)))


def rests(company: Company) -> None:
    """Work until nothing is under way, and all that is decided has taken effect."""
    for _ in range(3000):
        state = company.state
        if state.pending is None and not state.open_candidates() and not state.members_changing:
            return
        if not company.step():
            company.pass_time()
    raise AssertionError("it did not come to rest")


def statuses(company: Company, kind: str) -> list[str]:
    found = map(company.state.asked, company.state.changes())
    return [each.status for each in found if each.change.kind == kind]


@pytest.mark.parametrize("voters", [["turin"], FOUR[:3]])
def test_whose_departure_is_decided_takes_no_other_keys(busy: Company, voters: list[str]) -> None:
    """The rotation that came after took effect on somebody who was no member: no replica could go on."""
    expel(busy, "turin", voters)
    with pytest.raises(AgentError, match="it is decided that turin leaves"):
        rotate(busy, "turin")
    rests(busy)
    assert busy.state.members == ("leuven", "namur", "porto")
    busy.blocks(1)


@pytest.mark.parametrize("voters", [["turin"], FOUR[:3]])
def test_a_rotation_that_waits_is_void_when_the_departure_is_decided(busy: Company, voters: list[str]) -> None:
    fresh = busy.keys["turin"].rotated(bytes(64))
    assert not take_keys(busy.ledger, busy.coalition, busy.signer("turin"), enrolment_of("turin", fresh), NOW)
    expel(busy, "turin", voters)
    assert statuses(busy, "rotate") == [VOID]
    rests(busy)
    assert busy.state.members == ("leuven", "namur", "porto")
    assert busy.state.member_of(fresh.signer.public) is None
    busy.blocks(1)


@pytest.mark.parametrize("first", ["the thief", "the others"])
def test_a_thief_does_not_keep_the_keys_that_the_others_replace(busy: Company, first: str) -> None:
    thief = busy.keys["turin"]
    own = enrolment_of("turin", thief.rotated(b"thief" + bytes(59)))
    if first == "the thief":
        take_keys(busy.ledger, busy.coalition, thief.signer, own, NOW)
    admit(busy, "turin", FOUR[:3], generation=5)
    if first == "the others":
        with pytest.raises(AgentError, match="it is decided that turin leaves, or has other keys"):
            take_keys(busy.ledger, busy.coalition, thief.signer, own, NOW)
    rests(busy)
    assert busy.state.roll.named(TURIN) == record_of(enrolment_of("turin", keys_of("turin", 5)))


def test_a_thief_cannot_leave_in_the_name_of_whoever_has_other_keys(busy: Company) -> None:
    thief = busy.signer("turin")
    admit(busy, "turin", FOUR[:3], generation=5)
    assert not submitted(busy.ledger, busy.coalition, thief, calls.call(to_expel(busy, "turin")))
    rests(busy)
    assert busy.state.member_of(busy.signer("turin").public) == "turin"
    assert statuses(busy, "expel") == [VOID]


def test_nobody_protects_another_by_asking_first_and_withdrawing() -> None:
    """What others have approved stays approved, and passes to whoever approved next."""
    company = Company(["arles", "basel", *FOUR, "vienna"])
    assert not say(company, "arles", to_expel(company, "basel"))
    needed = ["leuven", "namur", "porto", "turin", "vienna"]
    for name in needed:
        ask_to_expel(company.ledger, company.coalition, company.signer(name), MemberId("basel"))
        if "basel" not in company.state.members:
            break
        say(company, "arles", to_expel(company, "leuven"))
        found = [each for each in open_changes(company.state) if each.change.expelled == "basel"]
        assert found[0].asked_by == "leuven"
        assert found[0].approvals == tuple(needed[: needed.index(name) + 1])
    assert "basel" not in company.state.members


def test_what_a_member_has_taken_over_is_not_withdrawn_by_asking_for_something_else(company: Company) -> None:
    assert not say(company, "porto", to_expel(company, "turin"))
    expel(company, "turin", ["leuven"])
    assert not say(company, "porto", to_expel(company, "namur"))
    assert not say(company, "leuven", to_expel(company, "porto"))
    approved = {each.change.expelled: each.approvals for each in open_changes(company.state)}
    assert approved == {"turin": ("leuven",), "namur": ("porto",), "porto": ("leuven",)}


def test_who_would_take_over_its_own_expulsion_does_not_leave_by_that(company: Company) -> None:
    assert not say(company, "porto", to_expel(company, "turin"))
    ask_to_expel(company.ledger, company.coalition, company.signer("turin"), TURIN)
    assert not say(company, "porto", to_expel(company, "namur"))
    assert "turin" in company.state.members
    assert [each.change.expelled for each in open_changes(company.state)] == ["namur"]


def test_what_was_taken_over_lapses_when_it_would_have(company: Company) -> None:
    assert not say(company, "porto", to_expel(company, "turin"))
    expel(company, "turin", ["leuven"])
    assert not say(company, "porto", to_expel(company, "namur"))
    assert len(open_changes(company.state)) == 2
    company.blocks(CHANGE_OPEN_BLOCKS + 1)
    assert not open_changes(company.state)


def test_rotating_again_does_not_bring_an_earlier_chain_back(company: Company) -> None:
    """The generals of the coming height are known: whoever is first would choose between two links."""
    company.blocks(1)
    rests(company)
    rotate(company, "turin", 1)
    while next_link(company.state, TURIN) != (1, 0):
        company.blocks(1)
        rests(company)
    rotate(company, "turin", 2)
    rests(company)
    assert next_link(company.state, TURIN) == (1, 0)
    company.blocks_until(lambda: company.state.seed_chain(TURIN).epoch == 2)


def test_a_newcomer_does_not_leave_the_draw_by_rotating(company: Company) -> None:
    company.blocks(1)
    rests(company)
    admit(company, "ghent", FOUR[:3])
    ghent = MemberId("ghent")
    assert next_link(company.state, ghent) is None
    rotate(company, "ghent", 1)  # before it may be general: it waits still
    assert next_link(company.state, ghent) is None
    while next_link(company.state, ghent) is None:
        company.blocks(1)
        rests(company)
    before = next_link(company.state, ghent)
    rotate(company, "ghent", 2)
    rests(company)
    assert next_link(company.state, ghent) == before
    start = company.state.tip + 1
    company.blocks_until(lambda: bool(company.sealed_by("ghent", start)))


def test_where_nobody_waits_a_rotation_does_not_choose_the_link(company: Company) -> None:
    """All are new, so all may be general at once; who rotates then knows the seed that its link would meet."""
    company.blocks(2)
    rests(company)
    for name in FOUR:
        admit(company, name, [other for other in FOUR if other != name], generation=3)
    before = company.state.seed_chain(TURIN)
    assert settled(company.state) + 1 < before.from_height
    assert next_link(company.state, TURIN) == (0, 0)
    rotate(company, "turin")
    after = company.state.seed_chain(TURIN)
    assert (next_link(company.state, TURIN), after.last) == ((0, 0), before.last)
    company.blocks_until(lambda: company.state.seed_chain(TURIN).epoch == 1)
    assert None not in [chained.block.general for chained in company.state.blocks()][1:]


def test_before_the_first_block_a_rotation_does_not_choose_the_link(company: Company) -> None:
    tip = company.state.seed_chain(TURIN).last
    rotate(company, "turin")
    chain = company.state.seed_chain(TURIN)
    assert (next_link(company.state, TURIN), chain.last) == ((0, 0), tip)
    admit(company, "ghent", FOUR[:3])
    assert next_link(company.state, MemberId("ghent")) is None


def test_readings_are_witnessed_when_fewer_members_are_a_quorum() -> None:
    """Two of five are silent: no quorum has cosigned. Without the two, all three have, and nobody says more."""
    company = Company([*FOUR, "vienna"], stop=2, confidential=True)
    company.blocks(2)
    silent = ("turin", "vienna")
    works(company, silent)
    newest = company.state.block(company.state.tip)
    assert newest.locator is not None
    assert not say(company, "leuven", calls.Access(newest.locator, "use", block=newest.index))
    works(company, silent)
    (waiting,) = company.state.unwitnessed()
    expel(company, "turin", ["leuven", "namur", "porto", "vienna"])
    expel(company, "vienna", FOUR[:3])
    state = company.state
    assert state.members == ("leuven", "namur", "porto")
    assert all(state.cosigned(member) > state.access(waiting).entry for member in state.members)
    assert not state.unwitnessed()
    assert state.witnessed(state.access(waiting))


def works(company: Company, silent: tuple[str, ...] = ()) -> None:
    for _ in range(200):
        if not company.step(silent):
            return
    raise AssertionError("it did not come to rest")


def test_other_keys_have_cosigned_and_declared_nothing() -> None:
    company = Company(list(FOUR), turns="free", confidential=True)
    company.blocks(2)
    rests(company)
    assert company.state.cosigned(TURIN) > 0
    newest = company.state.block(company.state.tip)
    works_for_access(company, newest.locator)
    assert not say(company, "turin", calls.Declare(newest.hash, b"\xff" * 16))
    rests(company)
    assert company.state.declared(TURIN) is not None
    admit(company, "turin", FOUR[:3], generation=9)
    assert company.state.member_of(company.signer("turin").public) == "turin"
    assert company.state.cosigned(TURIN) == 0
    assert company.state.declared(TURIN) is None
    assert company.state.declared_ids(TURIN) == b""
    company.blocks(2)


def works_for_access(company: Company, locator: Digest | None) -> None:
    assert locator is not None
    if company.state.granted(TURIN, locator) is None:
        assert not say(company, "turin", calls.Access(locator, "train"))


def test_asking_again_and_again_is_bounded_and_leaves_no_enrolments_behind(company: Company) -> None:
    before = size(company)
    for number in range(CHANGES_OF_MEMBERS_ASKED_MAX):
        ask(company, number)
    with pytest.raises(AgentError, match=f"has asked for {CHANGES_OF_MEMBERS_ASKED_MAX} changes of the members"):
        ask(company, CHANGES_OF_MEMBERS_ASKED_MAX)
    assert statuses(company, "admit") == [ASKED]  # the others were withdrawn
    enrolment = len(enrolment_of("ghent", keys_of("ghent", 0)))
    assert size(company) - before < enrolment + CHANGES_OF_MEMBERS_ASKED_MAX * 600
    # It may leave at any time, and the others may ask.
    admit(company, "ghent", ["leuven", "namur", "porto"])
    assert statuses(company, "admit")[-1] == DONE
    ended = [each for each in map(company.state.asked, company.state.changes()) if each.status != ASKED]
    assert [(each.status, each.change.enrolment) for each in ended] == [(DONE, None)]
    ask(company, CHANGES_OF_MEMBERS_ASKED_MAX)  # a change has taken effect
    expel(company, "turin", ["turin"])
    assert "turin" not in company.state.members


def test_what_has_lapsed_keeps_no_enrolment(company: Company) -> None:
    ask(company, 0)
    (name,) = company.state.changes()
    company.blocks(CHANGE_OPEN_BLOCKS + 1)
    assert company.state.asked(name).change.enrolment is not None
    expel(company, "porto", ["leuven"])
    assert company.state.asked(name).change.enrolment is None
    assert "lapsed" in say(company, "namur", calls.Approve(name))
    assert "no such change" in say(company, "namur", calls.Approve(digest("x")))


def ask(company: Company, number: int) -> None:
    enrolment = enrolment_of("delft", keys_of("delft", number))
    ask_to_admit(company.ledger, company.coalition, company.signer("turin"), enrolment, NOW)


def size(company: Company) -> int:
    view = company.state._view
    return sum(len(encode(view[key])) for key in view)
