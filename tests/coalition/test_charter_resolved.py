"""The resolved charter: one encoding, one digest, and nothing unsound gets in."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.coalition.charters import TOML, member, resolved, signer

from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import LearningRateTerms, MemberRecord, TensorRecord
from tclearn.encoding import Digest, MemberId, Value, decode, digest, encode
from tclearn.errors import CharterError, Code, MessageError
from tclearn.limits import CHARTER_BYTES_MAX, MEMBERS_MAX

CHARTER = resolved()
BYTES = CHARTER.encode()
IDENTITY_POINT = bytes([1]) + bytes(31)
NOT_CANONICAL = bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")


def test_bytes_and_back() -> None:
    assert ResolvedCharter.from_bytes(BYTES) == CHARTER
    assert ResolvedCharter.from_bytes(BYTES).encode() == BYTES
    assert ResolvedCharter.from_bytes(BYTES).digest == CHARTER.digest
    plain = resolved(TOML)
    assert ResolvedCharter.from_bytes(plain.encode()) == plain


def test_the_digest_is_fixed() -> None:
    # A change here is a change of the format: every existing coalition would get another id.
    assert CHARTER.digest.hex() == "fa807c76dabe1a2c601222afb28f553f2a9b7d21ec9707f05cab7a12963a6975"


def test_another_process_gives_the_same_digest() -> None:
    code = "from tests.coalition.charters import resolved; print(resolved().digest.hex())"
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        environment["LC_ALL"] = "C"
        told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == CHARTER.digest.hex()


def changed(value: Value) -> list[tuple[str, Value]]:
    """Every change of one leaf of an encoded charter, with its path."""
    found: list[tuple[str, Value]] = []
    if isinstance(value, dict):
        for key, item in value.items():
            found += [(f".{key}{path}", {**value, key: other}) for path, other in changed(item)]
    elif isinstance(value, list):
        for at, item in enumerate(value):
            found += [(f"[{at}]{path}", [*value[:at], other, *value[at + 1 :]]) for path, other in changed(item)]
    elif isinstance(value, int):
        found += [("", value + 1), ("", max(value - 1, 0))]
    elif isinstance(value, str):
        found += [("", value + "x")]
    elif isinstance(value, bytes):
        found += [("", bytes([value[0] ^ 1]) + value[1:])]
    return [(path, other) for path, other in found if other != value]


STATED = {
    ".acceptance.arguments.groups",
    ".acceptance.lambda_ppm",
    ".acceptance.rule",
    ".data_key",
    ".hyperparameters.epochs",
    ".hyperparameters.momentum_ppm",
    ".learning_rate.factor_ppm",
    ".learning_rate.minimum_ppm",
    ".learning_rate.patience",
    ".members[0].certificate",
    ".members[0].seed_tip",
    ".model.factory",
    ".model.initial",
    ".model.layout[1].dtype",
    ".model.layout[1].name",
    ".model.layout[1].shape[0]",
    ".model.seed",
    ".model.source",
    ".name",
    ".schedule.attempts",
    ".schedule.minimum_batch",
    ".schedule.seal_ms",
    ".schedule.stop_blocks",
    ".schedule.stop_performance_ppm",
    ".schedule.stop_until_ms",
    ".schedule.turn_ms",
    ".schedule.verdict_ms",
    ".task.global_n",
    ".task.global_test",
    ".task.local_share_ppm",
    ".trainer",
}
"""Leaves that can change by one without making the charter unsound."""


def test_every_field_counts_in_the_digest() -> None:
    variants = changed(decode(BYTES))
    assert len(variants) > 80
    digests = {CHARTER.digest}
    read = set()
    for path, value in variants:
        try:
            other = ResolvedCharter.from_bytes(encode(value))
        except (CharterError, MessageError):
            continue
        assert other.digest not in digests, path
        digests.add(other.digest)
        read.add(path)
    assert read >= STATED


@pytest.mark.parametrize(
    "changes",
    [
        {"contracts": ("tclearn/2",)},
        {"local_results": "counts"},
        {"log_key": signer("another log").public},
        {"learning_rate": None},
        {"model": replace(CHARTER.model, arguments={**CHARTER.model.arguments, "width": "17"})},
        {"members": (*CHARTER.members[:3], replace(CHARTER.members[3], key=signer("another").public))},
    ],
)
def test_words_and_keys_count_too(changes: dict[str, Any]) -> None:
    assert replace(CHARTER, **changes).digest != CHARTER.digest


def with_member(at: int, **changes: Any) -> dict[str, Any]:
    members = list(CHARTER.members)
    members[at] = replace(members[at], **changes)
    return {"members": tuple(members)}


def part(name: str, **changes: Any) -> dict[str, Any]:
    return {name: replace(getattr(CHARTER, name), **changes)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "a charter in format 2"),
        ({"name": "a\nb"}, "[coalition] name is 'a\\nb'"),
        ({"protocol": "seccl"}, "[coalition] protocol is 'seccl'"),
        ({"level": "C"}, "[coalition] level is 'C'"),
        ({"level": "B"}, "level B without [vault] and [data_ids]"),
        ({"contracts": ()}, "a list of contracts"),
        ({"contracts": ("tclearn/1", "tclearn/1")}, "a list of contracts"),
        ({"contracts": ("tclearn",)}, "a list of contracts"),
        ({"members": CHARTER.members[:1]}, "1 members"),
        ({"members": CHARTER.members[::-1]}, "members that are not sorted"),
        ({"members": (CHARTER.members[0], *CHARTER.members)}, "two members named 'leuven'"),
        (with_member(0, id=MemberId("Leuven")), "member 'Leuven'"),
        (with_member(1, origin="dice"), "member 'namur': origin 'dice'"),
        (with_member(1, key=IDENTITY_POINT), "member 'namur': its transaction key"),
        (with_member(1, key=NOT_CANONICAL), "member 'namur': its transaction key"),
        (with_member(1, key=bytes(31)), "member 'namur': its transaction key"),
        (with_member(1, key=CHARTER.members[0].key), "a key that is shared by leuven and namur"),
        (with_member(1, key=CHARTER.log_key), "a key that is shared by namur and the log"),
        (with_member(1, seed_tip=CHARTER.members[2].seed_tip), "a seed chain that is shared by namur and porto"),
        (with_member(1, seed_tip=Digest(b"")), "member 'namur': a digest that is not 32 bytes"),
        (with_member(3, certificate=CHARTER.members[2].certificate), "a certificate that is shared by porto and turin"),
        ({"log_key": IDENTITY_POINT}, "the key of the log"),
        (part("model", factory="UNet"), "[model] factory is 'UNet'"),
        (part("model", factory="a:b" + "c" * 500), "[model] factory is"),
        (part("model", arguments={"a": "1.50"}), "[model] arguments.'a' is not in canonical form"),
        (part("model", arguments={"a": "{"}), "[model] arguments.'a' is not JSON"),
        (part("model", arguments={"a b": "1"}), "[model] arguments has the name 'a b'"),
        (part("model", arguments={f"a{n}": "1" for n in range(257)}), "[model] arguments has 257 entries"),
        (part("model", source=Digest(b"1")), "source is 1 bytes"),
        (part("model", layout=()), "a model of 0 tensors"),
        (part("model", layout=CHARTER.model.layout[::-1]), "tensors that are not sorted"),
        (part("model", layout=CHARTER.model.layout[:1] * 2), "tensors that are not sorted, or named twice"),
        (part("model", layout=(TensorRecord("", "F32", ()),)), "tensor '' of type 'F32'"),
        (part("model", layout=(TensorRecord("w", "F 32", ()),)), "of type 'F 32'"),
        (part("model", layout=(TensorRecord("w", "F32", (1,) * 17),)), "with 17 axes"),
        (part("model", layout=(TensorRecord("w", "F32", (2**62,) * 16),)), "a model too large"),
        (part("task", metric="loss"), "[task] metric is 'loss'"),
        (part("task", global_n=0), "[task] global_test_set is 0"),
        (part("task", local_share_ppm=900_001), "[task] local_test is 0.900001"),
        ({"local_results": "all"}, "[task] local_results is 'all'"),
        (part("acceptance", rule="An chored"), "[acceptance] rule is 'An chored'"),
        (part("acceptance", lambda_ppm=1_000_001), "[acceptance] lambda is 1.000001"),
        (part("acceptance", arguments={"A": 1}), "[acceptance] arguments.'A'"),
        (part("acceptance", arguments={"a": 1, "a_ppm": 1}), "[acceptance] arguments.a is there as a count and in"),
        (part("schedule", turns="x"), "[schedule] turns is 'x'"),
        (part("schedule", turn_ms=0), "[schedule] turn_minutes is 0"),
        (part("schedule", verdict_ms=2**62), "[schedule] verdict_minutes is"),
        (part("schedule", seal_ms=1), "[schedule] seal_minutes is"),
        (part("schedule", minimum_batch=0), "[schedule] minimum_batch is 0"),
        (part("schedule", attempts=0), "[schedule] attempts is 0"),
        (part("schedule", stop_blocks=0), "[schedule] stop.blocks is 0"),
        (part("schedule", stop_until_ms=1), "[schedule] stop.until is 1"),
        (part("schedule", stop_performance_ppm=0), "[schedule] stop.performance is 0"),
        (
            part("schedule", stop_blocks=None, stop_until_ms=None, stop_performance_ppm=None),
            "[schedule] stop is missing",
        ),
        ({"trainer": "?"}, "[model] trainer is '?'"),
        ({"step_search": "all"}, "[schedule] step_search is 'all'"),
        ({"hyperparameters": {"epochs": 0}, "governance": replace(CHARTER.governance, may_change=())}, "epochs is 0"),
        ({"hyperparameters": {**CHARTER.hyperparameters, "x": 2**53}}, "[hyperparameters] x is"),
        ({"hyperparameters": {**CHARTER.hyperparameters, "epochs_ppm": 1}}, "epochs is there as a count and in"),
        ({"hyperparameters": {**CHARTER.hyperparameters, "learning_rate": 0}}, "learning_rate is 0"),
        (
            {"hyperparameters": {"epochs": 1, "momentum_ppm": 1}},
            "[hyperparameters] learning_rate is missing",
        ),
        (part("learning_rate", rule="cosine"), "[hyperparameters] learning_rate.rule is 'cosine'"),
        (part("learning_rate", factor_ppm=1_000_000), "[hyperparameters] learning_rate.factor is 1"),
        (part("learning_rate", minimum_ppm=0), "[hyperparameters] learning_rate.minimum is 0"),
        (part("learning_rate", minimum_ppm=600_000), "learning_rate.minimum is above the start"),
        (part("governance", may_change=("speed",)), "[governance] may_change names 'speed'"),
        (part("governance", may_change=("momentum_ppm", "epochs")), "[governance] may_change is not sorted"),
        (part("governance", may_propose_revert=(MemberId("rome"),)), "[governance] may_propose_revert names 'rome'"),
        ({"data_key": Digest(b"")}, "data_key is 0 bytes"),
    ],
)
def test_an_unsound_charter_cannot_exist(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CharterError) as caught:
        replace(CHARTER, **changes)
    assert message in str(caught.value)
    assert caught.value.code in (Code.CHARTER_VALUE, Code.CHARTER_MEMBER, Code.CHARTER_MODEL)


def test_what_is_read_is_checked_like_what_is_made() -> None:
    unsound = CHARTER.to_value()
    unsound["members"] = [m.to_value() for m in CHARTER.members[::-1]]
    with pytest.raises(CharterError, match="not sorted"):
        ResolvedCharter.from_bytes(encode(unsound))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": 1}, "charter has the unknown field 'extra'"),
        ({"format": "1"}, "charter.format is str"),
        ({"members": 3}, "charter.members is int"),
        ({"step_search": 1}, "charter.step_search is int"),
    ],
)
def test_other_fields_and_types_are_refused_by_name(changes: dict[str, Value], message: str) -> None:
    with pytest.raises(MessageError) as caught:
        ResolvedCharter.from_bytes(encode({**CHARTER.to_value(), **changes}))
    assert message in str(caught.value)


def test_missing_fields_are_refused_by_name() -> None:
    for name in CHARTER.to_value():
        if name == "learning_rate":
            continue
        value = {key: item for key, item in CHARTER.to_value().items() if key != name}
        with pytest.raises(MessageError, match=f"lacks the field '{name}'"):
            ResolvedCharter.from_bytes(encode(value))


def test_a_charter_too_large_is_not_read() -> None:
    with pytest.raises(MessageError) as caught:
        ResolvedCharter.from_bytes(bytes(CHARTER_BYTES_MAX + 1))
    assert caught.value.code is Code.TOO_LARGE


def test_the_largest_coalition() -> None:
    names = [f"m{n:03d}" for n in range(MEMBERS_MAX)]
    members = [MemberRecord(MemberId(n), signer(n).public, digest("tip", n), "seed") for n in names]
    named = [member("leuven"), member("turin")]  # the governance of this charter speaks of them
    charter = resolved(members=[*members[: MEMBERS_MAX - 2], *named])
    assert ResolvedCharter.from_bytes(charter.encode()) == charter
    with pytest.raises(CharterError, match="258 members"):
        resolved(members=[*members, *named])


def test_a_rule_may_be_absent() -> None:
    without = replace(CHARTER, learning_rate=None)
    assert "learning_rate" not in without.to_value()
    assert ResolvedCharter.from_bytes(without.encode()) == without
    assert isinstance(CHARTER.learning_rate, LearningRateTerms)


def paths(value: Value) -> list[tuple[Any, ...]]:
    children: list[tuple[Any, Value]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [(), *((key, *rest) for key, item in children for rest in paths(item))]


def put(value: Any, path: tuple[Any, ...], new: Value) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


VALUE = decode(BYTES)
PATHS = paths(VALUE)
LEAVES = st.one_of(
    st.integers(-(2**64), 2**64 - 1),
    st.sampled_from([0, 1, 2**53, 2**62, 2**63 - 1, 10**18]),
    st.binary(max_size=40),
    st.binary(min_size=32, max_size=32),
    st.sampled_from([IDENTITY_POINT, NOT_CANONICAL, CHARTER.log_key]),
    st.text(max_size=40),
    st.sampled_from(["", "1e400", "[" * 3000, "NaN", '"\\ud800"', "a:b", "os", "../x", "\x00"]),
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def survives(data: bytes) -> None:
    try:
        charter = ResolvedCharter.from_bytes(data)
    except (CharterError, MessageError) as error:
        assert error.what
        return
    assert charter.encode() == data
    charter.model.keyword_arguments()


@given(st.lists(st.tuples(st.sampled_from(PATHS), ANYTHING), min_size=1, max_size=3))
def test_any_value_in_any_place_is_read_or_refused_by_code(changes: list[tuple[tuple[Any, ...], Value]]) -> None:
    value = VALUE
    for path, new in changes:
        try:
            value = put(value, path, new)
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # an earlier change has taken that place away
    try:
        data = encode(value)
    except (MessageError, UnicodeEncodeError):
        return
    survives(data)


@given(st.data())
def test_any_damage_to_the_bytes_is_refused_by_code(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(BYTES) - 1))
    cut = data.draw(st.integers(0, 8))
    survives(BYTES[:at] + data.draw(st.binary(max_size=8)) + BYTES[at + cut :])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_code(data: bytes) -> None:
    survives(data)
