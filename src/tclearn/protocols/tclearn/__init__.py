"""TCLearn level A: sequential increments, tested by drawn validators, sealed by a general (Lugan et al. 2019)."""

from __future__ import annotations

from tclearn.coalition.acceptance import Terms
from tclearn.coalition.faults import Faults
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.extensions import load
from tclearn.protocols.tclearn.contract import TCLearn


def contract(charter: ResolvedCharter) -> TCLearn:
    """The contract of a charter, with the acceptance rule that it names.

    Raises:
        CharterError: no such rule is installed, or it does not take the charter's arguments.
    """
    rule = load("tclearn.acceptance", charter.acceptance.rule)
    terms = Terms(charter.acceptance.lambda_ppm, charter.acceptance.arguments)
    faults = Faults()
    for fault in getattr(rule, "faults", lambda _: ())(terms):
        faults.add(fault, f"arguments of the rule {charter.acceptance.rule}")
    faults.check()
    return TCLearn(charter, rule)
