"""The protocols, each a package of its own; none knows another."""

from __future__ import annotations

from typing import Any

from tclearn.encoding import decode
from tclearn.errors import Code, MessageError
from tclearn.extensions import load
from tclearn.ledger.verify import Terms
from tclearn.limits import CHARTER_BYTES_MAX


def protocol_of(charter: bytes) -> str:
    """The protocol that a charter names: charters of all protocols have it under the same key.

    Raises:
        MessageError: the bytes are no charter's.
    """
    value = decode(charter, size_max=CHARTER_BYTES_MAX)
    protocol = value.get("protocol") if isinstance(value, dict) else None
    if not isinstance(protocol, str):
        raise MessageError(Code.ENCODING, "these bytes are no charter", expected="a map that names its protocol")
    return protocol


def terms_of(charter: bytes) -> Terms[Any]:
    """What the canonical bytes of a charter fix for its ledger.

    Raises:
        MessageError: they are not a charter's.
        CharterError: the charter, or what it names, is not usable here.
    """
    terms: Terms[Any] = load("tclearn.protocols", protocol_of(charter))(charter)
    return terms
