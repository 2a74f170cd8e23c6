"""One rule for every file that is named (docs/reference/errors.md): not there, not readable, not what it should be."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from tests.cli.named_paths import DIRECTORIES, FILES, JOINED, MADE, OUTPUTS, RECORD, ROWS, Ends, places, tried

from tclearn.cli import main
from tclearn.cli.keys import VAULT_PASSPHRASE
from tclearn.directory.data_ids import ID_JOURNAL
from tclearn.limits import CSV_BYTES_MAX, DATA_SET_BYTES_MAX, JOURNAL_BYTES_MAX
from tclearn.simulation.keys import SeededKeys

JUNK = b"\x93\x00\xffjunk" * 40
LONG = "a" * 300  # no file system takes such a name
SIZES = {"": JOURNAL_BYTES_MAX, ".npz": DATA_SET_BYTES_MAX, ".csv": CSV_BYTES_MAX}
"""The endings that commands want, and more bytes than any of them takes."""
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


@pytest.fixture(scope="module")
def furnished(finished: Path, sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path of each kind, and what commands need to come to it; tests take copies.

    A demonstration in ``demo``; the same in ``home`` as a member finds it after joining; a coalition of level B in
    ``sealed`` and, as a member finds it, in ``joined``; a charter, a site file, keys and signed files.
    """
    folder = tmp_path_factory.mktemp("furnished")
    for original, name in ((finished, "demo"), (finished, "home"), (sealed, "sealed"), (sealed, "joined")):
        shutil.copytree(original, folder / name)
    (folder / "charter.toml").write_text(CHARTER)
    (folder / "site.toml").write_text('global_test = "nowhere:none"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv(VAULT_PASSPHRASE, SeededKeys(1).passphrase())
        for words in (
            "member new leuven",
            "member new namur",
            "ledger receipt 0 -C demo --to entry.receipt",
            "vault journal -C sealed --export journal.file",
        ):
            patch.setattr(sys, "argv", ["tclearn", *words.split()])
            with pytest.raises(SystemExit) as stop:
                main()
            assert stop.value.code == 0
    (folder / "home" / "demo.json").unlink()
    (folder / "home" / "log.key").unlink()
    (folder / "home" / "service.url").write_text("https://localhost:9\n")
    shutil.copy(folder / "leuven.pem", folder / "home" / "service.pem")
    (folder / "joined" / ID_JOURNAL).unlink()
    for suffix in SIZES:
        (folder / f"folder{suffix}").mkdir()
        loop = folder / f"loop.file{suffix}"
        loop.symlink_to(loop.name)  # nobody can open it, the superuser neither
        for kind, content in (("empty", b""), ("junk", JUNK)):
            file = folder / f"{kind}.file{suffix}"
            file.touch(mode=0o600)  # as a key file must be
            file.write_bytes(content)
    return folder


@pytest.fixture
def office(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is ``furnished``, in the working directory."""
    folder = shutil.copytree(furnished, tmp_path / "office", symlinks=True)
    for suffix, size in SIZES.items():
        file = folder / f"large.file{suffix}"
        file.touch(mode=0o600)
        os.truncate(file, size + 1)  # takes no place on the disk
    monkeypatch.chdir(folder)
    monkeypatch.setenv(VAULT_PASSPHRASE, SeededKeys(1).passphrase())
    return folder


def ends(tclearn: Any, command: str, path: str, code: int, *labels: str) -> str:
    said = tclearn(*command.replace("@", path).split(), code=code)
    assert said.err.startswith(tuple(f"error[{label}]" for label in labels)), said.err
    return str(said.err)


def named(command: str, path: str) -> str:
    """A path as a command names it, which may want an ending."""
    return path + command.partition("@")[2].partition(" ")[0]


@pytest.mark.parametrize("command", FILES)
def test_a_file_that_is_named(tclearn: Any, office: Path, command: str) -> None:
    for path in ("missing.file", "nowhere/missing.file"):
        assert f"no file {named(command, path)}" in ends(tclearn, command, path, 4, "TCL-504")
    assert f"{named(command, 'folder')} is a directory" in ends(tclearn, command, "folder", 1, "TCL-503")
    for path in ("loop.file", LONG):
        assert f"{named(command, path)} cannot be read" in ends(tclearn, command, path, 1, "TCL-503")
    assert "junk.file is not a directory" in ends(tclearn, command, "junk.file/x", 1, "TCL-503")
    expected = FILES[command]
    empty = expected.empty or expected
    ends(tclearn, command, "empty.file", empty.code, *empty.labels)
    ends(tclearn, command, "junk.file", expected.code, *expected.labels)
    code, label = expected.large
    assert named(command, "large.file") in ends(tclearn, command, "large.file", code, label) or code == 3


@pytest.mark.parametrize("command", DIRECTORIES)
def test_a_directory_that_is_named(tclearn: Any, office: Path, command: str) -> None:
    for path in ("missing", "folder"):
        assert f" in {path}" in ends(tclearn, command, path, 4, "TCL-504")
    assert "junk.file is not a directory" in ends(tclearn, command, "junk.file", 1, "TCL-503")
    for path in ("loop.file", LONG):
        assert "cannot be read" in ends(tclearn, command, path, 1, "TCL-503")
    inner, label = DIRECTORIES[command], "TCL-704" if "resume" in command else "TCL-407"
    for content in (b"", JUNK):
        (office / "demo" / inner).write_bytes(content)
        assert inner in ends(tclearn, command, "demo", 1, label)
    os.truncate(office / "demo" / inner, JOURNAL_BYTES_MAX)
    assert inner in ends(tclearn, command, "demo", 2, "TCL-302")
    (office / "demo" / inner).unlink()
    (office / "demo" / inner).mkdir()
    assert f"{inner} is a directory" in ends(tclearn, command, "demo", 1, "TCL-503")


def test_a_table_that_is_too_large(tclearn: Any, office: Path) -> None:
    said = ends(tclearn, "predict @.csv -C demo", "large.file", 2, "TCL-302")
    assert "large.file.csv is too large" in said and f"{CSV_BYTES_MAX:,}" in said


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
    if "evidence" in command:
        part(tclearn, office)
    for path in ("nowhere/new", "junk.file/new", LONG):
        assert f"{named(command, path)} cannot be written" in ends(tclearn, command, path, 1, "TCL-503")
    expected = OUTPUTS[command]
    for path in ("folder", "." if named(command, ".") == "." else "folder"):
        if isinstance(expected, Ends):
            ends(tclearn, command, path, expected.code, *expected.labels)
        else:
            tclearn(*command.replace("@", path).split())
            assert (office / path / expected).stat().st_size > 0
    assert not [each.name for each in office.iterdir() if each.name.endswith(".part")]


def part(tclearn: Any, office: Path) -> None:
    """Two records of one demonstration that go on differently: what an evidence file is written about."""
    shutil.copytree(office / "demo", office / "other")
    for directory, target, askers in (("demo", 1, (1, 2, 5, 6, 7)), ("other", 2, (1, 2, 3, 4, 7))):
        words = [word for number in askers for word in ("--member", f"hospital-{number}")]
        tclearn("model", "revert", target, *words, "--dir", directory)
    assert (office / RECORD).read_bytes() != (office / "other" / "coalition.tclearn").read_bytes()


def test_a_directory_to_make(tclearn: Any, office: Path) -> None:
    tclearn("member", "new", "porto", "--to", "new/keys")
    assert (office / "new" / "keys" / "porto.key").is_file()
    member, demo, coalition, again = MADE
    for command in (member, demo, again):
        for path in ("junk.file/new", f"{LONG}/new"):
            ends(tclearn, command, path, 1, "TCL-503")
    for command in (demo, coalition, again):
        assert "junk.file is a file" in ends(tclearn, command, "junk.file", 2, "TCL-901")
    assert "demo is not empty" in ends(tclearn, coalition, "demo", 2, "TCL-901")
    for command in (demo, again):
        assert "holds something" in ends(tclearn, command, ".", 2, "TCL-901")


def test_a_folder_that_belongs_to_somebody_else(tclearn: Any, office: Path) -> None:
    *_, made = MADE
    ends(tclearn, made, "junk.file", 2, "TCL-901")  # now all modules are loaded
    office.chmod(0o755)
    (office / "folder").chmod(0)
    superuser = os.geteuid() == 0
    try:
        if superuser:  # who may look into every folder
            os.seteuid(65534)
        said = ends(tclearn, made, "folder", 1, "TCL-503")
    finally:
        if superuser:
            os.seteuid(0)
        (office / "folder").chmod(0o755)
    assert "folder cannot be used: Permission denied" in said


def test_a_directory_to_join_with(tclearn: Any, office: Path) -> None:
    assert "junk.file is a file" in ends(tclearn, JOINED, "junk.file", 2, "TCL-901")
    for path in ("new", "folder", LONG):  # nobody is at that address; nothing is made
        ends(tclearn, JOINED, path, 4, "TCL-409")
    assert not (office / "new").exists()


def test_every_path_of_every_command_is_in_the_tables() -> None:
    found = set(places())
    # The tables could not be incomplete if nothing were found: these are options, arguments and texts, at any depth.
    assert {
        ("status", "directory"),
        ("predict", "data"),
        ("coalition admit", "enrolment"),
        ("vault keys rotate", "vault_key"),
        ("vault sweep", "at"),
        ("ledger verify", "charter"),
    } <= found
    assert ("join", "url") not in found
    assert tried(ROWS) == found


def test_paths_are_found_at_any_depth_and_in_any_form() -> None:
    outer, inner = typer.Typer(), typer.Typer()

    @inner.command()
    def deep(
        one: Path,
        maybe: Annotated[Path | None, typer.Option()] = None,
        some: Annotated[list[Path] | None, typer.Option()] = None,
        text: Annotated[str, typer.Option(help="A digest, or a file with it.")] = "",
        place: Annotated[str | None, typer.Option(metavar="FOLDER")] = None,
        name: Annotated[str, typer.Option(help="Who it is.")] = "",
        number: int = 1,
    ) -> None: ...

    @inner.command()
    def other(name: str) -> None: ...

    outer.add_typer(inner, name="group")
    named = ("one", "maybe", "some", "text", "place")
    assert set(places(typer.main.get_command(outer))) == {("group deep", name) for name in named}
