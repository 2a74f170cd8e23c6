"""Records read exactly what they write, and refuse everything else by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.encoding import Digest, MemberId, Value, decode, encode
from tclearn.errors import Code, MessageError
from tclearn.records import Record

DIGEST = Digest(bytes(range(32)))


@dataclass(frozen=True, slots=True)
class Vote(Record):
    member: MemberId
    yes: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ballot(Record):
    height: int
    candidate: Digest
    salt: bytes
    title: str
    votes: tuple[Vote, ...]
    shares: dict[str, int]
    table: dict[str, tuple[int, ...]]
    anything: Value
    general: MemberId | None = None
    first: Vote | None = None


naturals = st.integers(0, (1 << 63) - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
members = st.from_regex(r"\A[a-z0-9][a-z0-9.-]{0,62}\Z").map(MemberId)
votes = st.builds(Vote, members, naturals, st.none() | texts)
anything = st.recursive(naturals | st.binary() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner))
ballots = st.builds(
    Ballot,
    naturals,
    st.binary(min_size=32, max_size=32).map(Digest),
    st.binary(),
    texts,
    st.lists(votes, max_size=4).map(tuple),
    st.dictionaries(texts, naturals, max_size=4),
    st.dictionaries(texts, st.lists(naturals, max_size=4).map(tuple), max_size=4),
    anything,
    st.none() | members,
    st.none() | votes,
)

PLAIN = Ballot(1, DIGEST, b"s", "t", (Vote(MemberId("a"), 1),), {"a": 1}, {"b": (1, 2)}, ["x"])


@given(ballots)
def test_round_trip(ballot: Ballot) -> None:
    assert Ballot.from_value(decode(ballot.encode())) == ballot
    assert Ballot.from_value(decode(ballot.encode())).encode() == ballot.encode()


@given(ballots, ballots)
def test_different_records_have_different_encodings(one: Ballot, other: Ballot) -> None:
    assert (one.encode() == other.encode()) == (one == other)


def test_absent_means_none_and_is_not_written() -> None:
    assert "general" not in PLAIN.to_value()
    assert Vote(MemberId("a"), 1).encode() == encode({"member": "a", "yes": 1})


@pytest.mark.parametrize("name", sorted(get_type_hints(Ballot)))
@given(wrong=anything)
def test_a_field_is_read_or_refused_by_name(name: str, wrong: Value) -> None:
    value = {**PLAIN.to_value(), name: wrong}
    try:
        ballot = Ballot.from_value(value)
    except MessageError as refusal:
        assert refusal.code is Code.ENCODING
        assert f"Ballot.{name}" in refusal.what
    else:
        assert ballot.to_value() == value


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"height": -1}, "Ballot.height"),
        ({"height": 1 << 63}, "Ballot.height"),
        ({"height": "1"}, "Ballot.height"),
        ({"height": True}, "Ballot.height"),
        ({"candidate": bytes(31)}, "Ballot.candidate"),
        ({"candidate": bytes(33)}, "Ballot.candidate"),
        ({"candidate": "0" * 32}, "Ballot.candidate"),
        ({"salt": "s"}, "Ballot.salt"),
        ({"salt": bytearray(b"s")}, "Ballot.salt"),
        ({"title": b"t"}, "Ballot.title"),
        ({"votes": {}}, "Ballot.votes"),
        ({"votes": "ab"}, "Ballot.votes"),
        ({"votes": [{"member": "a", "yes": 1}, {"member": "a", "yes": -1}]}, "Ballot.votes[1].yes"),
        ({"votes": [{"member": "a", "yes": 1, "extra": 1}]}, "Ballot.votes[0]"),
        ({"shares": []}, "Ballot.shares"),
        ({"shares": {"a": "1"}}, "Ballot.shares.a"),
        ({"table": {"a": [1, b""]}}, "Ballot.table.a[1]"),
        ({"general": ""}, "Ballot.general"),
        ({"first": []}, "Ballot.first"),
    ],
)
def test_other_types_are_refused_at_their_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(MessageError) as refusal:
        Ballot.from_value({**PLAIN.to_value(), **change})
    assert refusal.value.what.split(" ")[0] == place


def test_missing_and_unknown_fields_are_named() -> None:
    value = PLAIN.to_value()
    with pytest.raises(MessageError, match="ballot 3 lacks the field 'salt'"):
        Ballot.from_value({key: item for key, item in value.items() if key != "salt"}, "ballot 3")
    with pytest.raises(MessageError, match="ballot 3 has the unknown field 'sugar'"):
        Ballot.from_value({**value, "sugar": 1}, "ballot 3")
    with pytest.raises(MessageError, match="ballot 3 is list of length 2"):
        Ballot.from_value([1, 2], "ballot 3")


@given(anything)
def test_any_value_is_read_or_refused(value: Value) -> None:
    try:
        vote = Vote.from_value(value)
    except MessageError:
        return
    assert vote.to_value() == value


@pytest.mark.parametrize("name", ["a", "0", "leuven", "hospital-1", "a.b", "a" * 63])
def test_member_names(name: str) -> None:
    assert Vote.from_value({"member": name, "yes": 1}).member == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "-a", ".a", "a b", "a/b", "a\\b", "a\n", "a\0", "é", "\uff41", "a" * 64, "../a", "a_b", b"a", 1],
    ids=ascii,
)
def test_other_member_names_are_refused(name: Value) -> None:
    with pytest.raises(MessageError):
        Vote.from_value({"member": name, "yes": 1})


def test_a_refusal_shows_no_content() -> None:
    with pytest.raises(MessageError) as refusal:
        Ballot.from_value({**PLAIN.to_value(), "height": "a patient's name", "candidate": b"a secret"})
    assert "patient" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_unknown_field_names_cannot_drive_a_terminal() -> None:
    with pytest.raises(MessageError) as refusal:
        Vote.from_value({"member": "a", "yes": 1, "\x1b[2J\n": 1})
    assert refusal.value.what.isprintable()


def test_map_keys_cannot_drive_a_terminal() -> None:
    with pytest.raises(MessageError) as refusal:
        Ballot.from_value({**PLAIN.to_value(), "shares": {"\x1b[2J\n": "x"}})
    assert refusal.value.what.isprintable()


def test_a_refusal_is_short() -> None:
    with pytest.raises(MessageError) as refusal:
        Vote.from_value({"member": "a", "yes": 1, "x" * 1_000_000: 1})
    assert len(str(refusal.value)) < 500


def test_a_field_type_outside_the_schema_is_a_programming_error() -> None:
    @dataclass(frozen=True, slots=True)
    class Share(Record):
        part: float

    with pytest.raises((TypeError, NameError)):
        Share.from_value({"part": 1})
