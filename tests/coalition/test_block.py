"""A block hash covers every field; the root of data IDs is an RFC 9162 tree."""

import hashlib
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from tclearn.coalition.block import Block, Vote, data_ids_root
from tclearn.coalition.evidence import Paired
from tclearn.coalition.hidden import Hidden
from tclearn.coalition.privacy import BlockPrivacy
from tclearn.encoding import Digest, MemberId, decode, digest

A, B = MemberId("a"), MemberId("b")
BLOCK = Block(
    index=1,
    time_ms=2,
    previous=digest("p"),
    kind="increment",
    parameters=digest("m"),
    contributor=A,
    locator=digest("l"),
    samples=10,
    set_aside=1,
    contributions={"a": 10, "b": 0},
    strengths={"a": 1_500_000, "b": 500_000},
    data_ids=digest("d"),
    hyperparameters={"epochs": 5},
    committee=(B,),
    votes=(Vote(B, "yes", Paired(10, 10, 5, 6, 0, 1)),),
    performance=Paired(10, 10, 5, 6, 0, 1),
    best=1,
    reverts=None,
    general=B,
    members=digest("s"),
)


def test_the_hash_covers_every_field():
    others = {
        "index": 2,
        "time_ms": 3,
        "previous": digest("q"),
        "kind": "revert",
        "parameters": digest("n"),
        "contributor": B,
        "locator": None,
        "samples": 11,
        "set_aside": 2,
        "contributions": {"a": 9, "b": 0},
        "strengths": {},
        "data_ids": digest("e"),
        "hyperparameters": {},
        "committee": (A,),
        "votes": (Vote(B, "no", Paired(10, 10, 5, 6, 0, 1)),),
        "performance": None,
        "best": 0,
        "reverts": 0,
        "general": None,
        "members": digest("t"),
        "hidden": Hidden(missing=(A,)),
        "privacy": BlockPrivacy({"a": 5, "b": 0}),
    }
    assert set(others) == {field.name for field in fields(Block)}
    hashes = {BLOCK.hash} | {replace(BLOCK, **{name: value}).hash for name, value in others.items()}  # type: ignore[arg-type]
    assert len(hashes) == len(others) + 1


def test_a_block_survives_its_encoding():
    assert Block.from_value(decode(BLOCK.encode())) == BLOCK


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=40))
def test_the_root_of_data_ids_is_the_tree_of_rfc_9162(ids):
    assert data_ids_root(b"".join(ids)) == Digest(naive_root(ids))
