"""``tclearn ledger evidence``: two copies of a demonstration that go on differently are two histories of one log."""

import shutil

import pytest

from tclearn.cli.signed import at, plain


@pytest.fixture
def parted(tclearn, demo, tmp_path):
    """Two records that part at entry ``size``, and a checkpoint of each."""
    other = shutil.copytree(demo, tmp_path / "other")
    size = tclearn("ledger", "verify", demo / "coalition.tclearn", "--json").json["entries"]
    for directory, target, askers in ((demo, 1, (1, 2, 5, 6, 7)), (other, 2, (1, 2, 3, 4, 7))):
        words = [word for number in askers for word in ("--member", f"hospital-{number}")]
        tclearn("model", "revert", target, *words, "--dir", directory)
    return demo / "coalition.tclearn", other / "coalition.tclearn", size


def test_nothing_found_is_exit_code_1(tclearn, demo, tmp_path):
    record = demo / "coalition.tclearn"
    size = tclearn("ledger", "verify", record, "--remember", tmp_path / "head", "--json").json["entries"]
    alone = tclearn("ledger", "evidence", record, "--to", tmp_path / "x", code=1).out
    assert alone.startswith(f"nothing found: in {size} entries no member contradicts itself\n")
    assert "tclearn ledger verify" in alone
    same = tclearn("ledger", "evidence", record, record, code=1).out
    assert same.startswith(f"nothing found: both records have the same {size} entries")
    head = tclearn("ledger", "evidence", record, tmp_path / "head", code=1).out
    assert "begins with the entries of the checkpoint" in head
    told = tclearn("ledger", "evidence", record, record, "--json", code=1).json
    assert (told["evidence"], told["entries"], told["parted"]) == ([], [size, size], None)
    assert not (tmp_path / "x").exists()
    longer = shutil.copytree(demo, tmp_path / "longer")
    words = [word for number in (1, 2, 5, 6, 7) for word in ("--member", f"hospital-{number}")]
    tclearn("model", "revert", 1, *words, "--dir", longer)
    said = tclearn("ledger", "evidence", record, longer / "coalition.tclearn", code=1).out
    assert f"begins with the {size} entries of the other" in said


def test_two_records_that_part_convict_the_log_and_who_cosigned_both(tclearn, demo, parted, tmp_path):
    one, other, size = parted
    file = tmp_path / "fork.evidence"
    told = tclearn("ledger", "evidence", one, other, "--to", file, "--json").json
    assert told["parted"] == size
    kinds = [(each["kind"], each["member"]) for each in told["evidence"]]
    assert kinds[:2] == [("two-heads", None), ("two-entries", None)]
    assert ("two-cosignatures", "hospital-1") in kinds
    assert "two-transactions" not in {kind for kind, _ in kinds}
    assert [each["file"] for each in told["evidence"]][:2] == [str(file), str(tmp_path / "fork-2.evidence")]
    for each in told["evidence"]:
        checked = tclearn("ledger", "evidence", "--check", each["file"], "--charter", demo / "charter.cbor", "--json")
        assert checked.json["verified"] and checked.json["charter_given"]
        assert {**each, "file": ""} == {**{key: checked.json[key] for key in each if key != "file"}, "file": ""}
        said = tclearn("ledger", "evidence", "--check", each["file"]).out
        assert said.startswith(f"proven: {each['member'] or 'the log'} {each['what']}\n")
        assert each["key"] in said and "anybody could have signed" in said
    said = tclearn("ledger", "evidence", other, one, "--to", tmp_path).out
    assert f"different entries at place {size}" in said
    assert f"          entry {size}: " in said
    assert (tmp_path / "two-entries-log.evidence").exists()


def test_a_remembered_checkpoint_convicts_too(tclearn, parted, tmp_path):
    one, other, _ = parted
    tclearn("ledger", "verify", one, "--remember", tmp_path / "head")
    said = tclearn("ledger", "evidence", other, tmp_path / "head", "--to", tmp_path / "it").out
    assert said.startswith("two-heads: the log signed two heads")
    assert tclearn("ledger", "evidence", "--check", tmp_path / "it", "--json").json["kind"] == "two-heads"


def test_what_proves_nothing_is_exit_code_3(tclearn, demo, parted, tmp_path):
    one, other, _ = parted
    file = tmp_path / "evidence"
    tclearn("ledger", "evidence", one, other, "--to", file)
    good = file.read_bytes()
    for at_byte in range(0, len(good), 97):
        bad = bytearray(good)
        bad[at_byte] ^= 4
        file.write_bytes(bad)
        said = tclearn("ledger", "evidence", "--check", file, "--charter", demo / "charter.cbor", code=3)
        assert said.err.startswith("error[TCL-4")
    file.write_bytes(good)
    assert "TCL-405" in tclearn("ledger", "evidence", "--check", file, "--charter", "ab" * 32, code=3).err
    assert "TCL-401" in tclearn("ledger", "evidence", "--check", one, code=3).err
    assert "TCL-401" in tclearn("ledger", "evidence", file, code=3).err
    changed = bytearray(other.read_bytes())
    changed[-5] ^= 1
    other.write_bytes(changed)
    assert "TCL-403" in tclearn("ledger", "evidence", one, other, code=3).err
    assert "no file" in tclearn("ledger", "evidence", one, tmp_path / "none", code=4).err
    file.write_bytes(b"tclearn/ is not a checkpoint")
    assert "checkpoint" in tclearn("ledger", "evidence", one, file, code=2).err


@pytest.mark.parametrize("words", [[], ["a", "--check", "b"], ["--check", "b", "--to", "c"]])
def test_options_that_do_not_go_together(tclearn, words):
    assert tclearn("ledger", "evidence", *words, code=2).err.startswith("error[TCL-901]")


def test_what_others_have_written_does_nothing_to_a_terminal():
    assert plain("endorse") == "endorse"
    assert plain("\x1b[31mred" + "x" * 99) == repr("\x1b[31mred" + "x" * 32)
    assert at(1_767_225_600_000) == "2026-01-01 00:00:00 UTC"
    assert at(2**63 - 1) == f"{2**63 - 1} ms after 1970"
