"""``tclearn ledger`` on the directory and the record of a DeepChain coalition, and ``ledger verify --proofs``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.named_paths import PROOFS
from tests.protocols.deepchain.blindness import all_blind, blind
from tests.protocols.deepchain.recorded import handed, object_file, write_directory
from tests.protocols.deepchain.training import Coalition, Plan

from tclearn.protocols.deepchain import adversaries as a

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
    assert told["verified"] and told["proofs"]["verified"]
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
    proofs = json.loads(told.out)["proofs"]
    assert not proofs["verified"] and proofs["error"] == {"code": "TCL-414", "what": f"cannot be verified: {text}"}


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
    [("model", "list"), ("data", "check"), ("coalition", "show"), ("coalition", "members"), ("model", "get", "0")],
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
