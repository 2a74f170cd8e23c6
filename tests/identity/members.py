"""A member to begin from."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from tclearn.encoding import MemberId
from tclearn.identity.member_keys import MemberKeys

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
LEUVEN = MemberId("leuven")


def keys(name: str = "leuven") -> MemberKeys:
    return MemberKeys.from_entropy(hashlib.sha512(name.encode()).digest())
