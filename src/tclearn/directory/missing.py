"""Models that the ledger names and the coalition's store has not: after a restoration of an older backup."""

from __future__ import annotations

from blake3 import blake3

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError
from tclearn.protocols.tclearn.state import State


def missing_versions(coalition: CoalitionDirectory) -> list[int]:
    """Indices of the blocks whose models are not in the store, in order; M_0 is kept nowhere and does not count.

    Args:
        coalition: open; at level B with its vault's passphrase.

    Raises:
        UsageError: the vault is locked.
        StorageError: the store cannot be read.
    """
    known: dict[Digest, bool] = {}
    missing = []
    for chained in coalition.state.blocks():
        locator = chained.block.locator
        if locator is None:
            continue
        if locator not in known:
            known[locator] = coalition.store.has(locator)
        if not known[locator]:
            missing.append(chained.block.index)
    return missing


def blocks_of(state: State, data: bytes) -> list[int]:
    """Which blocks have this file as their model: whoever has read it can bring it back, and nobody another one.

    Args:
        state: the ledger's.
        data: the object's bytes, such as `tclearn model get` has written them.

    Returns:
        Their indices; empty: it is of a candidate that no block has, or a hidden part.

    Raises:
        UsageError: the ledger names no such object.
    """
    name = Digest(blake3(data).digest())
    blocks = [chained.block.index for chained in state.blocks() if chained.block.locator == name]
    if not blocks and state.located(name) is None:
        raise UsageError(
            Code.PARAMETERS_DIGEST,
            f"the ledger names no object with the digest {name.hex()[:16]}…",
            expected="a model of this coalition, byte for byte as `tclearn model get` writes it",
            remedy="ask a member for it: `tclearn model get BLOCK --to FILE`",
        )
    return blocks
