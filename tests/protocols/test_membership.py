"""Members come, go and take other keys while the model is trained."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.protocols.company import NOW, Company, enrolment_of, keys_of, record_of

from tclearn.coalition.quorum import quorum
from tclearn.directory.changes import approve, ask_for_revert, ask_to_admit, ask_to_expel, find_change, take_keys
from tclearn.encoding import MemberId, digest
from tclearn.errors import AgentError, Code, MessageError, UsageError
from tclearn.ledger import Transaction
from tclearn.ledger.export import ExportReader
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.calls import Change
from tclearn.protocols.tclearn.governing import change_id, open_changes
from tclearn.protocols.tclearn.sealing import members_digest

FOUR = ["leuven", "namur", "porto", "turin"]


def admit(company: Company, name: str, by: Sequence[str], generation: int = 0) -> None:
    company.generations[name] = generation
    company.keys[name] = keys_of(name, generation)
    enrolment = enrolment_of(name, company.keys[name])
    for voter in by:
        ask_to_admit(company.ledger, company.coalition, company.signer(voter), enrolment, NOW)
    company.start(name)


def expel(company: Company, name: str, by: Sequence[str]) -> None:
    for voter in by:
        ask_to_expel(company.ledger, company.coalition, company.signer(voter), MemberId(name))


def rotate(company: Company, name: str, entropy: int = 1) -> None:
    fresh = company.keys[name].rotated(digest("rotated", name, entropy) * 2)
    take_keys(company.ledger, company.coalition, company.signer(name), enrolment_of(name, fresh), NOW)
    company.keys[name] = fresh
    company.restart(name)


@pytest.fixture
def company() -> Company:
    return Company(list(FOUR))


def test_a_newcomer_is_admitted_by_two_thirds_and_trains(company: Company) -> None:
    company.blocks(2)
    before = company.state.block(company.state.tip).members
    admit(company, "ghent", ["leuven", "namur"])
    assert company.state.members == ("leuven", "namur", "porto", "turin")
    admit(company, "ghent", ["porto"])
    assert list(company.state.members) == ["ghent", "leuven", "namur", "porto", "turin"]
    company.blocks_until(lambda: bool(company.sealed_by("ghent", 0)))
    company.blocks_until(lambda: company.state.block(company.state.tip).contributions.get("ghent", 0) > 0)
    blocks = [chained.block for chained in company.state.blocks()]
    newest = blocks[-1]
    assert newest.members == members_digest(company.state) != before
    assert "ghent" in {block.contributor for block in blocks}
    assert "ghent" in {block.general for block in blocks}
    assert any(vote.member == "ghent" and vote.vote == "yes" for block in blocks for vote in block.votes)
    assert newest.contributions["ghent"] > 0
    assert abs(sum(newest.strengths.values()) - 2_000_000) < 10
    assert company.verified().cosigned is not None


def test_a_newcomer_shows_no_link_before_its_chain_may_be_used(company: Company) -> None:
    company.blocks(2)
    admit(company, "ghent", FOUR[:3])
    admitted_at = company.state.tip
    company.blocks_until(lambda: bool(company.sealed_by("ghent", 0)))
    generals = [company.state.block(index).general for index in range(admitted_at + 1, company.state.tip + 1)]
    first = generals.index(MemberId("ghent"))
    # f + 1 = 2 others have shown a link since, before which the newcomer had committed to its own.
    assert len(set(generals[:first])) >= 2


def test_the_expelled_have_no_say_and_their_records_stay_used(company: Company) -> None:
    company.blocks(4)
    own = company.state.block(company.state.tip).contributions["turin"]
    assert own > 0
    expel(company, "turin", FOUR[:3])
    state = company.state
    assert state.members == ("leuven", "namur", "porto")
    assert state.former == ("turin",)
    assert company.contract.duties(state, MemberId("turin"), company.now) == []
    with pytest.raises(MessageError) as refused:
        company.ledger.submit(
            Transaction.signed(
                company.signer("turin"),
                company.coalition,
                calls.call(calls.Timeout(digest("x"))),
                sequence=1 << 50,
                expires_ms=company.now + 1000,
            )
        )
    assert refused.value.code is Code.UNKNOWN_SIGNER
    company.blocks(3)
    newest = company.state.block(company.state.tip)
    assert newest.contributions["turin"] == own
    assert set(newest.strengths) == {"leuven", "namur", "porto"}
    assert not {member for vote in newest.votes for member in [vote.member]} & {"turin"}
    assert company.verified().entries == len(company.ledger)


def test_the_turn_of_the_expelled_goes_on(company: Company) -> None:
    company.blocks(1)
    turn = company.state.turn.member
    assert turn is not None
    expel(company, turn, [name for name in FOUR if name != turn])
    after = company.state.turn
    assert after.member in company.state.members
    assert after.due_ms is not None


def test_leaving_needs_nobody_else(company: Company) -> None:
    expel(company, "turin", ["turin"])
    assert "turin" not in company.state.members
    expel(company, "porto", ["porto"])
    with pytest.raises(AgentError, match="at least 2 members"):
        expel(company, "namur", ["namur"])


def test_what_is_decided_waits_until_nothing_is_under_way(company: Company) -> None:
    company.blocks(1)
    while not company.state.open_candidates():
        company.step()
    admit(company, "ghent", FOUR[:3])
    expel(company, "turin", FOUR[:3])
    assert company.state.members_changing
    assert company.state.members == tuple(FOUR)
    assert [change.status for change in open_changes(company.state)] == ["approved", "approved"]
    height = company.state.tip
    while company.state.tip == height:
        assert company.state.members == tuple(FOUR)
        assert company.step()
    assert company.state.members == ("ghent", "leuven", "namur", "porto")
    assert company.state.block(company.state.tip).members != members_digest(company.state)


def test_nobody_proposes_meanwhile_where_turns_are_free() -> None:
    company = Company(list(FOUR), turns="free")
    company.blocks(1)
    while not company.state.open_candidates():
        company.step()
    open_now = {candidate.number for candidate in company.state.open_candidates()}
    admit(company, "ghent", FOUR[:3])
    while company.state.members_changing:
        assert {candidate.number for candidate in company.state.open_candidates()} <= open_now
        if not company.step():
            company.pass_time()
    assert "ghent" in company.state.members
    company.blocks(3)


def test_approvals_of_the_expelled_count_no_more_and_the_others_are_counted_anew(company: Company) -> None:
    company.blocks(2)
    admit(company, "ghent", ["turin", "leuven"])
    ask_for_revert(company.ledger, company.coalition, company.signer("porto"), 1)
    ask_for_revert(company.ledger, company.coalition, company.signer("turin"), 1)
    expel(company, "turin", FOUR[:3])
    # Two of three are enough now, and each has lost turin's. What turin has asked for is leuven's, who approved it.
    state = company.state
    assert "ghent" not in state.members
    assert state.pending is None
    assert [(each.change.kind, each.asked_by, each.approvals) for each in open_changes(state)] == [
        ("admit", "leuven", ("leuven",)),
        ("revert", "porto", ("porto",)),
    ]
    ask_for_revert(company.ledger, company.coalition, company.signer("namur"), 1)
    assert company.state.pending is not None


def test_fewer_members_may_be_enough_for_what_was_asked_before(company: Company) -> None:
    admit(company, "ghent", ["leuven", "namur"])
    expel(company, "turin", ["turin"])
    assert company.state.members == ("ghent", "leuven", "namur", "porto")


def test_a_rotated_member_goes_on_and_opens_what_it_has_committed_to() -> None:
    company = Company(list(FOUR), hidden=2)
    company.blocks(3)
    assert {company.state.seed_chain(MemberId(name)).epoch for name in FOUR} == {0}
    for name in FOUR:
        rotate(company, name)
    assert {record.key for record in company.state.member_records} == {company.signer(name).public for name in FOUR}
    shown = company.state.candidates
    company.blocks(12)
    company.blocks_until(lambda: all(company.state.seed_chain(MemberId(name)).epoch > 0 for name in FOUR))
    candidates = [company.state.candidate(number) for number in range(shown, company.state.candidates)]
    keepers = {each.hidden.part.keeper for each in candidates if each.hidden and each.hidden.part}
    assert len(keepers) >= 3
    assert not any(each.hidden.missing for each in candidates if each.hidden)
    after = {name: company.state.seed_chain(MemberId(name)) for name in FOUR}
    assert all(block.block.general is not None for block in company.state.blocks() if block.block.index > 0)
    # The chains of the enrolments have taken over, once they could be used.
    assert {chain.epoch for chain in after.values()} == {1}
    assert company.verified().cosigned is not None


def test_rotated_twice_before_the_first_new_chain_could_be_used(company: Company) -> None:
    company.blocks(1)
    rotate(company, "namur", 1)
    company.blocks(1)
    rotate(company, "namur", 2)
    start = company.state.tip + 1
    company.blocks_until(
        lambda: len(company.sealed_by("namur", start)) >= 3
    )  # the old chain's links, then the new one's
    generals = [chained.block.general for chained in company.state.blocks()]
    assert None not in generals[1:]


def test_a_member_rebuilt_from_its_key_alone_goes_on() -> None:
    company = Company(list(FOUR), hidden=2)
    company.blocks(3)
    rotate(company, "porto")
    company.blocks(2)
    company.start("porto")  # no outbox, no drafts
    start = company.state.tip + 1
    company.blocks_until(lambda: bool(company.sealed_by("porto", start)))
    company.blocks(4)
    newest = [chained.block for chained in company.state.blocks()][start:]
    assert any(block.contributor == "porto" for block in newest)
    assert any(vote.member == "porto" and vote.vote == "yes" for block in newest for vote in block.votes)


def test_lost_keys_are_replaced_by_the_others_and_the_name_goes_on() -> None:
    company = Company(list(FOUR), hidden=2)
    company.blocks(4)
    old = company.signer("turin")
    own = company.state.block(company.state.tip).contributions["turin"]
    admit(company, "turin", FOUR[:3], generation=1)
    state = company.state
    assert state.members == tuple(FOUR)
    assert state.member_of(old.public) is None
    assert state.holder(old.public) == "turin"
    kept = state.kept(MemberId("turin"))
    assert kept is None or kept.spent == len(kept.parts)  # it cannot open them
    company.blocks(12)
    newest = company.state.block(company.state.tip)
    assert newest.contributions["turin"] > own
    assert company.verified().cosigned is not None


def test_readmission_keeps_contributions_and_the_privacy_budget(company: Company) -> None:
    company.blocks(4)
    own = company.state.block(company.state.tip).contributions["turin"]
    expel(company, "turin", FOUR[:3])
    company.blocks(2)
    admit(company, "turin", FOUR[:2], generation=1)
    assert company.state.former == ()
    company.blocks(1)
    assert company.state.block(company.state.tip).contributions["turin"] >= own


def test_keys_that_were_ever_somebodys_are_never_taken_again(company: Company) -> None:
    first = company.keys["turin"]
    expel(company, "turin", ["turin"])
    for name in ("turin", "ghent"):
        with pytest.raises(AgentError, match="make new ones"):
            ask_to_admit(company.ledger, company.coalition, company.signer("leuven"), enrolment_of(name, first), NOW)
    before = company.keys["namur"]
    rotate(company, "namur")
    with pytest.raises(AgentError, match="make new ones"):
        ask_to_admit(company.ledger, company.coalition, company.signer("leuven"), enrolment_of("namur", before), NOW)


def test_all_members_may_be_exchanged_without_a_block_in_between(company: Company) -> None:
    company.blocks(2)
    for name in ("arles", "basel", "cadiz", "delft"):
        admit(company, name, list(company.state.members)[: quorum(len(company.state.members))])
    for name in FOUR:
        left = [other for other in company.state.members if other != name]
        expel(company, name, left[: quorum(len(left) + 1)])
    assert company.state.members == ("arles", "basel", "cadiz", "delft")
    company.blocks(6)
    generals = [chained.block.general for chained in company.state.blocks()]
    assert None not in generals[1:]  # nobody had to wait for anybody
    assert company.verified().cosigned is not None


def test_a_right_to_ask_for_reverts_does_not_die_out() -> None:
    company = Company(list(FOUR))
    governed = replace(
        company.charter, governance=replace(company.charter.governance, may_propose_revert=(MemberId("turin"),))
    )
    company = Company(list(FOUR))
    company.charter = governed
    company.contract = replace(company.contract, charter=governed)
    company.ledger = type(company.ledger)(company.contract, governed.digest, clock=lambda: company.now)
    for name in FOUR:
        company.start(name)
    company.blocks(2)
    with pytest.raises(AgentError, match="may not propose a revert"):
        ask_for_revert(company.ledger, company.coalition, company.signer("leuven"), 1)
    expel(company, "turin", ["turin"])
    assert ask_for_revert(company.ledger, company.coalition, company.signer("leuven"), 1).status == "asked"


def test_hostile_changes_are_refused(company: Company) -> None:
    state = company.state
    keys = keys_of("ghent")
    enrolment = enrolment_of("ghent", keys)
    record = record_of(enrolment)
    other = record_of(enrolment_of("ghent", keys_of("ghent", 1)))
    nonce = state.tip + 1
    taken = state.member_records[0]

    def refused(said: object) -> str:
        transaction = Transaction.signed(
            company.signer("leuven"),
            company.coalition,
            calls.call(said),  # type: ignore[arg-type]
            sequence=company.ledger.next_sequence(company.signer("leuven").public),
            expires_ms=company.now + 1000,
        )
        outcome = company.ledger.outcome(company.ledger.submit(transaction))
        assert outcome is not None and outcome.code
        return outcome.reason

    request = calls.Request
    cases = [
        (request(Change("admit", nonce, member=record)), "has a member's record and its enrolment"),
        (request(Change("admit", nonce, enrolment=enrolment)), "has a member's record and its enrolment"),
        (request(Change("admit", nonce, member=other, enrolment=enrolment)), "of other keys than the record"),
        (
            request(Change("admit", nonce, member=replace(record, id=MemberId("gent")), enrolment=enrolment)),
            "the enrolment is of ghent",
        ),
        (request(Change("admit", nonce, member=replace(record, origin="?"), enrolment=enrolment)), "origin"),
        (request(Change("admit", nonce, member=replace(record, certificate=None), enrolment=enrolment)), "other keys"),
        (request(Change("admit", nonce, member=record, enrolment=enrolment[:-40])), "the enrolment"),
        (request(Change("admit", nonce, member=record, enrolment=enrolment + b"x" * (16 << 10))), "bytes"),
        (request(Change("admit", nonce, member=record, enrolment=_tampered(enrolment))), "the enrolment"),
        (request(Change("admit", nonce, target=1, member=record, enrolment=enrolment)), "nothing else"),
        (request(Change("admit", nonce + 1, member=record, enrolment=enrolment)), "nonce"),
        (request(Change("rotate", nonce, member=record, enrolment=enrolment)), "names no member"),
        (request(Change("revert", nonce, target=0, member=record)), "names no member"),
        (request(Change("expel", nonce)), "names a member"),
        (request(Change("expel", nonce, expelled=MemberId("ghent"))), "not a member"),
        (request(Change("expel", nonce, expelled=MemberId("turin"), member=record)), "names a member"),
        (calls.Rotate(record, enrolment), "cannot take keys for ghent"),
        (calls.Rotate(taken, enrolment_of(taken.id, company.keys[taken.id])), "with these keys"),
    ]
    for said, reason in cases:
        assert reason in refused(said), said
    assert company.state.members == tuple(FOUR)


def _tampered(enrolment: bytes) -> bytes:
    at = len(enrolment) - 100  # in the signed statement
    return enrolment[:at] + (b"A" if enrolment[at : at + 1] != b"A" else b"B") + enrolment[at + 1 :]


def test_approving_checks_the_certificates_that_the_contract_does_not_read(company: Company) -> None:
    """A root that certifies nothing gets past every replica, and past no member's own software."""
    keys, other = keys_of("ghent"), keys_of("ghent", 1)
    good, bad = enrolment_of("ghent", keys), enrolment_of("ghent", other)
    blocks = [block for block in good.split(b"-----BEGIN ") if block]
    swapped = b"-----BEGIN ".join([b"", blocks[0], bad.split(b"-----BEGIN ")[2], blocks[2]])
    change = Change("admit", company.state.tip + 1, member=record_of(good), enrolment=swapped)
    transaction = Transaction.signed(
        company.signer("leuven"),
        company.coalition,
        calls.call(calls.Request(change)),
        sequence=0,
        expires_ms=company.now + 1000,
    )
    outcome = company.ledger.outcome(company.ledger.submit(transaction))
    assert outcome is not None and not outcome.code
    with pytest.raises(MessageError) as refused:
        approve(company.ledger, company.coalition, company.signer("namur"), change_id(change), NOW)
    assert refused.value.code is Code.CERTIFICATE


