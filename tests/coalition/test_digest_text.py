"""Digests over the telephone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.digest_text import format_digest, parse_digest, same_digest
from tclearn.encoding import Digest
from tclearn.errors import UsageError

DIGEST = Digest(bytes(range(32)))
TEXT = "0001-0203-0405-0607-0809-0a0b-0c0d-0e0f-1011-1213-1415-1617-1819-1a1b-1c1d-1e1f"


def test_sixteen_groups_of_four() -> None:
    assert format_digest(DIGEST) == TEXT
    assert parse_digest(TEXT) == DIGEST


@pytest.mark.parametrize(
    "text",
    [
        TEXT.upper(),
        TEXT.replace("-", " "),
        TEXT.replace("-", ""),
        TEXT.replace("-", "\n\t"),
        f"  SHA256:{TEXT} ",
        TEXT.replace("-", "–"),
    ],
)
def test_grouping_and_case_do_not_matter(text: str) -> None:
    assert same_digest(text, DIGEST)


@given(st.binary(min_size=32, max_size=32))
def test_text_and_back(data: bytes) -> None:
    assert parse_digest(format_digest(Digest(data))) == data


def test_another_digest_is_another() -> None:
    assert not same_digest(TEXT, Digest(bytes(32)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a digest of 0 digits"),
        (TEXT[:-1], "a digest of 63 digits"),
        (TEXT + "0", "a digest of 65 digits"),
        (TEXT.replace("0405", "o405"), "'o' in group 3"),
        ("٣" * 64, "in group 1"),
    ],
)
def test_what_is_not_a_digest_is_refused_with_its_group(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_digest(text)
