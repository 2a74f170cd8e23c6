"""TCLearn: organisations train one model together.

Data stays home, no increment counts until the others have tested it, and anyone can check the record offline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tclearn.coalition.charter import Charter, DataIdPolicy, LearningRate, Privacy, VaultPolicy
    from tclearn.errors import TCLearnError, VerificationError
    from tclearn.learning.parameters import Parameters
    from tclearn.learning.trainer import Recipe, Trainer
    from tclearn.learning.trainers.sklearn import SklearnTrainer
    from tclearn.learning.trainers.torch import TorchTrainer
    from tclearn.simulation import Export, Result, simulate

_HOMES = {
    "Charter": "tclearn.coalition.charter",
    "LearningRate": "tclearn.coalition.charter",
    "Privacy": "tclearn.coalition.charter",
    "DataIdPolicy": "tclearn.coalition.charter",
    "VaultPolicy": "tclearn.coalition.charter",
    "Export": "tclearn.simulation",
    "Parameters": "tclearn.learning.parameters",
    "Recipe": "tclearn.learning.trainer",
    "Result": "tclearn.simulation",
    "SklearnTrainer": "tclearn.learning.trainers.sklearn",
    "TCLearnError": "tclearn.errors",
    "TorchTrainer": "tclearn.learning.trainers.torch",
    "Trainer": "tclearn.learning.trainer",
    "VerificationError": "tclearn.errors",
    "simulate": "tclearn.simulation",
}

__all__ = [
    "Charter",
    "DataIdPolicy",
    "Export",
    "LearningRate",
    "Parameters",
    "Privacy",
    "Recipe",
    "Result",
    "SklearnTrainer",
    "TCLearnError",
    "TorchTrainer",
    "Trainer",
    "VaultPolicy",
    "VerificationError",
    "simulate",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # `import tclearn` costs nothing: torch, scikit-learn and the rest come in when their name is first used.
    if name not in _HOMES:
        raise AttributeError(f"module 'tclearn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
