"""Bytes that requests must carry, so that none is answered twice: not after a restart, nor when a clock was set.

The service makes 16 random bytes every few minutes and takes requests that carry the newest or the ones before. What
was answered under these it remembers; requests under any others it has either forgotten, or another start has made.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError
from tclearn.limits import DELIVERY_REQUEST_AGE_MS_MAX
from tclearn.service.delivery import NONCE_BYTES


class Challenges:
    """The challenges of one start of the service.

    Args:
        clock: seconds, from any beginning; never set back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made_s = clock()
        self._answered: dict[bytes, set[tuple[MemberId, bytes]]] = {secrets.token_bytes(NONCE_BYTES): set()}

    def now(self) -> bytes:
        """The newest one, 16 bytes; requests may carry it for two minutes at least, and for four at most."""
        with self._lock:
            return self._newest()

    def take(self, member: MemberId, challenge: bytes, nonce: bytes) -> None:
        """Remember a request; returns nothing.

        Raises:
            MessageError: its challenge is not one of these minutes, or the member has sent this nonce before.
        """
        with self._lock:
            self._newest()
            answered = self._answered.get(challenge)
            if answered is None:
                raise MessageError(
                    Code.EXPIRED,
                    "a request for a delivery with another challenge than those of these minutes",
                    expected="what GET /v1/vault/challenge has answered within the last two minutes",
                    remedy="ask for it, then again for the delivery",
                )
            if (member, nonce) in answered:
                raise MessageError(
                    Code.SEQUENCE,
                    f"a request for a delivery that {member} has sent before",
                    expected="a fresh nonce in each",
                )
            answered.add((member, nonce))

    def _newest(self) -> bytes:
        now_s, lasts_s = self._clock(), DELIVERY_REQUEST_AGE_MS_MAX / 1000
        periods = int((now_s - self._made_s) // lasts_s)
        if periods > 0:
            self._made_s += periods * lasts_s
            newest = next(reversed(self._answered))
            kept = {newest: self._answered[newest]} if periods == 1 else {}
            self._answered = {**kept, secrets.token_bytes(NONCE_BYTES): set()}
        return next(reversed(self._answered))
