"""DeepCoin: whole coins that are made only at the founding and as rewards, and are never lost.

A coin is free, or a deposit in one of its member's locks, or in the group's *pot*: forfeited coins that nobody has a
claim to. The pot pays rewards before a coin is made. Each coin also has a *validity* that is spent when its owner leads
(``coalition.sortition``). It does not change hands: who is paid coins gets them spent, and who pays parts with spent
ones first, so that no coin counts twice in draws by going around.

Source: Weng et al., "DeepChain" (IEEE TDSC; IACR ePrint 2018/679), §4.2.1, §4.2.2 and §4.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from tclearn.encoding import MemberId
from tclearn.records import Record

COINS_MAX: Final = 1 << 60
"""More coins than there will ever be; a charter that could make more is refused."""


@dataclass(frozen=True, slots=True)
class Accounts(Record):
    """Who has how many coins.

    Attributes:
        free: coins of each member that it may lock.
        locked: deposits of each member, by what they are for.
        validity: coins of each member, free or locked, that have not led yet.
        pot: forfeited coins that wait to be paid out as rewards.
        minted: coins made so far.
        era: how many times all validity was renewed.
    """

    free: dict[str, int]
    locked: dict[str, dict[str, int]]
    validity: dict[str, int]
    pot: int
    minted: int
    era: int

    @classmethod
    def founded(cls, coins: Mapping[MemberId, int]) -> Accounts:
        """The accounts of the genesis block.

        Args:
            coins: what each member begins with; every member of the coalition is in it.
        """
        held = {str(member): own for member, own in coins.items()}
        return cls(held, {member: {} for member in held}, dict(held), 0, sum(held.values()), 0)

    def holdings(self, member: MemberId) -> int:
        """All coins of a member, free and locked."""
        return self.free[member] + sum(self.locked[member].values())

    def deposit(self, member: MemberId, purpose: str) -> int:
        """Coins that a member has locked for a purpose."""
        return self.locked[member].get(purpose, 0)

    def lock(self, member: MemberId, purpose: str, coins: int) -> Accounts:
        """A member locks free coins.

        Raises:
            ValueError: it has not so many, or has a deposit for this purpose already.
        """
        if coins > self.free[member] or purpose in self.locked[member]:
            raise ValueError(f"{member} cannot lock {coins} coins for {purpose}")
        return replace(
            self,
            free={**self.free, member: self.free[member] - coins},
            locked={**self.locked, member: {**self.locked[member], purpose: coins}},
        )

    def returned(self, member: MemberId, purpose: str) -> Accounts:
        """A deposit goes back to its member; without one nothing changes."""
        coins, accounts = self._unlocked(member, purpose)
        return replace(accounts, free={**accounts.free, member: accounts.free[member] + coins})

    def forfeited(self, member: MemberId, purpose: str, payments: Mapping[MemberId, int]) -> Accounts:
        """A deposit goes to others, and what they are not paid of it into the pot.

        Args:
            member: who loses it.
            purpose: which deposit.
            payments: coins of it by member; without a deposit there can be none.

        Raises:
            ValueError: the payments are more than the deposit, or one is to the member itself.
        """
        coins, accounts = self._unlocked(member, purpose)
        left = coins - sum(payments.values())
        if left < 0 or member in payments:
            raise ValueError(f"{member}'s deposit of {coins} cannot pay {dict(payments)}")
        free: dict[str, int] = dict(accounts.free)
        for to, paid in payments.items():
            free[to] += paid
        accounts = replace(accounts, free=free, pot=accounts.pot + left)
        held = accounts.holdings(member)
        return replace(accounts, validity={**accounts.validity, member: min(accounts.validity[member], held)})

    def rewarded(self, payments: Mapping[MemberId, int]) -> Accounts:
        """Rewards are paid: out of the pot as far as it goes, and then with new coins.

        Coins from the pot come spent, as all coins that change hands; new ones are valid. Which of the two a coin is
        does not depend on the order of the members: each one's share of the new coins is that of its reward, rounded
        down.
        """
        total = sum(payments.values())
        made = max(0, total - self.pot)
        free, validity = dict(self.free), dict(self.validity)
        for member, paid in payments.items():
            free[member] += paid
            validity[member] += paid * made // total if total else 0
        pot, minted = self.pot - (total - made), self.minted + made
        return replace(self, free=free, validity=validity, pot=pot, minted=minted)

    def led(self, member: MemberId) -> Accounts:
        """A member has led: the validity of all its coins is spent."""
        return replace(self, validity={**self.validity, member: 0})

    def renewed(self) -> Accounts:
        """A new era: every coin is valid again."""
        return replace(
            self, validity={member: self.holdings(MemberId(member)) for member in self.free}, era=self.era + 1
        )

    def fault(self) -> str | None:
        """What is wrong with these accounts; ``None``: no coin was lost or made without right, and no validity."""
        members = set(self.free)
        if set(self.locked) != members or set(self.validity) != members:
            return "accounts of different members"
        deposits = [coins for locks in self.locked.values() for coins in locks.values()]
        if min([self.pot, *self.free.values(), *deposits, *self.validity.values()]) < 0:
            return "less than nothing"
        held = sum(self.free.values()) + sum(deposits) + self.pot
        if held != self.minted:
            return f"{held} coins of {self.minted} that were made"
        over = [member for member in sorted(members) if self.validity[member] > self.holdings(MemberId(member))]
        return f"{over[0]} has more valid coins than coins" if over else None

    def _unlocked(self, member: MemberId, purpose: str) -> tuple[int, Accounts]:
        locks = dict(self.locked[member])
        coins = locks.pop(purpose, 0)
        return coins, replace(self, locked={**self.locked, member: locks})
