"""``tclearn demo --protocol deepchain`` where something is refused, fails, or takes long."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.conftest import Run
from tests.page.reading import read
from tests.protocols.deepchain import world

from tclearn.encoding import MemberId
from tclearn.errors import Code, DataError
from tclearn.learning.datasets import load
from tclearn.learning.trainers.torch import TorchTrainer
from tclearn.protocols.deepchain.endings import why_dissolved
from tclearn.protocols.deepchain.history import Balance, Course
from tclearn.simulation.deepchain.attacks import Attack
from tclearn.simulation.deepchain.options import TASKS, DeepChainOptions
from tclearn.simulation.deepchain.rows import coin_rows

DEEPCHAIN = ("demo", "--protocol", "deepchain")
SMALL = ("--dataset", "breast-cancer", "--members", 4, "--blocks", 1, "--key-bits", 512)


def held(directory: Path) -> dict[str, bytes]:
    """All files, but locks."""
    files = (file for file in sorted(directory.rglob("*")) if file.is_file() and not file.name.endswith("-lock"))
    return {str(file.relative_to(directory)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of four parties lie, so nothing can be opened."""
    from tclearn.simulation.deepchain.demo import DeepChainDemo

    liars = tuple(Attack("wrong-proof", f"hospital-{number}") for number in (1, 2))
    directory = tmp_path_factory.mktemp("failed") / "demo"
    with pytest.warns(UserWarning, match="toy key"):
        demo = DeepChainDemo.prepare(DeepChainOptions("breast-cancer", 4, liars, 2, 1, 512), directory)
    demo.run(lambda *_: None)
    demo.close()
    return directory


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["deepchain", "tclearn"])
@pytest.mark.parametrize("words", [("--seed", -5), ("--seed", "9" * 20), ("--blocks", 0), ("--attack", "none@none")])
def test_what_is_refused_leaves_the_earlier_demonstration_as_it_is(
    tclearn: Run, failed: Path, protocol: str, words: tuple[object, ...]
):
    before = held(failed)
    said = tclearn("demo", "--protocol", protocol, *words, "--out", failed, code=2)
    assert said.err.startswith("error[TCL-901]: ") and (words[0] != "--seed" or "--seed is " in said.err)
    assert held(failed) == before


@pytest.mark.parametrize("protocol", ["deepchain", "tclearn"])
def test_data_that_cannot_be_trained_on_are_refused_before_anything_is_deleted(
    tclearn: Run, failed: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
):
    def bind(*_: object) -> None:
        raise DataError(Code.DATA_UNREADABLE, "these records are of another form")

    before = held(failed)
    monkeypatch.setattr(TorchTrainer, "bind", bind)
    words = ("--protocol", protocol, "--dataset", "breast-cancer", "--out", failed)
    assert "these records are of another form" in tclearn("demo", *words, code=1).err
    assert held(failed) == before


@pytest.mark.parametrize("members", [4, 50])
@pytest.mark.parametrize("dataset", TASKS)
def test_every_option_that_is_allowed_gives_a_charter(dataset: str, members: int):
    from tclearn.simulation.deepchain.demo import cast
    from tclearn.simulation.deepchain.key import Dealt

    options = DeepChainOptions(dataset, members, (), 1000, (1 << 63) - 1, 512)
    options.check()
    setting = cast(options, load(dataset))
    initial = setting.trainers()[setting.party_names[0]].initial(setting.seed)
    with pytest.warns(UserWarning, match="toy key"):
        key = Dealt.new(512, setting.party_names, setting.threshold, setting.seed).key
    assert setting.terms(key, initial).iterations == 1000


@pytest.mark.parametrize("words", [("--key-bits", 2048), ("--members", 7), ("--dataset", "digits")])
def test_what_is_typed_counts_with_resume_although_it_is_the_default(
    tclearn: Run, failed: Path, words: tuple[object, ...]
):
    said = tclearn("demo", "--resume", *words, "--out", failed, code=2).err
    assert "the interrupted demonstration has " in said and f"not {words[0]} {words[1]}" in said
    assert tclearn("demo", "--resume", "--seed", 1, "--key-bits", 512, "--out", failed, code=1).out


def test_over_the_network_nothing_is_deleted_either(tclearn: Run, failed: Path):
    before = held(failed)
    assert "--seed is -5" in tclearn("demo", "--network", "--seed", -5, "--out", failed, code=2).err
    assert held(failed) == before


def test_the_other_demonstration_likewise(tclearn: Run, demo: Path):
    said = tclearn(
        "demo", "--resume", "--blocks", 3, "--rule", "anchored", "--dataset", "digits", "--out", demo, code=2
    )
    assert "has --dataset breast-cancer, not --dataset digits" in said.err


# --- failed ----------------------------------------------------------------------------------------------------------


def test_training_that_failed_completely_does_not_look_like_success(tclearn: Run, failed: Path):
    said = tclearn("demo", "--resume", "--out", failed, code=1)
    ended = (
        "ended after 0 successful iterations of 2 asked for (3 tried): the group is dissolved, "
        "because 3 iterations in a row failed"
    )
    assert ended in said.out.splitlines()
    for claim in ("weights equal", "averaged without", "model"):
        assert claim not in said.out
    assert f"report  {failed}/report.html     ciphertexts" in said.out and not (failed / "model.safetensors").exists()
    assert "warning: 2 of 4 parties misbehave; it is made for 1" in said.err.splitlines()
    told = tclearn("demo", "--resume", "--json", "--out", failed, code=1).json
    assert (told["model"], told["final"], told["equal_to_plain_averaging"], told["ended_early"]) == (
        None,
        None,
        None,
        ended,
    )
    assert "the group is dissolved, because 3 iterations in a row failed" in tclearn("status", "--dir", failed).out
    page = read((failed / "report.html").read_text(encoding="utf-8"))
    notices = [element.text for element in page.all("p") if "notice" in element.attributes.get("class", "")]
    assert any(text.startswith("Nothing was trained. ") and "3 iterations in a row failed" in text for text in notices)
    assert "No sum was opened." in page.named("performance").text and "nothing opened yet" not in page.text


