"""``tclearn coalition admit``, ``expel``, ``approve``, ``change``, ``members``, and ``tclearn member rotate``."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from tests.service.conftest import ENROLMENTS, NAMES, Member, Service, keys_of, now
from tests.service.test_agent_command import typed
from tests.service.test_membership import GHENT, joins, made

from tclearn.directory.changes import take_keys
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.rotating import NewFiles
from tclearn.encoding import MemberId
from tclearn.errors import Code, UnreachableError
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
    said = console.says("leuven", "coalition", "admit", "ghent.pem", "--yes")
    assert "root certificate of ghent, SHA-256: " in said
    assert "the admission of ghent: approved by leuven: 1 of 3 needed" in said
    name = said.split("tclearn coalition approve ")[1].strip()
    again = console.says("leuven", "coalition", "admit", "ghent.pem", "--yes", code=1)
    assert "leuven has already approved admitting ghent" in again
    # The others see it in their own copies, and need no file of ghent's.
    approved = console.says("namur", "coalition", "approve", name, "--yes")
    assert "2 of 3 needed" in approved
    assert "SHA-256" in approved
    status = typed(capsys, "status", "--dir", str(console.members["namur"].home.path))
    assert (
        f"leuven asks for the admission of ghent; approved by leuven, namur: 2 of 3 needed (change {name})"
        in status.out
    )
    assert "TCL-901" in console.says("porto", "coalition", "approve", "ffffffff", code=2)
    done = console.json("porto", "coalition", "approve", name, "--yes")
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


def test_a_rotation_whose_enrolment_is_lost_takes_no_files_away(at: Path) -> None:
    """Only the new keys lie there: it looks as if one renaming were missing, and the old keys are those that count."""
    file, keys = at / "porto.key", keys_of("porto")
    files = NewFiles(file)
    files.make(MemberId("porto"), keys, bytes(64), None, b"", now())
    files.new_enrolment.unlink()
    assert not files.half_renamed(None, now())
    with pytest.raises(UnreachableError) as lost:
        files.make(MemberId("porto"), keys, bytes(64), None, b"", now())
    assert "coalition members" in lost.value.remedy
    assert Oneself.read(at / "porto.pem", read_key_file(file), now()).keys.signer.public == keys.signer.public
    # The same beside the enrolment of the new keys: the last renaming is missing.
    (at / "porto.pem").write_bytes(made("porto", read_key_file(files.new_key))[0])
    assert files.half_renamed(None, now())


def test_in_the_founders_directory_where_no_service_runs(
    founded: Path, tmp_path: Path, at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(founded, tmp_path / "coalition")
    (at / "ghent.pem").write_bytes(made("ghent", GHENT)[0])
    for name in NAMES[:3]:
        words = (
            "coalition",
            "admit",
            "ghent.pem",
            "--yes",
            "--key",
            f"{name}.key",
            "--dir",
            str(tmp_path / "coalition"),
        )
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


def test_an_admission_is_shown_before_anything_is_said_and_needs_a_yes(
    service: Service, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolment, ghent = made("ghent", GHENT)
    (console.at / "ghent.pem").write_bytes(enrolment)
    fingerprint = ghent.root.fingerprint(SHA256()).hex(":").upper()
    ledger = service.desk.office.coalition.ledger
    for extra in ((), ("--json",)):
        said = console.says("leuven", "coalition", "admit", "ghent.pem", *extra, code=2)
        assert "the admission of ghent is not approved" in said
        assert fingerprint in said
        assert "--yes" in said
    assert len(ledger) == 0
    # At a terminal: no, then yes.
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    said = console.says("leuven", "coalition", "admit", "ghent.pem", code=130)
    assert said.index(fingerprint) < said.index("approve the admission of ghent?")
    assert len(ledger) == 0
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    name = console.says("leuven", "coalition", "admit", "ghent.pem").split("coalition approve ")[1].strip()
    assert len(ledger) == 1
    status = typed(console.capsys, "status", "--dir", str(console.members["leuven"].home.path))
    assert f"root certificate of ghent, SHA-256: {fingerprint}" in status.out
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert fingerprint in console.says("namur", "coalition", "approve", name, code=2)
    console.says("namur", "coalition", "approve", name, "--yes")
    # The newcomer is a member by then; it is not given "other keys".
    assert "the admission of ghent: done" in console.says("porto", "coalition", "approve", name, "--yes")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_new_keys_that_are_in_force_though_the_connection_of_the_old_ones_has_broken(
    service: Service, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*arguments: Any) -> bool:
        take_keys(*arguments)
        raise UnreachableError(Code.LEDGER_UNREACHABLE, "it has closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr("tclearn.cli.rotate.take_keys", lost)
        assert "are the new ones now" in console.says("namur", "member", "rotate")
    assert (
        service.desk.office.coalition.state.member_of(read_key_file(console.at / "namur.key").signer.public) == "namur"
    )
    assert not list(console.at.glob("*.new"))
    # And where neither key gets an answer, nothing is renamed.
    monkeypatch.setattr("tclearn.cli.rotate._POLL_S", 0.01)
    service.end()
    said = console.says("namur", "member", "rotate", code=4)
    assert "run `tclearn member rotate` again" in said
    assert len(list(console.at.glob("*.new"))) == 2
