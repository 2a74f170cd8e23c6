"""One rule for every file that is named (docs/reference/errors.md): not there, not readable, not what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tclearn.cli.main import app

RECORD = "demo/coalition.tclearn"
# A command with "@" in the place of a file, and how it ends when the file is empty or full of something else.
FILES = {
    "coalition new @": (2, ("TCL-101", "TCL-103")),
    "coalition new charter.toml --site @": (2, ("TCL-901",)),
    "data check -C demo --site @": (2, ("TCL-901",)),
    "ledger verify @": (3, ("TCL-401",)),
    f"ledger verify {RECORD} --charter @": (2, ("TCL-901",)),
    f"ledger verify {RECORD} --since @": (2, ("TCL-901",)),
    "ledger receipt --check @": (3, ("TCL-401",)),
    "ledger evidence @": (3, ("TCL-401",)),
    f"ledger evidence {RECORD} @": (3, ("TCL-401",)),
    "ledger evidence --check @": (3, ("TCL-401",)),
}
# The same with a directory, and the file in it that counts.
DIRECTORIES = {
    "status -C @": "charter.cbor",
    "coalition show -C @": "charter.cbor",
    "ledger show -C @": "charter.cbor",
    "ledger export new.tclearn -C @": "charter.cbor",
    "ledger receipt 0 -C @": "charter.cbor",
    "model list -C @": "charter.cbor",
    "model get 1 -C @": "charter.cbor",
    "model revert 1 --member hospital-1 -C @": "charter.cbor",
    "data check -C @": "charter.cbor",
    "demo --resume --out @": "demo.json",
}
# A file that is written, and its name when a directory is given; none: a directory is refused.
OUTPUTS = {
    "ledger export @": "demo-breast-cancer.tclearn",
    "ledger receipt 0 -C demo --to @": "entry-0.receipt",
    "model get 2 --to @": "block-2.safetensors",
    f"ledger verify {RECORD} --remember @": None,
}
# What is written too: directories that are made, and a file of which an honest record gives nothing to write.
OTHERS = (
    "member new turin --to @",
    "demo --out @",
    "coalition new charter.toml -C @",
    f"ledger evidence {RECORD} --to @",
)
JUNK = b"\x93\x00\xffjunk" * 40
CHARTER = """
[coalition]
name = "four"
members = ["leuven.pem", "namur.pem"]
[model]
factory = "tclearn.learning.networks:perceptron"
arguments = { features = 30 }
[task]
metric = "accuracy"
[schedule]
stop = { blocks = 1 }
"""


@pytest.fixture
def office(tclearn: Any, demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demonstration in ``demo``, what founding needs, and a path of each kind, in the working directory."""
    folder = demo.parent
    monkeypatch.chdir(folder)
    (folder / "charter.toml").write_text(CHARTER)
    (folder / "site.toml").write_text('global_test = "nowhere:none"\n')
    for name in ("leuven", "namur"):
        tclearn("member", "new", name)
    (folder / "folder").mkdir()
    (folder / "loop.file").symlink_to("loop.file")  # nobody can open it, the superuser neither
    (folder / "empty.file").write_bytes(b"")
    (folder / "junk.file").write_bytes(JUNK)
    return folder


def ends(tclearn: Any, command: str, path: str, code: int, *labels: str) -> str:
    said = tclearn(*command.replace("@", path).split(), code=code)
    assert said.err.startswith(tuple(f"error[{label}]" for label in labels)), said.err
    return str(said.err)


@pytest.mark.parametrize("command", FILES)
def test_a_file_that_is_named(tclearn: Any, office: Path, command: str) -> None:
    assert "no file missing.file" in ends(tclearn, command, "missing.file", 4, "TCL-504")
    assert "no file nowhere/missing.file" in ends(tclearn, command, "nowhere/missing.file", 4, "TCL-504")
    assert "folder is a directory" in ends(tclearn, command, "folder", 1, "TCL-503")
    assert "loop.file cannot be read" in ends(tclearn, command, "loop.file", 1, "TCL-503")
    assert "junk.file is not a directory" in ends(tclearn, command, "junk.file/x", 1, "TCL-503")
    code, labels = FILES[command]
    ends(tclearn, command, "empty.file", code, *labels)
    ends(tclearn, command, "junk.file", code, *labels)


