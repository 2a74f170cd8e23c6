"""What helps before anything is done: ``--help``, ``--version``, and the words that all commands share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

import tclearn as package
from tclearn.cli.main import app
from tclearn.cli.output import count, natural


def groups_and_commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for word, each in getattr(command, "commands", {}).items():
        yield from groups_and_commands(each, (*words, word))


@pytest.mark.parametrize("words", list(groups_and_commands(typer.main.get_command(app))))
def test_help_fits_a_terminal_and_is_nowhere_cut_off(
    tclearn: Any, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    help_text = tclearn(*words, "--help").out
    assert all(len(line) <= 80 for line in help_text.splitlines())
    assert "..." not in help_text.replace("COMMAND [ARGS]...", "").replace("NAME=VALUE}...", "")  # may be repeated
    assert not any(line.endswith("-") for line in help_text.splitlines())
    assert "list[" not in help_text and "range" not in help_text


def test_the_version(tclearn: Any) -> None:
    assert tclearn("--version").out == f"tclearn {package.__version__}\n"


def test_reverts_say_in_whose_name_they_are_asked(tclearn: Any) -> None:
    said = " ".join(tclearn("model", "revert", "--help").out.split())
    assert "in the name of the member whose key is given" in said
    assert "In a demonstration" in said


def test_one_thing_is_no_plural() -> None:
    assert [count(number, "record") for number in (0, 1, 2, 1234)] == [
        "0 records",
        "1 record",
        "2 records",
        "1,234 records",
    ]
    assert [count(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


def test_names_are_sorted_as_people_do() -> None:
    names = ["st-mary.2", "hospital-10", "10", "hospital-2", "9", "hospital", "st-mary.10"]
    expected = ["9", "10", "hospital", "hospital-2", "hospital-10", "st-mary.2", "st-mary.10"]
    assert sorted(names, key=natural) == expected
