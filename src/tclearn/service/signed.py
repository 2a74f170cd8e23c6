"""Whether somebody has signed what a path was sent: only then a refusal can be held against anybody."""

from __future__ import annotations

from typing import Final

from tclearn.encoding import Digest
from tclearn.errors import MessageError
from tclearn.identity.cose import open_signed
from tclearn.ledger.transaction import signed_for
from tclearn.limits import DELIVERY_REQUEST_BYTES_MAX, ID_REQUEST_BYTES_MAX, TRANSACTION_BYTES_MAX
from tclearn.service.delivery import DELIVERY_CONTEXT
from tclearn.service.id_messages import ASK_CONTEXT

TRANSACTIONS: Final = "/v1/ledger/transactions"
_DELIVERIES: Final = "/v1/vault/deliveries"
SIGNED: Final = {
    TRANSACTIONS: TRANSACTION_BYTES_MAX,
    _DELIVERIES: DELIVERY_REQUEST_BYTES_MAX,
    "/v1/data-ids": ID_REQUEST_BYTES_MAX,
}
"""What takes signed requests, and how many bytes of them."""


def was_signed(path: str, message: bytes, coalition: Digest) -> bool:
    """Whether a request's signature holds, with the key that it names and for this path.

    Args:
        path: one of ``SIGNED``.
        message: the body.
        coalition: the charter's digest.
    """
    if path == TRANSACTIONS:
        context = signed_for(coalition)
    else:
        context = DELIVERY_CONTEXT if path == _DELIVERIES else ASK_CONTEXT
    try:
        open_signed(message, size_max=SIGNED[path]).check(context)
    except MessageError:
        return False
    return True
