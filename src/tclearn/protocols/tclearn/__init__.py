"""TCLearn level A: sequential increments, tested by drawn validators, sealed by a general (Lugan et al. 2019)."""

from __future__ import annotations

from tclearn.coalition.acceptance import Terms
from tclearn.coalition.faults import Faults
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.extensions import load
from tclearn.identity import PublicKey
from tclearn.ledger.verify import Terms as LedgerTerms
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.state import State


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


def terms_of(charter: bytes) -> LedgerTerms[State]:
    """What the canonical bytes of a charter of this protocol fix for its ledger.

    Raises:
        MessageError: they are not such a charter's.
        CharterError: the charter, or what it names, is not usable here.
    """
    resolved = ResolvedCharter.from_bytes(charter)
    return LedgerTerms(contract(resolved), PublicKey(resolved.log_key))
