"""``tclearn ledger receipt`` on a finished demonstration."""

import random

import cbor2
import pytest

from tclearn.ledger.receipt import FORMAT


def test_a_receipt_says_who_said_what_when_where_and_under_which_head(tclearn, demo, tmp_path):
    entries = tclearn("ledger", "show", "--json", "--dir", demo).json["entries"]
    shown = next(entry for entry in entries if entry["method"] == "commit")
    file = tmp_path / "one.receipt"
    made = tclearn("ledger", "receipt", shown["index"], "--to", file, "--dir", demo)
    assert made.out.startswith(f"{file}: {file.stat().st_size:,} bytes\nproven: entry {shown['index']} of the log\n")
    said = tclearn("ledger", "receipt", "--check", file, "--charter", demo / "charter.cbor").out
    for part in (shown["member"], "commit: ", shown["time"], "a quorum", "7 of 7 members"):
        assert part in said
    assert "compare it" not in said
    told = tclearn("ledger", "receipt", "--check", file, "--json").json
    assert (told["entry"], told["member"], told["method"]) == (shown["index"], shown["member"], "commit")
    assert (told["id"], told["quorum"], told["charter_given"]) == (shown["id"], True, False)
    assert told["head"]["entries"] > shown["index"]
    assert [each["member"] for each in told["cosigned"]] == [f"hospital-{n}" for n in range(1, 8)]
    assert "compare it with the digest" in tclearn("ledger", "receipt", "--check", file).out


def test_an_entry_is_named_by_its_index_or_by_its_transaction(tclearn, demo, tmp_path):
    entry = tclearn("ledger", "show", "--json", "--dir", demo).json["entries"][3]
    by_id = tclearn("ledger", "receipt", entry["id"], "--to", tmp_path, "--json", "--dir", demo).json
    assert by_id["receipt"] == str(tmp_path / "entry-3.receipt")
    assert by_id["id"] == entry["id"]
    for name, part in (("9999", "no entry 9999"), ("ab" * 32, "not in the ledger"), ("third", "no entry 'third'")):
        assert part in tclearn("ledger", "receipt", name, "--to", tmp_path, "--dir", demo, code=2).err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "entry-3.receipt"]


def test_the_last_entries_are_under_the_logs_own_signature(tclearn, demo, tmp_path):
    last = tclearn("ledger", "show", "--json", "--last", 1, "--dir", demo).json["entries"][0]
    said = tclearn("ledger", "receipt", last["index"], "--to", tmp_path / "last", "--dir", demo).out
    assert "cosigned  by nobody: only the log answers for this" in said


def test_only_who_runs_the_ledger_makes_receipts(tclearn, demo, tmp_path):
    (demo / "log.key").unlink()
    assert "log.key" in tclearn("ledger", "receipt", 3, "--to", tmp_path / "x", "--dir", demo, code=4).err
    assert not (tmp_path / "x").exists()


def test_changed_receipts_are_refused_with_exit_code_3(tclearn, demo, tmp_path):
    file = tmp_path / "good"
    tclearn("ledger", "receipt", 5, "--to", file, "--dir", demo)
    good, choose = file.read_bytes(), random.Random(5)
    assert cbor2.loads(good)["format"] == FORMAT
    for number in range(20):
        bad = bytearray(good)
        at = choose.randrange(len(bad))
        if number % 2:
            bad[at] ^= 1 << choose.randrange(8)
        else:
            del bad[at : at + choose.randrange(1, 100)]
        file.write_bytes(bad)
        said = tclearn("ledger", "receipt", "--check", file, "--charter", demo / "charter.cbor", code=3)
        assert said.err.startswith("error[TCL-4")
    file.write_bytes(good)
    assert "TCL-405" in tclearn("ledger", "receipt", "--check", file, "--charter", "ab" * 32, code=3).err
    assert "TCL-401" in tclearn("ledger", "receipt", "--check", demo / "coalition.tclearn", code=3).err
    file.write_bytes(bytes(5 << 20))
    assert "too large" in tclearn("ledger", "receipt", "--check", file, code=2).err
    assert "no file" in tclearn("ledger", "receipt", "--check", tmp_path / "none", code=4).err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["3", "--check", "x"],
        ["--check", "x", "--to", "y"],
        ["3", "--charter", "ab" * 32],
    ],
)
def test_options_that_do_not_go_together(tclearn, demo, words):
    assert tclearn("ledger", "receipt", *words, "--dir", demo, code=2).err.startswith("error[TCL-901]")
