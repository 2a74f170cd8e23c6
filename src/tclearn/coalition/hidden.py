"""Hidden parts: test records that a member commits to, shows once, after a candidate is fixed, and never uses again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tclearn.coalition.draw import permutation
from tclearn.coalition.evidence import Paired
from tclearn.encoding import Digest, MemberId, digest
from tclearn.records import Record


@dataclass(frozen=True, slots=True)
class Part(Record):
    """A hidden part that was shown.

    Attributes:
        keeper: the member that kept it.
        number: counts the keeper's parts, from 0.
        locator: name of the part's file in the store.
        records: digest of its records, as that of a data set.
        n: how many they are.
    """

    keeper: MemberId
    number: int
    locator: Digest
    records: Digest
    n: int


@dataclass(frozen=True, slots=True)
class Hidden(Record):
    """What hidden parts had to say on a candidate; in a revert that nobody asked for, why it was made.

    Attributes:
        missing: keepers that were asked for a part and showed none in time.
        part: what was shown.
        performance: result on it that the quorum agreed on: the candidate beside its reference.
        drift: the newest model (as candidate) beside the best one (as reference). On a candidate: on its part, as the
            quorum agreed. In a revert: counts added up over the parts of the keepers whose counts ask for it.
    """

    missing: tuple[MemberId, ...] = ()
    part: Part | None = None
    performance: Paired | None = None
    drift: Paired | None = None


def part_commitment(coalition: Digest, keeper: MemberId, number: int, records: Digest, n: int, salt: bytes) -> Digest:
    """The hash by which a member commits to a part before any candidate that it may be shown for.

    Args:
        coalition: digest of the charter.
        keeper: who keeps the part.
        number: counts its parts, from 0.
        records: digest of the part's records.
        n: how many they are.
        salt: the keeper's secret, so that nobody can try out records.
    """
    return digest("tclearn/hidden/1", coalition, keeper, number, records, n, salt)


def keepers(seed: Digest, height: int, members: Sequence[MemberId]) -> tuple[MemberId, ...]:
    """The order in which members are asked for a part at a height, each with the same chances.

    Nothing in a candidate has a say. The order goes on from one candidate of the height to the next, so that nobody is
    asked about all of them.
    """
    return permutation(digest("tclearn/keepers/1", seed, height), dict.fromkeys(members, 1))


def added(results: Sequence[Paired]) -> Paired | None:
    """Counts on several sets of records as counts on all of them; ``None`` for no set."""
    if not results:
        return None
    return Paired(
        n=sum(each.n for each in results),
        scale=sum(each.scale for each in results),
        reference=sum(each.reference for each in results),
        candidate=sum(each.candidate for each in results),
        lost=sum(each.lost for each in results),
        gained=sum(each.gained for each in results),
    )
