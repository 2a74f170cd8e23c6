"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tclearn.errors import Code, UsageError
from tclearn.learning.datasets import bundled, mnist
from tclearn.learning.datasets.dataset import Dataset
from tclearn.learning.datasets.download import Progress

_LOADERS: Final[dict[str, Callable[[Progress | None], Dataset]]] = {
    "digits": lambda _: bundled.digits(),
    "breast-cancer": lambda _: bundled.breast_cancer(),
    "mnist": mnist.load,
}
NAMES: Final = tuple(_LOADERS)
# What has no test set of its own is no Dataset; somebody may still ask for it here.
_ELSEWHERE: Final = {
    "heart-disease": "tclearn.learning.datasets.heart_disease.load() gives the patients of each hospital apart",
    "nuclei": "tclearn.learning.datasets.nuclei.load() gives the images with their masks",
}


def load(name: str, progress: Progress | None = None) -> Dataset:
    """A public data set, always divided in the same way.

    ``heart_disease.load`` and ``nuclei.load``, beside this module, give data that have no test set of their own.

    Args:
        name: ``"digits"`` and ``"breast-cancer"`` come with scikit-learn; ``"mnist"`` is read from the folder that
            ``TCLEARN_DATA`` names, else from the cache of earlier downloads, else it is downloaded.
        progress: called during a download with the file's name, the bytes so far, and all of them (0: not known).

    Raises:
        UsageError: no data set of that name.
        UnreachableError: the data set is not on this machine and cannot be downloaded.
        DataError: its files are there and are not what they should be.
    """
    if name not in _LOADERS:
        raise UsageError(
            Code.USAGE, f"the data set {name!r}", expected=", ".join(NAMES), remedy=_ELSEWHERE.get(name, "")
        )
    return _LOADERS[name](progress)
