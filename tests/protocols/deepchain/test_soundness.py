"""Whatever is wrong in a gradient or in shares convicts its party by that batch, and nobody by any other.

With the real cryptography under a toy key, gradients of two batches, and the contract as the judge's only user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import pytest
from tests.paillier.material import dealing, layout, primes, root_of_one, seeded
from tests.protocols.deepchain.people import People
from tests.protocols.deepchain.training import encryptor
from tests.protocols.deepchain.world import MODEL, Batches, World, terms

from tclearn.coalition.terms import TensorRecord
from tclearn.encoding import Digest, MemberId, digest
from tclearn.paillier.arithmetic import from_bytes, to_bytes
from tclearn.paillier.encryption import weighted_sum
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.statements import Context
from tclearn.protocols.deepchain import DeepChain, DeepChainTerms, KeyTerms, calls
from tclearn.protocols.deepchain.agent.ciphering import encrypted, shared
from tclearn.protocols.deepchain.agent.files import Batch
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.times import COLLECTING, DECRYPTING

DEALING, LAYOUT = dealing(4, 2), layout()
KEY, GROUP = DEALING.key, DEALING.key.group
SIZE = GROUP.element_bytes
MODULUS, SQUARE = int(KEY.modulus), int(GROUP.square)
VALUES = 128 * LAYOUT.slots + 1
LIAR, PLACE = "p01", 2
"""Who lies, and the number of its key share."""


@cache
def made_terms() -> DeepChainTerms:
    key = KeyTerms(
        KEY.encode(), LAYOUT.slot_bits, LAYOUT.value_bits, 1, 2, SIZE, SIZE, LAYOUT.count(VALUES), LAYOUT.weights
    )
    return terms(iterations=1, key=key, model=replace(MODEL, layout=(TensorRecord("w", "F32", (VALUES,)),)))


@cache
def gradient(party: int, iteration: int = 1, coalition: Digest | None = None) -> list[Batch]:
    """A party's honest gradient."""
    name = coalition or made_terms().digest
    steps = [(party * place) % 1000 - 500 for place in range(VALUES)]
    entropy = seeded(("gradient", party, iteration, coalition))
    return encrypted(
        encryptor(KEY, 4), LAYOUT, lambda batch: Context(name, iteration, party, batch), steps, entropy, run=map
    )


