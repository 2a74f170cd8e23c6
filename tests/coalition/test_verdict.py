"""Verdicts: what can be one, what they bind, and when results on G count as the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.coalition.verdict import Verdict, agreed_global, agrees, agrees_by_answer, commitment
from tclearn.encoding import MemberId, digest

G = Paired(n=100, scale=100, reference=80, candidate=82, lost=3, gained=5)
TESTED = Verdict("tested", Evidence(G))


def test_a_commitment_binds_every_part():
    base = {
        "coalition": digest("coalition"),
        "candidate": digest("candidate"),
        "attempt": 0,
        "sender": MemberId("a"),
        "verdict": TESTED,
        "salt": b"salt",
    }
    changed = {
        "coalition": digest("x"),
        "candidate": digest("y"),
        "attempt": 1,
        "sender": MemberId("b"),
        "verdict": replace(TESTED, evidence=Evidence(replace(G, candidate=83, gained=6))),
        "salt": b"pepper",
    }
    hashes = {commitment(**base)} | {commitment(**{**base, name: value}) for name, value in changed.items()}  # type: ignore[arg-type]
    assert len(hashes) == 7


def test_faults_are_found():
    def fault(verdict, *, local_counts=True, n=100, metric="accuracy"):
        return verdict.fault(metric=metric, global_n=n, local_counts=local_counts)

    assert fault(TESTED) is None
    assert fault(Verdict("unavailable")) is None
    assert fault(Verdict("unavailable", Evidence(G)))
    assert fault(Verdict("tested"))
    assert fault(Verdict("guessed", Evidence(G)))
    assert fault(TESTED, n=99)
    assert fault(TESTED, metric="auc")
    assert fault(Verdict("tested", Evidence(Paired(100, 1_000_000, 500_000, 600_000, 0, 0))), metric="auc") is None
    assert fault(TESTED, local_counts=False)
    assert fault(Verdict("tested", Evidence(G), 1), local_counts=False) is None
    assert fault(Verdict("tested", Evidence(G), 1), local_counts=True)
    assert fault(Verdict("tested", Evidence(G), 2), local_counts=False)
    assert fault(Verdict("tested", Evidence(G, G), 1), local_counts=False)
    for wrong in (
        replace(G, candidate=101, gained=24),
        replace(G, lost=0),
        replace(G, scale=50),
        replace(G, lost=90, gained=92),
    ):
        assert fault(Verdict("tested", Evidence(wrong)))
        assert fault(Verdict("tested", Evidence(G, wrong)))


def test_agreement_needs_a_quorum_and_outliers_do_not_move_it():
    honest = {MemberId(f"m{i}"): replace(G, candidate=82 + i % 2, gained=5 + i % 2) for i in range(4)}
    liars = {MemberId(f"z{i}"): replace(G, candidate=10, lost=75) for i in range(2)}
    agreed = agreed_global({**honest, **liars}, 4)
    assert agreed is not None and agrees(agreed, G)
    assert agreed_global({**honest, **liars}, 5) is None
    assert agreed_global({}, 1) is None


@given(st.permutations(range(6)), st.lists(st.integers(0, 100), min_size=6, max_size=6))
def test_agreement_does_not_depend_on_the_order_of_reports(order, right):
    reports = [(MemberId(f"m{i}"), Paired(100, 100, 50, value, 0, 0)) for i, value in enumerate(right)]
    shuffled = dict(reports[place] for place in order)
    assert agreed_global(dict(reports), 3) == agreed_global(shuffled, 3)


def test_tolerance_is_one_answer_or_a_thousandth():
    large = Paired(5000, 5000, 4000, 4100, 0, 100)
    assert agrees(large, replace(large, candidate=4105))
    assert not agrees(large, replace(large, candidate=4106))
    assert not agrees(G, replace(G, reference=82))
    assert not agrees(G, replace(G, n=101, scale=101))


def test_answers_lost_and_gained_are_held_to_the_tolerance_too():
    honest, lie = Paired(1000, 1000, 900, 881, 60, 41), Paired(1000, 1000, 901, 880, 21, 0)
    assert agrees(honest, lie)
    assert not agrees_by_answer(honest, lie)
    assert agrees_by_answer(honest, replace(honest, candidate=880, lost=61))
    assert not agrees_by_answer(honest, replace(honest, lost=62, gained=43))
    assert not agrees_by_answer(honest, replace(honest, candidate=879, lost=61, gained=40))
    reports = {MemberId("a"): lie, MemberId("b"): honest}
    assert agreed_global(reports, 2) == lie
    assert agreed_global(reports, 2, agrees_by_answer) is None
    assert agreed_global({**reports, MemberId("c"): honest}, 2, agrees_by_answer) == honest
