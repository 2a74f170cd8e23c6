"""Members that lie in their training: each does what it says, and what coalitions make of the worst of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
from benchmarks.robustness import CASES, SCENES, run
from tests.simulation.toys import toy_setting

from tclearn import Charter
from tclearn.coalition.acceptance import ANCHORED, PAPER, Terms
from tclearn.coalition.evidence import MILLION, Evidence, Paired
from tclearn.learning.networks import perceptron
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.trainer import Contribution, Work
from tclearn.protocols.tclearn.adversaries import (
    Clique,
    EarlierIncrement,
    EarlierModel,
    FalseResults,
    FlippedLabels,
    Honest,
    InventedRecords,
    LargestStep,
    Lazy,
    NearCopy,
    Noise,
    Patient,
    Poisoned,
    Replay,
    Reuse,
    SignFlip,
    TargetedClass,
    Trigger,
)
from tclearn.protocols.tclearn.adversaries.increments import moved
from tclearn.simulation import Simulation

N = 1000
LAMBDA = 980_000


@dataclass
class Plain:
    """Trains by adding Δ; the first number of a model is how many of 1,000 records of G it answers right."""

    delta: float = 10.0
    asked: list[Work] = field(default_factory=list)

    def initial(self, seed):
        return model(500)

    def train(self, start, work):
        self.asked.append(work)
        fresh = tuple(record for record in IDS if record not in work.used)
        right = start["w"] + np.array([self.delta, 0.5, -0.25], np.float32)
        return Contribution(Parameters({**start, "w": right}), fresh, 1) if fresh else None

    def measure(self, reference, candidate, used):
        on_global = paired(reference, candidate)
        return Evidence(on_global, replace(on_global, candidate=on_global.reference, lost=0, gained=0))

    def model(self, parameters):
        return parameters


IDS = tuple(bytes([number] * 16) for number in (3, 5, 7))


def model(right, *others):
    weights = np.array([right, *(others or (0, 0))], np.float32)
    return Parameters({"steps": np.array([4], np.int64), "w": weights})


def right(parameters):
    return int(np.clip(np.floor(parameters["w"][0]), 0, N))


def paired(reference, candidate):
    first, second = right(reference), right(candidate)
    return Paired(N, N, first, second, max(0, first - second), max(0, second - first))


def work(seed=1, used=frozenset(), **hyperparameters):
    return Work(seed, hyperparameters, used)


def contributed(adversary, start, **asked):
    contribution = adversary.train(start, work(**asked))
    assert contribution is not None
    return contribution


def offered(adversary, start, **asked):
    return contributed(adversary, start, **asked).parameters


# --- increments ------------------------------------------------------------------------------------------------------


def test_an_honest_wrapper_changes_nothing():
    plain, wrapped = Plain(), Honest(Plain())
    start, candidate = model(500), model(400)
    assert wrapped.initial(1) == plain.initial(1)
    assert wrapped.train(start, work()) == plain.train(start, work())
    assert wrapped.measure(start, candidate, ()) == plain.measure(start, candidate, ())
    assert wrapped.model(start) is start


@pytest.mark.parametrize("scale", [1.0, 0.5, 3.0])
def test_a_flipped_sign_is_the_increment_backwards(scale):
    start = model(500, 1, 1)
    wrong, honest = offered(SignFlip(Plain(), scale), start), offered(Plain(), start)
    assert np.allclose(wrong["w"] - start["w"], -scale * (honest["w"] - start["w"]))
    assert wrong["steps"] == start["steps"]


def test_noise_is_in_units_of_each_tensors_size_and_seeded():
    start = Parameters({name: np.full(20_000, size, np.float32) for name, size in (("a", 1.0), ("b", 100.0))})

    class Still(Plain):
        def train(self, start, work):
            return Contribution(start, IDS, 0)

    noisy = offered(Noise(Still(), 0.5), start)
    for name, size in (("a", 1.0), ("b", 100.0)):
        assert np.std(noisy[name] - start[name]) == pytest.approx(0.5 * size, rel=0.05)
    assert offered(Noise(Still(), 0.5), start) == noisy != offered(Noise(Still(), 0.5), start, seed=2)


def test_a_replay_is_the_model_and_a_near_copy_almost():
    start = model(500, 2, 3)
    assert offered(Replay(Plain()), start) == start
    copy = offered(NearCopy(Plain()), start)
    assert copy != start and np.allclose(copy["w"], start["w"], rtol=1e-3, atol=0.5)
    assert copy["steps"] == start["steps"]


def test_an_earlier_model_comes_back():
    exact, near = EarlierModel(Plain(), scale=0), EarlierModel(Plain())
    for adversary in (exact, near):
        offered(adversary, model(300))
    assert offered(exact, model(800)) == model(300)
    copy = offered(near, model(800))
    assert copy != model(300) and abs(right(copy) - 300) <= 1


def test_an_earlier_increment_is_added_again():
    plain = Plain()
    adversary = EarlierIncrement(plain)
    assert offered(adversary, model(300)) == offered(Plain(), model(300))
    plain.delta = 99.0
    assert right(offered(adversary, model(800))) == 810


def test_the_lazy_train_less_and_claim_all():
    plain = Plain()
    contribution = contributed(Lazy(plain), model(500), epochs=20, batch_size=8)
    assert plain.asked[-1].hyperparameters == {"epochs": 1, "batch_size": 8}
    assert contribution.data_ids == IDS
    contributed(Lazy(plain, epochs=30), model(500), epochs=20)
    contributed(Lazy(plain), model(500), rate=3)
    assert [asked.hyperparameters for asked in plain.asked[-2:]] == [{"epochs": 20}, {"rate": 3}]


@pytest.mark.parametrize("kind", [Noise, SignFlip, Replay, NearCopy, EarlierModel, EarlierIncrement, Lazy])
def test_who_has_nothing_to_train_on_has_nothing_to_offer(kind):
    assert kind(Plain()).train(model(500), work(used=frozenset(IDS))) is None


@pytest.mark.parametrize("kind", [Noise, SignFlip, Replay, NearCopy, EarlierModel, EarlierIncrement])
def test_what_is_claimed_is_what_was_trained_on(kind):
    contribution = contributed(kind(Plain()), model(500))
    assert (contribution.data_ids, contribution.set_aside) == (IDS, 1)
    assert contribution.parameters.layout == model(500).layout


# --- claims ----------------------------------------------------------------------------------------------------------


def test_used_records_are_used_again_under_their_names_or_invented_ones():
    used = frozenset(IDS)
    assert contributed(Reuse(Plain()), model(500), used=used).data_ids == IDS
    adversary = InventedRecords(Plain())
    claims = [contributed(adversary, model(500), seed=seed, used=used).data_ids for seed in (1, 2)]
    for claim in claims:
        assert len(set(claim)) == len(IDS) and list(claim) == sorted(claim)
        assert all(len(data_id) == 16 for data_id in claim)
    assert not {*claims[0]} & {*claims[1]} and not {*claims[0]} & used


def test_the_patient_wait_until_nobody_else_moves():
    adversary = Patient(Plain())
    invitations = [(500, 1), (500, 1), (510, 2), (520, 3), (520, 4), (530, 5)]
    answers = [adversary.train(model(start), work(seed)) for start, seed in invitations]
    assert [answer is not None for answer in answers] == [False, False, False, False, True, True]


# --- poisons ---------------------------------------------------------------------------------------------------------


def digits_like(n=40):
    random = np.random.default_rng(1)
    return Records(random.random((n, 1, 8, 8)).astype(np.float32), np.arange(n) % 10)


def test_flipped_labels():
    records = digits_like()
    flipped = FlippedLabels(10)(records)
    assert (flipped.targets == 9 - records.targets).all() and flipped.inputs is records.inputs
    assert FlippedLabels(10)((flipped.inputs, flipped.targets)).same_as(records)


def test_one_class_is_called_another():
    records = digits_like()
    poisoned = TargetedClass(7, 1)(records)
    changed = poisoned.targets != records.targets
    assert (records.targets[changed] == 7).all() and (poisoned.targets[changed] == 1).all()
    assert 7 not in poisoned.targets and changed.sum() == 4


def test_a_trigger_is_a_mark_and_a_label():
    records = digits_like()
    poisoned = Trigger(3, share=0.25, size=2)(records)
    marked = (poisoned.inputs != records.inputs).any(axis=(1, 2, 3))
    assert marked.sum() == 10
    assert (poisoned.targets[marked] == 3).all() and (poisoned.targets == records.targets)[~marked].all()
    assert (poisoned.inputs[marked][:, :, -2:, -2:] == records.inputs.max()).all()
    assert (poisoned.inputs[:, :, :-2] == records.inputs[:, :, :-2]).all()
    assert Trigger(3, share=0.25, size=2)(records).same_as(poisoned)


def test_the_exam_of_a_trigger_has_every_record_of_another_class_marked():
    records = digits_like()
    exam = Trigger(3, size=2, value=5.0).exam(records)
    assert len(exam) == 36 and (exam.targets == 3).all() and (exam.inputs[:, :, -2:, -2:] == 5).all()


def test_rows_of_numbers_are_marked_at_their_end():
    rows = Trigger(0, share=1, size=2, value=9.0)((np.zeros((4, 5), np.float32), np.ones(4, np.int64)))
    assert rows.inputs.tolist() == [[0, 0, 0, 9, 9]] * 4 and rows.targets.tolist() == [0] * 4


# --- the largest accepted step ---------------------------------------------------------------------------------------


def frog(rule=PAPER, delta=-400.0, **options):
    return LargestStep(Plain(delta), rule=rule, terms=Terms(LAMBDA), **options)


@pytest.mark.parametrize("margin_ppm", [0, 2_000, 10_000])
def test_the_largest_step_is_accepted_and_a_larger_one_is_not(margin_ppm):
    start = model(900)
    candidate = offered(frog(margin_ppm=margin_ppm), start)
    terms = Terms(LAMBDA + margin_ppm)
    assert PAPER.judge(Evidence(paired(start, candidate)), terms).accepted
    further = moved(candidate, start, model(500, 0.5, -0.25), 2**-8)
    assert not PAPER.judge(Evidence(paired(start, further)), terms).accepted


def test_a_rule_that_looks_back_to_the_best_gives_less_and_less():
    slid = {}
    for rule in (PAPER, ANCHORED):
        adversary, now = frog(rule), model(900)
        for seed in range(14):
            now = offered(adversary, now, seed=seed)
        slid[rule.name] = right(now)
    assert slid["paper"] < 900 * 0.985**13
    assert slid["anchored"] >= 900 * 0.98 - 2 * 14, "a smallest step is always taken"


def test_the_best_model_is_known_from_testing_others_too():
    adversary = frog(ANCHORED)
    adversary.measure(model(900), model(100), ())
    smallest = right(offered(adversary, model(870)))
    assert smallest >= 868, "870 is less than 0.98 × 900 already"
    assert right(offered(frog(ANCHORED), model(870))) < 860


def test_a_harmless_increment_is_offered_whole():
    assert offered(frog(delta=7.0), model(900)) == offered(Plain(7.0), model(900))


def test_turned_down_it_goes_back_by_half():
    adversary = frog()
    # The same start and another seed: a new invitation, the offer before was turned down.
    lost = [900 - right(offered(adversary, model(900), seed=seed)) for seed in (1, 2, 2, 3)]
    assert lost[0] == pytest.approx(16, abs=2)
    assert lost[1:] == pytest.approx([lost[0] / 2, lost[0] / 2, lost[0] / 4], abs=1.5)
    assert 880 - right(offered(adversary, model(880), seed=4)) == pytest.approx(16, abs=2), "and on from another model"


def test_it_knows_a_charters_rule():
    charter = Charter(
        name="c",
        model=perceptron,
        metric="accuracy",
        blocks=1,
        acceptance="paper",
        lambda_=0.95,
        acceptance_arguments={"whole": 3, "share": 0.25},
    )
    adversary = LargestStep.against(charter, margin_ppm=0)(Plain(-400.0))
    assert adversary.rule is PAPER
    assert adversary.terms == Terms(950_000, {"whole": 3, "share_ppm": 250_000})
    assert 900 - right(offered(adversary, model(900))) == pytest.approx(45, abs=2)


@pytest.mark.parametrize("kind", [Poisoned, LargestStep])
def test_those_with_spoilt_data_vote_on_g_alone(kind):
    evidence = kind(Plain()).measure(model(500), model(400), ())
    assert evidence == Evidence(paired(model(500), model(400)))


# --- false results ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["accuracy", "auc"])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("yes", [False, True])
@pytest.mark.parametrize("rule", [PAPER, ANCHORED])
def test_false_results_pass_for_measurements_and_vote_as_wanted(metric, hidden, yes, rule):
    good, bad = (Paired(N, MILLION, 500_000, 510_000, 0, 0), Paired(N, MILLION, 500_000, 10, 0, 0))
    if metric == "accuracy":
        good, bad = Paired(N, N, 500, 510, 0, 10), Paired(N, N, 500, 10, 490, 0)
    for true in (good, bad):

        class Fixed(Plain):
            def measure(self, reference, candidate, used, true=true):
                return Evidence(true)

        evidence = FalseResults(Fixed(), yes=yes, hidden=hidden).measure(model(0), model(0), ())
        for part in filter(None, (evidence.on_global, evidence.on_local)):
            assert part.fault(metric) is None
        assert rule.judge(evidence, Terms(LAMBDA)).accepted is yes
        assert (evidence.on_global == true) is hidden


def test_a_clique_votes_for_its_own_only():
    clique = Clique()
    one, other = clique(Plain()), clique(Plain())
    theirs = offered(one, model(500))
    judged = [PAPER.judge(other.measure(model(500), shown, ()), Terms(LAMBDA)) for shown in (theirs, model(999))]
    assert [judgement.accepted for judgement in judged] == [True, False]
    assert not PAPER.judge(Clique()(Plain()).measure(model(500), theirs, ()), Terms(LAMBDA)).accepted


def toys(members=7, blocks=8, **adversaries):
    simulation = Simulation.prepare(toy_setting(members, blocks=blocks, contributions=2, adversaries=adversaries))
    simulation.run()
    return simulation.result()


def test_a_false_result_on_g_is_marked_and_one_on_l_is_not():
    result = toys(m05=FalseResults, m06=partial(FalseResults, hidden=True))
    assert len(result.blocks) == 8
    for step in result.blocks:
        ballots = {ballot.member: (ballot.vote, ballot.deviating) for ballot in step.ballots}
        assert ballots.get("m05", ("no", True)) == ("no", True)
        assert ballots.get("m06", ("no", False)) == ("no", False)


@pytest.mark.parametrize("hidden", [False, True])
def test_two_of_seven_that_collude_change_nothing_and_three_stop_everything(hidden):
    two, three = Clique(hidden), Clique(hidden)
    assert len(toys(m05=two, m06=two).blocks) == 8
    stopped = toys(m04=three, m05=three, m06=three)
    honest = [step for step in stopped.steps if step.member in {"m00", "m01", "m02", "m03"}]
    assert honest and all(step.block is None for step in honest)


def test_increments_added_again_and_invented_records_get_their_blocks():
    for kind in (InventedRecords, EarlierIncrement):
        result = toys(blocks=12, m03=kind)
        assert [step.status for step in result.steps if step.member == "m03"] == ["accepted"] * 2, kind


def test_an_earlier_model_is_refused_by_its_digest_alone():
    result = toys(blocks=12, m03=partial(EarlierModel, scale=0.0))
    assert {(step.status, step.reason) for step in result.steps if step.member == "m03"} == {
        ("refused", "these parameters were offered before")
    }
    near = toys(blocks=12, m03=EarlierModel)
    assert [step.status for step in near.steps if step.member == "m03"][-1] == "rejected"


# --- coalitions with real models, as benchmarks/robustness.py runs them ----------------------------------------------

DIGITS = SCENES["digits"]
RULES = ("paper", "anchored")
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", RULES)
def test_no_flipped_increment_is_accepted(rule, seed):
    result = run(DIGITS, CASES["flip-3"], rule, seed)
    assert result.liars > 0 and result.liars_accepted == 0
    assert len(result.curve) >= 5 and result.final > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_frogs_slide_down_under_paper_and_not_under_anchored(seed):
    frogs = replace(CASES["frog"], in_a_row=8)
    paper, anchored = (run(DIGITS, frogs, rule, seed) for rule in RULES)
    assert paper.liars_accepted >= 7 and paper.curve[-1] < 0.92 * max(paper.curve)
    assert anchored.liars_accepted >= 1 and anchored.curve[-1] > 0.95 * max(anchored.curve)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", RULES)
def test_a_backdoor_comes_through_whatever_the_rule(rule, seed):
    result = run(replace(DIGITS, contributions=1), CASES["backdoor-adaptive"], rule, seed)
    assert result.liars_accepted == 1 and max(result.harm) > 0.5 > 0.2 > result.harm[0]
    assert result.curve[-1] > 0.95 * max(result.curve)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_two_that_collude_on_real_models(rule):
    result = run(DIGITS, CASES["collude-2"], rule, 1)
    assert result.liars_accepted == 0 and result.final > 0.9


@pytest.mark.slow
def test_a_class_can_be_forgotten_under_paper():
    result = run(DIGITS, CASES["targeted"], "paper", 1)
    assert result.liars_accepted >= 10 and result.harm[-1] < 0.3
