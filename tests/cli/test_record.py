"""``tclearn ledger``, ``status`` and ``model`` on a finished demonstration."""

import random

import pytest
import torch

from tclearn import Charter, TorchTrainer, simulate
from tclearn.learning.datasets import load, partition
from tclearn.learning.networks import perceptron
from tclearn.learning.parameters import Parameters


def test_show_lists_every_entry_with_its_outcome(tclearn, demo):
    told = tclearn("ledger", "show", "--json", "--dir", demo).json
    methods = [entry["method"] for entry in told["entries"]]
    assert [entry["index"] for entry in told["entries"]] == list(range(len(methods)))
    assert set(methods) >= {"propose", "release", "commit", "reveal", "seal", "endorse"}
    assert len(tclearn("ledger", "show", "--last", 5, "--dir", demo).out.splitlines()) == 6
    assert "--last is -1" in tclearn("ledger", "show", "--last", -1, "--dir", demo, code=2).err


def test_export_and_verify(tclearn, demo, tmp_path):
    export = tmp_path / "record.tclearn"
    told = tclearn("ledger", "export", export, "--json", "--dir", demo).json
    assert export.read_bytes() == (demo / "coalition.tclearn").read_bytes()
    verified = tclearn("ledger", "verify", export, "--charter", told["coalition"], "--json").json
    assert verified["entries"] == told["entries"]
    assert len(verified["cosigned"]["members"]) >= 5
    assert verified["tail"] < 22
    by_file = tclearn("ledger", "verify", export, "--charter", demo / "charter.cbor").out
    assert by_file.startswith(f"verified: {told['entries']} entries")


def test_another_charter_is_not_this_one(tclearn, demo, tmp_path):
    said = tclearn("ledger", "verify", demo / "coalition.tclearn", "--charter", "ab" * 32, code=3)
    assert "error[TCL-405]" in said.err
    toml = tmp_path / "charter.toml"
    toml.write_text("[coalition]\n")
    said = tclearn("ledger", "verify", demo / "coalition.tclearn", "--charter", toml, code=2)
    assert "is no charter in its final form" in said.err
    assert (
        "64 hexadecimal digits" in tclearn("ledger", "verify", demo / "coalition.tclearn", "--charter", "x", code=2).err
    )


def test_twenty_changed_records_are_refused_with_exit_code_3(tclearn, demo, tmp_path):
    good = (demo / "coalition.tclearn").read_bytes()
    charter = demo / "charter.cbor"
    choose = random.Random(7)
    for number in range(20):
        bad = bytearray(good)
        at = choose.randrange(len(bad))
        if number % 4 == 0:
            del bad[at:]
        elif number % 4 == 1:
            del bad[at : at + choose.randrange(1, 400)]
        elif number % 4 == 2:
            bad[at:at] = bad[at : at + choose.randrange(1, 400)]
        else:
            bad[at] ^= 1 << choose.randrange(8)
        if bytes(bad) == good:
            continue
        file = tmp_path / f"{number}.tclearn"
        file.write_bytes(bad)
        said = tclearn("ledger", "verify", file, "--charter", charter, code=3)
        assert said.err.startswith("error[TCL-4")


def test_a_remembered_checkpoint_shows_truncation(tclearn, demo, tmp_path):
    remembered = tmp_path / "checkpoint"
    tclearn("ledger", "verify", demo / "coalition.tclearn", "--remember", remembered)
    extended = tclearn("ledger", "verify", demo / "coalition.tclearn", "--since", remembered)
    assert "extends the remembered" in extended.out
    other = tmp_path / "other"
    words = ["--dataset", "breast-cancer", "--blocks", 1, "--attack", "none", "--members", 3]
    tclearn("demo", "--json", "--out", other, *words)
    assert tclearn("ledger", "verify", other / "coalition.tclearn", "--since", remembered, code=3)
    assert tclearn("ledger", "verify", demo / "coalition.tclearn", "--since", tmp_path / "none", code=4)


def test_cosigners_are_listed_in_the_order_of_their_numbers(tclearn, tmp_path):
    tumours = load("breast-cancer")
    charter = Charter(
        name="many", model=perceptron, arguments={"features": 30}, metric="accuracy", blocks=1, minimum_batch=1
    )
    names = [f"hospital-{number}" for number in range(1, 11)]
    members = partition(tumours, names, seed=1)
    result = simulate(charter, members=members, global_test=tumours.test, trainer=TorchTrainer(epochs=3), seed=1)
    export = result.export(tmp_path / "many.tclearn")
    told = tclearn("ledger", "verify", export.path, "--json").json["cosigned"]["members"]
    assert told == [name for name in names if name in told] and {"hospital-2", "hospital-10"} <= set(told)
    assert f"by {', '.join(told)}\n" in tclearn("ledger", "verify", export.path).out


def test_missing_and_foreign_files(tclearn, tmp_path, demo):
    assert "no file" in tclearn("ledger", "verify", tmp_path / "none", code=4).err
    torch.save({"a": torch.zeros(3)}, tmp_path / "model.pt")
    assert "not an exported record" in tclearn("ledger", "verify", tmp_path / "model.pt", code=3).err
    for words in (["status"], ["ledger", "show"], ["model", "list"], ["coalition", "show"]):
        assert "there is no coalition" in tclearn(*words, "--dir", tmp_path / "none", code=4).err
    (demo / "charter.cbor").write_bytes(b"\xff")
    assert "charter.cbor is no charter" in tclearn("status", "--dir", demo, code=1).err


