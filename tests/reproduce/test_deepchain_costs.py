"""Figures 4, 5 and 9: what ciphertexts and stages cost, and how a whole training is counted from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.reproduce.test_reproduce import Impatient
from tests.reproduce.tiny_deepchain import CIPHERS, PARAMETERS, TIMES

from tclearn.reproduce.deepchain import ciphers, published, times
from tclearn.reproduce.deepchain.circle import STAGES, VERIFY, VERIFY_SHARES
from tclearn.reproduce.experiments import experiment, reproduce
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Options

FIG4, FIG5, FIG9 = "deepchain-fig4", "deepchain-fig5", "deepchain-fig9"


@pytest.fixture
def cheap(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with small scenes."""
    monkeypatch.setattr(ciphers, "Scene", lambda **_: CIPHERS)
    monkeypatch.setattr(times, "Scene", lambda **_: TIMES)
    return small


def outcome(name: str, numbers: dict[str, float]) -> Outcome:
    return Outcome(name=name, seed=1, coalition="", start={}, increments=(), numbers=numbers)


# --- figures 4 and 5 --------------------------------------------------------------------------------------------------


def paper_packs(bits: int, parties: int, largest: int, count: int) -> bool:
    """Whether so many gradients fit, by the paper's two conditions, with the smallest weights."""
    weights: list[int] = []
    for _ in range(count):
        weights.append(1 + sum(weight * parties * largest for weight in weights))
    return sum(weight * parties * largest for weight in weights) < (1 << bits) - 1


@pytest.mark.parametrize(("bits", "parties", "largest"), [(1024, 4, 1), (64, 4, 1), (64, 3, 7), (1024, 10, 1 << 16)])
def test_so_many_gradients_fit_into_one_ciphertext_of_the_paper_and_no_more(
    bits: int, parties: int, largest: int
) -> None:
    most = ciphers.fits(bits, parties, largest)
    assert paper_packs(bits, parties, largest, most) and not paper_packs(bits, parties, largest, most + 1)


def test_the_papers_figure_cannot_be_an_encryption_that_can_be_opened() -> None:
    assert ciphers.fits(published.KEY_BITS, 4, 1) == 441 < min(published.GRADIENTS)


