"""Which words of a member contradict each other, and which an honest member may well say both of."""

from __future__ import annotations

from itertools import permutations

import pytest
from tests.protocols.world import World, measured, verdict

from tclearn.coalition.hidden import part_commitment
from tclearn.coalition.verdict import Verdict, commitment
from tclearn.encoding import Digest, MemberId, digest
from tclearn.ledger import Call
from tclearn.ledger.cosigning import Cosignature
from tclearn.ledger.evidence import Contradicting
from tclearn.protocols.tclearn import calls
from tclearn.records import Record

WORLD = World(4)
MEMBER = MemberId("m01")
CANDIDATE, OTHER = digest("candidate"), digest("another")
YES, NO, AWAY = verdict(60), verdict(40), Verdict("unavailable")


def commit(said: Verdict, salt: bytes = b"salt", candidate: Digest = CANDIDATE, attempt: int = 0) -> calls.Commit:
    promise = commitment(WORLD.charter.digest, candidate, attempt, MEMBER, said, salt)
    return calls.Commit(candidate, attempt, promise)


def reveal(said: Verdict, salt: bytes = b"salt", candidate: Digest = CANDIDATE, attempt: int = 0) -> calls.Reveal:
    return calls.Reveal(candidate, attempt, said, salt)


def head(size: int, root: str = "root", at_seconds: int = 1) -> Cosignature:
    return Cosignature(size, digest(root), digest("results"), 5, at_seconds, bytes(64))


def seal(height: int, link: str) -> calls.Seal:
    return calls.Seal(height, digest(link))


def hide(*records: str, first: int = 0) -> calls.Hide:
    numbered = enumerate(records, first)
    parts = (part_commitment(WORLD.charter.digest, MEMBER, n, digest(name), 9, b"salt") for n, name in numbered)
    return calls.Hide(first, tuple(parts))


def show(number: int, records: str, candidate: Digest = CANDIDATE, file: str = "file", first: int = 0) -> calls.Show:
    return calls.Show(candidate, first, number, digest(file), digest(records), 9, b"salt")


def judged(first: Call, second: Call, member: MemberId = MEMBER) -> str | None:
    topic = WORLD.contract.topic(first)
    if topic is None or topic != WORLD.contract.topic(second):
        return None
    return WORLD.contract.contradiction(first, second, member)


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (commit(YES), commit(NO), "two commitments to one verdict"),
        (commit(YES), commit(YES, b"pepper"), "two commitments to one verdict"),
        (reveal(YES), reveal(NO), "two verdicts on one candidate"),
        (reveal(YES), reveal(AWAY), "two verdicts on one candidate"),
        (reveal(YES), reveal(YES, b"pepper"), "two verdicts on one candidate"),
        (commit(YES), reveal(NO), "not the one committed to"),
        (commit(YES), reveal(YES, b"pepper"), "not the one committed to"),
        (commit(YES), reveal(verdict(60, local=measured(1, 1, 1))), "not the one committed to"),
        (hide("a", "b"), hide("a", "c"), "two commitments to hidden parts 0 and following"),
        (hide("a", "b"), hide("a"), "two commitments to hidden parts 0 and following"),
        (hide("a", "b"), show(1, "c"), "a hidden part 1 that is not the one committed to"),
        (hide("a", "b"), show(2, "b"), "a hidden part 2 that is not the one committed to"),
        (hide("a", first=4), show(3, "a", first=4), "a hidden part 3 that is not the one committed to"),
        (show(1, "b"), show(1, "c"), "two files shown as hidden part 1"),
        (show(1, "b"), show(1, "b", file="another"), "two files shown as hidden part 1"),
        (seal(3, "a"), seal(3, "b"), "two seals of block 3"),
        (calls.Endorse(OTHER, head(9)), calls.Endorse(OTHER, head(10)), "two heads endorsed for one block"),
        (calls.Endorse(OTHER, head(9)), calls.Endorse(OTHER, head(9, "fork")), "two heads endorsed for one block"),
    ],
)
def test_these_contradict_each_other(first: Record, second: Record, what: str) -> None:
    for one, other in permutations((calls.call(first), calls.call(second))):
        said = judged(one, other)
        assert said is not None and what in said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (commit(YES), commit(YES)),
        (commit(YES), commit(NO, attempt=1)),
        (commit(YES), commit(NO, candidate=OTHER)),
        (commit(YES), reveal(YES)),
        (commit(YES), reveal(NO, attempt=1)),
        (reveal(YES), reveal(YES)),
        (reveal(YES), reveal(NO, candidate=OTHER)),
        (hide("a", "b"), hide("a", "b")),
        (hide("a", "b"), hide("c", first=2)),
        (hide("a", "b"), show(1, "b")),
        (show(0, "a"), show(1, "b", OTHER)),
        (show(1, "b"), show(1, "b")),
        (show(1, "b"), show(1, "b", OTHER)),  # asked for in two histories: the log is to blame
        (seal(3, "a"), seal(3, "a")),
        (seal(3, "a"), seal(4, "a")),  # the first came too late, and its link was not used up
        (seal(3, "a"), seal(4, "b")),
        (calls.Endorse(OTHER, head(9)), calls.Endorse(OTHER, head(9, at_seconds=2))),
        (calls.Endorse(OTHER, head(9)), calls.Endorse(CANDIDATE, head(12))),  # the first block found no quorum
        (calls.Renew(digest("tip")), calls.Renew(digest("next tip"))),
        (calls.Release(OTHER), calls.Release(CANDIDATE)),
        (calls.Timeout(OTHER), calls.Timeout(CANDIDATE)),
        (calls.Finalize(3), calls.Finalize(4)),
        (calls.Pass(OTHER, 1), calls.Pass(OTHER, 2)),
        (calls.Approve(OTHER), calls.Approve(CANDIDATE)),
        (seal(3, "a"), calls.Endorse(OTHER, head(9))),
    ],
)
def test_these_do_not(first: Record, second: Record) -> None:
    for one, other in permutations((calls.call(first), calls.call(second))):
        assert judged(one, other) is None


def test_a_verdict_opens_only_the_commitment_of_its_own_member() -> None:
    said = calls.call(commit(YES)), calls.call(reveal(YES))
    assert judged(*said) is None
    assert judged(*said, member=MemberId("m02")) is not None


@pytest.mark.parametrize("method", [*sorted(calls.METHODS), "unknown"])
def test_what_cannot_be_read_is_about_nothing(method: str) -> None:
    assert WORLD.contract.topic(Call("tclearn/1", method, {"candidate": b"short"})) is None


def test_the_contract_offers_to_judge() -> None:
    assert isinstance(WORLD.contract, Contradicting)