def test_a_damaged_ledger_is_named(tclearn, demo):
    (demo / "ledger.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)
    for side in ("-wal", "-shm"):
        (demo / f"ledger.sqlite{side}").unlink(missing_ok=True)
    assert "ledger.sqlite" in tclearn("status", "--dir", demo, code=1).err


def test_status_says_what_happened(tclearn, demo):
    told = tclearn("status", "--json", "--dir", demo).json
    assert told["complete"] and told["block"] == 3
    assert told["last_not_accepted"]["status"] in ("rejected", "refused")
    said = tclearn("status", "--dir", demo).out
    assert "training is complete" in said
    assert "last not accepted: hospital-" in said


def test_status_says_why_each_validator_voted_no(tclearn, tmp_path):
    words = ["--dataset", "breast-cancer", "--blocks", 2, "--members", 5, "--attack", "label-flip@hospital-2"]
    refused = tclearn("demo", "--json", "--out", tmp_path / "demo", *words).json["rejected"]
    told = tclearn("status", "--json", "--dir", tmp_path / "demo").json["last_not_accepted"]
    assert (told["member"], told["reason"]) == (refused[-1]["member"], refused[-1]["reason"])
    signs = {"no": " < 0.98 × ", "yes": " ≥ 0.98 × "}
    assert len(told["votes"]) == 4
    assert all(signs[vote["vote"]] in vote["reason"] for vote in told["votes"])


def test_models_can_be_listed_and_got(tclearn, demo, tmp_path):
    blocks = tclearn("model", "list", "--json", "--dir", demo).json["blocks"]
    assert [block["kind"] for block in blocks] == ["genesis", "increment", "increment", "increment"]
    file = tmp_path / "two.safetensors"
    told = tclearn("model", "get", 2, "--to", file, "--json", "--dir", demo).json
    assert told["parameters"] == blocks[2]["parameters"]
    assert Parameters.from_bytes(file.read_bytes()).digest.hex() == blocks[2]["parameters"]
    tclearn("model", "get", 3, "--to", tmp_path, "--dir", demo)
    got = Parameters.from_bytes((tmp_path / "block-3.safetensors").read_bytes())
    assert got.digest.hex() == blocks[3]["parameters"]
    assert "M_0" in tclearn("model", "get", 0, "--dir", demo, code=2).err
    assert "there is no block 9" in tclearn("model", "get", 9, "--dir", demo, code=2).err
    assert len(tclearn("model", "list", "--dir", demo).out.splitlines()) == 5


def test_a_model_that_was_exchanged_in_the_store_is_refused(tclearn, demo, tmp_path):
    files = sorted(path for path in (demo / "objects").rglob("*") if path.is_file())
    for path in files:
        path.chmod(0o644)
        path.write_bytes(b"\x80\x04pickle")
    assert tclearn("model", "get", 1, "--to", tmp_path / "x", "--dir", demo, code=1).err.startswith("error[TCL-5")
    assert not (tmp_path / "x").exists()


def test_a_revert_needs_two_thirds_and_keeps_the_record_whole(tclearn, demo):
    said = tclearn("model", "revert", 1, "--member", "hospital-1", "--member", "hospital-2", "--json", "--dir", demo)
    assert said.json == {"target": 1, "approvals": ["hospital-1", "hospital-2"], "needed": 5, "done": False, "tip": 3}
    again = tclearn("model", "revert", 1, "--member", "hospital-1", "--dir", demo, code=1)
    assert "hospital-1 has already approved going back to block 1" in again.err
    assert "hospital-1 asks for the model of block 1; approved by" in tclearn("status", "--dir", demo).out
    more = [word for name in ("hospital-5", "hospital-6", "hospital-7") for word in ("--member", name)]
    assert tclearn("model", "revert", 1, *more, "--json", "--dir", demo).json["tip"] == 4
    blocks = tclearn("model", "list", "--json", "--dir", demo).json["blocks"]
    assert blocks[4]["reverts"] == 1 and blocks[4]["parameters"] == blocks[1]["parameters"]
    tclearn("ledger", "verify", demo / "coalition.tclearn")
    assert (
        "not before the newest block"
        in tclearn("model", "revert", 4, "--member", "hospital-1", "--dir", demo, code=1).err
    )
    assert "is not a member" in tclearn("model", "revert", 1, "--member", "eve", "--dir", demo, code=2).err


@pytest.mark.parametrize("command", [["ledger", "show"], ["status"], ["model", "list"], ["coalition", "show"]])
def test_reading_changes_nothing(tclearn, demo, command):
    before = {path: path.read_bytes() for path in demo.rglob("*") if path.is_file() and "-shm" not in path.name}
    tclearn(*command, "--dir", demo)
    after = {path: path.read_bytes() for path in demo.rglob("*") if path.is_file() and path in before}
    assert after == before
