"""``tclearn predict`` where the model is at hand: a demonstration's directory."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tclearn.learning.datasets import load

MODULE = """
from tclearn.learning.datasets import load
ours = load("breast-cancer").test

def records():
    return ours

def inputs():
    return ours.inputs

def wide():
    return ours.inputs[:, :7]
"""


@pytest.fixture
def office(demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo.parent)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "scans", raising=False)
    (demo.parent / "scans.py").write_text(MODULE)
    return demo.parent


def right(said: str) -> int:
    rows = list(csv.DictReader(io.StringIO(said)))
    targets = load("breast-cancer").test.targets
    assert [row["record"] for row in rows] == [str(number) for number in range(len(targets))]
    return sum(int(row["class"]) == target for row, target in zip(rows, targets, strict=True))


def test_the_newest_model_answers_as_it_was_measured(tclearn: Any, office: Path) -> None:
    said = tclearn("predict", "scans:records", "-C", "demo")
    blocks = tclearn("model", "list", "-C", "demo", "--json").json["blocks"]
    newest = blocks[-1]
    n = len(load("breast-cancer").test)
    assert right(said.out) == round(newest["performance"] * n)
    assert said.err.startswith(f"block {newest['index']}: {n} records; class 0: ")


def test_an_older_version(tclearn: Any, office: Path) -> None:
    for block in tclearn("model", "list", "-C", "demo", "--json").json["blocks"][1:]:
        said = tclearn("predict", "breast-cancer", "-C", "demo", "--version", block["index"])
        assert right(said.out) == round(block["performance"] * len(load("breast-cancer").test))


def test_every_way_to_name_inputs_gives_the_same(tclearn: Any, office: Path) -> None:
    x = load("breast-cancer").test.inputs
    np.save(office / "x.npy", x)
    np.savez(office / "x.npz", inputs=x, targets=np.zeros(len(x)))
    (office / "x.csv").write_text("\n".join(",".join(map(repr, map(float, row))) for row in x))
    (office / "site.toml").write_text('data = "scans:records"\n')
    expected = tclearn("predict", "breast-cancer", "-C", "demo").out
    for data in ("scans:records", "scans:inputs", "x.npy", "x.npz", "x.csv", "data"):
        assert tclearn("predict", data, "-C", "demo").out == expected, data


def test_files_that_are_written(tclearn: Any, office: Path) -> None:
    printed = tclearn("predict", "breast-cancer", "-C", "demo").out
    said = tclearn("predict", "breast-cancer", "-C", "demo", "--out", "p.csv")
    assert said.out.startswith("p.csv: block 3: ") and (office / "p.csv").read_text() == printed
    tclearn("predict", "breast-cancer", "-C", "demo", "--out", "p.json")
    listed = json.loads((office / "p.json").read_text())
    assert [each["class"] for each in listed] == [int(row["class"]) for row in csv.DictReader(io.StringIO(printed))]
    shown = tclearn("predict", "breast-cancer", "-C", "demo", "--json").json
    assert shown["predictions"] == listed and shown["block"] == 3 and shown["records"] == len(listed)
    said = tclearn("predict", "breast-cancer", "-C", "demo", "--out", "p.npz", "--json")
    assert said.json == {"block": 3, "records": len(listed), "file": "p.npz"}
    with np.load(office / "p.npz") as archive:
        assert archive["classes"].tolist() == [each["class"] for each in listed]


@pytest.mark.parametrize(
    ("words", "code", "error", "what"),
    [
        (("no-such-data",), 2, "901", "is no data"),
        (("missing.npz",), 4, "504", "no file missing.npz"),
        (("nowhere:at_all",), 2, "901", "no module named"),
        (("scans:nothing",), 2, "901", "nothing"),
        (("data",), 4, "504", "site.toml"),
        (("scans:wide",), 1, "202", "the model cannot take the inputs"),
        (("breast-cancer", "--version", "9"), 2, "901", "there is no block 9"),
        (("breast-cancer", "--version", "-1"), 2, "901", "is no version"),
        (("breast-cancer", "--version", "0"), 2, "901", "M_0"),
        (("breast-cancer", "--version", "oldest"), 2, "901", "is no version"),
        (("breast-cancer", "--out", "p.txt"), 2, "901", "no name for predictions"),
    ],
)
def test_what_cannot_be(tclearn: Any, office: Path, words: tuple[str, ...], code: int, error: str, what: str) -> None:
    said = tclearn("predict", *words, "-C", "demo", code=code)
    assert said.err.startswith(f"error[TCL-{error}]") and what in said.err, said.err
    assert said.out == "" and not list(office.glob("p.*"))


def test_a_site_without_the_data_that_is_meant(tclearn: Any, office: Path) -> None:
    (office / "site.toml").write_text('global_test = "scans:records"\n')
    assert "site.toml names no data" in tclearn("predict", "data", "-C", "demo", code=2).err


def test_the_file_of_model_get_is_a_start_for_training_in_python(tclearn: Any, office: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from tclearn.learning.networks import perceptron

    tclearn("model", "get", "newest", "-C", "demo", "--to", "m.safetensors")
    network = perceptron(features=30, hidden=16, classes=2)
    network.load_state_dict(load_file(office / "m.safetensors"))
    with torch.no_grad():
        own = network.eval()(torch.from_numpy(load("breast-cancer").test.inputs).float()).argmax(1)
    said = tclearn("predict", "breast-cancer", "-C", "demo").out
    assert [int(row["class"]) for row in csv.DictReader(io.StringIO(said))] == own.tolist()
    network.train()  # and it can be trained
    assert all(weight.requires_grad for weight in network.parameters())


def test_a_model_that_was_exchanged_is_not_asked(tclearn: Any, office: Path) -> None:
    for file in (office / "demo" / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"another")
    said = tclearn("predict", "breast-cancer", "-C", "demo", code=1)
    assert said.err.startswith("error[TCL-50")
