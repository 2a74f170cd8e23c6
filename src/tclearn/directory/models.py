"""The models of a coalition's chain, as its directory has them."""

from __future__ import annotations

from tclearn.coalition.block import Block
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.errors import Code, ParametersError, UsageError
from tclearn.learning.parameters import Parameters
from tclearn.limits import PARAMETERS_BYTES_MAX


def block_at(coalition: CoalitionDirectory, index: int) -> Block:
    """A block of the chain.

    Raises:
        UsageError: there is none of this index.
    """
    tip = coalition.state.tip
    if not 0 <= index <= tip:
        raise UsageError(
            Code.USAGE, f"there is no block {index}", expected=f"0 to {tip}", remedy="`tclearn model list` shows them"
        )
    return coalition.state.block(index)


def stored_model(coalition: CoalitionDirectory, index: int) -> tuple[bytes, Parameters]:
    """The file of a block's model, and what it holds, checked against the ledger.

    Raises:
        UsageError: there is no such block, or it has M_0, which is not stored.
        StorageError: the file is not here, or is damaged.
        ParametersError: it holds something else than the ledger says.
    """
    block = block_at(coalition, index)
    if block.locator is None:
        raise UsageError(
            Code.USAGE,
            f"block {index} has the untrained model M_0, which is kept nowhere",
            expected="a block that somebody trained",
            remedy=f"draw it: {coalition.charter.model.factory} with seed {coalition.charter.model.seed}",
        )
    data = coalition.store.get(block.locator, size_max=PARAMETERS_BYTES_MAX)
    parameters = Parameters.from_bytes(data, layout=coalition.charter.model.layout)
    if parameters.digest != block.parameters:
        raise ParametersError(Code.PARAMETERS_DIGEST, f"the stored model of block {index} is not the one of the ledger")
    return data, parameters
