"""The protocols, each a package of its own; none knows another."""

from __future__ import annotations

from typing import Any

from tclearn.coalition.resolved import ResolvedCharter
from tclearn.extensions import load
from tclearn.identity import PublicKey
from tclearn.ledger import Contract
from tclearn.ledger.verify import Terms


def contract_for(charter: ResolvedCharter) -> Contract[Any]:
    """The contract that a charter asks for.

    Raises:
        CharterError: the protocol or the acceptance rule that it names is not installed here.
    """
    contract: Contract[Any] = load("tclearn.protocols", charter.protocol)(charter)
    return contract


def terms_of(charter: bytes) -> Terms[Any]:
    """What the canonical bytes of a charter fix for its ledger.

    Raises:
        MessageError: they are not a charter's.
        CharterError: the charter, or what it names, is not usable here.
    """
    resolved = ResolvedCharter.from_bytes(charter)
    return Terms(contract_for(resolved), PublicKey(resolved.log_key))
