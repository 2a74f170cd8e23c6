"""Hash chains: a member commits to one tip, and later reveals link after link without a choice.

``link(0)`` is a hash of the secret, ``link(n + 1) = SHA-256(domain ‖ link(n))``, and the tip, the last link, is public
from the start. Reveals walk backwards from it: whoever knows a link can check the one before it, and cannot guess it.
"""

from __future__ import annotations

import hashlib
from typing import Final

from tclearn.encoding import Digest
from tclearn.limits import SEED_CHAIN_LENGTH

_START: Final = b"tclearn/seed-chain/1/start\x00"
_STEP: Final = b"tclearn/seed-chain/1/step\x00"


def tip(secret: bytes, length: int = SEED_CHAIN_LENGTH) -> Digest:
    """The public end of a chain.

    Args:
        secret: 32 secret bytes, ``signer.derive("seed chain")``.
        length: number of links that can be revealed.
    """
    return _link(secret, length)


def reveal(secret: bytes, k: int, length: int = SEED_CHAIN_LENGTH) -> Digest:
    """The k-th link to be revealed, counted from the tip; the first is ``k = 1``.

    Raises:
        ValueError: ``k`` is not from 1 to ``length``.
    """
    if not 1 <= k <= length:
        raise ValueError(f"link {k} of a seed chain with {length}")
    return _link(secret, length - k)


def links(secret: bytes, length: int = SEED_CHAIN_LENGTH) -> tuple[Digest, ...]:
    """The chain as it will be revealed, the tip first: link k is ``reveal(secret, k)``.

    All of it costs what a single early reveal does, for whoever reveals one after the other.
    """
    chain = [_link(secret, 0)]
    for _ in range(length):
        chain.append(_step(chain[-1]))
    return tuple(reversed(chain))


def follows(previous: Digest, revealed: Digest) -> bool:
    """Whether a link is the one that comes after ``previous``, which is the tip at first."""
    return _step(revealed) == previous


def _link(secret: bytes, steps: int) -> Digest:
    link = Digest(hashlib.sha256(_START + secret).digest())
    for _ in range(steps):
        link = _step(link)
    return link


def _step(link: Digest) -> Digest:
    return Digest(hashlib.sha256(_STEP + link).digest())
