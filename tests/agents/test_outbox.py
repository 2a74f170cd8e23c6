"""The outbox: one decision per duty, durable before it is said, one process at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.chores import call, duty_id

from tclearn.agents import MemoryOutbox
from tclearn.agents.outbox import FileOutbox
from tclearn.encoding import digest
from tclearn.errors import AgentError, Code, StorageError
from tclearn.ledger import Call

# Opens the outbox, keeps one decision, says so, and then holds the file until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from tests.agents.chores import call, duty_id
from tclearn.agents.outbox import FileOutbox
outbox = FileOutbox(Path(sys.argv[1]))
outbox.put(duty_id("a"), call("yes"))
print("kept", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["memory", "file"])
def outbox(request, tmp_path):
    if request.param == "memory":
        yield MemoryOutbox()
    else:
        with FileOutbox(tmp_path / "outbox.sqlite") as opened:
            yield opened


def test_what_was_not_decided_is_none(outbox):
    assert outbox.get(duty_id("a")) is None


def test_a_decision_is_kept_as_it_was(outbox):
    said = Call("chores/1", "say", {"word": "naïve – ∑", "list": [1, b"\x00\xff", {"deep": []}], "n": 2**63 - 1})
    outbox.put(duty_id("a"), said)
    outbox.put(duty_id("b"), call("no"))
    kept = outbox.get(duty_id("a"))
    assert kept is not None and kept.encode() == said.encode()
    assert outbox.get(duty_id("b")) == call("no")


def test_the_same_decision_twice_changes_nothing_and_another_one_is_refused(outbox):
    outbox.put(duty_id("a"), call("yes"))
    outbox.put(duty_id("a"), call("yes"))
    with pytest.raises(AgentError) as refused:
        outbox.put(duty_id("a"), call("no"))
    assert refused.value.code == Code.OUTBOX_CONFLICT
    assert outbox.get(duty_id("a")) == call("yes")


@settings(max_examples=20)  # each opens files and waits for the disk
@given(words=st.lists(st.tuples(st.integers(0, 5), st.text(max_size=20)), max_size=12))
def test_the_first_decision_for_a_duty_is_the_one_that_stays(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("outbox") / "outbox.sqlite"
    first: dict[int, str] = {}
    for number, word in words:
        with FileOutbox(path) as opened:  # opened anew each time, as by an agent that restarts
            if first.setdefault(number, word) == word:
                opened.put(digest("duty", number), call(word))
            else:
                with pytest.raises(AgentError):
                    opened.put(digest("duty", number), call(word))
    with FileOutbox(path) as opened:
        assert {number: opened.get(digest("duty", number)) for number in first} == {
            number: call(word) for number, word in first.items()
        }


def test_another_process_is_locked_out_and_a_killed_one_leaves_its_decisions(tmp_path):
    path = tmp_path / "outbox.sqlite"
    root = Path(__file__).parents[2]
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "kept\n"
        with pytest.raises(StorageError) as refused:
            FileOutbox(path)
        assert refused.value.code == Code.OUTBOX_LOCKED
        assert "one process per member" in str(refused.value)
    finally:
        holder.kill()
        assert holder.wait() == -signal.SIGKILL
        holder.stdout.close()  # type: ignore[union-attr]
    with FileOutbox(path) as opened:
        assert opened.get(duty_id("a")) == call("yes")


def test_the_same_process_cannot_open_it_twice_either(tmp_path):
    with FileOutbox(tmp_path / "outbox.sqlite"):
        with pytest.raises(StorageError) as refused:
            FileOutbox(tmp_path / "outbox.sqlite")
        assert refused.value.code == Code.OUTBOX_LOCKED
    FileOutbox(tmp_path / "outbox.sqlite").close()


def test_a_file_that_is_no_outbox_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"not a database, but somebody's file\n" * 100)
    with pytest.raises(StorageError) as refused:
        FileOutbox(path)
    assert refused.value.code == Code.STORE_FAILED
    assert path.read_bytes().startswith(b"not a database")


def test_an_outbox_that_is_damaged_later_gives_a_coded_error(tmp_path):
    path = tmp_path / "outbox.sqlite"
    with FileOutbox(path) as opened:
        for number in range(200):
            opened.put(digest("duty", number), call("yes" * 100))
    pages = bytearray(path.read_bytes())
    pages[4096:] = b"\xff" * (len(pages) - 4096)
    path.write_bytes(pages)
    with pytest.raises(StorageError) as refused, FileOutbox(path) as opened:
        opened.get(digest("duty", 7))
    assert refused.value.code == Code.STORE_FAILED


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StorageError, match="nowhere"):
        FileOutbox(tmp_path / "nowhere" / "outbox.sqlite")
