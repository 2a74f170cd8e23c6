"""Hash chains: committed once, revealed link by link."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclearn.encoding import Digest
from tclearn.identity.seed_chain import follows, reveal, tip
from tclearn.limits import SEED_CHAIN_LENGTH

SECRET = bytes(range(32))


def test_the_whole_chain_can_be_revealed_and_no_more() -> None:
    last = tip(SECRET, 50)
    for k in range(1, 51):
        link = reveal(SECRET, k, 50)
        assert follows(last, link)
        last = link
    for k in (0, -1, 51):
        with pytest.raises(ValueError, match="seed chain with 50"):
            reveal(SECRET, k, 50)


def test_the_definition_in_five_lines() -> None:
    link = hashlib.sha256(b"tclearn/seed-chain/1/start\0" + SECRET).digest()
    before = b""
    for _ in range(SEED_CHAIN_LENGTH):
        before, link = link, hashlib.sha256(b"tclearn/seed-chain/1/step\0" + link).digest()
    assert tip(SECRET) == link
    assert reveal(SECRET, 1) == before


def test_the_last_link_is_not_the_secret() -> None:
    assert reveal(SECRET, SEED_CHAIN_LENGTH) != SECRET


@given(st.binary(min_size=32, max_size=32), st.integers(1, 20), st.integers(1, 20))
def test_only_the_next_link_follows(other: bytes, at: int, shown: int) -> None:
    previous = tip(SECRET, 20) if at == 1 else reveal(SECRET, at - 1, 20)
    assert follows(previous, reveal(SECRET, shown, 20)) == (shown == at)
    assert not follows(previous, Digest(other))


def test_two_secrets_have_two_chains() -> None:
    assert tip(SECRET, 3) != tip(bytes(32), 3)
