"""A model on its way into a file: checked against what the ledger says, and never in memory as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tclearn.coalition.terms import TensorRecord
from tclearn.encoding import Digest
from tclearn.errors import Code, ParametersError
from tclearn.files import writing
from tclearn.learning.parameters import digest_of_file
from tclearn.limits import PARAMETERS_BYTES_MAX
from tclearn.store.interface import Readable
from tclearn.store.streams import Passing


def write_model(
    stream: Readable, path: Path, *, name: Digest, parameters: Digest, layout: Sequence[TensorRecord], block: int
) -> int:
    """Write a block's model into a file, which is there only when all is as the ledger says.

    Args:
        stream: the model file's bytes.
        path: the file to write.
        name: BLAKE3-256 of the file's bytes.
        parameters: the digest of the parameters in it.
        layout: what its tensors must be.
        block: index of the block, for what is said.

    Returns:
        How many bytes it has.

    Raises:
        StorageError: other bytes than those of the name; or the file cannot be written.
        ParametersError: not safetensors, not of the layout, or other parameters.
    """
    passing = Passing(stream, PARAMETERS_BYTES_MAX, name)
    with writing(path) as file:
        for piece in passing:
            file.write(piece)
        if digest_of_file(file, layout=layout) != parameters:
            raise ParametersError(
                Code.PARAMETERS_DIGEST, f"the stored model of block {block} is not the one of the ledger"
            )
    return passing.size
