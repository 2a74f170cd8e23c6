"""What travels between a member and the service comes out as it went in, or as a coded error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.encoding import Digest, encode
from tclearn.errors import (
    CharterError,
    Code,
    MessageError,
    StorageError,
    TCLearnError,
    UnreachableError,
    VerificationError,
    visible,
)
from tclearn.ledger.engines.follower import Page
from tclearn.limits import ERROR_CHARACTERS_MAX, PAGE_BYTES_MAX
from tclearn.service.wire import decode_error, decode_page, encode_error, encode_page

DIGESTS = st.binary(min_size=32, max_size=32).map(Digest)
PAGES = st.builds(Page, st.lists(st.tuples(st.binary(max_size=300), DIGESTS), max_size=8), st.binary(max_size=300))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["error", "kind", "code", "x"]), inner),
    max_leaves=12,
)


@given(PAGES)
def test_a_page_is_what_it_was(page: Page) -> None:
    assert decode_page(encode_page(page)) == page


@given(st.binary(max_size=400))
def test_other_bytes_are_a_coded_error_or_a_page_with_this_encoding(data: bytes) -> None:
    try:
        page = decode_page(data)
    except MessageError:
        return
    assert encode_page(page) == data


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"entries": [], "note": "text"},
        {"entries": {}, "note": b""},
        {"entries": [[b"", bytes(32)]], "note": b""},
        {"entries": [{"entry": b"", "results": bytes(31)}], "note": b""},
        {"entries": [], "note": b"", "more": 1},
    ],
)
def test_another_form_is_refused(value: Any) -> None:
    with pytest.raises(MessageError):
        decode_page(encode(value))


def test_a_page_that_is_too_large_is_refused() -> None:
    page = encode_page(Page([(bytes(PAGE_BYTES_MAX), Digest(bytes(32)))], b""))
    with pytest.raises(MessageError) as refused:
        decode_page(page)
    assert refused.value.code is Code.TOO_LARGE


@given(
    st.sampled_from([CharterError, MessageError, StorageError, UnreachableError, VerificationError]),
    st.sampled_from(Code),
    st.text(max_size=50),
    st.text(max_size=50),
    st.text(max_size=50),
)
def test_an_error_is_what_it_was(kind: type[TCLearnError], code: Code, what: str, expected: str, remedy: str) -> None:
    error = decode_error({"error": encode_error(kind(code, what, expected=expected, remedy=remedy))})
    assert type(error) is kind
    assert (error.code, error.what) == (code, visible(what))
    assert (error.expected, error.remedy) == (visible(expected), visible(remedy))


@given(JSON)
def test_what_is_no_error_of_ours_is_none(value: Any) -> None:
    assert decode_error(value) is None


def test_an_error_from_outside_is_short_and_cannot_act_on_a_terminal() -> None:
    said = {"kind": "MessageError", "code": "TCL-304", "what": "\x1b[2J\u202e" + "x" * 9999, "expected": 7}
    error = decode_error({"error": said})
    assert isinstance(error, MessageError)
    assert error.what.isprintable() and len(error.what) < 2 * ERROR_CHARACTERS_MAX
    assert error.expected == ""


def test_an_error_of_a_kind_that_does_not_travel_is_still_one() -> None:
    error = decode_error({"error": encode_error(TCLearnError(Code.UNEXPECTED, "x"))})
    assert error is not None and error.code is Code.UNEXPECTED
