"""A data set as two arrays: whatever form a user has it in, read once and checked.

A data set is a pair ``(inputs, targets)`` of arrays (NumPy, torch, anything ``numpy.asarray`` takes), a torch
``TensorDataset`` or any map-style data set giving such pairs, ``Records``, or a callable that gives one of these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from tclearn.errors import Code, DataError, TCLearnError
from tclearn.limits import DATA_SET_BYTES_MAX

_T = TypeVar("_T")
_REREAD: Final = 64
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Records as arrays; not to be written to.

    Attributes:
        inputs: ``(n, …)``, numbers.
        targets: ``(n, …)``, class numbers, real values or masks.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: Sequence[int] | NDArray[np.intp]) -> Records:
        """The records at some positions, copied."""
        chosen = np.asarray(indices, dtype=np.intp)
        return Records(self.inputs[chosen], self.targets[chosen])

    def same_as(self, other: Records) -> bool:
        """Whether both hold the same values in the same order."""
        pairs = ((self.inputs, other.inputs), (self.targets, other.targets))
        return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def is_asked(source: Any) -> bool:
    """Whether a data set is given as a callable, to be asked anew."""
    return callable(source) and not hasattr(source, "__getitem__")


def ask(source: Any, what: str) -> Any:
    """What a callable gives; anything else as it is.

    Args:
        source: a data set or a callable that gives one.
        what: what it is, for messages.

    Raises:
        DataError: the callable raises.
    """
    return _guarded(source, f"{what} could not be read") if is_asked(source) else source


def materialise(source: Any, what: str) -> Records:
    """Read a data set into memory and check it.

    Args:
        source: the data set, in one of the forms that the module names.
        what: what it is, for messages (``"the global test set"``).

    Raises:
        DataError: it cannot be read, is empty, larger than ``DATA_SET_BYTES_MAX``, has unequal lengths or records of
            unequal shape, holds anything but numbers, a NaN or an infinity (the message names the record), or gives
            another record when it is read again.
    """
    inputs, targets = _arrays(ask(source, what), what)
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        raise DataError(
            Code.DATA_SHAPE,
            f"{what} has inputs of shape {inputs.shape} and targets of shape {targets.shape}",
            expected="one target for each input",
        )
    if len(inputs) == 0:
        raise DataError(Code.DATA_SHAPE, f"{what} is empty", expected="at least one record")
    _check_size(inputs.nbytes + targets.nbytes, what)
    for name, array in (("input", inputs), ("target", targets)):
        _check_numbers(array, f"{what}: the {name}")
    return Records(_plain(inputs), _plain(targets))


def _arrays(source: Any, what: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if isinstance(source, Records):
        return source.inputs, source.targets
    torch = sys.modules.get("torch")  # a TensorDataset can only come from somebody who has imported torch
    if torch is not None and isinstance(source, torch.utils.data.TensorDataset):
        source = source.tensors
    if isinstance(source, tuple | list):
        if len(source) != 2:
            raise DataError(Code.DATA_SHAPE, f"{what} has {len(source)} parts", expected="two: inputs and targets")
        first, second = (_array(part, f"{what} is no array") for part in source)
        return first, second
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return _from_map_style(source, what)
    raise DataError(
        Code.DATA_UNREADABLE,
        f"{what} is a {type(source).__name__}",
        expected="(inputs, targets), a map-style data set with a length, or a callable that gives one",
    )


def _from_map_style(source: Any, what: str) -> tuple[NDArray[Any], NDArray[Any]]:
    count = len(source)
    if count == 0:
        raise DataError(Code.DATA_SHAPE, f"{what} is empty", expected="at least one record")
    first = _record(source, 0, what)
    _check_size(count * (first[0].nbytes + first[1].nbytes), what)
    columns = tuple(np.empty((count, *part.shape), part.dtype) for part in first)
    for index in range(count):
        for column, part, pattern in zip(columns, _record(source, index, what), first, strict=True):
            if part.shape != pattern.shape or part.dtype != pattern.dtype:
                raise DataError(
                    Code.DATA_SHAPE,
                    f"record {index} of {what} has {part.dtype} of shape {part.shape}",
                    expected=f"{pattern.dtype} of shape {pattern.shape}, as record 0",
                )
            column[index] = part
    # Augmentation shows in a few records: with a chance of 1/2 for each, all 64 come out alike once in 2^64 times.
    for index in sorted({round(i * (count - 1) / (_REREAD - 1)) for i in range(_REREAD)}):
        for column, part in zip(columns, _record(source, index, what), strict=True):
            if not np.array_equal(column[index], part, equal_nan=part.dtype.kind == "f"):
                raise DataError(
                    Code.DATA_CHANGED,
                    f"record {index} of {what} is another one when it is read again",
                    expected="the same record each time: its ID on the ledger is made from it",
                    remedy="take random augmentation out of __getitem__ and do it in the model's forward()",
                )
    return columns[0], columns[1]


def _record(source: Any, index: int, what: str) -> tuple[NDArray[Any], NDArray[Any]]:
    item = _guarded(lambda: source[index], f"record {index} of {what} could not be read")
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(
            Code.DATA_SHAPE, f"record {index} of {what} is a {type(item).__name__}", expected="a pair (input, target)"
        )
    first, second = (_array(part, f"record {index} of {what} is no array") for part in item)
    return first, second


def _array(value: Any, failure: str) -> NDArray[Any]:
    detach = getattr(value, "detach", None)
    return _guarded(lambda: np.asarray(detach().cpu().numpy() if detach else value), failure)


def _guarded(read: Callable[[], _T], failure: str) -> _T:
    try:
        return read()
    except TCLearnError:
        raise
    except Exception as error:  # the user's own code: whatever it raises means that the data cannot be had
        raise DataError(
            Code.DATA_UNREADABLE, f"{failure} ({type(error).__name__}: {error})", remedy="mend the data set's code"
        ) from error


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """In native byte order, unsigned integers beyond bytes as int64: what every framework takes; mostly no copy."""
    wide = array.dtype.kind == "u" and array.itemsize > 1
    return array.astype(np.int64 if wide else array.dtype.newbyteorder("="), copy=False)


def _check_size(nbytes: int, what: str) -> None:
    if nbytes > DATA_SET_BYTES_MAX:
        raise DataError(
            Code.TOO_LARGE,
            f"{what} has {nbytes} bytes",
            expected=f"at most {DATA_SET_BYTES_MAX}",
            remedy="offer it in parts: a callable may give another part at each invitation",
        )


def _check_numbers(array: NDArray[Any], what: str) -> None:
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise DataError(
            Code.DATA_SHAPE, f"{what} has the element type {array.dtype}", expected="numbers of up to 64 bits"
        )
    if array.dtype == np.uint64 and int(array.max(initial=0)) > np.iinfo(np.int64).max:
        raise DataError(Code.DATA_SHAPE, f"{what} has numbers beyond 2^63", expected="64-bit signed integers")
    if array.dtype.kind == "f":
        # float64 is held to the range of float32: models compute in it, and data IDs are made from it.
        fit = np.isfinite(array) if array.itemsize < 8 else np.abs(array) <= _FLOAT32_MAX
        if not fit.all():
            index = int(np.argmin(fit.reshape(len(array), -1).all(axis=1)))
            raise DataError(
                Code.DATA_UNREADABLE,
                f"{what} of record {index} is NaN, infinite or beyond the range of float32",
                expected="finite numbers",
                remedy="leave such records out or fill them in",
            )
