"""``tclearn coalition admit``, ``expel``, ``approve``, ``change``, ``members``, and ``tclearn member rotate``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import ENROLMENTS, NAMES, Member, Service, keys_of, now
from tests.service.test_agent_command import typed
from tests.service.test_membership import GHENT, joins, made

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.rotating import NewFiles
from tclearn.identity.key_file import read_key_file, write_key_file
from tclearn.service.home import Oneself


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everybody's keys, as if it were many computers."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in NAMES:
        write_key_file(folder / f"{name}.key", keys_of(name))
        (folder / f"{name}.pem").write_bytes(ENROLMENTS[name])
    monkeypatch.chdir(folder)
    return folder


class Console:
    """Commands of members, each with its own key and directory."""

    def __init__(self, members: dict[str, Member], at: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.members, self.at, self.capsys = members, at, capsys

    def says(self, name: str, *words: str, code: int = 0) -> str:
        home = self.members[name].home.path
        said = typed(self.capsys, *words, "--key", str(self.at / f"{name}.key"), "--dir", str(home))
        assert said.code == code, said
        return said.out + said.err

    def json(self, name: str, *words: str) -> Any:
        return json.loads(self.says(name, *words, "--json"))


@pytest.fixture
def console(members: dict[str, Member], at: Path, capsys: pytest.CaptureFixture[str]) -> Console:
    return Console(members, at, capsys)


def test_a_newcomer_is_admitted_by_its_file_and_by_the_name_of_the_change(
    service: Service, console: Console, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolment, ghent = made("ghent", GHENT)
    (console.at / "ghent.pem").write_bytes(enrolment)
    said = console.says("leuven", "coalition", "admit", "ghent.pem")
    assert "root certificate of ghent, SHA-256: " in said
    assert "the admission of ghent: approved by leuven: 1 of 3 needed" in said
    name = said.split("tclearn coalition approve ")[1].strip()
    again = console.says("leuven", "coalition", "admit", "ghent.pem", code=1)
    assert "leuven has already approved admitting ghent" in again
    # The others see it in their own copies, and need no file of ghent's.
    approved = console.says("namur", "coalition", "approve", name)
    assert "2 of 3 needed" in approved
    assert "SHA-256" in approved
    status = typed(capsys, "status", "--dir", str(console.members["namur"].home.path))
    assert (
        f"leuven asks for the admission of ghent; approved by leuven, namur: 2 of 3 needed (change {name})"
        in status.out
    )
    assert "TCL-901" in console.says("porto", "coalition", "approve", "ffffffff", code=2)
    done = console.json("porto", "coalition", "approve", name)
    assert (done["status"], done["member"], done["kind"]) == ("done", "ghent", "admit")
    joins(service, tmp_path / "ghent", ghent)
    listed = typed(capsys, "coalition", "members", "--dir", str(tmp_path / "ghent"), "--json")
    assert [each["member"] for each in json.loads(listed.out)["members"]] == ["ghent", *NAMES]


def test_an_expulsion_and_a_departure(service: Service, console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES[:2]:
        assert "the expulsion of turin" in console.says(name, "coalition", "expel", "turin")
    assert "the expulsion of turin: done" in console.says("porto", "coalition", "expel", "turin")
    said = console.says("turin", "coalition", "change", "epochs=3", code=1)
    assert "TCL-312" in said
    assert "turin is not a member any more" in said
    assert console.json("porto", "coalition", "expel", "porto")["status"] == "done"
    console.says("leuven", "coalition", "expel", "Nobody!", code=2)
    console.says("leuven", "coalition", "change", "epochs=3", code=1)  # its copy is as new as its last word
    home = console.members["leuven"].home.path
    listed = typed(capsys, "coalition", "members", "--dir", str(home)).out
    assert "turin" in listed
    assert "was a member" in listed
    shown = typed(capsys, "ledger", "show", "--dir", str(home), "--json")
    assert [entry["member"] for entry in json.loads(shown.out)["entries"]] == ["leuven", "namur", "porto", "porto"]


def test_hyperparameters_that_the_charter_does_not_let_be_changed(console: Console) -> None:
    assert "does not let epochs be changed" in console.says("leuven", "coalition", "change", "epochs=3", code=1)
    for wrong in ("epochs", "epochs=", "epochs=x", "epochs=1.5", "depth=3", "epochs=0", "epochs=1e99999999"):
        assert "TCL-901" in console.says("leuven", "coalition", "change", wrong, code=2)


def test_a_revert_is_asked_for_over_the_network(console: Console) -> None:
    said = console.says("leuven", "model", "revert", "0", code=1)
    assert "is not before the newest block 0" in said
    assert "--key" in console.says("leuven", "model", "revert", "0", "--member", "leuven", code=2)


def test_other_keys_in_the_place_of_the_old(service: Service, console: Console) -> None:
    before = keys_of("namur").signer.public
    said = console.says("namur", "member", "rotate")
    assert "start the agent again" in said
    keys = read_key_file(console.at / "namur.key")
    assert [each.public for each in keys.earlier] == [before]
    assert service.desk.office.coalition.state.member_of(keys.signer.public) == "namur"
    assert not list(console.at.glob("*.new"))
    # The new files work, the directory is the same.
    assert "the expulsion of turin" in console.says("namur", "coalition", "expel", "turin")


@pytest.mark.parametrize("crash", ["before it is said", "after it was said", "between the two names"])
def test_an_interrupted_rotation_is_finished_by_doing_it_again(
    service: Service, console: Console, monkeypatch: pytest.MonkeyPatch, crash: str
) -> None:
    class Crashed(BaseException):
        pass

    def ends(*_: object, **__: object) -> None:
        raise Crashed

    home = str(console.members["namur"].home.path)
    words = ("member", "rotate", "--key", str(console.at / "namur.key"), "--dir", home)
    with monkeypatch.context() as patched:
        if crash == "before it is said":
            patched.setattr("tclearn.cli.rotate.take_keys", ends)
        elif crash == "after it was said":
            patched.setattr(NewFiles, "take", ends)
        else:
            replace = Path.replace

            def once(path: Path, target: Path) -> Path:
                if path.suffix == ".new" and path.name.startswith("namur.key"):
                    raise Crashed
                return replace(path, target)

            patched.setattr(Path, "replace", once)
        with pytest.raises(Crashed):
            typed(console.capsys, *words)
    assert list(console.at.glob("*.new"))
    console.says("namur", "member", "rotate")
    keys = read_key_file(console.at / "namur.key")
    assert service.desk.office.coalition.state.member_of(keys.signer.public) == "namur"
    assert len(keys.earlier) == 1
    assert not list(console.at.glob("*.new"))
    assert Oneself.read(console.at / "namur.pem", keys, now()).member == "namur"


def test_in_the_founders_directory_where_no_service_runs(
    founded: Path, tmp_path: Path, at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(founded, tmp_path / "coalition")
    (at / "ghent.pem").write_bytes(made("ghent", GHENT)[0])
    for name in NAMES[:3]:
        words = ("coalition", "admit", "ghent.pem", "--key", f"{name}.key", "--dir", str(tmp_path / "coalition"))
        assert typed(capsys, *words).code == 0
    assert typed(capsys, "member", "rotate", "--key", "leuven.key", "--dir", str(tmp_path / "coalition")).code == 0
    with CoalitionDirectory.open(tmp_path / "coalition") as coalition:
        assert coalition.state.members == ("ghent", *NAMES)
        assert set(coalition.roots(now())) == {"ghent", *NAMES}


def test_while_the_service_runs_its_directory_is_not_the_place(
    service: Service, at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("coalition", "expel", "turin", "--key", "leuven.key", "--dir", str(service.directory))
    said = typed(capsys, *words)
    assert said.code == 1
    assert "TCL-408" in said.err
    assert "the directory that you have joined it with" in said.err
