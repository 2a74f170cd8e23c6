"""Fraud proofs: what is wrong is shown by anybody and convicts; what is right is never convicted, whoever tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.deepchain import people as p
from tests.protocols.deepchain.people import People
from tests.protocols.deepchain.world import World, number, terms

from tclearn.encoding import Digest, MemberId, digest, encode
from tclearn.ledger import Rejected
from tclearn.limits import (
    DEEPCHAIN_UNFOUNDED_PER_ITERATION_MAX,
    PAILLIER_BATCH_BYTES_MAX,
    TRANSACTION_BYTES_MAX,
)
from tclearn.protocols.deepchain import KeyTerms, calls
from tclearn.protocols.deepchain.batches import batches_tree, items_tree, proof_digest
from tclearn.protocols.deepchain.duties import running_deadline
from tclearn.protocols.deepchain.records import COMPLETE, DISSOLVED, EMPTY, SUMS, VOID, WAITING
from tclearn.protocols.deepchain.refusals import Refusal
from tclearn.protocols.deepchain.times import (
    APPENDING,
    CHECKING,
    COLLECTING,
    DOWNLOADING,
    RETURNING,
    UPDATING,
    UPLOADING,
    VERIFYING,
)

MANY = 300
"""Ciphertexts of a gradient of three batches, the last one short."""


def at(phase: str, lies=None, **changes: object) -> World:
    people = People(World(terms(ciphertexts=MANY, **changes)), lies or {}, watchful=False)  # type: ignore[arg-type]
    return people.until(phase)


def second_batch_wrong(world: World, duty):
    batches = [(list(items), proof) for items, proof in world.gradient(duty.member)]
    batches[1][0][100] = number(5)
    return calls.Contribute(world.iteration.number, world.put(batches), digest("file"))


BLIND = {f"w{i:02d}": {"verify": (p.approve_all,)} for i in range(4)}


@pytest.mark.parametrize("phase", [VERIFYING, UPLOADING])
def test_one_wrong_batch_convicts_its_party_and_the_workers_that_approved_it(phase):
    world = at(phase, {"p01": {"contribute": (second_batch_wrong,)}, "w00": BLIND["w00"], "w01": BLIND["w01"],
                       "w02": BLIND["w02"]})  # fmt: skip
    batch = world.wrong_batch("p01")
    assert batch == 1
    world.say("w03", world.accusation("p01", batch))
    assert world.iteration.convicted == ("p01",)
    approving = ("w00", "w01", "w02") if phase == UPLOADING else ()
    assert world.iteration.out == approving
    assert [m for m in world.members if world.coins(m) < 10_000] == list(approving)
    assert world.refused("p00", world.accusation("p01", batch)) == Refusal.ALREADY_DONE
    assert phase != UPLOADING or world.refused("p01", calls.Attach(1)) == Refusal.NOT_ASKED
    People(world).run()
    assert MemberId("p01") not in world.state.block(0).counted and world.coins("p01") < 10_000
    assert world.state.accounts.fault() is None


def test_a_conviction_costs_the_deposit_also_where_too_few_workers_vote():
    world = at(VERIFYING, {"p01": {"contribute": (second_batch_wrong,)}})
    world.say("p00", world.accusation("p01", 1))
    asleep = {"w00", "w01"}
    people = People(world, asleep=set(asleep), watchful=False)
    while people.one_word():
        pass
    deadline = running_deadline(world.state)
    assert deadline is not None and world.iteration.phase == VERIFYING
    world.now = deadline.due_ms
    world.say("p00", calls.Timeout(deadline.subject))
    lost = {m for m in world.members if world.coins(m) < 10_000}
    assert lost == {"p01", *asleep}, "two votes are no quorum, and needed none"
    assert world.state.group.status == WAITING, "and two workers are too few to begin with"


def test_a_conviction_of_the_last_that_is_waited_for_ends_the_wait():
    world = at(UPLOADING, {"p01": {"contribute": (second_batch_wrong,)}, **{w: BLIND[w] for w in BLIND}})
    for party in ("p00", "p02", "p03"):
        world.say(party, calls.Attach(1))
    assert world.iteration.phase == UPLOADING
    world.say("p00", world.accusation("p01", 1))
    iteration = world.state.iteration
    assert iteration is None or iteration.phase != UPLOADING


def test_whoever_approves_what_is_convicted_already_is_fined_at_once():
    world = at(VERIFYING, {"p01": {"contribute": (second_batch_wrong,)}})
    world.say("p00", world.accusation("p01", 1))
    world.say("w00", calls.Verify(1, world.terms.parties))
    assert world.iteration.out == ("w00",)


def test_a_batch_of_another_form_is_wrong_whatever_the_judge_would_say():
    for items in ([number(1)] * 127, [number(1)] * 127 + [b"longer than eight"], []):

        def misshapen(world: World, duty, items: Sequence[bytes] = items):
            (_, proof), *rest = world.gradient(duty.member)
            return calls.Contribute(1, world.put([(items, proof), *rest]), digest("file"))

        world = at(COLLECTING, {"p00": {"contribute": (misshapen,)}})
        duty = next(d for d in world.duties(MemberId("p00")) if d.kind == "contribute")
        world.say("p00", misshapen(world, duty))
        asked = world.judge.asked
        world.say("w00", world.accusation("p00", 0))
        assert world.iteration.convicted == ("p00",) and world.judge.asked == asked


@pytest.mark.parametrize("phase", [CHECKING, APPENDING, DOWNLOADING])
def test_a_wrong_sum_is_shown_by_one_ciphertext_of_each_gradient(phase):
    blind = {w: {"check": (p.check_wrongly,), "update": (p.wrong_sum,)} for w in ("w00", "w01", "w02", "w03")}
    world = at(phase, blind, iterations=1)
    leading = world.iteration.leader
    approving = {worker for worker, right in world.iteration.checks.items() if right}
    assert world.refused("p00", replace(world.disputed(2, 43), attempt=1)) == Refusal.WRONG_ATTEMPT
    world.say("p00", world.disputed(2, 43))
    kinds = [world.state.block(i).kind for i in range(world.state.group.blocks)]
    assert kinds == ([SUMS, VOID] if phase == DOWNLOADING else [EMPTY])
    assert leading in approving
    assert {m for m in world.members if world.coins(m) < 10_000} == approving
    if phase == DOWNLOADING:
        assert world.state.group.voids == 1
        assert world.state.block(1).previous == world.state.block(0).hash
    else:
        assert world.iteration.attempt == 1 and world.iteration.leader not in approving


def test_wrong_shares_are_shown_while_they_are_used():
    world = at(RETURNING, {"p01": {"share": (p.wrong_shares,)}}, iterations=1)
    assert world.wrong_share("p01") == 0
    world.say("w00", world.challenged("p01", 0))
    assert world.iteration.unshared == ("p01",)
    assert world.refused("w01", world.challenged("p01", 0)) == Refusal.ALREADY_DONE
    People(world).run()
    assert world.state.group.status == COMPLETE
    assert world.state.result(1).paid.get("p01", 0) == 0 and world.coins("p01") < 10_000


def test_what_too_few_sound_shares_would_open_does_not_count_whoever_says_so():
    liars = ("p00", "p01", "p02")
    world = at(RETURNING, {who: {"share": (p.wrong_shares,)} for who in liars}, voids=1)
    for who in liars:
        world.say("w00", world.challenged(who, 0))
    for party in world.terms.parties:
        world.say(party, calls.Report(1, (), digest("so they say")))
    assert world.state.group.rounds == 0 and world.state.group.status == DISSOLVED


# --- nobody is convicted who is right --------------------------------------------------------------------------------


def test_accusations_that_prove_nothing_cost_nobody_and_come_to_an_end():
    world = at(VERIFYING)
    right = world.accusation("p01", 0)
    for _ in range(DEEPCHAIN_UNFOUNDED_PER_ITERATION_MAX):
        world.say("w00", right)
    assert world.iteration.unfounded == {"w00": 3} and world.iteration.convicted == ()
    asked = world.judge.asked
    assert world.refused("w00", right) == Refusal.TOO_MANY_UNFOUNDED
    assert world.judge.asked == asked, "the judge is not asked again"
    world.say("w01", right)
    world = at(DOWNLOADING)
    world.say("w00", world.disputed(0, 0))
    world.say("w00", world.disputed(2, 43))
    assert world.iteration.unfounded == {"w00": 2} and world.iteration.phase == DOWNLOADING
    world = at(RETURNING)
    world.say("w00", world.challenged("p03", 2))
    assert world.iteration.unfounded == {"w00": 1} and world.iteration.unshared == ()


def test_accusations_have_their_time():
    world = at(UPDATING)
    assert world.refused("p00", world.accusation("p01", 0)) == Refusal.WRONG_PHASE
    world = at(VERIFYING)
    nothing = replace(world.accusation("p01", 0), party=MemberId("w00"))
    assert world.refused("p00", nothing) == Refusal.NOTHING_ACCUSED
    late = world.accusation("p01", 0)
    world.now += 10**9
    assert world.refused("p00", late) == Refusal.TOO_LATE


SCENES = {
    "accuse": lambda: (w := at(VERIFYING), w.accusation("p01", 1)),
    "dispute": lambda: (w := at(DOWNLOADING), w.disputed(1, 77)),
    "challenge": lambda: (w := at(RETURNING), w.challenged("p02", 1)),
}
BUILT = {kind: make() for kind, make in SCENES.items()}


def twisted(value, draw):
    """A value with something in it changed."""
    if isinstance(value, bytes):
        at_byte = draw(st.integers(0, len(value) - 1))
        changed = bytes([value[at_byte] ^ draw(st.integers(1, 255))])
        return type(value)(value[:at_byte] + changed + value[at_byte + 1 :])
    if isinstance(value, int):
        return draw(st.integers(0, 4))
    if isinstance(value, str):
        return MemberId(draw(st.sampled_from(["p00", "p01", "p02", "p03", "w00"])))
    if isinstance(value, tuple):
        if not value or draw(st.integers(0, 3)) == 0:
            return draw(st.sampled_from([(), value[:-1], (*value, *value[-1:])]))
        place = draw(st.integers(0, len(value) - 1))
        return (*value[:place], twisted(value[place], draw), *value[place + 1 :])
    name = draw(st.sampled_from([field.name for field in fields(value)]))
    return replace(value, **{name: twisted(getattr(value, name), draw)})


@pytest.mark.parametrize("kind", sorted(SCENES))
@given(data=st.data())
def test_no_accusation_made_of_true_parts_and_false_ones_convicts_the_honest(kind, data):
    world, right = BUILT[kind]
    view, index, log = dict(world.view), world.index, len(world.log)
    twist = twisted(right, data.draw)
    try:
        world.say("w00", twist)
        iteration = world.state.iteration
        assert iteration is not None
        assert (iteration.convicted, iteration.unshared, iteration.out, iteration.attempt) == ((), (), (), 0)
        assert world.state.accounts.minted == sum(world.coins(m) for m in world.members)
        assert all(world.coins(m) == 10_000 for m in world.members)
    except Rejected as refused:
        assert Refusal(refused.code)
    finally:
        world.view, world.index = view, index
        del world.log[log:]


def test_trees_of_ones_own_are_not_what_was_handed_in():
    """Consistent in themselves, and false: only the root on the ledger tells."""
    own = [([number(9)] * 128, b"proof"), ([number(9)] * 128, b"proof"), ([number(9)] * 44, b"proof")]
    tree = batches_tree(own)
    path = tuple(tree.inclusion_proof(1, 3))
    items, proof = tuple(own[1][0]), own[1][1]
    world = at(VERIFYING)
    assert world.refused("w00", calls.Accuse(1, MemberId("p01"), 1, items, proof, path)) == Refusal.WRONG_PATH
    world = at(DOWNLOADING)
    inner = items_tree(items)
    forged = calls.Opened(items[5], tuple(inner.inclusion_proof(5, 128)), inner.root(128), proof_digest(proof), path)
    right = world.disputed(1, 5)
    for addends, total in (
        ((forged, *right.addends[1:]), right.total),
        (right.addends, forged),
        ((replace(forged, batch_path=right.addends[0].batch_path), *right.addends[1:]), right.total),
        (right.addends[::-1], right.total),
    ):
        assert world.refused("w00", replace(right, addends=addends, total=total)) == Refusal.WRONG_PATH
    world = at(RETURNING)
    true = world.challenged("p01", 1)
    for changes in (
        {"shares": items, "proof": proof, "path": path},
        {"shares": items, "proof": proof},
        {"ciphertexts": items, "sum_path": path},
        {"ciphertexts": items},
    ):
        assert world.refused("w00", replace(true, **changes)) == Refusal.WRONG_PATH


def test_a_gradient_of_an_earlier_iteration_or_of_another_party_convicts_who_shows_it_as_its_own():
    world = World(terms(ciphertexts=MANY))
    people = People(world)
    people.until(VERIFYING)
    old = world.iteration.gradients["p01"].root
    while world.iteration.number == 1:
        assert people.one_word()
    for party, root in (("p01", old), ("p02", world.put(world.gradient("p03")))):
        world.say(party, calls.Contribute(2, root, digest("file")))
        world.say("w00", world.accusation(party, 2))
        assert party in world.iteration.convicted


def test_fraud_proofs_fit_into_a_transaction_at_the_standard_size():
    """A key of 3072 bits, the largest batch message that is read as a proof, sums of 256 parties."""
    key = KeyTerms(b"key", 24, 16, 1, 86, 768, 768, 1 << 24, (1,) * 256)
    path = tuple(Digest(bytes(32)) for _ in range((key.batches - 1).bit_length()))
    items = tuple(bytes(768) for _ in range(128))
    proof = bytes(PAILLIER_BATCH_BYTES_MAX)
    accuse = calls.Accuse(1, MemberId("p" * 63), key.batches - 1, items, proof, path)
    opened = calls.Opened(bytes(768), path[:7], Digest(bytes(32)), Digest(bytes(32)), path)
    dispute = calls.Dispute(1, 1, 1, 1, (opened,) * 256, opened)
    challenge = calls.Challenge(1, MemberId("p" * 63), 1, items, path, items, proof, path)
    for said in (accuse, dispute, challenge):
        assert len(encode(calls.call(said).to_value())) < TRANSACTION_BYTES_MAX - 1000
