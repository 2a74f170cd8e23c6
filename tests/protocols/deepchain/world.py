"""A DeepChain coalition reduced to its contract: calls go straight in, time is a number, ciphertexts are numbers.

``Plain`` stands in for the cryptography: a ciphertext is its number, a proof is a hash of what it proves and where. It
binds what the real one binds, and hides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from tclearn.coalition.fines import smallest_fine
from tclearn.coalition.quorum import faulty_max
from tclearn.coalition.terms import MemberRecord, ModelTerms, TaskTerms, TensorRecord
from tclearn.encoding import Digest, MemberId, Value, digest, encode
from tclearn.identity import Signer
from tclearn.identity.seed_chain import links, tip
from tclearn.ledger import Context, Duty, Rejected
from tclearn.ledger.cosigning import Cosignature
from tclearn.ledger.merkle import MerkleLog
from tclearn.protocols.deepchain import DeepChain, DeepChainTerms, KeyTerms, MoneyTerms, Place, Times, calls
from tclearn.protocols.deepchain.batches import NO_PROOF, batches_tree, items_tree, proof_digest
from tclearn.protocols.deepchain.founding import asset_message
from tclearn.protocols.deepchain.records import Asset, Iteration
from tclearn.protocols.deepchain.refusals import Refusal
from tclearn.protocols.deepchain.state import State
from tclearn.records import Record

START = 1_767_225_600_000
TIMES = Times(
    t1=10_000, t2=20_000, t3=30_000, t7=40_000, t8=50_000, t9=60_000, t4=160_000, t5=170_000, t6=180_000,
    block_ms=30_000, patience_ms=100_000,
)  # fmt: skip
WIDTH = 8
Batches = Sequence[tuple[Sequence[bytes], bytes]]


def number(value: int) -> bytes:
    return (value % (1 << 64)).to_bytes(WIDTH, "big")


def plain_proof(place: Place, *parts: Value) -> bytes:
    return digest("proof", place.coalition, place.iteration, place.party, place.batch, *parts)


def plain_share(party: int, ciphertext: bytes) -> bytes:
    return digest("share", party, ciphertext)[:WIDTH]


class Plain:
    """See ``tclearn.protocols.deepchain.Judge``. Counts what it was asked.

    Args:
        weights: those of the terms.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self.weights = weights
        self.asked = 0

    def encryption(self, place: Place, ciphertexts: Sequence[bytes], proof: bytes) -> bool:
        self.asked += 1
        return proof == plain_proof(place, list(ciphertexts))

    def share(self, place: Place, ciphertexts: Sequence[bytes], shares: Sequence[bytes], proof: bytes) -> bool:
        self.asked += 1
        right = [plain_share(place.party, each) for each in ciphertexts]
        return list(shares) == right and proof == plain_proof(place, list(ciphertexts), list(shares))

    def sum(self, addends: Mapping[int, bytes], total: bytes) -> bool:
        self.asked += 1
        return plain_sum(addends, self.weights) == total


def plain_sum(addends: Mapping[int, bytes], weights: Sequence[int]) -> bytes:
    return number(sum(weights[party - 1] * int.from_bytes(each, "big") for party, each in addends.items()))


def names(role: str, n: int) -> tuple[MemberId, ...]:
    return tuple(MemberId(f"{role}{i:02d}") for i in range(n))


@cache
def signer(member: str) -> Signer:
    return Signer(digest("test key", member))


@cache
def chain_links(member: str) -> tuple[Digest, ...]:
    return links(signer(member).derive("seed chain"))


@cache
def record(member: MemberId) -> MemberRecord:
    return MemberRecord(member, signer(member).public, tip(signer(member).derive("seed chain")), "seed")


MODEL = ModelTerms("tests:model", {}, 1, digest("source"), (TensorRecord("w", "F32", (2,)),), digest("W_0"))


