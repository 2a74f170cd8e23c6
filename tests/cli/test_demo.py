"""``tclearn demo``, as a user types it."""

import pytest

from tclearn.cli.output import CRASH_FILE

KEYS = {
    "coalition",
    "protocol",
    "members",
    "blocks",
    "accepted",
    "rejected",
    "performance",
    "centralised",
    "final",
    "ledger",
    "export",
    "report",
    "model",
    "seconds",
}


@pytest.mark.slow
def test_the_demo_tells_its_story(tclearn, tmp_path):
    said = tclearn("demo", "--out", tmp_path / "demo")
    lines = said.out.splitlines()
    assert lines[0].startswith("7 members · digits · rule anchored, λ 0.98 · seed 1")
    assert any("hospital-3" in line and "rejected: " in line for line in lines)
    assert any("hospital-4" in line and "refused: 103 of 103 records already used" in line for line in lines)
    assert "all data in one place" in said.out
    for name in ("report.html", "model.safetensors", "coalition.tclearn"):
        assert (tmp_path / "demo" / name).stat().st_size > 0


def test_json_is_one_object_with_everything(tclearn, tmp_path):
    out = tmp_path / "demo"
    words = ["demo", "--json", "--dataset", "breast-cancer", "--blocks", 3, "--seed", 5, "--out", out]
    told = tclearn(*words, "--attack", "label-flip@hospital-2", "--attack", "replay@hospital-1").json
    assert set(told) >= KEYS
    assert told["accepted"] == len(told["blocks"]) == len(told["performance"]["global"]) == 3
    assert set(told["performance"]["local"]) == set(told["members"])
    assert {refused["member"] for refused in told["rejected"]} == {"hospital-1", "hospital-2"}
    assert told["final"] == told["performance"]["global"][-1] > 0.8
    assert all((tmp_path / "demo" / name).is_file() for name in ("ledger.sqlite", "coalition.tclearn", "report.html"))


def test_the_same_seed_gives_the_same_blocks(tclearn, tmp_path):
    def blocks(name, seed):
        words = ["demo", "--json", "--dataset", "breast-cancer", "--blocks", 2, "--attack", "none"]
        return [block["hash"] for block in tclearn(*words, "--seed", seed, "--out", tmp_path / name).json["blocks"]]

    assert blocks("a", 3) == blocks("b", 3) != blocks("c", 4)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--members", "1"], "--members is 1 · expected 2 to 50"),
        (["--members", "x"], "--members"),
        (["--dataset", "faces"], "digits or breast-cancer or mnist"),
        (["--attack", "label-flip"], "KIND@MEMBER"),
        (["--attack", "bribe@hospital-1"], "KIND one of label-flip, "),
        (["--attack", "none", "--attack", "noise@hospital-1"], "--attack none beside --attack noise@hospital-1"),
        (["--attack", "noise@hospital-9"], "hospital-1 to hospital-7"),
        (["--attack", "noise@hospital-1", "--attack", "replay@hospital-1"], "one attack a member"),
        (["--lambda", "1.5"], "0 to 1"),
        (["--rule", "anchorred"], "anchored"),
        (["--blocks", "0"], "blocks"),
        (["--seed", "-5"], "--seed is -5 · expected a whole number from 0 to 9223372036854775807"),
        (["--seed", "9" * 20], "--seed is 99999999999999999999"),
        (["--members", "10", "--attack", "noise@hospital-1"], "no such member · expected hospital-01 to hospital-10"),
        (["--bogus"], "--bogus"),
    ],
)
def test_wrong_options_are_explained(tclearn, tmp_path, words, shown):
    said = tclearn("demo", "--out", tmp_path / "demo", *words, code=2)
    assert said.err.startswith("error[TCL-")
    assert shown in said.err
    assert not (tmp_path / "demo" / "ledger.sqlite").exists()


def test_somebody_elses_directory_is_left_alone(tclearn, tmp_path):
    (tmp_path / "thesis.tex").write_text("do not lose")
    assert "not a demonstration" in tclearn("demo", "--out", tmp_path, code=2).err
    assert (tmp_path / "thesis.tex").read_text() == "do not lose"


def test_a_second_demo_replaces_the_first_and_nothing_else(tclearn, demo):
    (demo / "notes.txt").write_text("mine")
    words = ["--dataset", "breast-cancer", "--blocks", 1, "--attack", "none", "--members", 3]
    assert tclearn("demo", "--json", "--out", demo, *words).json["accepted"] == 1
    assert (demo / "notes.txt").read_text() == "mine"


def test_resume_without_a_demo_says_so(tclearn, tmp_path):
    assert "there is no demonstration" in tclearn("demo", "--resume", "--out", tmp_path / "x", code=4).err
    (tmp_path / "demo.json").write_text("{}")
    assert "demo.json is not usable: it lacks 'format'" in tclearn("demo", "--resume", "--out", tmp_path, code=1).err


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--members", 5], "--members 7, not --members 5"),
        (["--lambda", "0.5"], "--lambda 0.98, not --lambda 0.5"),
        (["--attack", "none"], "the default --attack, not --attack none"),
        (
            ["--attack", "noise@hospital-1", "--attack", "replay@hospital-2"],
            "not --attack noise@hospital-1 --attack replay",
        ),
    ],
)
def test_resuming_as_something_else_is_explained_in_the_words_of_the_options(tclearn, demo, words, shown):
    said = tclearn("demo", "--resume", "--out", demo, "--dataset", "breast-cancer", *words, code=2).err
    assert "the interrupted demonstration has " in said and shown in said


def test_resuming_a_finished_demo_changes_nothing(tclearn, demo):
    before = (demo / "coalition.tclearn").read_bytes()
    told = tclearn("demo", "--json", "--resume", "--out", demo).json
    assert told["accepted"] == 3
    assert (demo / "coalition.tclearn").read_bytes() == before


def test_data_that_are_not_here_give_exit_code_4(tclearn, tmp_path, monkeypatch):
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path / "nowhere"))
    said = tclearn("demo", "--dataset", "mnist", "--out", tmp_path / "demo", code=4)
    assert "TCLEARN_DATA" in said.err
    assert not (tmp_path / "demo").exists()


def test_a_defect_of_ours_is_a_sentence_and_a_file(tclearn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tclearn.cli.demo.Demo.prepare", lambda *_, **__: 1 / 0)
    said = tclearn("demo", "--out", tmp_path / "demo", code=1)
    assert said.err.startswith("error[TCL-999]")
    assert "ZeroDivisionError" in (tmp_path / CRASH_FILE).read_text()
