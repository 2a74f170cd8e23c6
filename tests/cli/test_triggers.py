"""``tclearn model triggers``: what it says, which images it takes, and that it leaves everything as it is."""

import shutil
import sys

import pytest

from tclearn.simulation.demo import Demo, DemoOptions

MODULE = """
import numpy as np
from tclearn.learning.datasets import load
digits = load("digits").test

def few():
    return digits.take(range(30))

def nothing():
    return None

def masks():
    return digits.inputs[:30], np.zeros((30, 8, 8), np.int64)

def large():
    return np.zeros((5, 1, 2, 2), np.float32), np.arange(5)
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    directory = tmp_path_factory.mktemp("digits") / "demo"
    demo = Demo.prepare(DemoOptions(blocks=1, members=3, attacks=()), directory)
    demo.run()
    demo.close()
    return directory


@pytest.fixture
def office(digits, tmp_path, monkeypatch):
    """A folder with a demonstration of digits and a module of data, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "images", raising=False)
    shutil.copytree(digits, tmp_path / "demo")
    (tmp_path / "images.py").write_text(MODULE)
    return tmp_path


def test_a_table_a_sentence_and_what_it_is_worth(tclearn, office):
    before = tclearn("ledger", "show", "--json").json
    said = tclearn("model", "triggers", "--data", "images:few")
    lines = said.out.splitlines()
    assert lines[0] == "block 1: 30 images of images:few"
    assert lines[1].split() == ["class", "smallest", "mark", "turns", "anomaly"]
    assert [line.split()[0] for line in lines[2:12]] == [str(label) for label in range(10)]
    assert "stands out" in lines[12]
    assert "an indication, no proof" in lines[13]
    assert "nothing was written or sent" in lines[14]
    assert said.err == ""
    assert tclearn("ledger", "show", "--json").json == before


def test_json_has_the_same_and_a_seed_gives_it_again(tclearn, office):
    first, again = (tclearn("model", "triggers", 1, "--data", "images:few", "--seed", 3, "--json") for _ in range(2))
    found = first.json
    assert first.out == again.out
    assert set(found) == {"block", "images", "seed", "threshold", "suspected", "anomaly", "classes"}
    assert (found["block"], found["images"], found["seed"], found["threshold"]) == (1, 30, 3, 2.5)
    assert [each["class"] for each in found["classes"]] == list(range(10))
    assert all(0 <= each["size"] <= 64 and 0 <= each["success"] <= 1 for each in found["classes"])
    highest = max(found["classes"], key=lambda each: each["anomaly"])
    assert found["anomaly"] == highest["anomaly"]
    assert found["suspected"] == (highest["class"] if highest["anomaly"] > 2.5 else None)


def test_a_demonstration_has_its_test_set(tclearn, office):
    assert tclearn("model", "triggers").out.startswith("block 1: 359 images of the test set of digits\n")


def test_a_member_has_what_its_site_names(tclearn, office):
    (office / "demo" / "demo.json").unlink()
    assert "TCL-504" in tclearn("model", "triggers", code=4).err
    site = office / "site.toml"
    site.write_text('global_test = "images:few"\nthreads = 1\n')
    assert tclearn("model", "triggers").out.startswith("block 1: 30 images of the global test set\n")
    site.write_text('data = "images:few"\nglobal_test = "images:nothing"\n')
    assert tclearn("model", "triggers").out.startswith("block 1: 30 images of your data\n")
    site.write_text("threads = 1\n")
    assert "names no data" in tclearn("model", "triggers", code=2).err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((0,), 2, "untrained"),
        ((2,), 2, "there is no block 2"),
        (("--data", "nix"), 2, "--data is 'nix'"),
        (("--data", "images:nix"), 2, "no 'nix'"),
        (("--data", "images:nothing"), 1, "NoneType"),
        (("--data", "images:masks"), 1, "TCL-202"),
        (("--data", "images:large"), 1, "TCL-202"),
        (("--data", "breast-cancer"), 1, "classifiers of images only"),
        (("--dir", "nowhere"), 4, "no coalition"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(tclearn, office, words, code, text):
    assert text in tclearn("model", "triggers", *words, code=code).err
    assert tclearn("model", "triggers", *words, "--json", code=code).json["error"]["code"].startswith("TCL-")


def test_models_of_tables_are_refused(tclearn, demo):
    assert "classifiers of images only" in tclearn("model", "triggers", "--dir", demo, code=1).err


def test_a_device_that_is_not_there_is_refused(tclearn, office):
    (office / "site.toml").write_text('device = "abacus"\n')
    assert "TCL-901" in tclearn("model", "triggers", "--data", "images:few", code=2).err