@pytest.mark.parametrize(
    ("succeeded", "why"),
    [
        ([False, False, False], "3 iterations in a row failed"),
        ([False, True, False, False, False], "3 iterations in a row failed"),
        ([False, False, True, False], "too few members have their deposits any more"),
        ([True], "too few members have their deposits any more"),
        ([], "too few members joined"),
    ],
)
def test_which_of_the_two_ends_it_came_to_is_said(succeeded: list[bool], why: str):
    rounds = [1 if done else None for done in succeeded]
    courses = [Course(number, (), (), (), ended=True, round=each) for number, each in enumerate(rounds, 1)]
    assert why_dissolved(replace(world.terms(4, 4), voids=3), courses) == why


def test_an_attacker_that_was_never_drawn_is_named(tclearn: Run, tmp_path: Path):
    led = True
    for seed in range(1, 9):
        words = (*SMALL[:-2], "--key-bits", 512, "--attack", "wrong-sum@worker-2", "--seed", seed)
        told = tclearn(*DEEPCHAIN, *words, "--json", "--out", tmp_path / "demo").json
        led = any(block["leader"] == "worker-2" for each in told["iterations"] for block in each["blocks"])
        assert told["idle"] == ([] if led else ["wrong-sum@worker-2: worker-2 never led"])
        if not led:
            break
    assert not led, "with one iteration and four workers it leads every fourth time"
    assert "wrong-sum@worker-2: worker-2 never led" in tclearn("demo", "--resume", "--out", tmp_path / "demo").out


# --- coins -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "pot", "said"),
    [
        (552, 0, ["48 coins of fines went through the pot into rewards; 52 new coins were made"]),
        (599, 0, ["1 coin of fines went through the pot into rewards; 99 new coins were made"]),
        (501, 0, ["99 coins of fines went through the pot into rewards; 1 new coin was made"]),
        (500, 0, ["100 coins of fines went through the pot into rewards; 0 new coins were made"]),
        (480, 120, ["100 new coins were made"]),
    ],
)
def test_what_rewards_were_paid_with_is_said(received: int, pot: int, said: list[str]):
    liar = Balance(MemberId("a"), 1000, 0, 0, 600, 400)
    honest = Balance(MemberId("b"), 1000, 100, received, 0, 1100 + received)
    assert coin_rows([liar, honest], pot)[4:] == said
    assert coin_rows([replace(liar, fined=0), replace(honest, paid=0, received=0)], 0)[4:] == []


def test_the_table_of_coins_can_be_added_up(tclearn: Run, tmp_path: Path):
    lines = tclearn(*DEEPCHAIN, *SMALL, "--blocks", 2, "--out", tmp_path / "demo").out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("all "))
    start, rewards, received, fined, now = (int(word.replace("−", "-")) for word in lines[place].split()[1:6])
    pot = int(lines[place].partition("and ")[2].partition(" ")[0] or 0)
    said = lines[place + 1].split("; ")
    new = int(said[-1].split()[0])
    through = int(said[0].split()[0]) if len(said) > 1 else 0
    assert fined < 0 < rewards == through + new and -fined == received + through + pot
    assert start + rewards + received + fined == now == start + new - pot
    assert lines[place + 2] == "deposits: 300 for gradients, 300 for decryption; work 300"


# --- slow ------------------------------------------------------------------------------------------------------------


def test_a_terminal_shows_who_does_what(tclearn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tclearn.cli import demo_deepchain

    shown: list[str] = []
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr("tclearn.cli.demoing.messages", terminal)
    monkeypatch.setattr(demo_deepchain, "update", lambda _, what: shown.append(what))
    tclearn(*DEEPCHAIN, *SMALL, "--attack", "none", "--out", tmp_path / "demo")
    assert shown[0] == "dealing a threshold key of 512 bits"
    assert "iteration 1, 0 of 1 done: parties train and encrypt, 1 of 4 have" in shown
    for what in (
        "workers verify the gradients, 3 of 4 have",
        "parties attach their gradients, ",
        " adds up",
        "workers verify the sum of worker-",
        "the committee signs the block, ",
        "parties add up, too, 2 of 4 have",
        "parties make decryption shares, 3 of 4 have",
        "parties verify shares and open the sum, 1 of 4 have",
        "training again in the clear, to compare",
    ):
        assert any(what in line for line in shown), what


def test_elsewhere_a_real_key_says_how_long_an_iteration_took(
    tclearn: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DeepChainOptions, "is_toy", False)  # only what is said depends on it
    said = tclearn(*DEEPCHAIN, *SMALL, "--attack", "none", "--blocks", 2, "--out", tmp_path / "demo")
    dealing, took, *_ = said.err.splitlines()
    assert dealing == "dealing a threshold key of 512 bits"
    assert took.startswith("iteration 1 took ") and took.endswith(" s; 1 more to succeed")
    assert not tclearn("demo", "--resume", "--json", "--out", tmp_path / "demo").err
