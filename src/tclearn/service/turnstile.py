"""What each member may take of the service, so that none can use it up for the others.

Requests are counted in a bucket of tokens for each member. Of connections and of streams of events each may have a few;
one more ends its oldest, not the new one: what a broken network has left behind must not keep its owner out.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from tclearn.encoding import MemberId
from tclearn.errors import Code, UnreachableError
from tclearn.limits import REQUESTS_AT_ONCE_MAX, REQUESTS_PER_SECOND_MAX

T = TypeVar("T", bound=Hashable)
RETRY_AFTER_S: Final = 1
"""What a member that has asked too often is told to wait, seconds."""


@dataclass
class _Bucket:
    tokens: float
    filled_s: float


@dataclass
class Turnstile:
    """Counts requests by member.

    Attributes:
        per_second: requests a second that each member may make for as long as it likes.
        at_once: requests that it may make at once after a pause.
        clock: seconds, from any beginning.
    """

    per_second: float = REQUESTS_PER_SECOND_MAX
    at_once: int = REQUESTS_AT_ONCE_MAX
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[MemberId, _Bucket] = field(default_factory=dict, repr=False)

    def admit(self, member: MemberId) -> None:
        """Count a request; one event loop only.

        Raises:
            UnreachableError: the member has asked too often.
        """
        now_s = self.clock()
        bucket = self._buckets.setdefault(member, _Bucket(self.at_once, now_s))
        bucket.tokens = min(self.at_once, bucket.tokens + self.per_second * (now_s - bucket.filled_s))
        bucket.filled_s = now_s
        if bucket.tokens < 1:
            raise UnreachableError(
                Code.BUSY,
                f"{member} has asked more than {math.floor(self.per_second)} times a second",
                expected=f"at most {self.at_once} requests at once, and then that many a second",
                remedy=f"ask again in {RETRY_AFTER_S} s; look for another process with this member's keys",
            )
        bucket.tokens -= 1


class Newest(Generic[T]):
    """The newest few of what each member has open.

    Args:
        most: how many a member may have.
        end: ends one; called for the oldest when there is one too many.
    """

    def __init__(self, most: int, end: Callable[[T], None]) -> None:
        self.most = most
        self._end = end
        self._open: dict[MemberId, deque[T]] = {}

    def add(self, member: MemberId, opened: T) -> None:
        """Count one more."""
        mine = self._open.setdefault(member, deque())
        mine.append(opened)
        while len(mine) > self.most:
            self._end(mine.popleft())

    def remove(self, member: MemberId, opened: T) -> None:
        """It is closed; whether it was counted still does not matter."""
        mine = self._open.get(member, deque())
        if opened in mine:
            mine.remove(opened)

    def all(self) -> list[T]:
        """What is open, of everybody."""
        return [opened for mine in self._open.values() for opened in mine]

    def count(self, member: MemberId) -> int:
        """How many a member has."""
        return len(self._open.get(member, ()))
