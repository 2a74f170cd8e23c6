"""Figures 6 and 7: parties train, share and open; what is found in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reproduce.test_reproduce import Impatient
from tests.reproduce.tiny_deepchain import FIGURE, NETWORK, PARAMETERS, SIZES, shared_run

from tclearn.errors import Code, MessageError
from tclearn.learning.drawing import derived
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import LocalData, Work
from tclearn.protocols.deepchain.agent import CLIP_UNIT
from tclearn.protocols.deepchain.agent.ciphering import opened
from tclearn.protocols.deepchain.agent.files import Batch
from tclearn.reproduce.deepchain import circle, training
from tclearn.reproduce.deepchain.sharing import CLIPPED, CPU, ENCRYPTED, LARGEST, SHARED, SharedRun
from tclearn.reproduce.experiments import EXPERIMENTS, experiment, reproduce
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Options

FIG6 = "deepchain-fig6"


@pytest.fixture
def deepchain(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with small data and small figures."""
    for name in training.FIGURES:
        monkeypatch.setitem(training.FIGURES, name, FIGURE)
    return small


def digests(outcome: Outcome) -> list[str]:
    return [increment.parameters for increment in outcome.increments]


def ran(run: SharedRun, folder: Path) -> Outcome:
    return run(folder, folder / "none", lambda _: None)