class Real(World):
    """A world with the judge and the numbers of ``tclearn.paillier``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.judge = PaillierJudge.of(self.terms)  # type: ignore[assignment]
        self.contract = DeepChain(self.terms, self.judge)

    def gradient(self, party: str) -> Batches:
        return pairs(gradient(self.terms.number(MemberId(party))))

    def add(self, addends: Mapping[int, bytes]) -> bytes:
        numbers = {party: list(from_bytes(each, SIZE)) for party, each in addends.items()}
        return to_bytes(weighted_sum(KEY, LAYOUT, numbers), SIZE)

    def shares(self, party: str) -> Batches:
        return pairs(self.shares_of(self.terms.number(MemberId(party))))

    def shares_of(self, party: int, place: Context | None = None) -> list[Batch]:
        sums = [Batch(tuple(items), b"") for items, _ in self.summed()]
        name = self.terms.digest

        def places(batch: int) -> Context:
            return replace(place, batch=batch) if place else Context(name, 1, party, batch)

        share = DEALING.shares[party - 1]
        return shared(KEY, share, places, sums, seeded(("shares", party, place)), run=map)


def pairs(batches: list[Batch]) -> Batches:
    return [(batch.items, batch.proof) for batch in batches]


def at(phase: str) -> tuple[Real, dict[str, object], int]:
    world = Real(made_terms())
    People(world, watchful=False).until(phase)
    return world, dict(world.view), world.index


SCENES = {COLLECTING: cache(lambda: at(COLLECTING)), DECRYPTING: cache(lambda: at(DECRYPTING))}


def scene(phase: str) -> Real:
    """The same moment again for every lie."""
    world, view, index = SCENES[phase]()
    world.view, world.index, world.log = dict(view), index, []  # type: ignore[arg-type]
    return world


def with_item(batches: list[Batch], batch: int, place: int, value: int) -> list[Batch]:
    """One string of one batch exchanged."""
    items = list(batches[batch].items)
    items[place] = (value % (1 << 8 * SIZE)).to_bytes(SIZE, "big")
    return with_batch(batches, batch, replace(batches[batch], items=tuple(items)))


def with_batch(batches: list[Batch], batch: int, other: Batch) -> list[Batch]:
    return [*batches[:batch], other, *batches[batch + 1 :]]


def number(batch: Batch, place: int) -> int:
    return int.from_bytes(batch.items[place], "big")


def swapped(batches: list[Batch], batch: int = 0) -> list[Batch]:
    items = batches[batch].items
    return with_batch(batches, batch, replace(batches[batch], items=(items[1], items[0], *items[2:])))


Change = Callable[[int], int]
NO_ELEMENTS: dict[str, Change] = {
    "0": lambda _: 0,
    "1": lambda _: 1,
    "N": lambda _: MODULUS,
    "N squared": lambda _: SQUARE,
    "a multiple of a factor": lambda _: int(primes()[0]) * 6,
    "-1, of order two": lambda _: SQUARE - 1,
    "a root of one, of order two": lambda _: root_of_one(),
    "its negative": lambda value: SQUARE - value,
    "times a root of one": lambda value: int(GROUP.element(value * root_of_one())),
    "itself and N squared": lambda value: value + SQUARE,
    "one step more": lambda value: int(GROUP.multiply(value, GROUP.generator_power(1))),
    "another's randomness": lambda value: int(GROUP.multiply(value, KEY.mask_base)),
}
"""What may stand in the place of one ciphertext or share. A batch of one element is no exception."""


@cache
def wrong_gradients() -> dict[str, tuple[int, list[Batch]]]:
    """What a party hands in, by what is wrong, with the batch that is."""
    own, other = gradient(PLACE), gradient(1)
    wrong = {
        f"{name}, batch {batch}": (batch, with_item(own, batch, place, change(number(own[batch], place))))
        for name, change in NO_ELEMENTS.items()
        for batch, place in ((0, 77), (1, 0))
    }
    proof = EncryptedBatch.read(own[0].proof)
    elsewhere = EncryptedBatch.read(other[0].proof)
    for field in ("masks", "plaintexts", "exponents"):
        changed = replace(proof, **{field: getattr(elsewhere, field)}).encode()
        wrong[f"{field} of another proof"] = (0, with_batch(own, 0, replace(own[0], proof=changed)))
    return {
        **wrong,
        "swapped": (0, swapped(own)),
        "the proof of another batch": (0, with_batch(own, 0, replace(own[0], proof=own[1].proof))),
        "another party's": (0, other),
        "another party's second batch": (1, with_batch(own, 1, other[1])),
        "an earlier iteration's": (1, with_batch(own, 1, gradient(PLACE, 2)[1])),
        "another coalition's": (1, with_batch(own, 1, gradient(PLACE, 1, digest("another"))[1])),
        "its first batch twice": (1, with_batch(own, 1, own[0])),
        "no proof": (1, with_batch(own, 1, replace(own[1], proof=b""))),
    }


WRONG_GRADIENTS = sorted(wrong_gradients())


@pytest.mark.parametrize("name", WRONG_GRADIENTS)
def test_what_is_wrong_in_a_gradient_convicts_its_party_by_that_batch(name: str) -> None:
    batch, handed = wrong_gradients()[name]
    world = scene(COLLECTING)
    for party in world.terms.parties:
        root = world.put(pairs(handed) if party == LIAR else world.gradient(party))
        world.say(party, calls.Contribute(1, root, digest("file")))
    world.say("w00", world.accusation("p00", batch))
    if name != "another party's":
        world.say("w00", world.accusation(LIAR, 1 - batch))
    assert not world.iteration.convicted, "that batch is right, and so is the other party's"
    world.say("w00", world.accusation(LIAR, batch))
    assert world.iteration.convicted == (LIAR,)


@cache
def wrong_shares() -> dict[str, tuple[int, list[Batch]]]:
    """Likewise of shares."""
    world = scene(DECRYPTING)
    own, other, name = world.shares_of(PLACE), world.shares_of(1), world.terms.digest
    wrong = {
        f"{what}, batch {batch}": (batch, with_item(own, batch, place, change(number(own[batch], place))))
        for what, change in NO_ELEMENTS.items()
        for batch, place in ((0, 77), (1, 0))
    }
    proof, elsewhere = ShareBatch.read(own[0].proof), ShareBatch.read(other[0].proof)
    for field in ("challenge", "response"):
        changed = replace(proof, **{field: getattr(elsewhere, field)}).encode()
        wrong[f"{field} of another proof"] = (0, with_batch(own, 0, replace(own[0], proof=changed)))
    places = {
        "an earlier iteration's": Context(name, 2, PLACE, 0),
        "another coalition's": Context(digest("another"), 1, PLACE, 0),
    }
    for what, place in places.items():
        wrong[what] = (1, with_batch(own, 1, world.shares_of(PLACE, place)[1]))
    return {
        **wrong,
        "swapped": (0, swapped(own)),
        "another party's": (1, with_batch(own, 1, other[1])),
        "the sum itself": (1, with_batch(own, 1, replace(own[1], items=tuple(world.summed()[1][0])))),
        "its first batch's proof": (1, with_batch(own, 1, replace(own[1], proof=own[0].proof))),
        "no proof": (1, with_batch(own, 1, replace(own[1], proof=b""))),
    }


@pytest.mark.parametrize(
    "name",
    [
        *(f"{what}, batch {batch}" for what in NO_ELEMENTS for batch in (0, 1)),
        "challenge of another proof",
        "response of another proof",
        "an earlier iteration's",
        "another coalition's",
        "swapped",
        "another party's",
        "the sum itself",
        "its first batch's proof",
        "no proof",
    ],
)
def test_what_is_wrong_in_shares_convicts_their_party_by_that_batch(name: str) -> None:
    batch, handed = wrong_shares()[name]
    world = scene(DECRYPTING)
    for party, root in ((LIAR, world.put(pairs(handed))), ("p00", world.put(pairs(world.shares_of(1))))):
        world.say(party, calls.Share(1, root, digest("file")))
    world.say("w00", world.challenged("p00", batch))
    world.say("w00", world.challenged(LIAR, 1 - batch))
    assert not world.iteration.unshared
    world.say("w00", world.challenged(LIAR, batch))
    assert world.iteration.unshared == (LIAR,)
