"""``tclearn ledger`` on the directory and the record of a DeepChain coalition, and ``ledger verify --proofs``."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.cli.named_paths import PROOFS
from tests.protocols.deepchain.blindness import all_blind, blind
from tests.protocols.deepchain.recorded import handed, object_file, write_directory
from tests.protocols.deepchain.training import Coalition, Faulty, Plan

from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain.records import DISSOLVED
from tclearn.protocols.deepchain.times import RETURNING

SMALL = Plan(hidden=2, iterations=1)


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    """One party lies, is shown to, and pays."""
    return Coalition(SMALL, {"p01": a.WrongGradient}).run()


@pytest.fixture(scope="module")
def made(coalition: Coalition, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_directory(coalition, tmp_path_factory.mktemp("deepchain") / "coalition")


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "coalition")


@pytest.fixture
def record(tclearn, directory: Path, tmp_path: Path) -> Path:
    tclearn("ledger", "export", tmp_path, "--dir", directory)
    return tmp_path / "hearts.tclearn"


def test_show_lists_what_was_said_and_what_became_of_it(tclearn, coalition, directory):
    told = tclearn("ledger", "show", "--json", "--dir", directory).json
    assert (told["protocol"], told["coalition"]) == ("deepchain", coalition.terms.digest.hex())
    listed = [(entry["method"], entry["member"], entry["code"]) for entry in told["entries"]]
    assert listed == list(coalition.methods())
    assert {"declare", "join", "contribute", "accuse", "update", "append", "share", "report"} <= {
        method for method, _, _ in listed
    }
    lines = tclearn("ledger", "show", "--last", 3, "--dir", directory).out.splitlines()
    assert lines[0].split() == ["entry", "time", "(UTC)", "member", "says", "bytes", "outcome"]
    assert len(lines) == 4 and "report" in lines[-1] and lines[-1].rstrip().endswith("done")


def test_a_record_and_a_receipt_of_the_directory_hold_elsewhere(tclearn, directory, record, tmp_path):
    charter = directory / "charter.cbor"
    assert tclearn("ledger", "verify", record, "--charter", charter).out.startswith("verified: ")
    index = next(
        entry["index"]
        for entry in tclearn("ledger", "show", "--json", "--dir", directory).json["entries"]
        if entry["method"] == "contribute"
    )
    receipt = tmp_path / "one.receipt"
    tclearn("ledger", "receipt", index, "--to", receipt, "--dir", directory)
    said = tclearn("ledger", "receipt", "--check", receipt, "--charter", charter).out
    assert f"proven: entry {index} of the log" in said and "contribute" in said
    assert "keys      from a printed seed" in said
    assert "nothing found" in tclearn("ledger", "evidence", record, "--charter", charter, code=1).out


def test_every_proof_of_a_record_is_verified_and_who_was_convicted_is_named(tclearn, coalition, directory, record):
    said = tclearn("ledger", "verify", record, "--proofs", directory)
    count = coalition.terms.key.ciphertexts
    lines = said.out.splitlines()
    assert f"proofs    14 proofs of {14 * count} ciphertexts in 7 gradients and 7 sets of shares" in said.out
    assert f"sums      1 sum of {count} ciphertexts added up again, 1 opened sum opened again" in lines
    assert "convicted batch 0 of the gradient of p01 in iteration 1 is wrong, and was shown to be" in lines
    told = tclearn("ledger", "verify", record, "--proofs", directory / "objects", "--json").json
    assert told["verified"] and told["record_verified"] and told["proofs"]["verified"]
    assert (told["proofs"]["proofs"], told["proofs"]["rounds"]) == (14, 1)
    assert [(each["kind"], each["member"]) for each in told["proofs"]["remarks"]] == [("convicted", "p01")]


def test_a_file_that_is_withheld_makes_exit_code_3_and_is_named(tclearn, coalition, directory, record):
    shares = next(each.locator for each in handed(coalition) if (each.method, each.member) == ("share", "p02"))
    object_file(directory / "objects", shares).unlink()
    said = tclearn("ledger", "verify", record, "--proofs", directory, code=3)
    text = f"file {shares.hex()}, the shares of p02 in iteration 1, is not among the objects"
    assert f"missing   {text}" in said.out.splitlines()
    assert f"error[TCL-414]: cannot be verified: {text}" in said.err
    told = tclearn("ledger", "verify", record, "--proofs", directory, "--json", code=3)
    assert said.out.startswith("the record verifies: ") and "\nverified" not in said.out
    whole = json.loads(told.out)
    assert not whole["verified"] and whole["record_verified"]
    proofs = whole["proofs"]
    assert not proofs["verified"] and proofs["error"] == {"code": "TCL-414", "what": f"cannot be verified: {text}"}


def test_of_an_empty_folder_every_file_is_asked_for_and_nothing_is_said_of_a_model(
    tclearn, coalition, record, tmp_path
):
    (tmp_path / "empty").mkdir()
    said = tclearn("ledger", "verify", record, "--proofs", tmp_path / "empty", code=3)
    lines = said.out.splitlines()
    assert "training  1 iteration of 1 succeeded: not all that their model follows from is here and holds" in lines
    told = json.loads(tclearn("ledger", "verify", record, "--proofs", tmp_path / "empty", "--json", code=3).out)
    remarks = told["proofs"]["remarks"]
    files = {each.locator.hex(): (each.method, each.member) for each in handed(coalition)}
    missing = {each["file"] for each in remarks if each["kind"] == "missing"}
    assert {files[name] for name in set(files) - missing} == {("contribute", "p01")}, "the entry has shown that one"
    assert [each["file"] for each in remarks if each["kind"] == "convicted"] == list(set(files) - missing)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_that_was_convicted_need_not_be_there(tclearn, coalition, directory, record, damaged):
    gradient = next(each.locator for each in handed(coalition) if (each.method, each.member) == ("contribute", "p01"))
    file = object_file(directory / "objects", gradient)
    if damaged:
        file.write_bytes(b"damaged")
    else:
        file.unlink()
    lines = tclearn("ledger", "verify", record, "--proofs", directory).out.splitlines()
    entry = next(place for place, (method, _, _) in enumerate(coalition.methods()) if method == "accuse")
    (line,) = [each for each in lines if each.startswith("convicted")]
    named = (
        f"the gradient of p01 in iteration 1 was convicted by what entry {entry} carries; its file, {gradient.hex()}"
    )
    assert named in line
    assert line.endswith("is damaged: its bytes are not those of its name" if damaged else "is not among the objects")
    assert not any("nothing was made of it" in each for each in lines)


def training_line(tclearn: Run, coalition: Coalition, folder: Path) -> str:
    directory = write_directory(coalition, folder / "coalition")
    tclearn("ledger", "export", folder / "a.tclearn", "--dir", directory)
    lines = tclearn("ledger", "verify", folder / "a.tclearn", "--proofs", directory).out.splitlines()
    return next(line for line in lines if line.startswith("training"))


def test_an_iteration_that_goes_on_has_not_failed(tclearn, tmp_path):
    going = Coalition(SMALL)
    going.run(lambda: going.state.iteration is None or going.state.iteration.phase != RETURNING)
    assert training_line(tclearn, going, tmp_path) == "training  0 iterations of 1 succeeded, 1 under way"


def test_a_group_that_was_dissolved_is_said_to_be(tclearn, tmp_path):
    few: dict[str, Faulty] = dict.fromkeys(Coalition(SMALL).terms.parties[:6], a.WrongGradient)
    dissolved = Coalition(SMALL, few).run()
    assert dissolved.state.group.status == DISSOLVED
    begun = dissolved.state.group.iterations
    line = training_line(tclearn, dissolved, tmp_path)
    assert line == f"training  0 iterations of {begun} succeeded; the group was dissolved"


def test_a_changed_byte_in_the_key_is_no_matter_of_installing(tclearn, coalition, record):
    data, key = record.read_bytes(), coalition.terms.key.key
    assert data.count(key) == 1
    at = data.index(key) + len(key) // 4
    record.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    said = tclearn("ledger", "verify", record, code=3)
    assert "error[TCL-405]: the record's charter cannot be used here: [key] " in said.err
    assert "install" not in said.err
    assert "damaged or forged" in said.err and "compare its digest with the one that you know" in said.err


def test_what_all_members_have_hidden_makes_exit_code_3(tclearn, tmp_path):
    directory = write_directory(all_blind(SMALL, {"p03": blind(a.WrongGradient)}), tmp_path / "coalition")
    record = tmp_path / "a.tclearn"
    tclearn("ledger", "export", record, "--dir", directory)
    tclearn("ledger", "verify", record)
    said = tclearn("ledger", "verify", record, "--proofs", directory, code=3)
    assert "error[TCL-413]: batch 0 of the gradient of p03 in iteration 1 is wrong, and was taken as right" in said.err


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("missing", 4, "TCL-504]: no directory missing"),
        ("hearts.tclearn", 1, "TCL-503]: hearts.tclearn is not a directory"),
        ("hearts.tclearn/x", 1, "TCL-503]: hearts.tclearn is not a directory"),
        ("loop", 1, "TCL-503]: loop cannot be read"),
        ("a" * 300, 1, f"TCL-503]: {'a' * 300} cannot be read"),
        ("empty", 3, "TCL-414]: cannot be verified: file "),
    ],
)
def test_a_folder_that_is_named(tclearn, record, monkeypatch, path, code, said):
    monkeypatch.chdir(record.parent)
    (record.parent / "empty").mkdir()
    (record.parent / "loop").symlink_to("loop")
    assert tclearn(*PROOFS.replace("@", path).split(), code=code).err.startswith(f"error[{said}")


def test_a_record_of_another_protocol_has_no_proofs(tclearn, demo):
    said = tclearn("ledger", "verify", demo / "coalition.tclearn", "--proofs", demo, code=2)
    assert "protocol tclearn, which has no proofs" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("model", "list"),
        ("data", "check"),
        ("coalition", "show"),
        ("coalition", "members"),
        ("model", "get", "0"),
        # Before keys, a site.toml or data are asked for, which nobody has here.
        ("agent",),
        ("propose",),
        ("predict", "x.csv"),
        ("coalition", "approve", "0011"),
        ("coalition", "change", "epochs=2"),
        ("coalition", "expel", "p01"),
        ("model", "revert", "0"),
        ("member", "rotate"),
    ],
)
def test_commands_for_another_protocol_say_which_one_it_is(tclearn, directory, words):
    said = tclearn(*words, "--dir", directory, code=2)
    assert "TCL-901" in said.err and "is a coalition of the protocol 'deepchain'" in said.err
    assert "`tclearn status`, `ledger show`" in said.err and "--proofs" in said.err


def test_a_directory_with_a_damaged_charter_is_refused_as_before(tclearn, directory):
    charter = directory / "charter.cbor"
    charter.write_bytes(charter.read_bytes()[:-1])
    for words in (("show",), ("export", directory / "x"), ("receipt", 1)):
        assert "charter.cbor is no charter" in tclearn("ledger", *words, "--dir", directory, code=1).err
    charter.unlink()
    assert "there is no coalition" in tclearn("ledger", "show", "--dir", directory, code=4).err


TOY = "a toy key of 512 bits: anybody can read every gradient"


def test_whoever_looks_at_a_coalition_with_a_toy_key_is_told(tclearn, directory, record):
    line = f"warning   {TOY}"
    for words in (("verify", record), ("verify", record, "--proofs", directory)):
        assert tclearn("ledger", *words).out.splitlines().count(line) == 1
        told = tclearn("ledger", *words, "--json").json
        assert (told["key_bits"], told["toy"]) == (512, True)
    assert tclearn("status", "--dir", directory).out.splitlines()[1] == f"warning: {TOY}"
    told = tclearn("status", "--dir", directory, "--json").json
    assert (told["key_bits"], told["toy"]) == (512, True)
    receipt = record.parent / "one.receipt"
    tclearn("ledger", "receipt", 1, "--to", receipt, "--dir", directory)
    assert line in tclearn("ledger", "receipt", "--check", receipt).out.splitlines()


def test_of_a_key_that_protects_its_size_is_told_and_of_other_protocols_nothing(tclearn, demo, tmp_path):
    directory = write_directory(Coalition(replace(SMALL, bits=2048)), tmp_path / "coalition")
    record = tmp_path / "hearts.tclearn"
    tclearn("ledger", "export", record, "--dir", directory)
    for words in (("ledger", "verify", record), ("status", "--dir", directory)):
        assert "warning" not in tclearn(*words).out
        told = tclearn(*words, "--json").json
        assert (told["key_bits"], told["toy"]) == (2048, False)
    assert "key_bits" not in tclearn("ledger", "verify", demo / "coalition.tclearn", "--json").json
