"""``simulate`` says how far it is: in one line where it can be rewritten, in a line a block where not."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from tests.simulation.ledgers import entry_bytes, recorded
from tests.simulation.toys import toy_setting

from tclearn import simulate
from tclearn.errors import Code, DataError
from tclearn.protocols.tclearn.adversaries import Honest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def frames(self) -> list[str]:
        """What stands on the line after each writing."""
        line, frames = "", []
        for text in self.getvalue().split("\r")[1:]:
            line = text + line[len(text) :]
            frames.append(line.rstrip())
        return frames


def seen_by(monkeypatch, stream):
    """Stands in for ``sys.stderr``, which pytest exchanges before each test."""
    monkeypatch.setattr("tclearn.simulation.progress.sys", SimpleNamespace(stderr=stream))
    return stream


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return seen_by(monkeypatch, Terminal())


def ran(*, on_entry=None, progress=None, directory=None, **changes):
    setting = toy_setting(4, **{"blocks": 3, **changes})
    given = {} if on_entry is None else {"on_entry": on_entry}
    return simulate(
        setting.charter,
        members=setting.members,
        global_test=setting.global_test,
        trainer=setting.trainer,
        seed=setting.seed,
        adversaries=setting.adversaries,
        directory=directory,
        progress=progress,
        **given,
    )


def test_on_a_terminal_it_follows_the_blocks_and_takes_its_line_back(terminal):
    result = ran()
    frames = terminal.frames
    assert frames[0] == "block 0 of 3 · m00 trains"
    trained = [frame for frame in frames if frame.endswith("trains")]
    assert trained == [
        "block 0 of 3 · m00 trains",
        "block 1 of 3 · 0.160 · m01 trains",
        "block 2 of 3 · 0.220 · m02 trains",
    ]
    of_the_second = frames[frames.index(trained[1]) + 1 : frames.index(trained[2])]
    assert of_the_second[0] == "block 1 of 3 · 0.160 · m01 releases its increment"
    assert of_the_second[1:5] == [f"block 1 of 3 · 0.160 · {count} of 3 have tested m01's" for count in range(4)]
    assert of_the_second[-1] == "block 1 of 3 · 0.160 · members endorse block 2"
    general = result.state.block(2).general
    assert f"block 1 of 3 · 0.160 · {general} seals block 2" in of_the_second
    assert frames[-3:] == ["block 3 of 3 · 0.280", "", ""]
    assert terminal.getvalue().endswith("\r"), "what is printed next begins where the line began"
    assert "\n" not in terminal.getvalue()


def test_what_does_not_end_is_counted_only(terminal):
    ran(blocks=None, performance=0.2)
    assert terminal.frames[0] == "block 0 · m00 trains"
    assert "block 1 · 0.160 · m01 trains" in terminal.frames


def test_in_free_turns_all_train(terminal):
    ran(turns="free")
    assert terminal.frames[0] == "block 0 of 3 · members train"


def test_a_narrow_terminal_gets_the_beginning(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    ran()
    assert terminal.frames[0] == "block 0 of 3 · m00"
    assert max(map(len, terminal.frames)) == 19


def test_an_error_finds_the_line_empty(terminal):
    class Failing(Honest):
        def train(self, start, work):
            raise DataError(Code.DATA_UNREADABLE, "no disk")

    with pytest.raises(DataError, match="m01: no disk"):
        ran(adversaries={"m01": Failing})
    assert terminal.frames[-2:] == ["", ""] and len(terminal.frames) > 2


def test_a_resumed_run_begins_with_what_is_there(terminal, tmp_path):
    ran(directory=tmp_path, on_entry=lambda state: state.tip < 2)
    assert not terminal.getvalue()
    ran(directory=tmp_path)
    assert terminal.frames[0].startswith("block 2 of 3 · 0.220 · ")


def test_nothing_is_said_where_nobody_looks(monkeypatch):
    file = seen_by(monkeypatch, io.StringIO())
    ran()
    assert not file.getvalue()
    seen_by(monkeypatch, None)
    assert len(ran().blocks) == len(ran(progress=True).blocks) == 3


def test_a_file_gets_a_line_a_block_when_asked(monkeypatch):
    file = seen_by(monkeypatch, io.StringIO())
    ran(progress=True)
    assert file.getvalue() == "block 1 of 3 · 0.160\nblock 2 of 3 · 0.220\nblock 3 of 3 · 0.280\n"


def test_a_notebook_is_like_a_terminal(monkeypatch):
    stream = type("OutStream", (Terminal,), {"__module__": "ipykernel.iostream", "isatty": lambda self: False})()
    seen_by(monkeypatch, stream)
    ran()
    assert "block 1 of 3 · 0.160 · m01 trains" in stream.frames


def test_who_does_not_want_it_or_looks_at_entries_is_not_disturbed(terminal):
    tips = []

    def entry(state):
        tips.append(state.tip)
        return True

    ran(progress=False)
    ran(on_entry=entry)
    assert not terminal.getvalue() and tips[-1] == 3
    ran(on_entry=entry, progress=True)
    assert terminal.getvalue()


def test_the_record_does_not_depend_on_it(terminal):
    assert entry_bytes(ran(progress=False)._log) == entry_bytes(ran(progress=True)._log)
    assert recorded(ran()._log)
