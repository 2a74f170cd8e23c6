"""Acceptance is equation 3 in exact integers, on G and L together, record by record."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.acceptance import ANCHORED, PAPER, Terms, merged
from tclearn.coalition.evidence import Evidence, Paired


@st.composite
def paired(draw):
    n = draw(st.integers(1, 5000))
    scale = draw(st.sampled_from([n, 1_000_000]))
    return Paired(n, scale, draw(st.integers(0, scale)), draw(st.integers(0, scale)), 0, 0)


@given(paired(), st.none() | paired(), st.integers(0, 1_000_000))
def test_judgement_is_equation_3(on_global, on_local, lambda_ppm):
    sets = [on_global] + ([on_local] if on_local else [])
    records = sum(p.n for p in sets)
    reference = sum(Fraction(p.n * p.reference, p.scale) for p in sets) / records
    candidate = sum(Fraction(p.n * p.candidate, p.scale) for p in sets) / records
    evidence = Evidence(on_global, on_local)
    assert merged(evidence) == (reference, candidate)
    judged = PAPER.judge(evidence, Terms(lambda_ppm))
    assert judged.accepted == (Fraction(lambda_ppm, 1_000_000) * reference <= candidate)


def test_the_printed_inequality_of_the_earlier_paper_would_accept_the_ruined_model():
    """001 eq. 2 prints λ·perf(M_i) > perf(M_i+1); its text, and 000 eq. 3, mean the opposite."""
    ruined = Evidence(Paired(100, 100, 90, 10, 85, 5))
    assert not PAPER.judge(ruined, Terms(980_000)).accepted
    assert "0.1000 < 0.98 × 0.9000" in PAPER.judge(ruined, Terms(980_000)).reason


def test_paper_compares_with_the_previous_model_and_anchored_with_the_best():
    assert PAPER.reference(previous=9, best=4) == 9
    assert ANCHORED.reference(previous=9, best=4) == 4


def test_a_handful_of_local_records_cannot_outvote_the_global_test_set():
    worse = Paired(120, 120, 112, 97, 20, 5)
    few = Evidence(worse, Paired(5, 5, 3, 5, 0, 2))
    assert not ANCHORED.judge(few, Terms(980_000)).accepted
    many = Evidence(worse, Paired(500, 500, 300, 500, 0, 200))
    assert ANCHORED.judge(many, Terms(980_000)).accepted
