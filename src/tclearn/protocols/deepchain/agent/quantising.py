"""The edge between a model's real numbers and the whole steps that are encrypted. The only arithmetic with floats.

Every operation here is one correctly rounded operation of IEEE 754 doubles after the other, so that all members come to
the same bytes on any processor.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, DataError
from tclearn.learning.parameters import Parameters

CLIP_UNIT: Final = 1 << 40
"""Clips are agreed on as whole numbers of 2^-40, so that no float is in what is signed."""


def quantise(values: NDArray[np.float64], clip: int, levels: int) -> NDArray[np.int64]:
    """Real numbers as steps of ``clip / levels``, the nearest, the even one of two; beyond ±clip clipped.

    Args:
        values: ``(n,)``.
        clip: the largest value that counts, in units of 2^-40, positive.
        levels: steps up to it, ``Layout.levels``: 32767 for values of 16 bits.

    Returns:
        ``(n,)``, from -levels to levels. ``Layout.pack`` shifts them to be natural (offset binary).

    Raises:
        DataError: a value is not a number; infinite ones are refused, too, as training that fails brings them.
    """
    if not np.isfinite(values).all():
        raise DataError(
            Code.TRAINING_FAILED,
            f"{int(np.count_nonzero(~np.isfinite(values)))} of {values.size} values of a gradient are not finite",
            expected="finite numbers",
            remedy="lower the learning rate; scale the data",
        )
    most = clip / CLIP_UNIT
    return np.rint(np.clip(values, -most, most) * levels / most).astype(np.int64)


def dequantise(sums: NDArray[np.int64], divisor: int, clip: int, levels: int) -> NDArray[np.float64]:
    """The mean of what was quantised, from the sum of its steps.

    Args:
        sums: ``(n,)``, weighted sums of steps.
        divisor: the weights of all that were added, together.
        clip: as for ``quantise``.
        levels: as for ``quantise``.

    Returns:
        ``(n,)``: of a single value the nearest multiple of ``clip / levels``.
    """
    return sums.astype(np.float64) * (clip / CLIP_UNIT) / (levels * divisor)


def gradient(start: Parameters, trained: Parameters) -> NDArray[np.float64]:
    """W - W′, tensor by tensor in the order of their names.

    Args:
        start: W.
        trained: W′, of the same layout.

    Returns:
        ``(n,)`` for n numbers of the model.

    Raises:
        ParametersError: the layouts differ.
    """
    trained.check(start.layout)
    return np.concatenate([(tensor.astype(np.float64) - trained[name]).reshape(-1) for name, tensor in start.items()])


def stepped(start: Parameters, mean: NDArray[np.float64]) -> Parameters:
    """W - mean, rounded to the element types of W.

    Args:
        start: W.
        mean: ``(n,)``, in the order of ``gradient``.
    """
    tensors, at = {}, 0
    for name, tensor in start.items():
        part = mean[at : at + tensor.size].reshape(tensor.shape)
        tensors[name] = (tensor.astype(np.float64) - part).astype(tensor.dtype)
        at += tensor.size
    return Parameters(tensors)
