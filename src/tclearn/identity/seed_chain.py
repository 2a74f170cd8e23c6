"""Hash chains that seed the draws: a member commits to the tip at admission and reveals link by link.

``link(0)`` is a digest of the secret, each further link the digest of the one before, and the tip the last of
``SEED_CHAIN_LENGTH``. Reveals go backwards from the tip, so each can be checked against the one before and none foretold.
"""

from __future__ import annotations

import hashlib
from typing import Final

from tclearn.encoding import Digest
from tclearn.limits import SEED_CHAIN_LENGTH

_DOMAIN: Final = b"tclearn/seed-chain/1"


def tip(secret: bytes) -> Digest:
    """The chain's last link, which the member commits to.

    Args:
        secret: 32 bytes that only the member knows.
    """
    return reveal(secret, 0)


def reveal(secret: bytes, number: int) -> Digest:
    """The ``number``-th reveal, counted from the tip: 0 is the tip itself, 1 the link before it.

    Args:
        secret: 32 bytes that only the member knows.
        number: 0 to ``SEED_CHAIN_LENGTH``.
    """
    link = secret
    for _ in range(SEED_CHAIN_LENGTH - number + 1):
        link = _next(link)
    return Digest(link)


def follows(last: Digest, link: Digest) -> bool:
    """Whether ``link`` is the reveal after ``last``, of the chain that ``last`` belongs to."""
    return _next(link) == last


def _next(link: bytes) -> bytes:
    return hashlib.sha256(_DOMAIN + link).digest()
