"""What a member says before the first iteration, and after it has lost a deposit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tclearn.agents import Site
from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError
from tclearn.identity import Signer
from tclearn.ledger import Call
from tclearn.paillier.keys import PublicKey, SecretShare
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.keeping import keyed
from tclearn.protocols.deepchain.founding import asset_message
from tclearn.protocols.deepchain.records import Asset
from tclearn.protocols.deepchain.state import State

JOINING: Final = frozenset({"declare", "join", "stake"})
"""Duties that are asked outside of iterations."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Data that a party brings, in the words of ``calls.Declare``."""

    data: Digest
    blocks: int
    size: int
    format: str
    topic: str
    description: str


@dataclass(frozen=True, slots=True)
class Membership:
    """What a party has besides its site.

    Attributes:
        share: its share of the threshold key.
        sealed: digest of that share, sealed and signed by whoever dealt it.
        offer: its data.
    """

    share: SecretShare = field(repr=False)
    sealed: Digest
    offer: Offer


def joining(kind: str, state: State, site: Site, membership: Membership | None, key: PublicKey) -> Call | None:
    """What a member says for one of ``JOINING``; ``None``: nothing.

    Raises:
        MessageError: the key was dealt wrongly, or the share is not this party's: no deposit is locked.
    """
    if kind == "declare":
        return _declare(state, site, membership)
    return _join(state, site, membership, key) if kind == "join" else _stake(state, site)


def _declare(state: State, site: Site, membership: Membership | None) -> Call | None:
    if membership is None or state.assets_of(site.member):
        return None  # further assets are for whoever has them to offer
    coalition = state.terms.digest
    pseudonym = Signer(keyed(site, b"deepchain pseudonym", coalition))
    described = {name: getattr(membership.offer, name) for name in Offer.__slots__}
    asset = Asset(member=site.member, pseudonym=pseudonym.public, **described)
    signature = pseudonym.sign(asset_message(coalition, site.member, asset))
    return calls.call(calls.Declare(pseudonym=pseudonym.public, signature=signature, **described))


def _join(state: State, site: Site, membership: Membership | None, key: PublicKey) -> Call | None:
    # Deposits answer for shares: nobody locks any for a key that was dealt wrongly.
    key.check_dealing()
    if site.member not in state.terms.parties:
        return calls.call(calls.Join(state.terms.digest))
    if membership is None:
        return None
    membership.share.check(key)
    if membership.share.party != state.terms.number(site.member):
        raise MessageError(
            Code.PAILLIER_KEY,
            f"{membership.share} for {site.member}",
            expected=f"the share of party {state.terms.number(site.member)}",
        )
    return calls.call(calls.Join(state.terms.digest, state.assets_of(site.member)[0], membership.sealed))


def _stake(state: State, site: Site) -> Call | None:
    joined = state.joined(site.member)
    return None if joined is None else calls.call(calls.Stake(joined.losses))
