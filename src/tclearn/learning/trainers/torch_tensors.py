"""Between NumPy and torch: networks' tensors, records, batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tclearn.errors import CharterError, Code, DataError
from tclearn.learning.canonical import DTYPES
from tclearn.learning.parameters import Parameters

LENGTHS: Final = ("epochs", "steps")
"""Hyper-parameters that say how long a training is; ``steps`` before ``epochs``."""
_TYPES: Final = {
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.float32, torch.float64),
}


def forward(network: nn.Module, inputs: torch.Tensor, what: str) -> torch.Tensor:
    """A network's outputs without gradients, one row a record.

    Raises:
        DataError: it cannot take the inputs, or makes something else of them; ``what`` names them in the message.
    """
    try:
        with torch.no_grad():
            outputs = network(inputs)
    except Exception as error:  # the user's model
        raise DataError(
            Code.DATA_SHAPE,
            f"the model cannot take {what}, inputs of shape {tuple(inputs.shape)} ({type(error).__name__}: {error})",
            expected="records of the shape the model is made for",
        ) from error
    if not isinstance(outputs, torch.Tensor) or outputs.ndim == 0 or len(outputs) != len(inputs):
        raise DataError(
            Code.DATA_SHAPE,
            f"the model makes {type(outputs).__name__} of {len(inputs)} records",
            expected="a tensor with one row a record",
        )
    return outputs.float() if outputs.dtype == torch.bfloat16 else outputs


def batches(count: int, size: int, shuffling: torch.Generator) -> Iterator[torch.Tensor]:
    """The positions of ``count`` records, shuffled, in batches; a last one alone joins the batch before it."""
    order = torch.randperm(count, generator=shuffling)
    # Normalisation over a batch has no meaning for a batch of one.
    whole = count - size - 1 if count > size and count % size == 1 else count
    if whole:
        yield from torch.split(order[:whole], size)
    if whole < count:
        yield order[whole:]


def drawn(count: int, known: Mapping[str, int], shuffling: torch.Generator) -> Iterator[torch.Tensor]:
    """The batches of a whole training of ``count`` records: those of all epochs, or so many as there are steps.

    Args:
        count: of the records.
        known: ``batch_size``, and ``steps`` or ``epochs``.
        shuffling: of each pass over the records.
    """
    if "steps" not in known:
        for _ in range(known["epochs"]):
            yield from batches(count, known["batch_size"], shuffling)
        return
    left = known["steps"]
    while left > 0:
        for batch in islice(batches(count, known["batch_size"], shuffling), left):
            yield batch
            left -= 1


def agreed(own: Mapping[str, int], asked: Mapping[str, int]) -> dict[str, int]:
    """A trainer's own values, but for what the ledger has; where it has a training's length, no other is left."""
    if any(name in asked for name in LENGTHS):
        own = {name: value for name, value in own.items() if name not in LENGTHS}
    return {**own, **asked}


def exported(network: nn.Module) -> Parameters:
    """A network's tensors, copied.

    Raises:
        CharterError: one has a type that parameters may not have.
    """
    tensors = {}
    for name, tensor in network.state_dict().items():
        if not isinstance(tensor, torch.Tensor) or tensor.dtype not in _TYPES:
            raise CharterError(
                Code.CHARTER_MODEL,
                f"the model's tensor {name!r} has the type {getattr(tensor, 'dtype', type(tensor))}",
                expected=", ".join(DTYPES),
                remedy="convert the model in its factory, for instance with model.float()",
            )
        tensors[name] = tensor.numpy(force=True).copy()
        tensors[name].flags.writeable = False
    return Parameters(tensors)


def load(network: nn.Module, parameters: Parameters) -> None:
    """Write parameters of the same layout into a network."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.device.type == "cpu":
                np.copyto(tensor.numpy(), parameters[name])
            else:
                tensor.copy_(torch.from_numpy(parameters[name].copy()))


def floating_type(network: nn.Module) -> torch.dtype:
    """The type that a network computes in: that of its first real weight."""
    return next((weight.dtype for weight in network.parameters() if weight.is_floating_point()), torch.float32)


def input_tensor(network: nn.Module, device: torch.device, inputs: NDArray[Any]) -> torch.Tensor:
    """Inputs as ``TorchTrainer`` says: real numbers, bytes and truth values in the network's type, others as int64."""
    tensor = tensor_of(inputs)
    real = tensor.is_floating_point() or tensor.dtype in (torch.uint8, torch.bool)
    return tensor.to(device, floating_type(network) if real else torch.int64)


def tensor_of(array: NDArray[Any]) -> torch.Tensor:
    """An array as a tensor, not to be written to; mostly nothing is copied."""
    # torch warns of arrays that it could not write to, and cannot take negative strides.
    return torch.from_numpy(array if array.flags.writeable and array.flags.c_contiguous else array.copy())
