"""The contract with the real cryptography, under a toy key: sums come out exactly, and what is wrong is convicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
from tests.paillier.material import dealing, layout, seeded
from tests.protocols.deepchain import people as p
from tests.protocols.deepchain.people import People
from tests.protocols.deepchain.world import MODEL, Batches, World, terms

from tclearn.coalition.terms import TensorRecord
from tclearn.encoding import MemberId, digest
from tclearn.errors import CharterError
from tclearn.paillier.arithmetic import from_bytes, to_bytes
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, weighted_sum
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.proof_decryption import prove_shares
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context
from tclearn.protocols.deepchain import DeepChain, DeepChainTerms, KeyTerms, Place, calls
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import COMPLETE
from tclearn.protocols.deepchain.times import DOWNLOADING, RETURNING, UPLOADING, VERIFYING

WEIGHTS = (3, 1, 2, 1)
DEALING, LAYOUT = dealing(4, 2), layout(weights=WEIGHTS)
KEY = DEALING.key
SIZE = KEY.group.element_bytes
VALUES = 20
STEPS = {f"p{i:02d}": [(i + 1) * (place - 7) for place in range(VALUES)] for i in range(4)}


def paillier_terms() -> DeepChainTerms:
    key = KeyTerms(KEY.encode(), LAYOUT.slot_bits, LAYOUT.value_bits, 1, 2, SIZE, SIZE, LAYOUT.count(VALUES), WEIGHTS)
    model = replace(MODEL, layout=(TensorRecord("w", "F32", (VALUES,)),))
    return terms(iterations=1, key=key, model=model)


class Paillier(World):
    """A world with the judge and the numbers of ``tclearn.paillier``."""

    def __init__(self) -> None:
        super().__init__(paillier_terms())
        self.real = PaillierJudge.of(self.terms)
        self.contract = DeepChain(self.terms, self.real)

    def context(self, party: str) -> Context:
        return Context(self.terms.digest, self.iteration.number, self.terms.number(MemberId(party)), 0)

    def gradient(self, party: str) -> Batches:
        context = self.context(party)
        made = encryptor_of().encrypt(LAYOUT.pack(STEPS[party]), seeded((party, "encrypt")))
        proof = prove_encryption(
            encryptor_of(), LAYOUT, context, made.ciphertexts, made.openings, seeded((party, "prove"))
        )
        message = EncryptedBatch.of(KEY, LAYOUT, context, made.ciphertexts, proof)
        return [(items(made.ciphertexts), replace(message, ciphertexts=b"").encode())]

    def add(self, addends: Mapping[int, bytes]) -> bytes:
        numbers = {party: list(from_bytes(each, SIZE)) for party, each in addends.items()}
        return to_bytes(weighted_sum(KEY, LAYOUT, numbers), SIZE)

    def shares(self, party: str) -> Batches:
        ciphertexts = list(from_bytes(b"".join(self.summed()[0][0]), SIZE))
        share = DEALING.shares[self.terms.number(MemberId(party)) - 1]
        shares = decryption_shares(KEY, share, ciphertexts)
        proof = prove_shares(KEY, share, self.context(party), ciphertexts, shares, seeded((party, "share")))
        message = ShareBatch.of(KEY, self.context(party), shares, proof)
        return [(items(shares), replace(message, shares=b"").encode())]

    def wrong_batch(self, party: str) -> int | None:
        ((found, proof),) = self.store[self.iteration.gradients[party].root]
        return None if self.real.encryption(self.place(party, 0), found, proof) else 0

    def wrong_share(self, party: str) -> int | None:
        ((shares, proof),) = self.store[self.iteration.shares[party].root]
        return None if self.real.share(self.place(party, 0), self.summed()[0][0], shares, proof) else 0


@cache
def encryptor_of() -> Encryptor:
    return Encryptor(KEY, window=4)


def items(numbers) -> list[bytes]:
    return [to_bytes([each], SIZE) for each in numbers]


def opened(world: World) -> list[int]:
    """What any two parties open, as sums of values."""
    block = world.state.block(world.state.group.blocks - 1)
    assert block.root is not None
    ciphertexts = list(from_bytes(b"".join(world.store[block.root][0][0]), SIZE))
    shares = {i + 1: decryption_shares(KEY, DEALING.shares[i], ciphertexts) for i in (1, 3)}
    present = [world.terms.number(party) for party in block.counted]
    return LAYOUT.unpack(combine(KEY, shares), VALUES, present)


def test_the_sum_of_those_present_is_exact_and_its_divisor_their_weights():
    world = Paillier()
    People(world, {"p02": {"attach": (p.silent,)}}).run()
    assert world.state.group.status == COMPLETE
    expected = [3 * STEPS["p00"][i] + STEPS["p01"][i] + STEPS["p03"][i] for i in range(VALUES)]
    assert opened(world) == expected
    assert world.state.result(1).divisor == 5


def changed(batches: Batches) -> Batches:
    (found, proof), *_ = batches
    return [([found[0], to_bytes([*from_bytes(found[0], SIZE)], SIZE)], proof)]


def test_the_real_judge_convicts_a_gradient_whose_proof_is_for_another():
    def wrong(world: World, duty):
        return calls.Contribute(world.iteration.number, world.put(changed(world.gradient(duty.member))), digest("f"))

    world = Paillier()
    People(world, {"p01": {"contribute": (wrong,)}}).run()
    assert world.state.group.status == COMPLETE and world.state.block(0).counted == ("p00", "p02", "p03")
    assert [m for m in world.members if world.state.accounts.holdings(m) < 10_000] == ["p01"]


def test_the_real_judge_convicts_a_copied_gradient():
    world = Paillier()
    people = People(world, {"p01": {"contribute": (p.copied_gradient,)}})
    people.until(VERIFYING)
    assert world.iteration.gradients["p01"].root == world.iteration.gradients["p00"].root
    people.run()
    assert world.state.group.status == COMPLETE and world.coins("p01") < 10_000
    assert MemberId("p01") not in world.state.block(0).counted and MemberId("p00") in world.state.block(0).counted


def test_the_real_judge_convicts_a_sum_without_one_of_the_gradients():
    blind = {w: {"check": (p.check_wrongly,), "update": (p.sum_of_its_own,)} for w in ("w00", "w01", "w02", "w03")}
    world = Paillier()
    People(world, blind, watchful=False).until(DOWNLOADING)
    world.say("p02", world.disputed(0, 1))
    assert world.state.block(1).reason == "block 0 has a wrong sum"


def test_the_real_judge_convicts_shares_of_another_secret():
    def wrong(world: World, duty):
        own = world.shares(duty.member)
        return calls.Share(world.iteration.number, world.put([(world.summed()[0][0], own[0][1])]), digest("f"))

    world = Paillier()
    People(world, {"p03": {"share": (wrong,)}}, watchful=False).until(RETURNING)
    world.say("w00", world.challenged("p03", 0))
    assert world.iteration.unshared == ("p03",)


@pytest.mark.parametrize("phase", [VERIFYING, UPLOADING])
def test_the_real_judge_convicts_nobody_who_is_right(phase):
    world = Paillier()
    People(world).until(phase)
    for party in world.terms.parties:
        world.say(party, world.accusation(party, 0))
    assert world.iteration.convicted == ()
    assert sum(world.iteration.unfounded.values()) == 4


def test_whatever_the_bytes_the_judge_answers():
    world = Paillier()
    People(world).until(RETURNING)
    judge, place = world.real, Place(world.terms.digest, 1, 1, 0)
    ((found, proof),) = world.store[world.iteration.gradients["p00"].root]
    ((shares, share_proof),) = world.store[world.iteration.shares["p00"].root]
    total = world.summed()[0][0]
    zero, most = bytes(SIZE), b"\xff" * SIZE
    assert judge.encryption(place, found, proof) and judge.share(place, total, shares, share_proof)
    for bad in (b"", b"\xa0", proof[:-1], proof + b"\0", share_proof, bytes(1000)):
        assert not judge.encryption(place, found, bad)
        assert bad == share_proof or not judge.share(place, total, shares, bad)
    for wrong in ([zero, found[1]], [most, found[1]], found[:1], [found[1], found[0]], list(total)):
        assert not judge.encryption(place, wrong, proof)
        assert not judge.share(place, total, wrong, share_proof)
    for other in (
        replace(place, party=2),
        replace(place, party=9),
        replace(place, batch=1),
        replace(place, iteration=2),
    ):
        assert not judge.encryption(other, found, proof)
        assert not judge.share(other, total, shares, share_proof)
    assert judge.share(place, [zero, most], shares, share_proof), "there is nothing to have a share of"
    assert not judge.sum({1: found[0], 2: zero}, total[0]) and not judge.sum({1: most, 4: most}, most)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": dealing(4, 3).key.encode()}, "threshold is 2"),
        ({"key": b"no key"}, "[key]"),
        ({"key": KEY.encode()[:-1]}, "[key]"),
        ({"slot_bits": 20}, "slots of 20"),
        ({"value_bits": 24}, "at most 1"),
        ({"share_bytes": 64}, "share_bytes is 64"),
        ({"ciphertext_bytes": 64}, "ciphertext_bytes is 64"),
        ({"ciphertexts": 7}, "ciphertexts is 7"),
    ],
)
def test_a_key_that_is_none_or_does_not_fit_the_terms_is_refused_by_name(changes, says):
    made = paillier_terms()
    with pytest.raises(CharterError) as caught:
        PaillierJudge.of(replace(made, key=replace(made.key, **changes)))
    assert says in str(caught.value)
