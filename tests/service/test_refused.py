"""The journal of refused requests: bounded, whoever fills it, and readable whatever a crash has left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError
from tclearn.limits import REFUSED_LINES_PER_MEMBER_AND_HOUR_MAX
from tclearn.service import refused
from tclearn.service.refused import BEFORE, REFUSED, RefusedRequests, refused_requests

NAMUR, PORTO = MemberId("namur"), MemberId("porto")
PATH = "/v1/vault/deliveries"


class Clock:
    now_ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def error(what: str = "an odd request") -> MessageError:
    return MessageError(Code.REFUSED, what)


def test_what_is_noted_is_read_again(tmp_path: Path) -> None:
    journal = RefusedRequests(tmp_path, Clock())
    journal.note(NAMUR, PATH, error())
    RefusedRequests(tmp_path, Clock()).note(PORTO, PATH, error("\u202e" + "x" * 9000 + "\n"))
    first, second = refused_requests(tmp_path)
    assert first == {
        "time_ms": Clock.now_ms,
        "member": "namur",
        "path": PATH,
        "code": "TCL-705",
        "reason": "an odd request",
    }
    assert len(second["reason"]) == 300 and second["reason"].isprintable()
    assert (tmp_path / REFUSED).stat().st_mode & 0o077 == 0


def test_one_member_cannot_push_out_what_another_has_left(tmp_path: Path) -> None:
    clock = Clock()
    journal = RefusedRequests(tmp_path, clock)
    for _ in range(10 * REFUSED_LINES_PER_MEMBER_AND_HOUR_MAX):
        journal.note(NAMUR, PATH, error())
    journal.note(PORTO, PATH, error())
    lines = list(refused_requests(tmp_path))
    assert [line["member"] for line in lines] == ["namur"] * REFUSED_LINES_PER_MEMBER_AND_HOUR_MAX + ["porto"]
    clock.now_ms += 3_600_000
    journal.note(NAMUR, PATH, error())
    assert list(refused_requests(tmp_path))[-1]["omitted"] == 9 * REFUSED_LINES_PER_MEMBER_AND_HOUR_MAX


def test_it_never_takes_more_than_two_files_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "REFUSED_JOURNAL_BYTES_MAX", 1000)
    clock = Clock()
    journal = RefusedRequests(tmp_path, clock)
    for number in range(60):
        clock.now_ms += 60_000
        journal.note(NAMUR, PATH, error(f"number {number}"))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([BEFORE, REFUSED])
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    kept = [line["reason"] for line in refused_requests(tmp_path)]
    assert kept == [f"number {number}" for number in range(60 - len(kept), 60)] and len(kept) > 5


def test_a_line_that_a_crash_has_cut_off_is_left_out(tmp_path: Path) -> None:
    journal = RefusedRequests(tmp_path, Clock())
    journal.note(NAMUR, PATH, error())
    with (tmp_path / REFUSED).open("ab") as file:
        file.write(b'{"time_ms": 1, "memb')
    assert len(list(refused_requests(tmp_path))) == 1
    journal.note(PORTO, PATH, error())
    assert [line["member"] for line in refused_requests(tmp_path)] == ["namur", "porto"]
    (tmp_path / REFUSED).write_bytes(b"\xff\n[1]\nnull\n" + json.dumps({"member": "porto"}).encode() + b"\n")
    assert list(refused_requests(tmp_path)) == [{"member": "porto"}]
    assert list(refused_requests(tmp_path / "nowhere")) == []


def test_a_full_disk_refuses_all_the_same(tmp_path: Path) -> None:
    RefusedRequests(tmp_path / "nowhere", Clock()).note(NAMUR, PATH, error())
