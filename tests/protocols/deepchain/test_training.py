"""Parties train together: what comes out is, to the bit, the mean of quantised gradients, and as good as without."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from tests.paillier.material import dealing
from tests.protocols.deepchain.training import CLIP, Coalition, Plan
from tests.protocols.deepchain.world import terms as other_terms

from tclearn.errors import CharterError, Code, MessageError, ParametersError, UsageError
from tclearn.learning.parameters import Parameters
from tclearn.paillier.keys import FAST_BITS
from tclearn.paillier.packing import Layout
from tclearn.protocols.deepchain import DeepChain
from tclearn.protocols.deepchain.agent import CLIP_UNIT, Membership, SeededForSimulation
from tclearn.protocols.deepchain.agent.performer import Performer
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import COMPLETE

LEVELS = 32767
SMALL = Plan(hidden=2, iterations=1)


@pytest.fixture(scope="module")
def trained() -> Coalition:
    coalition = Coalition(Plan(weights=(3, 1, 2, 1, 1, 2, 1))).run()
    assert coalition.state.group.status == COMPLETE and coalition.state.group.rounds == 2
    return coalition


def exact_step(value: float) -> int:
    """A value in steps by exact arithmetic, half to even."""
    clip = Fraction(CLIP, CLIP_UNIT)
    return round(max(-clip, min(clip, Fraction(value))) * LEVELS / clip)


def averaged(coalition: Coalition, *, quantised: bool) -> Parameters:
    """The training without agents, ledger and cryptography: each round from this function's own W."""
    weights = coalition.terms.key.weights
    parties = coalition.terms.parties
    now = coalition.trainers[parties[0]].initial(coalition.terms.model.seed)
    for number in range(coalition.state.group.rounds):
        models = []
        for party in parties:
            noted = coalition.trainers[party]
            work = noted.work[number][1]
            contribution = noted.trainer.train(now, work)
            assert contribution is not None
            models.append(contribution.parameters)
        tensors = {}
        for name in now:
            changes = [now[name] - model[name] for model in models]
            if quantised:
                steps = [np.vectorize(exact_step)(change) for change in changes]
                total = sum(weight * each for weight, each in zip(weights, steps, strict=True))
                mean = total.astype(np.float64) * (CLIP / CLIP_UNIT) / (LEVELS * sum(weights))
            else:
                mean = np.average(changes, axis=0, weights=weights)
            tensors[name] = now[name] - mean
        now = Parameters(tensors)
    return now


def test_the_model_is_to_the_bit_the_mean_of_the_quantised_gradients(trained):
    expected = averaged(trained, quantised=True)
    assert trained.terms.key.batches == 2
    for party in trained.terms.parties:
        assert trained.model(party).digest == expected.digest


def test_it_reads_digits_as_well_as_without_quantising(trained):
    plain = trained.accuracy(averaged(trained, quantised=False))
    before = trained.accuracy(trained.trainers["p00"].initial(1))
    assert before < 0.3 < 0.9 < plain
    assert abs(trained.accuracy(trained.model("p00")) - plain) <= 0.02


def test_honest_members_are_refused_nothing_accuse_nobody_and_lose_nothing(trained):
    said = trained.methods()
    assert {code for _, _, code in said} == {0}
    assert {"accuse", "dispute", "challenge", "timeout"}.isdisjoint(method for method, _, _ in said)
    assert trained.state.accounts.fault() is None
    earned: Counter[str] = Counter()
    for number in (1, 2):
        earned.update(trained.state.result(number).paid)
    assert {member: trained.coins(member) - 10_000 for member in trained.members} == {
        member: earned[member] for member in trained.members
    }
    assert min(earned.values()) > 0


def test_a_seeded_simulation_repeats_itself_and_another_seed_encrypts_otherwise():
    heads, roots, opened = [], [], []
    for seed in (5, 5, 6):
        coalition = Coalition(replace(SMALL, randomness=SeededForSimulation(seed))).run()
        heads.append(coalition.ledger.head(len(coalition.ledger)))
        roots.append(coalition.state.block(0).root)
        opened.append(coalition.state.result(1).opened)
    assert heads[0] == heads[1] != heads[2] and roots[0] != roots[2]
    assert opened[0] == opened[1] == opened[2]


def test_seeded_randomness_is_refused_for_keys_that_protect():
    coalition = Coalition(SMALL)
    key = dealing(7, 4, FAST_BITS).key
    layout, size = Layout(FAST_BITS, (1,) * 7), key.group.element_bytes
    names = replace(
        coalition.terms.key,
        key=key.encode(),
        ciphertext_bytes=size,
        share_bytes=size,
        ciphertexts=layout.count(coalition.terms.values),
    )
    agreed = replace(coalition.terms, key=names)
    rules = DeepChain(agreed, PaillierJudge.of(agreed))
    Performer(rules)
    with pytest.raises(UsageError, match="seeded randomness for a key of 2048 bits"):
        Performer(rules, randomness=SeededForSimulation(1))


def test_nobody_plays_a_role_without_a_key_or_for_a_model_that_has_no_gradient():
    terms = Coalition(SMALL).terms
    with pytest.raises(UsageError, match="without a threshold key"):
        Performer(DeepChain(other_terms(), object()))  # type: ignore[arg-type]
    with pytest.raises(CharterError, match="clip is 0"):
        replace(terms, key=replace(terms.key, clip=0))
    first, *others = terms.model.layout
    with pytest.raises(CharterError, match="I64"):
        replace(terms, model=replace(terms.model, layout=(replace(first, dtype="I64"), *others)))


def test_nobody_locks_deposits_with_a_share_that_is_not_its_own():
    coalition = Coalition(SMALL)
    agent = coalition.agents[0]
    assert agent.step()  # its asset
    honest = coalition.performer(coalition.members[0])
    assert honest.membership is not None
    of_another = coalition.dealing.shares[3], "party=4.* for p00"
    of_another_key = dealing(4, 2).shares[0], "share of party 1 of the key"
    for share, said in (of_another, of_another_key):
        membership = Membership(share, honest.membership.sealed, honest.membership.offer)
        agent.role = Performer(coalition.contract, membership, allow_toy=True)
        with pytest.raises(MessageError, match=said) as raised:
            agent.step()
        assert raised.value.code is Code.PAILLIER_KEY
    assert len(coalition.ledger) == 1


def test_another_w_0_is_noticed_before_anything_is_trained():
    coalition = Coalition(SMALL)
    agreed = replace(coalition.terms, model=replace(coalition.terms.model, seed=2))
    performer = Performer(DeepChain(agreed, coalition.contract.judge))
    with pytest.raises(ParametersError, match="as the terms say"):
        performer.model(coalition.state, coalition.site(coalition.members[0]))


def test_no_secret_is_in_a_repr():
    coalition = Coalition(SMALL)
    performer = coalition.performer(coalition.members[0])
    share = coalition.dealing.shares[0]
    shown = repr(performer) + repr(performer.membership) + repr(SeededForSimulation(987654321))
    assert str(int(share.value)) not in shown and f"{int(share.value):x}" not in shown
    assert "987654321" not in shown


@pytest.mark.slow  # measured: see the decision on the performers
def test_with_a_key_of_2048_bits_they_train_likewise():
    coalition = Coalition(Plan(parties=4, threshold=2, iterations=1, bits=FAST_BITS, hidden=24)).run()
    assert coalition.state.group.status == COMPLETE
    assert coalition.model("p03").digest == averaged(coalition, quantised=True).digest
