"""Queries of a history that several parts of the report share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tclearn.coalition.accounts import Accounts
from tclearn.encoding import MemberId
from tclearn.page.deepchain.summary import Summary
from tclearn.page.text import in_order
from tclearn.protocols.deepchain.history import Balance, Course, Fine, History
from tclearn.protocols.deepchain.terms import DeepChainTerms

_TOY_BITS: Final = 512
_LISTED_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Named:
    """A member that has lost deposits.

    Attributes:
        member: who.
        fines: which, each with the number of its iteration, in order.
    """

    member: MemberId
    fines: tuple[tuple[int, Fine], ...]

    @property
    def coins(self) -> int:
        """Lost, all together."""
        return sum(fine.coins for _, fine in self.fines)


class Facts:
    """A history, asked once.

    Args:
        terms: the charter.
        history: what has happened.
        summary: what it does not know.

    Raises:
        ValueError: the summary has another number of accuracies than iterations have succeeded.
    """

    def __init__(self, terms: DeepChainTerms, history: History, summary: Summary) -> None:
        self.terms = terms
        self.summary = summary
        self.status: str = history.status
        self.courses: tuple[Course, ...] = history.courses
        self.balances: tuple[Balance, ...] = history.balances
        self.accounts: Accounts = history.accounts
        self.opened: tuple[Course, ...] = tuple(course for course in self.courses if course.round is not None)
        """The iterations that succeeded."""
        self.everybody: tuple[MemberId, ...] = (
            *in_order(terms.parties),
            *in_order(set(terms.workers) - set(terms.parties)),
        )
        """The parties, and the workers that are none."""
        if summary.accuracies and len(summary.accuracies) != len(self.opened):
            raise ValueError(f"{len(summary.accuracies)} accuracies for {len(self.opened)} iterations that succeeded")

    @cached_property
    def accuracies(self) -> Mapping[int, float]:
        """Performance by number of the iteration; nothing if it was not measured."""
        return {course.number: value for course, value in zip(self.opened, self.summary.accuracies, strict=False)}

    @property
    def listed(self) -> tuple[Course, ...]:
        """The newest iterations, each of which has a row of its own."""
        return self.courses[-_LISTED_MAX:]

    @property
    def last(self) -> float | None:
        """Performance after the newest iteration that succeeded."""
        return self.summary.accuracies[-1] if self.summary.accuracies else None

    @cached_property
    def named(self) -> tuple[Named, ...]:
        """Who has lost deposits."""
        lost: dict[MemberId, list[tuple[int, Fine]]] = {}
        for course in self.courses:
            for fine in course.fines:
                lost.setdefault(fine.member, []).append((course.number, fine))
        return tuple(Named(member, tuple(lost[member])) for member in self.everybody if member in lost)

    @property
    def founding(self) -> int:
        """Coins at the founding."""
        return sum(balance.start for balance in self.balances)

    @property
    def minted(self) -> int:
        """Coins made since, all of them as rewards."""
        return self.accounts.minted - self.founding

    @property
    def bits(self) -> int:
        """Bits of the threshold key's N: a ciphertext is a number below N²."""
        return 4 * self.terms.key.ciphertext_bytes

    @property
    def toy(self) -> bool:
        """Whether the key protects nothing."""
        return self.bits <= _TOY_BITS

    def role(self, member: MemberId) -> str:
        """What a member is by the charter."""
        if member not in self.terms.workers:
            return "party"
        return "both" if member in self.terms.parties else "worker"