@pytest.mark.parametrize("command", DIRECTORIES)
def test_a_directory_that_is_named(tclearn: Any, office: Path, command: str) -> None:
    for path in ("missing", "folder"):
        assert f" in {path}" in ends(tclearn, command, path, 4, "TCL-504")
    assert "junk.file is not a directory" in ends(tclearn, command, "junk.file", 1, "TCL-503")
    assert "cannot be read" in ends(tclearn, command, "loop.file", 1, "TCL-503")
    inner, label = DIRECTORIES[command], "TCL-704" if "resume" in command else "TCL-407"
    for content in (b"", JUNK):
        (office / "demo" / inner).write_bytes(content)
        assert inner in ends(tclearn, command, "demo", 1, label)
    (office / "demo" / inner).unlink()
    (office / "demo" / inner).mkdir()
    assert f"{inner} is a directory" in ends(tclearn, command, "demo", 1, "TCL-503")


def test_a_file_that_a_charter_names_is_part_of_the_charter(tclearn: Any, office: Path) -> None:
    for path, label in [
        ("missing.file", "TCL-106"),
        ("folder", "TCL-106"),
        ("loop.file", "TCL-106"),
        ("empty.file", "TCL-309"),
        ("junk.file", "TCL-309"),
    ]:
        (office / "charter.toml").write_text(CHARTER.replace("namur.pem", path))
        assert f"[coalition] members: {'no file ' * (path[0] == 'm')}{path}" in ends(
            tclearn, "coalition new charter.toml", "", 2, label
        )


def test_files_of_a_coalition_that_are_not_here(tclearn: Any, office: Path) -> None:
    (office / "demo" / "log.key").rename(office / "log.key")
    assert "no file demo/log.key" in ends(tclearn, "ledger export @", "new.tclearn", 4, "TCL-504")
    (office / "demo" / "log.key").write_bytes(JUNK)
    assert "demo/log.key is no key" in ends(tclearn, "ledger export @", "new.tclearn", 1, "TCL-308")
    assert not (office / "new.tclearn").exists()
    (office / "demo" / "ledger.sqlite").unlink()
    assert "no file demo/ledger.sqlite" in ends(tclearn, "status", "", 4, "TCL-504")


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_file_to_write(tclearn: Any, office: Path, command: str) -> None:
    for path in ("nowhere/new", "junk.file/new"):
        assert f"{path} cannot be written" in ends(tclearn, command, path, 1, "TCL-503")
    name = OUTPUTS[command]
    if name is None:
        for path in ("folder", "."):
            assert f"{path} is a directory" in ends(tclearn, command, path, 2, "TCL-901")
        return
    for path in ("folder", "."):
        tclearn(*command.replace("@", path).split())
        assert (office / path / name).stat().st_size > 0


def test_a_directory_to_make(tclearn: Any, office: Path) -> None:
    tclearn("member", "new", "porto", "--to", "new/keys")
    assert (office / "new" / "keys" / "porto.key").is_file()
    for command in ("member new turin --to @", "demo --out @"):
        ends(tclearn, command, "junk.file/new", 1, "TCL-503")
    assert "junk.file is a file" in ends(tclearn, "coalition new charter.toml -C @", "junk.file", 2, "TCL-901")
    assert "demo is not empty" in ends(tclearn, "coalition new charter.toml -C @", "demo", 2, "TCL-901")


def paths(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """The words of a command and the options of each parameter that is a path; an argument has none."""
    for word, each in getattr(command, "commands", {}).items():
        yield from paths(each, (*words, word))
    for parameter in command.params:
        if parameter.bare_type() is Path:
            yield " ".join(words), set(parameter.opts) if parameter.param_type_name == "option" else set()


def test_every_path_of_every_command_is_in_the_tables() -> None:
    rows = [row.partition("@")[0].split() for row in (*FILES, *DIRECTORIES, *OUTPUTS, *OTHERS)]
    for words, options in paths(typer.main.get_command(app)):
        named = [row[-1] for row in rows if " ".join(row).startswith(words)]
        assert any(word in options if options else not word.startswith("-") for word in named), (words, options)
