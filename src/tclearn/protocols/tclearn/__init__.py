"""TCLearn level A: sequential increments, tested by drawn validators, sealed by a general (Lugan et al. 2019)."""

from __future__ import annotations

from tclearn.coalition.resolved import ResolvedCharter
from tclearn.extensions import load
from tclearn.protocols.tclearn.contract import TCLearn


def contract(charter: ResolvedCharter) -> TCLearn:
    """The contract of a charter, with the acceptance rule that it names.

    Raises:
        CharterError: no such rule is installed.
    """
    return TCLearn(charter, load("tclearn.acceptance", charter.acceptance.rule))