def test_figure_4_counts_ciphertexts_and_opens_them_again(tclearn: Any, cheap: Path) -> None:
    said = tclearn("reproduce", FIG4, "--seed", 5, "--out", "out", code=0)
    assert "seed 5" in said.out and "cannot be" in said.out
    rows = [line.rstrip() for line in said.out.splitlines()]
    assert any(line.endswith("yes") for line in rows), "what is expected, and came out"
    assert not any(line.endswith("–") for line in rows), "where nothing is expected, nothing is said of it"
    told = json.loads((cheap / "out" / "results.json").read_text())
    said_of_one = next(each["here"] for each in told["findings"] if "in one ciphertext" in each["claim"])
    assert "by the paper's own condition (2) at most 441 fit into 1024 bits" in said_of_one
    (run,) = told["runs"]
    numbers, slots = run["numbers"], (512 - 220) // 24
    for count in CIPHERS.gradients:
        assert numbers[f"ciphertexts of {count} gradients"] == -(-count // slots)
        assert numbers[f"bytes of the ciphertexts of {count} gradients"] == -(-count // slots) * 128
        assert numbers[f"bytes of the proofs for {count} gradients"] > 127 * 128, "127 masks more than ciphertexts"
    assert numbers["values opened to the unit"] == 130
    assert (cheap / "out" / "figure.png").exists() and not (cheap / "out" / "curve.csv").exists()


def test_figure_5_has_bytes_and_gradients_a_second(cheap: Path) -> None:
    made = reproduce(experiment(FIG5), Options(), cheap / "out")
    (run,) = made.outcomes.values()
    assert "values opened to the unit" not in run.numbers
    assert all(run.numbers[f"CPU seconds of encrypting {count} gradients"] > 0 for count in CIPHERS.gradients)
    changed = {
        "CPU seconds of encrypting 100 gradients": 0.5,
        "CPU seconds of packing and proving 100 gradients": 1.5,
        "CPU seconds of encrypting 250 gradients": 1.0,
        "CPU seconds of packing and proving 250 gradients": 1.5,
    }
    known = outcome("ciphers", {**run.numbers, **changed})
    found = [finding.here for finding in ciphers.find_throughput({"ciphers": known}, scene=CIPHERS)]
    assert found[0] == f"{9 * 128 / 0.5:,.0f}; with proofs {9 * 128 / 2:,.0f}"
    assert found[1] == f"{21 * 128:,.0f}; with proofs {21 * 128 / 2.5:,.0f}"


# --- figure 9 ---------------------------------------------------------------------------------------------------------


def test_a_whole_training_is_counted_from_stages() -> None:
    """3,254 values are 272 ciphertexts, the sample of 600 is 50: 5.44 times the sample, three times."""
    numbers = {times.SECONDS.format(stage): 1.0 + place for place, stage in enumerate(STAGES)}
    outcomes = {
        "training": outcome("training", {times.SECONDS.format(times.TRAINING): 0.25}),
        "parties-4": outcome("parties-4", {**numbers, times.VALUES: 600}),
    }
    seconds = times.counted(outcomes, 4, TIMES, PARAMETERS)
    assert seconds[times.TRAINING] == 0.75
    for place, stage in enumerate(STAGES):
        others = 3 if stage in (VERIFY, VERIFY_SHARES) else 1
        assert seconds[stage] == pytest.approx(3 * 272 / 50 * others * (1 + place))
    assert set(seconds) == {times.TRAINING, *STAGES}


def test_a_sharing_that_is_carried_out_is_held_against_its_count() -> None:
    sample = {times.TOTAL: 2.0, times.VALUES: 600, times.PARTIES: 3}
    for taken, near in ((5.0, True), (5.1 / 0.6, False), (2.4, False)):
        done = {times.TOTAL: taken, times.WALL: 1.0, times.VALUES: 1500, times.PARTIES: 3}
        outcomes = {"parties-3": outcome("parties-3", sample), times.CHECKED: outcome("whole", done)}
        measured, counted = times.whole(outcomes, TIMES)
        assert (measured, counted) == (taken, 2.0 * 125 / 50)
        assert (abs(measured / counted - 1) <= 0.5) is near


def test_figure_9_is_written_beside_the_papers_seconds(cheap: Path) -> None:
    made = reproduce(experiment(FIG9), Options(), cheap / "out")
    assert list(made.outcomes) == ["training", "parties-3", "parties-4", "whole-sharing"]
    found = {finding.claim: finding for finding in made.findings}
    assert (
        found["total time of 4 parties"].paper == "391,861 s" and found["total time of 3 parties"].paper == "not said"
    )
    assert "Corda" in found["not like for like"].paper
    assert "whole sharing of 3 parties" in list(found)[-1]
    assert (cheap / "out" / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_interrupted_one_goes_on_with_what_is_done(cheap: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        reproduce(experiment(FIG9), Options(), cheap / "out", Impatient(2 * 64 + 1))
    (kept,) = (cheap / "out" / "runs").iterdir()
    written = kept.stat().st_mtime_ns
    reproduce(experiment(FIG9), Options(), cheap / "out")
    assert kept.name == "training.json" and kept.stat().st_mtime_ns == written


def test_the_scenes_are_those_of_the_paper() -> None:
    scene = times.Scene(network={})
    assert (scene.sharings * scene.steps, scene.whole, scene.records) == (1500, 252_398, 5_500)
    assert scene.parties == (4, 5, 6, 7, 8, 9, 10) and ciphers.Scene().gradients == published.GRADIENTS