def test_changes_are_found_by_the_beginning_of_their_name(company: Company) -> None:
    asked = ask_to_expel(company.ledger, company.coalition, company.signer("leuven"), MemberId("turin"))
    name = change_id(asked.change)
    assert find_change(company.state, name.hex()[:8].upper()) == name
    for text in ("", name.hex()[:3], "00000000"):
        with pytest.raises(UsageError):
            find_change(company.state, text)
    approve(company.ledger, company.coalition, company.signer("namur"), name, NOW)
    approve(company.ledger, company.coalition, company.signer("porto"), name, NOW)
    assert "turin" not in company.state.members


def test_asking_for_another_member_withdraws_what_one_has_asked_before(company: Company) -> None:
    ask_to_expel(company.ledger, company.coalition, company.signer("leuven"), MemberId("turin"))
    ask_to_expel(company.ledger, company.coalition, company.signer("leuven"), MemberId("porto"))
    assert [each.change.expelled for each in open_changes(company.state)] == ["porto"]
    ask_to_expel(company.ledger, company.coalition, company.signer("leuven"), MemberId("turin"))
    assert [each.change.expelled for each in open_changes(company.state)] == ["turin"]


def test_one_rotation_for_each_block(company: Company) -> None:
    company.blocks(1)
    rotate(company, "namur", 1)
    with pytest.raises(AgentError, match="once for each block"):
        rotate(company, "namur", 2)


def test_the_record_of_a_coalition_without_changes_is_as_it_was() -> None:
    """Nothing of the membership is in the state before the first change."""
    company = Company(list(FOUR))
    company.blocks(1)
    view = company.state._view
    assert not [key for key in view if key.startswith(("members", "former", "credential/", "enrolment/"))]


def test_the_export_carries_the_enrolments(company: Company) -> None:
    admit(company, "ghent", FOUR[:3])
    reader = ExportReader(io.BytesIO(company.exported()))
    enrolment = enrolment_of("ghent", keys_of("ghent"))
    assert any(enrolment in data for data, _ in reader.entries())
    assert company.state.enrolment(record_of(enrolment)) == enrolment
