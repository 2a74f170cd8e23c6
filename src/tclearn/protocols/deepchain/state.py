"""The state of a DeepChain coalition, as typed records over the ledger's key–value view.

Keys: ``group``, ``iteration``, ``accounts``, ``seed``, ``assets``, ``asset/…``, ``asset-of/…``, ``pseudonym/…``,
``links/…``, ``block/…``, ``result/…``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from tclearn.coalition.accounts import Accounts
from tclearn.encoding import Digest, MemberId, Value, digest
from tclearn.ledger import View
from tclearn.protocols.deepchain.judging import Judge
from tclearn.protocols.deepchain.records import Asset, Block, Group, Iteration, Joined, Links, Result
from tclearn.protocols.deepchain.terms import DeepChainTerms
from tclearn.records import Record

R = TypeVar("R", bound=Record)


@dataclass(slots=True)
class Memo:
    """Remembers records that were read, so that none is read twice. It changes no answer."""

    _records: dict[str, tuple[Value, Record]] = field(default_factory=dict)

    def keep(self, key: str, value: Value, record: Record) -> None:
        """Remember the record that a value was made from."""
        self._records[key] = (value, record)

    def record(self, key: str, value: Value, kind: type[R]) -> R:
        """The record that a value is. Values are never changed in place: the same object is the same record."""
        known = self._records.get(key)
        if known is None or known[0] is not value or not isinstance(known[1], kind):
            record = kind.from_value(value, key)
            self.keep(key, value, record)
            return record
        return known[1]


class State:
    """A typed reading of the state, and the writes of one call on top of it.

    Args:
        view: the ledger's key–value view.
        terms: what the members have agreed on.
        judge: decides what proofs show.
        memo: what was read before.
    """

    def __init__(self, view: View, terms: DeepChainTerms, judge: Judge, memo: Memo) -> None:
        self._view = view
        self.terms = terms
        self.judge = judge
        self._memo = memo
        self.writes: dict[str, Value | None] = {}

    # --- the group -------------------------------------------------------------------------------------------------

    @property
    def group(self) -> Group:
        """Where the group stands."""
        return self._record("group", Group)

    def put_group(self, group: Group) -> None:
        """Set where the group stands."""
        self._put("group", group)

    def joined(self, member: MemberId) -> Joined | None:
        """That a member has joined; ``None``: it has not."""
        return self.group.joined.get(member)

    @property
    def accounts(self) -> Accounts:
        """Everybody's coins."""
        return self._record("accounts", Accounts)

    def put_accounts(self, accounts: Accounts) -> None:
        """Set everybody's coins."""
        self._put("accounts", accounts)

    def count_losses(self, before: Accounts) -> None:
        """Note which members have lost which deposits since some accounts of this call."""
        after, group = self.accounts, self.group
        joined = dict(group.joined)
        for member, each in group.joined.items():
            gone = set(before.locked[member]) - set(after.locked[member])
            if gone:
                counts = {purpose: each.lost.get(purpose, 0) + 1 for purpose in sorted(gone)}
                joined[member] = replace(each, lost={**each.lost, **counts})
        if joined != group.joined:
            self.put_group(replace(group, joined=joined))

    # --- the iteration ---------------------------------------------------------------------------------------------

    @property
    def iteration(self) -> Iteration | None:
        """The iteration that runs; ``None``: none does."""
        return None if self._value("iteration", 0) == 0 else self._record("iteration", Iteration)

    def put_iteration(self, iteration: Iteration | None) -> None:
        """Set the iteration that runs."""
        if iteration is not None:
            self._put("iteration", iteration)
        elif self._value("iteration", 0) != 0:
            self.writes["iteration"] = None

    # --- seeds -----------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> Digest:
        """What the coming leader is drawn with."""
        return cast(Digest, self._value("seed"))

    def put_seed(self, seed: Digest) -> None:
        """Set the seed."""
        self.writes["seed"] = seed

    def links(self, worker: MemberId) -> Links:
        """How far a worker's seed chain is used."""
        return self._record(f"links/{worker}", Links)

    def put_links(self, worker: MemberId, links: Links) -> None:
        """Set how far a worker's seed chain is used."""
        self._put(f"links/{worker}", links)

    # --- assets ----------------------------------------------------------------------------------------------------

    @property
    def assets(self) -> int:
        """How many assets were stated."""
        return cast(int, self._value("assets"))

    def asset(self, name: Digest) -> Asset | None:
        """An asset by its name, see ``asset_name``."""
        key = f"asset/{name.hex()}"
        return None if self._value(key, 0) == 0 else self._record(key, Asset)

    def assets_of(self, member: MemberId) -> list[Digest]:
        """Names of the assets that a member has stated."""
        return list(cast(list[Digest], self._value(f"asset-of/{member}", ())))

    def owner_of(self, pseudonym: bytes) -> MemberId | None:
        """Who has used a pseudonym."""
        owner = self._value(f"pseudonym/{pseudonym.hex()}", 0)
        return None if owner == 0 else MemberId(cast(str, owner))

    def put_asset(self, asset: Asset) -> None:
        """Store an asset."""
        name = asset_name(asset.data)
        self._put(f"asset/{name.hex()}", asset)
        self.writes[f"asset-of/{asset.member}"] = [*self.assets_of(asset.member), name]
        self.writes[f"pseudonym/{asset.pseudonym.hex()}"] = asset.member
        self.writes["assets"] = self.assets + 1

    # --- the chain -------------------------------------------------------------------------------------------------

    def block(self, number: int) -> Block:
        """A block of the chain, from 0."""
        return self._record(f"block/{number:08d}", Block)

    @property
    def previous(self) -> Digest:
        """Hash of the newest block; zeros while there is none."""
        count = self.group.blocks
        return self.block(count - 1).hash if count else Digest(bytes(32))

    def append_block(self, block: Block) -> None:
        """Put a block at the end of the chain."""
        self._put(f"block/{block.number:08d}", block)
        self.put_group(replace(self.group, blocks=block.number + 1))

    def result(self, number: int) -> Result:
        """What came of a successful iteration, from 1."""
        return self._record(f"result/{number:08d}", Result)

    def put_result(self, result: Result) -> None:
        """Store what came of an iteration."""
        self._put(f"result/{result.round:08d}", result)

    def _put(self, key: str, record: Record) -> None:
        value = self.writes[key] = record.to_value()
        self._memo.keep(key, value, record)

    def _value(self, key: str, default: Value | None = None) -> Value:
        value = self.writes[key] if key in self.writes else self._view.get(key)
        if value is None:
            value = default
        if value is None:
            raise KeyError(key)
        return value

    def _record(self, key: str, kind: type[R]) -> R:
        return self._memo.record(key, self._value(key), kind)


def asset_name(data: Digest) -> Digest:
    """Names an asset by its data: nobody states the same data twice."""
    return digest("tclearn/deepchain/asset/1", data)
