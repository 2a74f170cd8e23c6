"""Members that do not do their part, each in one way, as roles around an honest one. For tests and demonstrations.

They accuse nobody: their contract is the plain one, without what there is to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tclearn.agents import Site
from tclearn.encoding import Digest, digest
from tclearn.ledger import Call, Duty, Ledger
from tclearn.paillier.arithmetic import from_bytes, to_bytes
from tclearn.paillier.keys import PublicKey
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.files import (
    Batch,
    batches_bytes_max,
    read_batches,
    root_of,
    write_batches,
)
from tclearn.protocols.deepchain.agent.performer import Performer
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.state import State


@dataclass
class Faulty:
    """A role that passes everything on; the base of those that do not.

    Attributes:
        role: the honest one.
    """

    role: Performer

    @property
    def contract(self) -> DeepChain:
        """See ``tclearn.agents.loop.Role.contract``."""
        return self.role.rules

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``tclearn.agents.loop.Role.perform``."""
        call = self.role.perform(duty, ledger, site)
        return None if call is None else self.said(call, site)

    def said(self, call: Call, site: Site) -> Call | None:
        """What is said instead of an honest word; ``None``: nothing."""
        return call


@dataclass
class Silent(Faulty):
    """Says nothing when it is asked for some things.

    Attributes:
        kinds: of duties, such as ``"share"``.
    """

    kinds: frozenset[str] = frozenset()

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``Faulty.perform``."""
        return None if duty.kind in self.kinds else super().perform(duty, ledger, site)


class Wrong(Faulty):
    """Hands in a file whose first ciphertext or share is another one; the base of those that do so in one call.

    Attributes:
        call: record of that call, with a root and a locator.
    """

    call: ClassVar[type[calls.Contribute | calls.Share | calls.Update]]

    def said(self, call: Call, site: Site) -> Call | None:
        """See ``Faulty.said``."""
        if call.method != self.call.__name__.lower():
            return call
        said = self.call.from_value(call.arguments, call.method)
        root, locator = _altered(self.role.rules, said.root, said.locator, site)
        return calls.call(replace(said, root=root, locator=locator))


class WrongGradient(Wrong):
    """Hands in a gradient whose first ciphertext is not the one that is proved."""

    call = calls.Contribute


class WrongShares(Wrong):
    """Hands in shares of which the first is not the one that is proved."""

    call = calls.Share


class WithheldShares(Faulty):
    """Announces shares and keeps the file."""

    def said(self, call: Call, site: Site) -> Call | None:
        """See ``Faulty.said``."""
        if call.method != "share":
            return call
        said = calls.Share.from_value(call.arguments, call.method)
        nowhere = digest("tclearn/deepchain/withheld/1", said.locator)
        return calls.call(replace(said, root=nowhere, locator=nowhere))


class WrongSum(Wrong):
    """As leader, hands in a sum whose first ciphertext has one step too many."""

    call = calls.Update


class Agreeable(WrongSum):
    """A worker that finds everything right that is there; as leader, see ``WrongSum``."""

    def said(self, call: Call, site: Site) -> Call | None:
        """See ``Faulty.said``."""
        if call.method != "check":
            return super().said(call, site)
        return calls.call(replace(calls.Check.from_value(call.arguments, call.method), right=1))


def _altered(rules: DeepChain, root: Digest, locator: Digest, site: Site) -> tuple[Digest, Digest]:
    key = rules.terms.key
    batches = list(read_batches(site.store.get(locator, size_max=batches_bytes_max(key)), root, key))
    if not isinstance(rules.judge, PaillierJudge):
        raise TypeError("a performer has a PaillierJudge")
    batches[0] = Batch(_one_more(rules.judge.key, batches[0].items), batches[0].proof)
    return root_of(batches), site.store.put(write_batches(batches))


def _one_more(key: PublicKey, items: Sequence[bytes]) -> tuple[bytes, ...]:
    # Times 1 + N: an element of the group, as any ciphertext or share, and another one.
    group = key.group
    (first,) = from_bytes(items[0], group.element_bytes)
    changed = group.multiply(first, group.generator_power(1))
    return to_bytes([changed], group.element_bytes), *items[1:]
