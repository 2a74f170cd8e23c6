"""Before training: assets are stated, the group's information is agreed on, deposits are locked (§4.3.2, §4.3.3)."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from tclearn.coalition.accounts import Accounts
from tclearn.encoding import Digest, MemberId, encode
from tclearn.errors import MessageError
from tclearn.identity import public_key, verify
from tclearn.ledger import Context
from tclearn.limits import (
    DEEPCHAIN_ASSET_BLOCKS_MAX,
    DEEPCHAIN_ASSETS_PER_MEMBER_MAX,
    DEEPCHAIN_KEYWORD_CHARACTERS_MAX,
    RECORDS_PER_CONTRIBUTION_MAX,
)
from tclearn.protocols.deepchain.calls import Declare, Join, Stake
from tclearn.protocols.deepchain.records import DECRYPTION, ENDED, GRADIENTS, WORK, Asset, Joined
from tclearn.protocols.deepchain.refusals import Refusal, refuse
from tclearn.protocols.deepchain.settling import begin_if_ready
from tclearn.protocols.deepchain.state import State, asset_name
from tclearn.protocols.deepchain.terms import DeepChainTerms


def asset_message(coalition: Digest, member: MemberId, asset: Asset) -> bytes:
    """What a pseudonym signs: that this asset is offered under it, by this member, in this coalition."""
    return encode(["tclearn/deepchain/asset/1", coalition, member, asset.to_value()])


def declare(state: State, arguments: Declare, context: Context) -> None:
    """A member states an asset under a pseudonym.

    The pseudonym's signature shows that its owner means it. That the member *has* the data is its word: the pairing
    proof of the paper is not here.
    """
    check_declare(state, context.sender)
    asset = Asset(
        member=context.sender,
        pseudonym=arguments.pseudonym,
        data=arguments.data,
        blocks=arguments.blocks,
        size=arguments.size,
        format=arguments.format,
        topic=arguments.topic,
        description=arguments.description,
    )
    fault = _asset_fault(asset)
    if fault:
        raise refuse(Refusal.BAD_ASSET, fault)
    try:
        key = public_key(asset.pseudonym)
        verify(key, asset_message(state.terms.digest, context.sender, asset), arguments.signature)
    except MessageError as error:
        raise refuse(Refusal.BAD_ASSET, error.what) from None
    if state.owner_of(asset.pseudonym) not in (None, context.sender):
        raise refuse(Refusal.BAD_ASSET, "a pseudonym of another member")
    if state.asset(asset_name(asset.data)) is not None:
        raise refuse(Refusal.ALREADY_DONE, "this data is stated already")
    state.put_asset(asset)


def join(state: State, arguments: Join, context: Context) -> None:
    """A member commits to what is agreed on, and locks its deposits; a party brings an asset."""
    member = context.sender
    check_join(state, member)
    if arguments.terms != state.terms.digest:
        raise refuse(Refusal.WRONG_TERMS, "other terms than those of this coalition")
    if {arguments.asset is not None, arguments.sealed is not None} != {member in state.terms.parties}:
        raise refuse(Refusal.BAD_ARGUMENT, "a party names its asset and its sealed share, another member neither")
    if arguments.asset is not None:
        asset = state.asset(arguments.asset)
        if asset is None or asset.member != member:
            raise refuse(Refusal.UNKNOWN_ASSET, f"no asset of {member}")
    group = state.group
    joined = {**group.joined, member: Joined(context.index, {}, arguments.asset, arguments.sealed)}
    since_ms = group.since_ms if group.joined else context.time_ms
    state.put_group(replace(group, joined=joined, since_ms=since_ms))
    _lock(state, member)
    begin_if_ready(state, context.time_ms)


def stake(state: State, arguments: Stake, context: Context) -> None:
    """A member locks the deposits that it has lost, and takes part again from the next iteration on."""
    joined = check_stake(state, context.sender)
    if arguments.losses != joined.losses:
        raise refuse(Refusal.BAD_ARGUMENT, f"{context.sender} has lost {joined.losses} deposits")
    _lock(state, context.sender)
    begin_if_ready(state, context.time_ms)


def check_declare(state: State, member: MemberId) -> None:
    """Whether a member may state an asset.

    Raises:
        Rejected: it may not.
    """
    _check_open(state)
    if len(state.assets_of(member)) >= DEEPCHAIN_ASSETS_PER_MEMBER_MAX:
        raise refuse(Refusal.ALREADY_DONE, f"{member} has stated {DEEPCHAIN_ASSETS_PER_MEMBER_MAX} assets")


def check_join(state: State, member: MemberId) -> None:
    """Whether a member may join.

    Raises:
        Rejected: it may not.
    """
    _check_open(state)
    if state.joined(member) is not None:
        raise refuse(Refusal.ALREADY_DONE, f"{member} has joined")
    if member in state.terms.parties and not state.assets_of(member):
        raise refuse(Refusal.UNKNOWN_ASSET, f"{member} has stated no asset to bring")
    _check_coins(state, member)


def check_stake(state: State, member: MemberId) -> Joined:
    """Whether a member may lock lost deposits again.

    Raises:
        Rejected: it may not.
    """
    _check_open(state)
    joined = state.joined(member)
    if joined is None:
        raise refuse(Refusal.NOT_JOINED, f"{member} has not joined")
    if not lacking(state, member):
        raise refuse(Refusal.ALREADY_DONE, f"{member} has all its deposits")
    _check_coins(state, member)
    return joined


def deposits(terms: DeepChainTerms, member: MemberId) -> dict[str, int]:
    """What a member has to lock for its roles, by purpose."""
    money = terms.money
    party = {GRADIENTS: money.gradient_deposit, DECRYPTION: money.decryption_deposit}
    worker = {WORK: money.work_deposit}
    roles = chain(
        party.items() if member in terms.parties else (),
        worker.items() if member in terms.workers else (),
    )
    return dict(roles)


def lacking(state: State, member: MemberId) -> dict[str, int]:
    """Those deposits of a member that are not locked now."""
    locked = state.accounts.locked[member]
    return {purpose: coins for purpose, coins in deposits(state.terms, member).items() if purpose not in locked}


def _lock(state: State, member: MemberId) -> None:
    accounts: Accounts = state.accounts
    for purpose, coins in lacking(state, member).items():
        accounts = accounts.lock(member, purpose, coins)
    state.put_accounts(accounts)


def _check_open(state: State) -> None:
    if state.group.status in ENDED:
        raise refuse(Refusal.CLOSED, f"the group is {state.group.status}")


def _check_coins(state: State, member: MemberId) -> None:
    needed = sum(lacking(state, member).values())
    if state.accounts.free[member] < needed:
        raise refuse(Refusal.TOO_FEW_COINS, f"{member} has {state.accounts.free[member]} free coins, needs {needed}")


def _asset_fault(asset: Asset) -> str | None:
    if not 1 <= asset.blocks <= DEEPCHAIN_ASSET_BLOCKS_MAX:
        return f"blocks is {asset.blocks}, not 1 to {DEEPCHAIN_ASSET_BLOCKS_MAX}"
    if not 1 <= asset.size <= RECORDS_PER_CONTRIBUTION_MAX:
        return f"size is {asset.size}, not 1 to {RECORDS_PER_CONTRIBUTION_MAX} records"
    for name, text in (("format", asset.format), ("topic", asset.topic), ("description", asset.description)):
        if not 1 <= len(text) <= DEEPCHAIN_KEYWORD_CHARACTERS_MAX or not text.isprintable():
            return f"{name} is not 1 to {DEEPCHAIN_KEYWORD_CHARACTERS_MAX} printable characters"
    return None
