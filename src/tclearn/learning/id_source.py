"""Where data IDs come from: a key that all members have, or the supervisor, who does not see the records.

Level A: ``KeyedIds``. Level B: ``ObliviousIds``, and in simulations ``SupervisorIds``. A trainer takes any of them
(``LocalData.ids``).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tclearn.coalition.block import ID_BYTES
from tclearn.encoding import Digest
from tclearn.errors import Code, UnreachableError
from tclearn.identity.oprf import OprfKey, OprfPublicKey, blind, finalize, oprf_public_key
from tclearn.identity.oprf_messages import IdAnswer, IdRequest
from tclearn.learning.id_cache import IdCache
from tclearn.limits import OPRF_BATCH_MAX

Transport = Callable[[bytes], bytes]
"""Sends a request to the supervisor and gives its answer; raises ``UnreachableError`` where there is none."""
Progress = Callable[[int, int], None]
"""Told how many IDs have been answered, of how many that are asked for."""

_BATCH: Final = 1024
_KEEP_EVERY_S: Final = 10.0


class IdsLater(UnreachableError):
    """The supervisor gives this member no more data IDs for now.

    Attributes:
        until_ms: when it does again, milliseconds since 1970 by the clock here.
    """

    def __init__(self, what: str, *, until_ms: int, expected: str = "", remedy: str = "") -> None:
        super().__init__(Code.ALLOWANCE, what, expected=expected, remedy=remedy)
        self.until_ms = until_ms


class IdSource(Hashable, Protocol):
    """Gives records their IDs; equal sources give equal IDs."""

    def ids(self, digests: Sequence[Digest]) -> list[bytes]:
        """The data ID of each record digest, 16 bytes, in order."""


@dataclass(frozen=True, slots=True)
class KeyedIds:
    """IDs under a key that every member has: HMAC-SHA256 of the record's digest, cut to 16 bytes.

    Attributes:
        key: the coalition's data key (32 bytes).
    """

    key: bytes = field(repr=False)

    def ids(self, digests: Sequence[Digest]) -> list[bytes]:
        """See ``IdSource.ids``."""
        return [hmac.digest(self.key, digest, "sha256")[:ID_BYTES] for digest in digests]


class SupervisorIds:
    """What ``ObliviousIds`` gives, computed by whoever has the supervisor's key: in simulations, where all keys are.

    Args:
        key: the supervisor's.
    """

    def __init__(self, key: OprfKey) -> None:
        self._key = key
        self._known: dict[Digest, bytes] = {}

    def ids(self, digests: Sequence[Digest]) -> list[bytes]:
        """See ``IdSource.ids``."""
        for digest in digests:
            if digest not in self._known:
                self._known[digest] = self._key.value(digest)[:ID_BYTES]
        return [self._known[digest] for digest in digests]


class ObliviousIds:
    """IDs under the supervisor's key: the first 16 bytes of the oblivious function of the record's digest.

    The supervisor learns how many records are asked for, and nothing of them; the member learns their IDs and cannot
    compute another one. Each answer proves that it was made with the one key that all members know.

    Args:
        key: public half of the supervisor's key.
        transport: takes a request there.
        cache: IDs that were asked for before; ``None``: all are asked for in each process.
        batch: records in one request, 1 to ``OPRF_BATCH_MAX``; the supervisor computes for a millisecond for each.
        progress: told before the first request and after each.

    Raises:
        MessageError: the key is none.
        ValueError: the batch is out of range.
    """

    def __init__(
        self,
        key: bytes,
        transport: Transport,
        cache: IdCache | None = None,
        batch: int = _BATCH,
        progress: Progress = lambda _, __: None,
    ) -> None:
        if not 1 <= batch <= OPRF_BATCH_MAX:
            raise ValueError(f"{batch} records in one request, not 1 to {OPRF_BATCH_MAX}")
        self.key: OprfPublicKey = oprf_public_key(key)
        self._transport = transport
        self._cache = cache
        self._batch = batch
        self._progress = progress
        self._known: dict[Digest, bytes] = dict(cache.load(self.key)) if cache is not None else {}

    def ids(self, digests: Sequence[Digest]) -> list[bytes]:
        """See ``IdSource.ids``. What was answered is kept, also when a later request fails.

        Raises:
            MessageError: the answer is malformed, or another key made it; or the supervisor refuses the request.
            UnreachableError: there is no answer; ``IdsLater``: there will be one later.
            StorageError: the cache cannot be written.
        """
        unknown = [digest for digest in dict.fromkeys(digests) if digest not in self._known]
        if unknown:
            self._progress(0, len(unknown))
        kept, kept_s = len(self._known), time.monotonic()
        try:
            for begin in range(0, len(unknown), self._batch):
                part = unknown[begin : begin + self._batch]
                self._known.update(zip(part, self._asked(part), strict=True))
                self._progress(begin + len(part), len(unknown))
                # The file is written whole: not for every answer, and not so seldom that a crash costs much allowance.
                if time.monotonic() - kept_s >= _KEEP_EVERY_S:
                    self._keep()
                    kept, kept_s = len(self._known), time.monotonic()
        finally:
            if len(self._known) > kept:
                self._keep()
        return [self._known[digest] for digest in digests]

    def _asked(self, part: Sequence[Digest]) -> Iterator[bytes]:
        pending = blind(part)
        answer = IdAnswer.read(self._transport(IdRequest.of(pending.blinded).encode()))
        return (output[:ID_BYTES] for output in finalize(pending, answer.batch, self.key))

    def _keep(self) -> None:
        if self._cache is not None:
            self._cache.save(self.key, self._known)

    def __repr__(self) -> str:
        return f"ObliviousIds({self.key.hex()[:16]}…)"
