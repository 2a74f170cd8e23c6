"""Members that do not behave, for demonstrations and for testing one's own charter.

Each lies in one way; everything else about the member stays honest, its votes too. ``simulate`` takes them by member::

    simulate(..., members={..., "b": FlippedLabels(10)(records)},
             adversaries={"a": partial(SignFlip, scale=2), "b": LargestStep.against(charter)})

==============  =======================================================================================
``increments``  what is offered instead of what was trained: signs, noise, copies, less work
``claims``      records: used ones again, invented ones; when to come out with an increment
``poisons``     what is trained on, as data: flipped labels, one class called another, a trigger,
                G learnt by heart
``adaptive``    as much of a poisoned increment as the acceptance rule lets pass
``measuring``   false results on G or L; members that vote for each other
``words``       what is said on the ledger: verdicts, hidden parts, seals, turns; ``LIARS`` has them by name
==============  =======================================================================================
"""

from tclearn.protocols.tclearn.adversaries.adaptive import LargestStep, Poisoned
from tclearn.protocols.tclearn.adversaries.claims import InventedRecords, Patient, Reuse
from tclearn.protocols.tclearn.adversaries.honest import Honest
from tclearn.protocols.tclearn.adversaries.increments import (
    EarlierIncrement,
    EarlierModel,
    Lazy,
    NearCopy,
    Noise,
    Replay,
    SignFlip,
)
from tclearn.protocols.tclearn.adversaries.measuring import Clique, FalseResults
from tclearn.protocols.tclearn.adversaries.poisons import FlippedLabels, Memorised, TargetedClass, Trigger

__all__ = [
    "Clique",
    "EarlierIncrement",
    "EarlierModel",
    "FalseResults",
    "FlippedLabels",
    "Honest",
    "InventedRecords",
    "LargestStep",
    "Lazy",
    "Memorised",
    "NearCopy",
    "Noise",
    "Patient",
    "Poisoned",
    "Replay",
    "Reuse",
    "SignFlip",
    "TargetedClass",
    "Trigger",
]
