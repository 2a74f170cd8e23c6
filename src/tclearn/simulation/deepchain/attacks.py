"""Misbehaviour that a demonstration of DeepChain can give to a member: ``KIND@MEMBER``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tclearn.errors import Code, UsageError
from tclearn.simulation.attacks import Named, kind_and_member

if TYPE_CHECKING:
    from tclearn.simulation.deepchain.setting import Misbehaviour

PARTY: Final = "party"
WORKER: Final = "worker"
_ANYBODY: Final = (PARTY, WORKER)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of misbehaviour.

    Attributes:
        words: what the member does.
        roles: who can do it.
        adversary: its class in ``tclearn.protocols.deepchain.adversaries``.
        silent: for ``Silent``, the duties that it does not do.
        leading: whether it shows only when the member leads.
    """

    words: str
    roles: tuple[str, ...]
    adversary: str
    silent: tuple[str, ...] = ()
    leading: bool = False


WRONG_PROOF: Final = "wrong-proof"
WITHHOLD_SHARE: Final = "withhold-share"
WRONG_SUM: Final = "wrong-sum"
_TWO_MAY_BE_FAULTY: Final = 7
_ALL_DUTIES: Final = ("contribute", "verify", "attach", "update", "check", "append", "take", "share", "report")
KINDS: Final[Mapping[str, Kind]] = {
    WRONG_PROOF: Kind("a ciphertext that its proof is not of", (PARTY,), "WrongGradient"),
    "no-gradient": Kind("hands in no gradient", (PARTY,), "Silent", ("contribute",)),
    "wrong-share": Kind("a decryption share that its proof is not of", (PARTY,), "WrongShares"),
    WITHHOLD_SHARE: Kind("announces its shares and keeps the file", (PARTY,), "WithheldShares"),
    "no-share": Kind("hands in no decryption shares", (PARTY,), "Silent", ("share",)),
    WRONG_SUM: Kind("as leader, one step too many", (WORKER,), "WrongSum", leading=True),
    "agreeable": Kind("the same, and finds every sum right", (WORKER,), "Agreeable", leading=True),
    "no-sum": Kind("as leader, hands in no sum", (WORKER,), "Silent", ("update",), leading=True),
    "silent": Kind("joins, locks its deposits, and says nothing more", _ANYBODY, "Silent", _ALL_DUTIES),
}


@dataclass(frozen=True, slots=True)
class Attack(Named):
    """One member's misbehaviour, of ``KINDS``."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``KIND@MEMBER``.

        Raises:
            UsageError: not of that form, or no such kind.
        """
        return cls(*kind_and_member(text, KINDS, f"{WRONG_PROOF}@hospital-3"))

    def check(self, parties: Sequence[str], workers: Sequence[str]) -> None:
        """Whether there is such a member, and it can do this; returns nothing.

        Raises:
            UsageError: it is not so.
        """
        able = KINDS[self.kind].roles
        named = {PARTY: parties, WORKER: workers}
        role = next((role for role, names in named.items() if self.member in names), None)
        if role not in able:
            raise UsageError(
                Code.USAGE,
                f"the attack {self}: {f'{self.member} is a {role}' if role else 'no such member'}",
                expected=" or ".join(f"{named[each][0]} to {named[each][-1]}" for each in able),
            )

    @property
    def wrapper(self) -> Misbehaviour:
        """What the member's role is wrapped in."""
        from tclearn.protocols.deepchain import adversaries

        kind = KINDS[self.kind]
        made = getattr(adversaries, kind.adversary)
        if not kind.silent:
            wrapper: Misbehaviour = made
            return wrapper
        return lambda role: made(role, frozenset(kind.silent))


def default_attacks(parties: Sequence[str], workers: Sequence[str]) -> tuple[Attack, ...]:
    """The demonstration's story: a wrong proof, a withheld share, a wrong sum, as far as f allows it."""
    withholding = [Attack(WITHHOLD_SHARE, parties[4])] if len(parties) >= _TWO_MAY_BE_FAULTY else []
    return (Attack(WRONG_PROOF, parties[2]), *withholding, Attack(WRONG_SUM, workers[1]))
