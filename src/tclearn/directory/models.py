"""The models of a coalition's chain, as its directory has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tclearn.coalition.block import Block
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import Digest
from tclearn.errors import Code, ParametersError, UsageError
from tclearn.learning.model_file import write_model
from tclearn.learning.parameters import Parameters
from tclearn.limits import PARAMETERS_BYTES_MAX


@dataclass(frozen=True, slots=True)
class WrittenModel:
    """A version of the model that is in a file.

    Attributes:
        block: index of the block.
        path: the file, safetensors.
        size: its bytes.
        parameters: the digest of what it holds, which is the ledger's.
        reading: number of the reading that brought it; ``None``: nobody notes any.
    """

    block: int
    path: Path
    size: int
    parameters: Digest
    reading: int | None = None


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
    block, locator = _located(coalition, index)
    data = coalition.store.get(locator, size_max=PARAMETERS_BYTES_MAX)
    parameters = Parameters.from_bytes(data, layout=coalition.charter.model.layout)
    if parameters.digest != block.parameters:
        raise ParametersError(Code.PARAMETERS_DIGEST, f"the stored model of block {index} is not the one of the ledger")
    return data, parameters


def write_stored_model(coalition: CoalitionDirectory, index: int, path: Path) -> WrittenModel:
    """Write a block's model into a file, which is there only when all is as the ledger says.

    Raises:
        UsageError: there is no such block, or it has M_0, which is not stored.
        StorageError: the model is not here, or is damaged; or the file cannot be written.
        ParametersError: it holds something else than the ledger says.
    """
    block, locator = _located(coalition, index)
    with coalition.store.open(locator) as stream:
        size = write_model(
            stream,
            path,
            name=locator,
            parameters=block.parameters,
            layout=coalition.charter.model.layout,
            block=index,
        )
    return WrittenModel(index, path, size, block.parameters)


def _located(coalition: CoalitionDirectory, index: int) -> tuple[Block, Digest]:
    block = block_at(coalition, index)
    if block.locator is None:
        raise UsageError(
            Code.USAGE,
            f"block {index} has the untrained model M_0, which is kept nowhere",
            expected="a block that somebody trained",
            remedy=f"draw it: {coalition.charter.model.factory} with seed {coalition.charter.model.seed}",
        )
    return block, block.locator
