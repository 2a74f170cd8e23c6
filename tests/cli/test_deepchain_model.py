"""``tclearn ledger verify --model``: whether a model file is the one that a DeepChain record gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run, Said
from tests.cli.named_paths import MODEL
from tests.protocols.deepchain.recorded import write_directory
from tests.protocols.deepchain.training import Coalition, Plan

from tclearn.learning.parameters import Parameters


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tclearn.simulation.deepchain.demo import DeepChainDemo
    from tclearn.simulation.deepchain.options import DeepChainOptions

    directory = tmp_path_factory.mktemp("deepchain") / "demo"
    with pytest.warns(UserWarning, match="toy key"):
        demo = DeepChainDemo.prepare(DeepChainOptions("breast-cancer", 4, None, 1, 1, 512), directory)
    demo.run(lambda *_: None)
    demo.close()
    return directory


@pytest.fixture
def deepchain(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished demonstration that a test may change, and stands in."""
    directory = Path(shutil.copytree(made, tmp_path / "deepchain"))
    monkeypatch.chdir(directory)
    return directory


def held(tclearn: Run, file: str = "model.safetensors", *more: str, code: int = 0) -> Said:
    return tclearn(*MODEL.replace("@", file).split(), *more, code=code)


def model(directory: Path) -> Parameters:
    return Parameters.from_bytes((directory / "model.safetensors").read_bytes())


def test_the_model_of_a_run_is_what_its_record_gives(tclearn: Run, deepchain: Path):
    said = held(tclearn)
    assert said.out.startswith("the record verifies: ")
    assert said.out.splitlines()[-1] == "model     model.safetensors is what the record gives after 1 iteration"
    assert "training  1 iteration of 1 succeeded: their opened sums fix the model, given W_0" in said.out.splitlines()
    told = held(tclearn, "model.safetensors", "--json").json
    assert told["verified"] and told["record_verified"] and told["proofs"]["verified"]
    digest = model(deepchain).digest.hex()
    assert told["model"] == {
        "verified": True, "file": "model.safetensors", "iterations": 1, "parameters": digest,
    }  # fmt: skip


def test_a_single_changed_bit_is_another_model(tclearn: Run, deepchain: Path):
    data = bytearray((deepchain / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (deepchain / "other.safetensors").write_bytes(data)
    said = held(tclearn, "other.safetensors", code=3)
    assert "error[TCL-213]: other.safetensors is not what the record gives after 1 iteration · expected" in said.err
    assert f"parameters {model(deepchain).digest.hex()}" in said.err
    assert f"it has {Parameters.from_bytes(bytes(data)).digest.hex()}" in said.err
    told = json.loads(held(tclearn, "other.safetensors", "--json", code=3).out)
    assert not told["verified"] and told["record_verified"] and told["proofs"]["verified"]
    assert not told["model"]["verified"] and told["model"]["error"]["code"] == "TCL-213"


def test_an_earlier_model_is_recognised(tclearn: Run, deepchain: Path):
    from tclearn.directory.founding import recipe_of
    from tclearn.directory.site import SiteFile
    from tclearn.learning.start import start
    from tclearn.protocols.deepchain import DeepChainTerms

    terms = DeepChainTerms.from_bytes((deepchain / "charter.cbor").read_bytes())
    first = start(recipe_of("torch", SiteFile()), terms.model, "accuracy")
    (deepchain / "first.safetensors").write_bytes(first.to_bytes())
    said = held(tclearn, "first.safetensors", code=3)
    assert "is not what the record gives after 1 iteration: it is the model after 0 of them" in said.err


@pytest.mark.parametrize(
    ("data", "code", "label"),
    [
        (b"", 3, "TCL-212"),
        (b"\x80\x04junk", 3, "TCL-212"),
        (Parameters({"weight": np.zeros(3)}).to_bytes(), 3, "TCL-211"),
        (None, 4, "TCL-504"),
    ],
)
def test_what_is_no_model_of_it_is_refused(tclearn: Run, deepchain: Path, data: bytes | None, code: int, label: str):
    if data is not None:
        (deepchain / "file").write_bytes(data)
    said = held(tclearn, "file", code=code)
    assert f"error[{label}]: " in said.err and "file" in said.err
    assert label == "TCL-504" or "training  1 iteration of 1 succeeded" in said.out


def test_a_directory_is_no_model(tclearn: Run, deepchain: Path):
    assert "error[TCL-503]: objects is a directory" in held(tclearn, "objects", code=1).err


def test_where_files_are_missing_no_model_is_compared(tclearn: Run, deepchain: Path):
    shutil.rmtree(deepchain / "objects")
    (deepchain / "objects").mkdir()
    said = held(tclearn, code=3)
    assert "error[TCL-414]: " in said.err
    assert "model     model.safetensors was not compared: not all that it follows from is here and holds" in said.out
    assert "fix the model" not in said.out and "is what the record gives" not in said.out
    told = json.loads(held(tclearn, "model.safetensors", "--json", code=3).out)
    assert not told["verified"] and not told["model"]["verified"] and told["model"]["parameters"] is None


@pytest.mark.parametrize(
    ("left_out", "said"),
    [("--proofs", "--model without --proofs"), ("--charter", "--model without --charter")],
)
def test_what_a_model_is_held_against_has_to_be_named(tclearn: Run, deepchain: Path, left_out: str, said: str):
    words = MODEL.replace("@", "model.safetensors").split()
    at = words.index(left_out)
    assert said in tclearn(*words[:at], *words[at + 2 :], code=2).err


def test_a_record_of_the_other_protocol_has_its_own_way(tclearn: Run, demo: Path):
    record = demo / "coalition.tclearn"
    for words in ((), ("--proofs", demo)):
        said = tclearn("ledger", "verify", record, "--model", demo / "model.safetensors", *words, code=2)
        assert "--model with a record of the protocol tclearn" in said.err and "`tclearn model get`" in said.err


def test_model_code_that_is_not_here_is_named_before_anything_takes_long(tclearn: Run, tmp_path: Path):
    directory = write_directory(Coalition(Plan(hidden=2, iterations=1)).run(), tmp_path / "coalition")
    record = tmp_path / "a.tclearn"
    tclearn("ledger", "export", record, "--dir", directory)
    (tmp_path / "model.safetensors").write_bytes(b"")
    words = ("--proofs", directory, "--charter", directory / "charter.cbor", "--model", tmp_path / "model.safetensors")
    said = tclearn("ledger", "verify", record, *words, code=2)
    assert "error[TCL-104]: [model] factory 'tests:model': no 'model' in " in said.err
    assert "proofs" not in said.out
