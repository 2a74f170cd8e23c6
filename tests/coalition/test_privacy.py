"""``[privacy]`` of the charter, and how events are held against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.coalition.charters import TOML, charter, facts, resolved

from tclearn.coalition.accountant import MOST
from tclearn.coalition.charter import Charter, Privacy
from tclearn.coalition.privacy import PrivacyEvent, cost, epsilon_ppm, epsilon_text, fault, together, upload_limit
from tclearn.coalition.resolve import resolve
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import PrivacyTerms, TensorRecord
from tclearn.errors import CharterError

EXAMPLE_TOML = TOML + "[privacy]\nmechanism = 'example'\nnoise = 1.1\nclip = 0.5\ndelta = 0.00001\nepsilon_max = 8\n"
SHOKRI_TOML = TOML + "[privacy]\nmechanism = 'shokri'\nshare = 0.1\nclip = 0.001\nepsilon = 0.01\n"
EXAMPLE = {"mechanism": "example", "noise": 1.1, "clip": 0.5, "delta": 1e-5, "epsilon_max": 8}
SHOKRI = {"mechanism": "shokri", "share": 0.1, "clip": 0.001, "epsilon": 0.01}
LAYOUT = (TensorRecord("bias", "F32", (10,)), TensorRecord("count", "I64", ()), TensorRecord("weight", "F32", (9, 10)))

BY_EXAMPLE = PrivacyTerms("example", 500_000, noise_ppm=1_100_000, delta_ppt=10**7, epsilon_max_ppm=8_000_000)
SELECTIVE = PrivacyTerms("shokri", 1_000, share_ppm=100_000, selection="random", threshold_ppm=0, epsilon_ppm=10_000)
DONE = PrivacyEvent("example", 500_000, noise_ppm=1_100_000, delta_ppt=10**7, records=324, batch=16, steps=210)
SHARED = PrivacyEvent("shokri", 1_000, released=10, epsilon_ppm=10_000)


def terms(text: str) -> PrivacyTerms | None:
    return resolve(Charter.from_toml(text), **facts()).privacy


def test_each_mechanism_arrives_in_the_resolved_charter() -> None:
    assert terms(EXAMPLE_TOML) == BY_EXAMPLE
    assert terms(SHOKRI_TOML) == SELECTIVE
    largest = terms(SHOKRI_TOML + "selection = 'largest'\nepsilon_max = 100\n")
    assert largest == replace(SELECTIVE, selection="largest", threshold_ppm=None, epsilon_max_ppm=100_000_000)


def test_no_mechanism_leaves_the_charter_as_it_was() -> None:
    without = resolved(TOML).encode()
    assert resolved(TOML + "[privacy]\nmechanism = 'none'\n").encode() == without
    assert b"privacy" not in without


def test_the_record_reads_back() -> None:
    complete = resolved(EXAMPLE_TOML)
    assert ResolvedCharter.from_bytes(complete.encode()) == complete


def test_python_and_toml_say_the_same() -> None:
    written = charter(privacy=EXAMPLE).privacy
    assert written == charter(privacy=Privacy(**EXAMPLE)).privacy  # type: ignore[arg-type]
    assert isinstance(written, Privacy) and str(written.delta) == "0.00001"
    assert charter(privacy={"mechanism": "none"}).privacy is None


def test_steps_are_not_searched_on_private_records() -> None:
    assert charter().steps_searched_on == "own"
    assert charter(privacy=EXAMPLE).steps_searched_on == "none"
    assert charter(privacy=EXAMPLE, step_search="global").steps_searched_on == "global"
    with pytest.raises(CharterError, match='step_search is "own" with a \\[privacy\\] mechanism'):
        charter(privacy=SHOKRI, step_search="own")
    with pytest.raises(CharterError, match='step_search is "own" with a \\[privacy\\] mechanism'):
        replace(resolved(EXAMPLE_TOML), step_search="own")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"mechanism": "exmaple"}, "did you mean 'example'?"),
        ({"noise": 1}, "[privacy] mechanism is missing"),
        ({**EXAMPLE, "sigma": 1}, "[privacy] has the unknown key 'sigma'"),
        ({**EXAMPLE, "noise": 0.2}, "a number from 0.3 to 1000"),
        ({**EXAMPLE, "noise": None}, "[privacy] noise is missing"),
        ({**EXAMPLE, "share": 0.1}, "[privacy] share with the mechanism example"),
        ({**EXAMPLE, "delta": 0.5}, "a number from 0.000000000001 to 0.01"),
        ({**EXAMPLE, "delta": 1e-13}, "round it to twelve decimals"),
        ({**SHOKRI, "share": 1.5}, "a number from 0.000001 to 1"),
        ({**SHOKRI, "selection": "smallest"}, "largest or random"),
        ({**SHOKRI, "selection": "largest", "threshold": 0.1}, "threshold with the selection largest"),
        ({**SHOKRI, "noise": 1}, "[privacy] noise with the mechanism shokri"),
        ({"mechanism": "none", "noise": 1}, "[privacy] noise with the mechanism none"),
        ("example", "[privacy] is 'example'"),
    ],
)
def test_mistakes_are_named_by_key(written: Any, said: str) -> None:
    with pytest.raises(CharterError) as caught:
        charter(privacy=written)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mechanism": "magic"}, "[privacy] mechanism is 'magic'"),
        ({"noise_ppm": None}, "[privacy] noise is missing"),
        ({"noise_ppm": 1}, "a number from 0.3 to 1000"),
        ({"share_ppm": 1}, "[privacy] share with the mechanism example"),
        ({"selection": "random"}, "[privacy] selection with the mechanism example"),
    ],
)
def test_a_record_from_elsewhere_is_checked_too(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(CharterError) as caught:
        replace(resolved(EXAMPLE_TOML), privacy=replace(BY_EXAMPLE, **changed))
    assert said in str(caught.value)


def test_an_event_that_fits_has_no_fault() -> None:
    assert fault(None, None, 324, LAYOUT) == ""
    assert fault(BY_EXAMPLE, DONE, 324, LAYOUT) == ""
    assert fault(BY_EXAMPLE, replace(DONE, noise_ppm=2_000_000), 324, LAYOUT) == ""
    assert fault(SELECTIVE, SHARED, 324, LAYOUT) == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"noise_ppm": 1_099_999}, "noise 1.099999, the charter asks for 1.1 at least"),
        ({"clip_ppm": 500_001}, "clipped to 0.500001, the charter asks for 0.5"),
        ({"delta_ppt": 10**8}, "another δ than the charter's 0.00001"),
        ({"records": 325}, "noise over 325 records, the contribution trains on 324"),
        ({"batch": 0}, "steps of 0 records of 324"),
        ({"batch": 325}, "steps of 325 records of 324"),
        ({"steps": 0}, "0 noisy steps"),
        ({"steps": None}, "not one of DP-SGD"),
        ({"epsilon_ppm": 1}, "not one of DP-SGD"),
        ({"mechanism": "shokri"}, "privacy of another kind: the charter asks for the mechanism example"),
    ],
)
def test_an_event_that_falls_short_is_named(changed: dict[str, Any], said: str) -> None:
    assert said in fault(BY_EXAMPLE, replace(DONE, **changed), 324, LAYOUT)


def test_selective_sharing_is_held_to_its_numbers() -> None:
    assert "11 parameters uploaded, 10 are allowed" in fault(SELECTIVE, replace(SHARED, released=11), 5, LAYOUT)
    assert "another ε per parameter" in fault(SELECTIVE, replace(SHARED, epsilon_ppm=9_999), 5, LAYOUT)
    assert "not one of selective sharing" in fault(SELECTIVE, replace(SHARED, steps=3), 5, LAYOUT)
    assert "no privacy: the charter asks for the mechanism shokri" in fault(SELECTIVE, None, 5, LAYOUT)
    assert "the charter does not ask for" in fault(None, SHARED, 5, LAYOUT)


def test_what_may_be_uploaded_is_paid_for_whether_it_was_or_not() -> None:
    assert upload_limit(SELECTIVE, LAYOUT) == 10  # of a hundred real numbers; the integer does not count
    for released in (0, 3, 10):
        assert cost(SELECTIVE, replace(SHARED, released=released), LAYOUT) == (100_000,)
    twice = together((100_000,), (100_000,))
    assert epsilon_ppm(SELECTIVE, twice) == 200_000
    assert cost(replace(SELECTIVE, epsilon_ppm=MOST), replace(SHARED, epsilon_ppm=MOST), LAYOUT) == (MOST,)


def test_an_epsilon_is_rounded_up_for_people() -> None:
    assert epsilon_text(0) == "0"
    assert epsilon_text(1_234_001) == "1.235"
    assert epsilon_text(12_345) == "0.012345"
    assert epsilon_text(8_000_000) == "8"
    assert epsilon_text(MOST) == "beyond measure"
