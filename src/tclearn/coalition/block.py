"""Blocks of the model chain: every accepted increment, with who offered it, who tested it, and what they found.

Source: Lugan et al. 2019, §III.A ("Each block includes"), with the votes and endorsements added. Format:
``docs/formats/block.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tclearn.coalition.evidence import MILLION, Paired
from tclearn.coalition.hidden import Hidden
from tclearn.coalition.privacy import BlockPrivacy
from tclearn.coalition.strength import strengths
from tclearn.encoding import Digest, MemberId, digest
from tclearn.records import Record

GENESIS: Final = "genesis"
INCREMENT: Final = "increment"
REVERT: Final = "revert"

DOMAIN: Final = "tclearn/block/1"
"""What a block hash begins with."""
ID_BYTES: Final = 16
"""Bytes of a data ID."""


@dataclass(frozen=True, slots=True)
class Vote(Record):
    """One validator's vote in a block.

    Attributes:
        member: the validator.
        vote: ``"yes"``, ``"no"``, ``"unavailable"`` (counts as no) or ``"missing"`` (did not reveal in time).
        on_global: its result on G, when it tested.
        on_local: its result on its L, when it has one and the charter publishes it.
        deviating: 1 when its result on G is not the one that the quorum agrees on.
        objections: names of the acceptance rule's guards that its results did not pass, where the rule has guards.
        on_hidden: its result on the part that was shown, where there is one.
    """

    member: MemberId
    vote: str
    on_global: Paired | None = None
    on_local: Paired | None = None
    deviating: int = 0
    objections: tuple[str, ...] | None = None
    on_hidden: Paired | None = None


@dataclass(frozen=True)
class Block(Record):
    """One step of the model.

    Attributes:
        index: position in the model chain; 0 is genesis.
        time_ms: ledger time at which the general sealed it.
        previous: hash of the block before.
        kind: ``"genesis"``, ``"increment"`` or ``"revert"``.
        parameters: canonical digest of the model's parameters.
        contributor: who offered the increment, or asked for the revert; absent where nobody did.
        locator: name of the parameters file in the store; absent where the model is M_0, which everybody draws itself.
        samples: records of this contribution, put-aside ones included.
        set_aside: how many of them were put aside for the contributor's L.
        contributions: D_i of every member to the model of this block, and of those former ones whose records are in it.
        strengths: S_i of every member, millionths (equation 2).
        data_ids: Merkle root of this contribution's data IDs.
        hyperparameters: those the increment was trained with.
        committee: the validators, in the order drawn.
        votes: their votes.
        performance: result on G that the quorum agreed on.
        best: index of the block with the best performance on G up to here.
        reverts: index of the block whose model a revert restores.
        general: who made the block; absent when everybody may have, after f + 1 generals failed to.
        members: digest of the member set.
        privacy: what was done to the increment, and what every member has spent; absent where the charter has no
            mechanism of differential privacy.
        hidden: what hidden parts had to say; absent where nobody has any.
    """

    index: int
    time_ms: int
    previous: Digest
    kind: str
    parameters: Digest
    contributor: MemberId | None
    locator: Digest | None
    samples: int
    set_aside: int
    contributions: dict[str, int]
    strengths: dict[str, int]
    data_ids: Digest
    hyperparameters: dict[str, int]
    committee: tuple[MemberId, ...]
    votes: tuple[Vote, ...]
    performance: Paired | None
    best: int
    reverts: int | None
    general: MemberId | None
    members: Digest
    hidden: Hidden | None = None
    privacy: BlockPrivacy | None = None

    @cached_property
    def hash(self) -> Digest:
        """The block hash: a digest over all fields."""
        return digest(DOMAIN, self.to_value())


def strengths_ppm(contributions: Mapping[str, int], members: Collection[str] | None = None) -> dict[str, int]:
    """S_i of equation 2 in millionths, rounded down.

    Args:
        contributions: D_i of every member, and of former ones whose records count.
        members: who the members are; ``None``: all that have contributions.
    """
    exact = strengths({MemberId(member): own for member, own in contributions.items()}, members)
    return {member: int(strength * MILLION) for member, strength in exact.items()}


def split_ids(ids: bytes) -> list[bytes]:
    """Data IDs one by one, from the form in which the ledger keeps them: end to end, with nothing between."""
    return [ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)]


def data_ids_root(ids: bytes) -> Digest:
    """RFC 9162 Merkle root over data IDs of 16 bytes each, ascending; SHA-256 of nothing when there are none."""
    leaves = [hashlib.sha256(b"\0" + data_id).digest() for data_id in split_ids(ids)]
    if not leaves:
        return Digest(hashlib.sha256(b"").digest())
    while len(leaves) > 1:
        # Pairing neighbours level by level, an odd last one carried up, gives the tree of RFC 9162 §2.1.1.
        paired = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = paired + leaves[len(paired) * 2 :]
    return Digest(leaves[0])
