"""An iteration: what honest members bring about, and what it costs whom when one of them deviates at a time point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import pytest
from tests.protocols.deepchain import people as p
from tests.protocols.deepchain.people import LIES, Lie, People
from tests.protocols.deepchain.world import START, TIMES, World, chain_links, terms

from tclearn.coalition.sortition import leader
from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Duty
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.duties import running_deadline
from tclearn.protocols.deepchain.records import (
    COMPLETE,
    DECRYPTION,
    DISSOLVED,
    EMPTY,
    GRADIENTS,
    SUMS,
    VOID,
    WAITING,
    WORK,
    Links,
)
from tclearn.protocols.deepchain.refusals import Refusal
from tclearn.protocols.deepchain.times import (
    APPENDING,
    CHECKING,
    COLLECTING,
    DECRYPTING,
    DOWNLOADING,
    PHASES,
    RETURNING,
    UPDATING,
    UPLOADING,
    VERIFYING,
)
from tclearn.records import Record

T = TypeVar("T")


def at(phase: str, lies: Mapping[str, Mapping[str, tuple[Lie, ...]]] | None = None, **changes: object) -> World:
    """Honest members, unless they lie, until a phase of the first iteration has just begun."""
    return People(World(terms(**changes)), lies or {}).until(phase)  # type: ignore[arg-type]


def the(value: T | None) -> T:
    assert value is not None
    return value


def losses(world: World, member: str) -> int:
    return the(world.state.joined(MemberId(member))).losses


def pass_deadline(world: World, late_ms: int = 0) -> None:
    deadline = running_deadline(world.state)
    assert deadline is not None
    world.now = deadline.due_ms + late_ms
    world.say("p00", calls.Timeout(deadline.subject))


# --- everybody is honest ---------------------------------------------------------------------------------------------


def test_iterations_follow_each_other_until_all_are_done():
    world = World(terms(iterations=3))
    People(world).run()
    state = world.state
    assert (state.group.status, state.group.rounds, state.group.iterations) == (COMPLETE, 3, 3)
    assert world.now == START, "with everybody present no deadline is waited for"
    previous = Digest(bytes(32))
    for number in range(3):
        block, result = state.block(number), state.result(number + 1)
        assert (block.kind, block.previous, block.number) == (SUMS, previous, number)
        previous = block.hash
        assert block.counted == world.terms.parties and result.divisor == 4
        assert set(block.committee) == set(world.members)
        assert result.block == number and block.iteration == result.iteration == number + 1
        sums = world.store[block.root] if block.root else []
        assert result.opened == digest("opened", [list(items) for items, _ in sums])
    for member in world.members:
        assert state.accounts.locked[member] == {}, "deposits are back"
    money = world.terms.money
    assert state.accounts.minted == 80_000 + 3 * 120 + sum(
        result.paid.get(worker, 0) for result in map(state.result, (1, 2, 3)) for worker in world.terms.workers
    )
    assert all(
        0 <= money.worker_reward - sum(result.paid.get(worker, 0) for worker in world.terms.workers) < 4
        for result in map(state.result, (1, 2, 3))
    )


def test_the_sum_is_of_those_present_and_divided_by_their_number():
    world = World(terms(iterations=1))
    People(world, {"p02": {"contribute": (p.silent,)}}).run()
    result = world.state.result(1)
    assert result.divisor == 3
    assert world.state.block(0).counted == (MemberId("p00"), MemberId("p01"), MemberId("p03"))


def test_a_sum_with_weights_is_divided_by_the_weights_of_those_present():
    world = World(terms(iterations=1, key=replace(terms().key, weights=(1, 20, 300, 4000))))
    People(world, {"p01": {"attach": (p.silent,)}}).run()
    assert world.state.result(1).divisor == 4301


def test_who_contributes_more_is_paid_more():
    world = World(terms(iterations=1))
    People(world, {"p02": {"share": (p.silent,)}, "w01": {"verify": (p.approve_none,)}}).run()
    paid = world.state.result(1).paid
    money = world.terms.money
    assert paid["p00"] == 2 * money.party_reward // 7 and paid["p02"] == money.party_reward // 7
    leading = the(world.state.block(0).leader)
    shares = {worker: (worker != "w01") + (worker == leading) for worker in world.terms.workers}
    total = sum(shares.values())
    assert {w: paid.get(w, 0) for w in shares} == {w: money.worker_reward * own // total for w, own in shares.items()}
    assert (paid[leading] > 0 and "w01" not in paid) or leading == "w01"


def test_leaders_take_turns_by_their_coins_and_the_draw_can_be_recomputed():
    world = World(terms(iterations=4, money=replace(terms().money, worker_reward=0)))
    people = People(world)
    led = []
    for number in range(1, 5):
        people.until(UPDATING)
        state, iteration = world.state, world.iteration
        seed = digest("tclearn/deepchain/draw/1", state.seed, iteration.number, iteration.attempt)
        validity = {w: state.accounts.validity[w] for w in world.terms.workers}
        assert iteration.leader == leader(seed, validity)
        led.append(the(iteration.leader))
        while (running := world.state.iteration) and running.number == number:
            assert people.one_word()
    assert sorted(led) == sorted(world.terms.workers), "without new coins nobody leads twice before all have led"
    assert world.state.accounts.era == 0


def test_the_next_seed_has_the_leaders_link_in_it():
    world = at(UPDATING)
    leading, seed = the(world.iteration.leader), world.state.seed
    link = chain_links(leading)[1]
    duty = next(d for d in world.duties(leading) if d.kind == "update")
    world.say(leading, the(world.honest(duty)))
    assert world.state.seed == digest("tclearn/deepchain/seed/1", seed, link)
    assert world.state.links(leading) == Links(link, 1)


def test_when_all_coins_are_spent_a_new_era_begins():
    world = World(terms(iterations=5, money=replace(terms().money, worker_reward=0)))
    People(world).run()
    assert (world.state.group.rounds, world.state.accounts.era) == (5, 1)


# --- one deviates ----------------------------------------------------------------------------------------------------

MONEY = terms().money
DEVIATIONS = [
    # time point, duty, lie, who, deposit
    ("t1", "contribute", p.silent, "p01", GRADIENTS),
    ("t1", "contribute", p.wrong_gradient, "p01", GRADIENTS),
    ("t1", "contribute", p.withheld_gradient, "p01", GRADIENTS),
    ("t2", "verify", p.silent, "w01", WORK),
    ("t3", "attach", p.silent, "p01", GRADIENTS),
    ("t4", "take", p.silent, "p01", DECRYPTION),
    ("t5", "share", p.silent, "p01", DECRYPTION),
    ("t5", "share", p.wrong_shares, "p01", DECRYPTION),
    ("t5", "share", p.withheld_shares, "p01", DECRYPTION),
    ("t6", "report", p.silent, "p01", DECRYPTION),
    ("t6", "report", p.wrong_report, "p01", DECRYPTION),
    ("t7", "update", p.silent, "leader", WORK),
    ("t7", "update", p.wrong_sum, "leader", WORK),
    ("t7", "update", p.sum_of_its_own, "leader", WORK),
]
DEPOSITS = {GRADIENTS: MONEY.gradient_deposit, DECRYPTION: MONEY.decryption_deposit, WORK: MONEY.work_deposit}


@pytest.mark.parametrize(("time", "duty", "lie", "who", "purpose"), DEVIATIONS)
def test_who_deviates_pays_and_the_others_get_it(time, duty, lie, who, purpose):
    base = terms(iterations=1, money=replace(MONEY, party_reward=0, worker_reward=0))
    if who == "leader":
        who = People(World(base)).until(UPDATING).iteration.leader
    world = World(base)
    People(world, {who: {duty: (lie,)}}).run()
    assert world.state.group.status == COMPLETE, "the others go on without it"
    others = [m for m in world.members if m != who]
    paid = [m for m in others if purpose == WORK or m in base.parties]
    each = DEPOSITS[purpose] // (len(base.members if purpose == WORK else base.parties) - 1)
    assert each > 0
    assert world.coins(who) == 10_000 - DEPOSITS[purpose]
    assert {m: world.coins(m) for m in others} == {m: 10_000 + each * (m in paid) for m in others}
    assert world.state.accounts.pot == DEPOSITS[purpose] - each * len(paid)


@pytest.mark.parametrize(("phase", "kind"), [(CHECKING, "check"), (APPENDING, "append")])
def test_at_t8_and_t9_those_who_keep_a_block_from_being_made_pay(phase, kind):
    base = terms(iterations=1, money=replace(MONEY, party_reward=0, worker_reward=0))
    idle = ["w00", "w01", "w02"] if kind == "check" else ["p00", "p01", "w00", "w01"]
    world = World(base)
    people = People(world, {who: {kind: (p.silent,)} for who in idle})
    leading = people.until(UPDATING).iteration.leader
    people.until(phase)
    while people.one_word():
        pass
    pass_deadline(world)
    assert world.state.block(0).kind == EMPTY
    silent = [who for who in idle if who != leading or kind == "append"]
    for member in world.members:
        assert (world.coins(member) < 10_000) == (member in silent), member
    assert world.state.accounts.fault() is None


def test_signatures_of_others_do_not_make_a_block():
    world = World(terms(iterations=1))
    people = People(world, {"p03": {"contribute": (p.silent,)}}, asleep=set())
    while world.state.iteration is None or world.iteration.phase != APPENDING:
        if not people.one_word():
            pass_deadline(world)
    block = the(world.iteration.block)
    for member in ("p03", *block.committee[:4]):
        world.say(member, calls.Append(block.hash, world.cosign(member)))
    assert (len(world.iteration.signed), world.iteration.signatures, len(block.committee)) == (5, 4, 7)
    pass_deadline(world)
    assert world.state.block(0).reason == "the committee did not sign"


def test_late_signatures_and_those_of_others_are_kept_for_the_head_and_cost_nobody():
    world = World(terms(iterations=1))
    people = People(world, {"p03": {"contribute": (p.silent,)}})
    while world.state.iteration is None or world.iteration.phase != DOWNLOADING:
        if not people.one_word():
            pass_deadline(world)
    block = world.iteration.block
    assert block is not None and "p03" not in block.committee
    assert "p03" in world.iteration.signed and world.iteration.signatures == 5 == len(world.iteration.signed) - 1
    late = next(m for m in block.committee if m not in world.iteration.signed)
    duty = next(d for d in world.duties(late) if d.kind == "append")
    assert duty.due_ms is None
    world.say(late, the(people.decide(duty)))
    assert late in world.iteration.signed


def test_a_party_that_does_not_say_whether_it_has_the_sum_pays_once_and_the_others_open_it():
    world = at(DOWNLOADING, iterations=1)
    for party in world.terms.parties[1:]:
        world.say(party, calls.Take(1, 1))
    pass_deadline(world)
    assert world.iteration.phase == DECRYPTING and world.iteration.openers == world.terms.parties[1:]
    assert world.state.accounts.locked["p00"].keys() == {GRADIENTS}, "it has paid at T_t4"
    assert world.refused("p00", calls.Share(1, digest("root"), digest("file"))) == Refusal.NOT_ASKED
    world.say("p00", calls.Stake(1))  # for the next iteration; T_t5 and T_t6 are not its business any more
    for party in world.terms.parties[1:]:
        world.say(party, the(world.honest(next(d for d in world.duties(party) if d.kind == "share"))))
    assert world.iteration.phase == RETURNING, "nobody waits for it"
    assert world.refused("p00", calls.Report(1, ())) == Refusal.NOT_ASKED
    People(world).run()
    assert world.state.group.status == COMPLETE and losses(world, "p00") == 1
    assert world.state.result(1).paid["p00"] == MONEY.party_reward // 7, "for its gradient, which is in the sum"


def withheld_sum(world: World, duty: Duty) -> Record | None:
    """A sum that only the workers are shown: they vote as if it were in the store."""
    return replace(the(world.honest(duty)), root=digest("only some have it"))  # type: ignore[type-var]


def believe(world: World, duty: Duty) -> Record | None:
    return calls.Check(world.iteration.number, world.iteration.attempt, 1)


def test_a_sum_that_a_quorum_of_the_parties_cannot_fetch_costs_its_leader_and_no_party():
    blind: dict[str, tuple[Lie, ...]] = {"update": (withheld_sum,), "check": (believe,)}
    world = at(DOWNLOADING, dict.fromkeys(terms().workers, blind), iterations=1)
    leading = the(world.iteration.leader)
    for party in ("p00", "p01", "p02"):
        (duty,) = (d for d in world.duties(MemberId(party)) if d.kind == "take")
        said = the(world.honest(duty))
        assert said == calls.Take(1, 0)
        world.say(party, said)
    assert world.iteration.number == 1, "the fourth is still waited for"
    pass_deadline(world)
    blocks = [world.state.block(number) for number in range(world.state.group.blocks)]
    assert [block.kind for block in blocks] == [SUMS, VOID]
    assert blocks[1].reason == "parties do not have the sum of block 0" and blocks[1].leader == leading
    assert {m for m in world.members if losses(world, m)} == {leading, "p03"}, "and who said nothing at all"
    assert world.state.accounts.locked["p03"].keys() == {GRADIENTS}
    assert (world.state.group.voids, world.state.accounts.fault()) == (1, None)


def test_who_says_that_the_sum_is_not_to_be_had_pays_nothing_for_it_and_still_owes_its_shares():
    base = terms(iterations=1, money=replace(MONEY, party_reward=0, worker_reward=0))
    world = World(base)
    People(world, {"p01": {"take": (p.deny_the_sum,)}}).run()
    assert world.state.group.status == COMPLETE and all(world.coins(m) == 10_000 for m in world.members)
    world = World(base)
    People(world, {"p01": {"take": (p.deny_the_sum,), "share": (p.silent,)}}).run()
    assert {m for m in world.members if world.coins(m) < 10_000} == {"p01"}
    assert world.coins("p01") == 10_000 - MONEY.decryption_deposit


@pytest.mark.parametrize("words", [(1, 1, 0, 0), (1, 1, 0, None), (1, 1, None, None)])
def test_without_a_quorum_that_has_the_sum_nobody_is_asked_for_shares_and_only_the_silent_pay(words):
    world = at(DOWNLOADING, voids=1)
    for party, right in zip(world.terms.parties, words, strict=True):
        if right is not None:
            world.say(party, calls.Take(1, right))
    if None in words:
        pass_deadline(world)
    assert world.state.group.status == DISSOLVED
    silent = {p for p, right in zip(world.terms.parties, words, strict=True) if right is None}
    assert {m for m in world.members if losses(world, m)} == silent


def test_several_who_deviate_each_pay_the_whole_fine():
    base = terms(7, 4, iterations=1, money=replace(MONEY, party_reward=0, worker_reward=0, coins=dict.fromkeys(
        [*(f"p{i:02d}" for i in range(7)), *(f"w{i:02d}" for i in range(4))], 10_000)))  # fmt: skip
    world = World(base)
    People(world, {"p01": {"contribute": (p.silent,)}, "p05": {"attach": (p.silent,)}}).run()
    assert [world.coins(m) for m in base.parties] == [10_100, 9700, 10_100, 10_100, 10_100, 9700, 10_100]
    assert world.state.accounts.pot == 100, "what each of the two would have got of the other's"


# --- blocks that stay empty ------------------------------------------------------------------------------------------


def test_a_silent_leader_leaves_an_empty_block_and_another_one_is_drawn():
    world = at(UPDATING)
    first, seed = world.iteration.leader, world.state.seed
    pass_deadline(world)
    block = world.state.block(0)
    assert (block.kind, block.leader, block.root) == (EMPTY, first, None)
    assert world.iteration.leader not in (None, first) and world.iteration.attempt == 1
    assert world.state.seed == digest("tclearn/deepchain/seed/1", seed, "withheld"), "withholding is no choice"
    assert first in world.iteration.out


def test_blocks_are_tried_every_t_r_until_t_t4():
    silent = {f"w{i:02d}": {"update": (p.silent,)} for i in range(4)}
    base = terms(voids=1, times=replace(TIMES, t4=125_000, t5=130_000, t6=140_000))
    world = World(base)
    People(world, silent).run()
    blocks = [world.state.block(number) for number in range(world.state.group.blocks)]
    assert [(block.attempt, block.time_ms - START) for block in blocks] == [(0, 40_000), (1, 70_000), (2, 100_000)]
    assert len({block.leader for block in blocks}) == 3
    assert world.state.group.status == DISSOLVED


def test_after_the_last_block_that_may_be_tried_parties_have_as_long_for_the_sum_as_after_the_first():
    """Two leaders are silent, the third block is signed with its last millisecond, at the T_t4 of the terms."""
    base = terms(4, 7, iterations=1, times=replace(TIMES, t4=120_000, t5=130_000, t6=140_000))
    world = World(base)
    people = People(world)
    for _ in range(2):
        people.until(UPDATING)
        pass_deadline(world)
    assert world.iteration.attempt == 2 and not base.times.allows_attempt(3)
    people.until(APPENDING)
    block = the(world.iteration.block)
    unsigned = [member for member in block.committee if member not in world.iteration.signed]
    world.now = the(running_deadline(world.state)).due_ms - 1
    assert world.now == START + base.times.t4 - 1
    for member in unsigned:
        if world.iteration.phase == APPENDING:
            world.say(member, calls.Append(block.hash, world.cosign(member)))
    assert world.iteration.phase == DOWNLOADING
    assert the(running_deadline(world.state)).due_ms - world.now > base.times.t4 - base.times.t9
    world.now += base.times.t4 - base.times.t9
    People(world).run()
    assert world.state.group.status == COMPLETE
    leaders = {world.state.block(number).leader for number in (0, 1)}
    assert {m for m in world.members if losses(world, m)} == leaders


def test_whoever_has_failed_in_an_iteration_gets_nothing_of_what_workers_lose_in_it():
    def first_wrong(world: World, duty: Duty) -> Record | None:
        return world.honest(duty) if world.iteration.attempt else p.wrong_sum(world, duty)

    base = terms(4, 7, iterations=1)
    base = replace(base, money=replace(base.money, party_reward=0, worker_reward=0))
    lies: dict[str, dict[str, tuple[Lie, ...]]] = {worker: {"update": (first_wrong,)} for worker in base.workers}
    lies["p01"] = dict.fromkeys(("contribute", "take", "share", "report", "stake"), (p.silent,))
    mute = base.workers[0]
    lies[mute] = {"verify": (p.silent,)}
    world = World(base)
    People(world, lies).run()
    leading = the(world.state.block(0).leader)
    lost = {member: world.coins(member) for member in ("p01", leading, mute)}
    work = MONEY.work_deposit // (len(base.members) - 1)
    assert lost == {
        "p01": 10_000 - MONEY.gradient_deposit - MONEY.decryption_deposit,
        leading: 10_000 - MONEY.work_deposit + work,  # of the silent worker's, before it has led
        mute: 10_000 - MONEY.work_deposit,
    }
    accounts = world.state.accounts
    assert accounts.fault() is None
    for member in set(world.members) - set(lost):
        party = (MONEY.gradient_deposit // 3 + MONEY.decryption_deposit // 3) * (member in base.parties)
        assert world.coins(member) == 10_000 + 2 * work + party


def test_a_sum_that_a_quorum_of_the_workers_rejects_costs_its_leader_and_nobody_else():
    world = at(CHECKING)
    leading, seed = world.iteration.leader, world.state.seed
    for worker in world.terms.workers:
        if worker != leading:
            world.say(worker, calls.Check(1, 0, 0))
    assert world.state.block(0).reason == "workers rejected the sum" and world.iteration.attempt == 1
    assert world.state.seed == seed, "the leader has shown its link, and that is in it"
    assert [m for m in world.members if world.coins(m) < 10_000] == [leading]


def test_workers_that_disagree_make_no_block_and_nobody_pays():
    world = at(CHECKING)
    leading = world.iteration.leader
    others = [worker for worker in world.terms.workers if worker != leading]
    for worker, right in zip(others, (1, 0, 0), strict=True):
        world.say(worker, calls.Check(1, 0, right))
    assert world.state.block(0).reason == "workers did not decide"
    assert all(world.coins(m) == 10_000 for m in world.members)


# --- too few, and no decision ----------------------------------------------------------------------------------------


def test_a_gradient_on_which_workers_did_not_decide_is_left_out_and_costs_nothing():
    lies = {w: {"verify": (lambda world, _: calls.Verify(1, world.good_gradients()[1:]),)} for w in ("w00", "w01")}
    world = World(terms(iterations=1))
    People(world, lies).run()
    assert world.state.block(0).counted == world.terms.parties[1:]
    assert losses(world, "p00") == 0


def test_when_workers_are_divided_on_all_gradients_the_next_iteration_begins_at_once():
    lies = {worker: {"verify": (p.approve_none,)} for worker in ("w00", "w01")}
    world = at(VERIFYING)
    people = People(world, lies)
    while world.iteration.number == 1:
        assert people.one_word()
    assert world.iteration.phase == COLLECTING and all(world.coins(m) == 10_000 for m in world.members)


@pytest.mark.parametrize(("kind", "few"), [("contribute", 2), ("attach", 2), ("share", 3)])
def test_with_too_few_an_iteration_fails_and_those_who_did_their_part_gain(kind, few):
    idle = [f"p{i:02d}" for i in range(few)]
    world = World(terms(voids=1))
    People(world, {who: {kind: (p.silent,)} for who in idle}).run()
    assert world.state.group.status == DISSOLVED and world.state.group.rounds == 0
    assert world.now == START + {"contribute": TIMES.t1, "attach": TIMES.t3, "share": TIMES.t5}[kind], "and at once"
    assert not any(isinstance(said, calls.Report) for _, said, _ in world.log), "there is nothing to say"
    for party in world.terms.parties:
        assert (world.coins(party) < 10_000) == (party in idle)


def test_when_nobody_agrees_what_the_sum_is_nothing_comes_of_it():
    lies = {party: {"report": (p.wrong_report,)} for party in ("p00", "p01")}
    world = World(terms(voids=1))
    People(world, lies).run()
    assert world.state.group.status == DISSOLVED
    assert all(losses(world, party) == 0 for party in world.terms.parties)


def test_who_says_that_it_could_not_open_the_sum_is_not_to_blame():
    world = World(terms(iterations=1))
    People(world, {"p02": {"report": (lambda world, _: calls.Report(world.iteration.number, ()),)}}).run()
    assert world.state.group.status == COMPLETE and losses(world, "p02") == 0


def test_only_failures_in_a_row_dissolve_the_group():
    def every_other(world: World, duty: Duty) -> Record | None:
        return world.honest(duty) if world.iteration.number % 2 == 0 else None

    world = World(terms(iterations=2, voids=2))
    People(world, {party: {"contribute": (every_other,)} for party in ("p00", "p01")}).run()
    assert (world.state.group.status, world.state.group.iterations) == (COMPLETE, 4)


def test_a_liar_and_one_that_is_away_are_more_than_f_and_use_up_all_failures_at_once():
    """A limit: failed iterations follow each other without a pause, as long as enough deposits are locked."""
    world = World(terms(voids=5))
    lies = {"w03": {"check": (p.check_wrongly,), "update": (p.wrong_sum,)}}
    People(world, lies, asleep={"w00"}, watchful=False).run()
    assert (world.state.group.status, world.state.group.iterations) == (DISSOLVED, 5)
    assert world.now == START + TIMES.patience_ms, "it is waited for at the founding, and then for nobody"


def test_without_enough_deposits_the_group_waits_and_then_ends_with_everything_given_back():
    world = World(terms())
    people = People(world, {who: {"contribute": (p.silent,), "stake": (p.silent,)} for who in ("p00", "p01")})
    while world.state.group.status != WAITING:
        if not people.one_round():
            world.now = the(people.deadline_ms())
    before = {m: world.coins(m) for m in world.members}
    assert people.one_round() is False
    pass_deadline(world)
    assert world.state.group.status == DISSOLVED
    assert all(world.state.accounts.free[m] == before[m] for m in world.members)


def test_who_has_lost_its_deposit_takes_part_again_once_it_has_locked_another():
    world = World(terms(iterations=3))

    def first_silent(world: World, duty: Duty) -> Record | None:
        return None if world.iteration.number == 1 else world.honest(duty)

    People(world, {"p01": {"contribute": (first_silent,)}}).run()
    counted = [world.state.block(number).counted for number in range(3)]
    assert [MemberId("p01") in each for each in counted][::2] == [False, True]


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_after_its_deadline_nothing_is_taken_any_more_and_a_millisecond_before_it_is(phase):
    world = at(phase)
    people = People(world)
    deadline = running_deadline(world.state)
    assert deadline is not None
    step = world.iteration.block.hash if phase == APPENDING and world.iteration.block else world.iteration.step
    asked = [(m, d) for m in world.members for d in world.duties(m) if d.subject == step]
    member, duty = asked[0]
    said = people.decide(duty)
    assert said is not None
    assert duty.due_ms == deadline.due_ms
    world.now = deadline.due_ms
    assert world.refused(member, said) == Refusal.TOO_LATE
    assert world.duties(member)[0].kind == "timeout"
    world.now -= 1
    assert world.refused(member, calls.Timeout(deadline.subject)) == Refusal.TOO_EARLY
    world.say(member, said)


def test_deadlines_stand_where_the_terms_put_them():
    offsets = {
        COLLECTING: 10, VERIFYING: 20, UPLOADING: 30, UPDATING: 40, CHECKING: 50,
        APPENDING: 60, DOWNLOADING: 160, DECRYPTING: 170, RETURNING: 180,
    }  # fmt: skip
    for phase, seconds in offsets.items():
        deadline = running_deadline(at(phase).state)
        assert deadline is not None and deadline.due_ms == START + seconds * 1000


def test_a_phase_that_ends_late_puts_off_all_that_follow():
    world = at(COLLECTING)
    for party in world.terms.parties[1:]:
        duty = next(d for d in world.duties(party) if d.kind == "contribute")
        world.say(party, the(world.honest(duty)))
    pass_deadline(world, late_ms=7_000_000)
    deadline = running_deadline(world.state)
    assert world.iteration.phase == VERIFYING and deadline is not None
    assert deadline.due_ms == START + 7_000_000 + TIMES.t2
    People(world).run()
    assert world.state.group.rounds == world.terms.iterations


# --- refusals --------------------------------------------------------------------------------------------------------


def test_calls_of_another_iteration_phase_attempt_or_member_are_refused_by_code():
    world = at(COLLECTING)
    handed = (digest("root"), digest("file"))
    assert world.refused("p00", calls.Contribute(2, *handed)) == Refusal.WRONG_ITERATION
    assert world.refused("w00", calls.Contribute(1, *handed)) == Refusal.NOT_ASKED
    assert world.refused("p00", calls.Attach(1)) == Refusal.WRONG_PHASE
    world.say("p00", calls.Contribute(1, *handed))
    assert world.refused("p00", calls.Contribute(1, *handed)) == Refusal.ALREADY_DONE
    assert world.refused("p00", calls.Timeout(digest("x"))) == Refusal.NO_DEADLINE
    world = at(VERIFYING)
    for approved in (("p01", "p00"), ("p00", "p00"), ("w00",)):
        assert world.refused("w00", calls.Verify(1, tuple(map(MemberId, approved)))) == Refusal.BAD_ARGUMENT
    assert world.refused("p00", calls.Verify(1, ())) == Refusal.NOT_ASKED
    world = at(UPDATING)
    leading = the(world.iteration.leader)
    other = next(w for w in world.terms.workers if w != leading)
    link = chain_links(leading)
    assert world.refused(other, calls.Update(1, 0, *handed, chain_links(other)[1])) == Refusal.NOT_ASKED
    assert world.refused(leading, calls.Update(1, 1, *handed, link[1])) == Refusal.WRONG_ATTEMPT
    for wrong in (link[0], link[2], digest("x")):
        assert world.refused(leading, calls.Update(1, 0, *handed, wrong)) == Refusal.BAD_SEED_LINK
    world = at(CHECKING)
    assert world.refused(the(world.iteration.leader), calls.Check(1, 0, 1)) == Refusal.ALREADY_DONE
    worker = next(w for w in world.terms.workers if w != world.iteration.leader)
    assert world.refused(worker, calls.Check(1, 0, 2)) == Refusal.BAD_ARGUMENT
    world = at(APPENDING)
    head = world.cosign("p00")
    assert world.iteration.block and world.iteration.sum
    assert world.refused("p00", calls.Append(digest("x"), head)) == Refusal.UNKNOWN_BLOCK
    for size in (world.iteration.sum.entry, world.iteration.sum.entry + 2):
        another = replace(head, size=size)
        assert world.refused("p00", calls.Append(world.iteration.block.hash, another)) == Refusal.WRONG_HEAD
    world = at(DOWNLOADING)
    assert world.refused("p00", calls.Take(1, 2)) == Refusal.BAD_ARGUMENT
    assert world.refused("w00", calls.Take(1, 1)) == Refusal.NOT_ASKED
    world = at(RETURNING)
    assert world.refused("p00", calls.Report(1, (MemberId("w00"),))) == Refusal.BAD_ARGUMENT
    done = World()
    People(done).run()
    assert done.refused("p00", calls.Take(3, 1)) == Refusal.WRONG_ITERATION


def test_every_lie_of_every_duty_leaves_the_others_whole():
    for kind, lies in LIES.items():
        for lie in lies:
            for who in ("p01", "w02"):
                world = World()
                People(world, {who: {kind: (lie,)}}).run()
                assert world.state.group.status == COMPLETE, (kind, lie.__name__)
                for member in world.members:
                    assert member == who or losses(world, member) == 0, (kind, lie.__name__, member)
