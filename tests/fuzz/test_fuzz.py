"""Whatever comes in, decoding ends in success or in a coded refusal: a short search, the same every time.

A long one, with other seeds: ``python tools/fuzz.py --executions 1000000 --seed 1``. Both print a failing input as a
test; what was found so far is in ``test_found.py``.
"""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from tests.fuzz.harness import Fault, Search, Target, as_test, execute, unpacked
from tests.fuzz.targets import TARGETS

from tclearn.errors import Code, MessageError, TCLearnError, UsageError


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_success_or_a_coded_refusal(name: str) -> None:
    search = Search(TARGETS[name], seed=0)
    search.run(TARGETS[name].share)
    assert search.ways > 1  # not everything ends at the same first check


@pytest.mark.parametrize("name", TARGETS)
def test_valid_inputs_are_taken(name: str) -> None:
    target = TARGETS[name]
    for data in target.samples():
        with suppress(*target.allowed):
            target.check(data)
            return
    pytest.fail("all samples are refused: the search would stay at the door")


# The search itself: what it must not overlook


def _target(check: object) -> Target:
    def mutate(choose: random.Random, data: bytes, pool: object) -> bytes:
        return choose.randbytes(20)

    return Target("own", lambda: [b"sample"], check, mutate, 1)  # type: ignore[arg-type]


def _refuses(data: bytes) -> None:
    if data[:1] > b"\x80":
        raise MessageError(Code.ENCODING, "no")


def test_coded_errors_are_no_faults_and_their_lines_are_ways_of_their_own() -> None:
    search = Search(_target(_refuses), seed=1)
    search.run(100)
    assert search.ways == 2
    assert len(search.pool) == 2


def _fails(data: bytes) -> None:
    if b"\x07" in data:
        raise KeyError(data)


def test_another_exception_is_a_fault_and_its_input_is_made_shorter() -> None:
    with pytest.raises(Fault) as fault:
        Search(_target(_fails), seed=1).run(5000)
    assert fault.value.data == b"\x07"
    assert 'execute(TARGETS["own"], bytes.fromhex("07"))' in str(fault.value)


@pytest.mark.parametrize(
    "raised",
    [
        AssertionError("a promise"),
        RecursionError(),
        MemoryError(),
        UsageError(Code.UNEXPECTED, "a defect"),
        UsageError(Code.USAGE, "x" * 10_000),
        type("PanicException", (BaseException,), {})("of a library in Rust"),
    ],
)
def test_what_else_is_a_fault(raised: BaseException) -> None:
    def check(_: bytes) -> None:
        raise raised

    with pytest.raises(Fault):
        execute(_target(check), b"")


def test_too_much_time_and_memory_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: bytes) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001
                continue

    monkeypatch.setattr("tests.fuzz.harness.CPU_SECONDS_MAX", 0.1)
    with pytest.raises(Fault, match="more than"):
        execute(_target(endless), b"")
    monkeypatch.undo()
    monkeypatch.setattr("tests.fuzz.harness.MEMORY_BYTES_MAX", -1)
    with pytest.raises(Fault, match="more memory"):
        execute(_target(bytes), b"")


def test_the_same_seed_gives_the_same_inputs() -> None:
    for name in ("record", "charter-toml", "certificate", "ledger-pages"):
        enough = 120 + len(TARGETS[name].samples())  # the samples come first, whatever the seed
        one, two, other = (list(Search(TARGETS[name], seed).inputs(enough)) for seed in (5, 5, 6))
        assert one == two != other


def test_a_printed_input_is_read_again() -> None:
    data = bytes(10_000) + b"end"
    printed = as_test("model", data)
    assert len(printed) < 500
    text = printed.partition('unpacked("')[2].partition('"')[0]
    assert unpacked(text) == data
    assert isinstance(TCLearnError(Code.USAGE, "\x1b[2J\u202e").what, str)