# --- the whole figure -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_figure_is_written_with_its_findings(deepchain: Path) -> None:
    made = reproduce(experiment(FIG6), Options(seeds=2, seed=3), deepchain / "out")
    assert {path.name for path in (deepchain / "out").iterdir()} >= {"results.json", "curve.csv", "figure.png", "runs"}
    assert list(made.outcomes) == [f"{way}-{seed}" for seed in (3, 4) for way in ("shared", "alone", "centralised")]
    assert (deepchain / "out" / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    settings = json.loads((deepchain / "out" / "results.json").read_text())["settings"]
    assert settings["seeds"] == [3, 4] and settings["network"]["parameters"] == PARAMETERS
    assert settings["encrypted"] == {"sharings": [1, 3], "values": PARAMETERS, "seed": 3}
    first, second = made.outcomes["shared-3"], made.outcomes["shared-4"]
    assert len(first.increments) == SIZES.sharings == len(second.increments)
    assert (first.numbers[ENCRYPTED], second.numbers[ENCRYPTED]) == (2, 0), "one seed shows the encryption"
    assert first.numbers[SHARED] == FIGURE.parties * SIZES.sharings * PARAMETERS
    assert {f"party-{number}" for number in (1, 2, 3)} <= set(made.outcomes["alone-3"].numbers)
    assert set(made.outcomes["centralised-3"].numbers) == {"all parties"}
    assert all(set(each.measured) == {"G", "validation"} for each in first.increments)
    found = {finding.claim: finding for finding in made.findings}
    encryption = found["what is opened is, to the unit, the sum of what was encrypted"]
    assert encryption.met and encryption.here.startswith("in 2 of 3 sharings, with 512 bits and all proofs verified")
    assert found["accuracy on the test images"].met is (min(first.final(), second.final()) >= FIGURE.final)
    assert "17 passes" in found["length of the training"].paper


def test_quick_encrypts_a_part_and_expects_no_accuracy(tclearn: Any, deepchain: Path) -> None:
    said = tclearn("reproduce", FIG6, "--quick", "--out", "out", code=0)
    assert "QUICK" in said.out and "seed 1" in said.out and "on G" in said.out
    told = json.loads((deepchain / "out" / "results.json").read_text())
    assert told["settings"]["encrypted"]["values"] == 30
    assert {finding["met"] for finding in told["findings"]} == {None, True}


def test_the_papers_defects_are_said(deepchain: Path) -> None:
    four = replace(FIGURE, parties=4)
    outcomes = {
        f"{way}-1": Outcome(
            name=way,
            seed=1,
            coalition="",
            start=outcome.start,
            increments=outcome.increments,
            numbers={**outcome.numbers, "all parties": 0.5, "party-4": 0.5},
        )
        for way, outcome in dict.fromkeys(
            ("shared", "alone", "centralised"), ran(shared_run(replace(SIZES, encrypted=())), deepchain / "w")
        ).items()
    }
    text = " ".join(finding.paper for finding in training.find(outcomes, figure=four, sizes=SIZES, quick=False))
    assert "97.08, 96.96, 97.20, 97.32 %" in text and "96.75 %" in text
    assert "validation accuracy" in text and "13,750" in text


def test_too_few_images_are_said_before_anything_is_written(
    tclearn: Any, deepchain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(training.FIGURES, FIG6, replace(FIGURE, records=400))
    assert "parts of 400, 400, 400 records" in tclearn("reproduce", FIG6, code=2).err
    assert not (deepchain / "reproduce").exists()


@pytest.mark.parametrize("name", [each.name for each in EXPERIMENTS if each.name.startswith("deepchain")])
def test_without_gmpy2_nothing_is_written(
    tclearn: Any, deepchain: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "gmpy2", None)
    said = tclearn("reproduce", name, code=4)
    assert "TCL-107" in said.err and "tclearn[deepchain]" in said.err
    assert not (deepchain / "reproduce").exists()


# --- one run ----------------------------------------------------------------------------------------------------------


def test_what_is_encrypted_gives_the_same_model_as_what_is_not(tmp_path: Path) -> None:
    """To the bit, whichever sharings are opened."""
    found = {
        tuple(digests(ran(shared_run(replace(SIZES, encrypted=numbers, values=130)), tmp_path / str(len(numbers)))))
        for numbers in ((), (2,), (1, 2, 3))
    }
    assert len(found) == 1


def test_a_sharing_is_the_mean_of_what_the_parties_have_trained(tmp_path: Path) -> None:
    """Recomputed here in doubles, without steps: it differs by rounding only."""
    run = shared_run(replace(SIZES, sharings=1, encrypted=()))
    setting, data = run.setting, run.setting.data()
    outcome = ran(run, tmp_path / "run")
    trainers = {party: setting.recipe.bind(setting.task(data), LocalData(each)) for party, each in data.parties.items()}
    start = trainers["party-1"].initial(run.seed)
    models = []
    for party, trainer in trainers.items():
        contribution = trainer.train(start, Work(derived(run.seed, f"{party} 1"), {}, frozenset()))
        assert contribution is not None
        models.append(contribution.parameters)
    shared = Parameters.from_bytes((tmp_path / "run" / outcome.increments[0].parameters).read_bytes())
    step = SIZES.clip / CLIP_UNIT / 32767
    for name, tensor in shared.items():
        mean = np.mean([model[name].astype(np.float64) for model in models], axis=0)
        assert np.abs(tensor - mean).max() <= 0.5 * step + 1e-6
        assert np.abs(start[name] - mean).max() > 0


def test_the_same_seed_gives_the_same_models_and_another_seed_others(tmp_path: Path) -> None:
    sizes = replace(SIZES, sharings=2, encrypted=())
    first, again, other = (
        digests(ran(shared_run(sizes, seed), tmp_path / name)) for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert first == again and not set(first) & set(other)


@pytest.mark.parametrize("records", [1, 64 * 4 * 3 + 1, 64 * 4 * 6 + 1])
def test_a_run_that_is_interrupted_goes_on_from_its_last_sharing(tmp_path: Path, records: int) -> None:
    sizes = replace(SIZES, encrypted=(3,), values=20)
    whole = ran(shared_run(sizes), tmp_path / "whole")
    impatient = Impatient(records)
    with pytest.raises(KeyboardInterrupt):
        shared_run(sizes)(tmp_path / "parts", tmp_path, impatient.trained)
    told: list[int] = []
    parts = shared_run(sizes)(tmp_path / "parts", tmp_path, told.append)
    assert digests(parts) == digests(whole) and parts.curve() == whole.curve()
    assert parts.numbers[ENCRYPTED] == 1 and parts.numbers[SHARED] == whole.numbers[SHARED]
    done = [trained for trained in (3, 6) if records > 64 * 4 * trained]
    assert len([each for each in told if each == 64 * 4]) == 9 - max(done, default=0), "no sharing is trained twice"


def test_a_small_clip_is_noticed(tmp_path: Path) -> None:
    sizes = replace(SIZES, sharings=1, encrypted=(), clip=CLIP_UNIT // 100)
    outcome = ran(shared_run(sizes), tmp_path / "run")
    assert outcome.numbers[CLIPPED] > 0 and outcome.numbers[LARGEST] > 0.01
    numbers = {**outcome.numbers, CPU: 1.0, "all parties": 0.5}
    outcomes = {f"{way}-1": replace(outcome, numbers=numbers) for way in ("shared", "alone", "centralised")}
    found = training.find(outcomes, figure=FIGURE, sizes=sizes, quick=False)
    assert next(each for each in found if "clipped" in each.claim).met is False


@pytest.mark.slow
def test_the_parties_learn(tmp_path: Path) -> None:
    large = {**NETWORK, "filters": 8, "hidden": 32}
    outcome = ran(shared_run(replace(SIZES, steps=8, sharings=15, encrypted=()), arguments=large), tmp_path)
    assert outcome.curve()[0] < 0.2 and outcome.final() > 0.4


# --- what is opened ---------------------------------------------------------------------------------------------------


def steps(parties: int = 3, values: int = 40) -> dict[int, np.ndarray[Any, np.dtype[np.int64]]]:
    random = np.random.default_rng(1)
    return {party: random.integers(-32767, 32768, values) for party in range(1, parties + 1)}


def test_a_circle_opens_the_exact_sum_and_says_what_each_stage_took() -> None:
    given = steps()
    told: list[int] = []
    made = circle.Circle(3, 512)
    done = made.sum_of(given, told.append)
    assert done.sums.tolist() == (given[1] + given[2] + given[3]).tolist()
    assert told == [40, 40] and circle.threshold_of(3) == 2
    assert set(done.cpu_s) == set(circle.STAGES) and all(taken >= 0 for taken in done.cpu_s.values())
    once = done.cpu_s
    whole = 3 * sum(once[stage] for stage in (circle.ENCRYPT, circle.PROVE, circle.VERIFY))
    whole += 2 * sum(once[stage] for stage in (circle.SHARE, circle.PROVE_SHARES, circle.VERIFY_SHARES))
    assert done.total_cpu_s == pytest.approx(whole + once[circle.SUM] + once[circle.OPEN])
    assert done.gradient_bytes > 4 * 128 and done.share_bytes > 4 * 128


def test_thresholds_are_those_of_the_paper() -> None:
    assert [circle.threshold_of(parties) for parties in (4, 5, 6, 7, 8, 9, 10)] == [3, 3, 4, 4, 5, 5, 6]


def test_a_sum_that_is_opened_wrongly_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:

    def one_more(*given: Any, **named: Any) -> list[int]:
        first, *others = opened(*given, **named)
        return [first + 1, *others]

    monkeypatch.setattr(circle, "opened", one_more)
    with pytest.raises(MessageError, match="not the sum") as caught:
        circle.Circle(3, 512).sum_of(steps())
    assert caught.value.code is Code.PROOF


@pytest.mark.parametrize(("made", "said"), [("encrypted", "a gradient of party 1"), ("shared", "shares of party 1")])
def test_a_proof_that_does_not_hold_is_noticed(monkeypatch: pytest.MonkeyPatch, made: str, said: str) -> None:
    right = getattr(circle, made)

    def turned(*given: Any, **named: Any) -> Sequence[Batch]:
        return [replace(batch, items=batch.items[::-1]) for batch in right(*given, **named)]

    monkeypatch.setattr(circle, made, turned)
    with pytest.raises(MessageError, match=said):
        circle.Circle(3, 512).sum_of(steps())
