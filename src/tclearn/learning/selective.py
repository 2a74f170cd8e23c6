"""Selective sharing of an increment: a fraction of the changes, clipped, with noise (Shokri & Shmatikov 2015).

There the changes that are uploaded are picked by the sparse vector technique, at random among those above a threshold,
or, without noise, by their size. Its ε is for one parameter: that of an upload of c parameters is c times as much, and
is divided as in the numeric sparse vector technique (Dwork & Roth 2014, §3.6, NumericSparse): 8/9 for choosing, 1/9 for
the values. Selection by size is made private here as c rounds of the exponential mechanism, all at once with Gumbel
noise (Durfee & Rogers 2019, "Practical differentially private top-k selection with pay-what-you-get composition").

What is clipped is the change of a parameter over the whole contribution, not the gradient of a record. So the ε of a
parameter says nothing of a record; the composed one bounds what the increment tells of the whole contribution, and is
a number of some use only where few parameters are shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tclearn.coalition.privacy import LARGEST, PrivacyEvent, is_real, upload_limit
from tclearn.coalition.terms import PrivacyTerms, TensorRecord
from tclearn.learning.noise import Doubles, Noise
from tclearn.learning.parameters import Parameters

_MILLION: Final = 1_000_000
_CHOOSING: Final = 8 / 9
_VALUES: Final = 1 / 9


def shared(
    start: Parameters, trained: Parameters, terms: PrivacyTerms, noise: Noise
) -> tuple[Parameters, PrivacyEvent]:
    """The increment that is offered instead of the one that was trained.

    Args:
        start: M.
        trained: M + Δ.
        terms: the charter's, of the mechanism ``shokri``.
        noise: where the random numbers come from.

    Returns:
        M, with at most ``upload_limit`` real numbers changed, each by at most the clipping bound; what was done.
    """
    layout = [tensor for tensor in start.layout if is_real(tensor)]
    change = np.concatenate(
        [(trained[each.name].astype(np.float64) - start[each.name].astype(np.float64)).ravel() for each in layout]
    )
    bound, each_epsilon = terms.clip_ppm / _MILLION, (terms.epsilon_ppm or 1) / _MILLION
    clipped = np.clip(change, -bound, bound)
    sensitivity = 2 * bound
    limit = upload_limit(terms, start.layout)
    if terms.selection == LARGEST:
        chosen = _largest(np.abs(clipped), limit, sensitivity / (_CHOOSING * each_epsilon), noise)
    else:
        threshold = (terms.threshold_ppm or 0) / _MILLION
        chosen = _above(np.abs(clipped), threshold, limit, sensitivity / (_CHOOSING * each_epsilon), noise)
    uploaded = np.zeros_like(change)
    noisy = clipped[chosen] + noise.laplace(len(chosen)) * sensitivity / (_VALUES * each_epsilon)
    uploaded[chosen] = np.clip(noisy, -bound, bound)
    event = PrivacyEvent(
        mechanism=terms.mechanism, clip_ppm=terms.clip_ppm, released=len(chosen), epsilon_ppm=terms.epsilon_ppm
    )
    return Parameters(dict(start) | dict(_added(start, layout, uploaded))), event


def _above(sizes: Doubles, threshold: float, limit: int, scale: float, noise: Noise) -> NDArray[np.intp]:
    """Sizes above a noisy threshold, which is drawn anew after each, in random order until there are enough.

    Each run up to the next one is (Δf / scale)-private with noise of 2 scales on the threshold and of 4 on the sizes:
    Dwork & Roth 2014, §3.6, AboveThreshold, the ε of one run being Δf / scale.
    """
    order = noise.order(len(sizes))
    said = sizes[order] + 4 * scale * noise.laplace(len(sizes))
    wanted = iter((threshold + 2 * scale * noise.laplace(limit + 1)).tolist())
    chosen: list[int] = []
    least = next(wanted)
    for position, size in zip(order.tolist(), said.tolist(), strict=True):
        if size >= least:
            chosen.append(position)
            if len(chosen) == limit:
                break
            least = next(wanted)
    return np.array(sorted(chosen), dtype=np.intp)


def _largest(sizes: Doubles, limit: int, scale: float, noise: Noise) -> NDArray[np.intp]:
    """The sizes that are largest with Gumbel noise of 2 scales: each is chosen (Δf / scale)-privately."""
    said = sizes + 2 * scale * noise.gumbel(len(sizes))
    return np.sort(np.argpartition(-said, limit - 1)[:limit])


def _added(
    start: Parameters, layout: list[TensorRecord], uploaded: Doubles
) -> Iterator[tuple[str, NDArray[np.generic]]]:
    position = 0
    for tensor in layout:
        before = start[tensor.name]
        part = uploaded[position : position + before.size].reshape(before.shape)
        position += before.size
        # Where nothing is uploaded the number is the very same.
        yield tensor.name, np.where(part == 0, before, (before.astype(np.float64) + part).astype(before.dtype))