def terms(
    parties: int = 4,
    workers: int = 4,
    *,
    both: bool = False,
    ciphertexts: int = 2,
    coins: int = 10_000,
    **changes: object,
) -> DeepChainTerms:
    """Terms that are sound; with ``both`` the parties are the workers."""
    training = names("p", parties)
    working = training if both else names("w", workers)
    members = sorted({*training, *working})
    faulty = faulty_max(parties)
    base = DeepChainTerms(
        format=1,
        name="hearts",
        protocol="deepchain",
        contracts=("deepchain/1",),
        members=tuple(record(member) for member in members),
        log_key=signer("log").public,
        parties=training,
        workers=working,
        model=MODEL,
        task=TaskTerms("accuracy", digest("G"), 100, 0),
        trainer="torch",
        hyperparameters={},
        key=KeyTerms(b"key", 24, 16, 1, max(2, faulty + 1), WIDTH, WIDTH, ciphertexts, (1,) * parties),
        times=TIMES,
        money=MoneyTerms(dict.fromkeys(members, coins), 300, 240, 700, 120, 60, 900_000, 500_000),
        minimum=min(faulty + 2, parties - faulty),
        iterations=3,
        voids=5,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def least_fine(of: DeepChainTerms) -> int:
    return smallest_fine(of.money.party_reward, of.money.noticed_ppm, of.money.honest_ppm)


@dataclass
class World:
    """The state, the clock, the store."""

    terms: DeepChainTerms = field(default_factory=terms)
    now: int = START
    index: int = 0
    log: list[tuple[MemberId, Record, int]] = field(default_factory=list)
    store: dict[Digest, Batches] = field(default_factory=dict)
    frozen: bool = False
    _judged: dict[tuple[Digest, int, str], int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.judge = Plain(self.terms.key.weights)
        self.contract = DeepChain(self.terms, self.judge)
        self.view: dict[str, Value] = {k: v for k, v in self.contract.genesis().items() if v is not None}

    @property
    def state(self) -> State:
        return self.contract.view(self.view)

    @property
    def iteration(self) -> Iteration:
        iteration = self.state.iteration
        assert iteration is not None
        return iteration

    @property
    def members(self) -> list[MemberId]:
        return [member.id for member in self.terms.members]

    def say(self, member: str, arguments: Record) -> None:
        """A member says something; a refusal changes nothing."""
        sender = MemberId(member)
        before = encode(dict(self.view)) if self.frozen else b""
        index, self.index = self.index, self.index + 1
        self.log.append((sender, arguments, self.now))
        try:
            writes = self.contract.apply(self.view, calls.call(arguments), Context(index, self.now, sender))
        finally:
            assert not self.frozen or encode(dict(self.view)) == before
        for key, value in writes.items():
            if value is None:
                self.view.pop(key, None)
            else:
                self.view[key] = value

    def refused(self, member: str, arguments: Record) -> Refusal | None:
        try:
            self.say(member, arguments)
        except Rejected as refused:
            return Refusal(refused.code)
        return None

    def duties(self, member: MemberId) -> list[Duty]:
        return list(self.contract.duties(self.state, member, self.now))

    def coins(self, member: str) -> int:
        return self.state.accounts.holdings(MemberId(member))

    def put(self, batches: Batches) -> Digest:
        """Batches into the store; their root."""
        root = batches_tree(batches).root(len(batches))
        self.store[root] = batches
        return root

    def cosign(self, member: str) -> Cosignature:
        """Of the head that ends with the leader's update; not signed here: it is the replica that would check it."""
        size = self.cosigned_size()
        return Cosignature(size, digest("root"), digest("results"), self.now, self.now // 1000, bytes(64))

    def cosigned_size(self) -> int:
        iteration = self.state.iteration
        return iteration.sum.entry + 1 if iteration and iteration.sum else 1

    # --- what an honest member would say -----------------------------------------------------------------------------

    def place(self, party: str, batch: int) -> Place:
        return Place(self.terms.digest, self.iteration.number, self.terms.number(MemberId(party)), batch)

    def gradient(self, party: str) -> Batches:
        key, batches = self.terms.key, []
        for batch in range(key.batches):
            items = [
                number(int.from_bytes(digest("g", self.iteration.number, party, batch, j)[:4], "big"))
                for j in range(key.batch_length(batch))
            ]
            batches.append((items, plain_proof(self.place(party, batch), list(items))))
        return batches

    def sums(self) -> Batches:
        key, batches = self.terms.key, []
        counted = self.iteration.counted
        gradients = [self.store[self.iteration.gradients[party].root] for party in counted]
        numbers = [self.terms.number(party) for party in counted]
        for batch in range(key.batches):
            columns = zip(*(gradient[batch][0] for gradient in gradients), strict=True)
            items = [self.add(dict(zip(numbers, column, strict=True))) for column in columns]
            batches.append((items, NO_PROOF))
        return batches

    def add(self, addends: Mapping[int, bytes]) -> bytes:
        return plain_sum(addends, self.terms.key.weights)

    def summed(self) -> Batches:
        assert self.iteration.sum is not None
        return self.store[self.iteration.sum.root]

    def shares(self, party: str) -> Batches:
        result = []
        for batch, (items, _) in enumerate(self.summed()):
            place = self.place(party, batch)
            shares = [plain_share(place.party, item) for item in items]
            result.append((shares, plain_proof(place, list(items), list(shares))))
        return result

    def good_gradients(self) -> tuple[MemberId, ...]:
        good = []
        for party, handed in self.iteration.gradients.items():
            batches = self.store.get(handed.root)
            if batches is not None and party not in self.iteration.convicted and self.wrong_batch(party) is None:
                good.append(MemberId(party))
        return tuple(sorted(good))

    def wrong_batch(self, party: str) -> int | None:
        batches, judge = self.store.get(self.iteration.gradients[party].root, []), self.judge
        return self._first_wrong(
            self.iteration.gradients[party].root,
            (judge.encryption(self.place(party, batch), *each) for batch, each in enumerate(batches)),
            party,
        )

    def wrong_share(self, party: str) -> int | None:
        root, judge = self.iteration.shares[party].root, self.judge
        batches = zip(self.summed(), self.store.get(root, []), strict=True)
        judged = (
            judge.share(self.place(party, batch), items, shares, proof)
            for batch, ((items, _), (shares, proof)) in enumerate(batches)
        )
        return self._first_wrong(root, judged, party)

    def _first_wrong(self, root: Digest, judged: Iterator[bool], party: str) -> int | None:
        key = (root, self.iteration.number, party)
        if key not in self._judged:
            self._judged[key] = next((batch for batch, right in enumerate(judged) if not right), None)
        return self._judged[key]

    def sum_is_right(self) -> bool:
        total = self.iteration.sum
        return total is not None and total.root in self.store and list(self.summed()) == list(self.sums())

    def honest(self, duty: Duty) -> Record | None:
        """What an honest member says to a duty."""
        return _HONEST[duty.kind](self, duty)

    # --- fraud proofs ------------------------------------------------------------------------------------------------

    def accusation(self, party: str, batch: int) -> calls.Accuse:
        batches = self.store[self.iteration.gradients[party].root]
        items, proof = batches[batch]
        path = batches_tree(batches).inclusion_proof(batch, len(batches))
        return calls.Accuse(self.iteration.number, MemberId(party), batch, tuple(items), proof, tuple(path))

    def disputed(self, batch: int, index: int) -> calls.Dispute:
        iteration = self.iteration
        gradients = [self.store[iteration.gradients[party].root] for party in iteration.counted]
        addends = tuple(_opened(gradient, batch, index) for gradient in gradients)
        total = _opened(self.summed(), batch, index)
        return calls.Dispute(iteration.number, iteration.attempt, batch, index, addends, total)

    def challenged(self, party: str, batch: int) -> calls.Challenge:
        total, batches = self.summed(), self.store[self.iteration.shares[party].root]
        shares, proof = batches[batch]
        return calls.Challenge(
            self.iteration.number,
            MemberId(party),
            batch,
            tuple(total[batch][0]),
            tuple(batches_tree(total).inclusion_proof(batch, len(total))),
            tuple(shares),
            proof,
            tuple(batches_tree(batches).inclusion_proof(batch, len(batches))),
        )


def _opened(batches: Batches, batch: int, index: int) -> calls.Opened:
    items, proof = batches[batch]
    inner: MerkleLog = items_tree(items)
    return calls.Opened(
        items[index],
        tuple(inner.inclusion_proof(index, len(items))),
        inner.root(len(items)),
        proof_digest(proof),
        tuple(batches_tree(batches).inclusion_proof(batch, len(batches))),
    )


def _declare(world: World, duty: Duty) -> Record | None:
    if world.state.assets_of(duty.member) or duty.member not in world.terms.parties:
        return None
    return declaration(world, duty.member)


def declaration(world: World, member: str, data: str = "", pseudonym: str = "") -> calls.Declare:
    key = signer(pseudonym or f"pseudonym of {member}")
    asset = Asset(MemberId(member), key.public, digest("data", data or member), 8, 500, "csv", "hearts", "to diagnose")
    signature = key.sign(asset_message(world.terms.digest, MemberId(member), asset))
    return calls.Declare(
        asset.pseudonym, asset.data, asset.blocks, asset.size, asset.format, asset.topic, asset.description, signature
    )


def _join(world: World, duty: Duty) -> Record:
    assets = world.state.assets_of(duty.member)
    party = duty.member in world.terms.parties
    sealed = digest("sealed share", duty.member)
    return calls.Join(world.terms.digest, assets[0] if party else None, sealed if party else None)


def _stake(world: World, duty: Duty) -> Record:
    joined = world.state.joined(duty.member)
    assert joined is not None
    return calls.Stake(joined.losses)


def _handed(kind: type[calls.Contribute] | type[calls.Share], batches: Callable[[World, str], Batches]):
    def said(world: World, duty: Duty) -> Record:
        return kind(world.iteration.number, world.put(batches(world, duty.member)), digest("file"))

    return said


def _update(world: World, duty: Duty) -> Record:
    used = world.state.links(duty.member).used
    link = chain_links(duty.member)[used + 1]
    iteration = world.iteration
    return calls.Update(iteration.number, iteration.attempt, world.put(world.sums()), digest("sums"), link)


def _report(world: World, duty: Duty) -> Record:
    iteration = world.iteration
    missing = tuple(sorted(party for party, handed in iteration.shares.items() if handed.root not in world.store))
    sound = set(iteration.shares) - set(missing) - set(iteration.unshared)
    opened = digest("opened", [list(items) for items, _ in world.summed()])
    enough = len(sound) >= world.terms.key.threshold
    return calls.Report(iteration.number, tuple(map(MemberId, missing)), opened if enough else None)


def _append(world: World, duty: Duty) -> Record:
    assert world.iteration.block is not None
    return calls.Append(world.iteration.block.hash, world.cosign(duty.member))


_HONEST: dict[str, Callable[[World, Duty], Record | None]] = {
    "declare": _declare,
    "join": _join,
    "stake": _stake,
    "contribute": _handed(calls.Contribute, lambda world, party: world.gradient(party)),
    "verify": lambda world, _: calls.Verify(world.iteration.number, world.good_gradients()),
    "attach": lambda world, _: calls.Attach(world.iteration.number),
    "update": _update,
    "check": lambda world, _: calls.Check(world.iteration.number, world.iteration.attempt, int(world.sum_is_right())),
    "append": _append,
    "take": lambda world, _: calls.Take(world.iteration.number, int(world.sum_is_right())),
    "share": _handed(calls.Share, lambda world, party: world.shares(party)),
    "report": _report,
    "timeout": lambda _, duty: calls.Timeout(duty.subject),
}
