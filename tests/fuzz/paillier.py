"""Targets: keys of the threshold encryption, shares of them, and the batches that parties send."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Final

from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor
from tests.paillier.material import COALITION, dealing, encryptor, layout, primes, seeded

from tclearn.encoding import decode
from tclearn.paillier.decryption import decryption_shares
from tclearn.paillier.experimental_root import RootDealing, RootKey, deal_roots, read_share, write_share
from tclearn.paillier.keys import PublicKey, SecretShare
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.packing import Layout
from tclearn.paillier.proof_decryption import prove_shares
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context

DEALING: Final = dealing()
KEY: Final = DEALING.key
LAYOUT: Final = layout()
PLACE: Final = Context(COALITION, 1, 2, 0)


def _key_samples() -> list[bytes]:
    return [KEY.encode(), dealing(2, 2).key.encode(), dealing(bits=2048).key.encode()]


def _key(data: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        key = PublicKey.read(data, allow_toy=True)
    assert key.encode() == data
    key.check_dealing()
    return key.bits, key.parties, key.threshold


def _share_samples() -> list[bytes]:
    return [each.encode(KEY) for each in DEALING.shares]


def _share(data: bytes) -> object:
    share = SecretShare.read(data, KEY)
    assert share.encode(KEY) == data
    assert share.value == DEALING.shares[share.party - 1].value
    return share.party


@cache
def _batch_samples() -> list[bytes]:
    made = encryptor().encrypt(LAYOUT.pack([1, 2, 3]), seeded("fuzz"))
    proof = prove_encryption(encryptor(), LAYOUT, PLACE, made.ciphertexts, made.openings, seeded("fuzz proof"))
    return [EncryptedBatch.of(KEY, LAYOUT, PLACE, made.ciphertexts, proof).encode()]


def _batch(data: bytes) -> object:
    batch = EncryptedBatch.read(data)
    assert batch.encode() == data
    batch.verify(KEY, LAYOUT, PLACE)
    assert [data] == _batch_samples()
    return "the batch"


@cache
def _sums() -> tuple[int, ...]:
    return encryptor().encrypt([5, 6], seeded("fuzz sums")).ciphertexts


@cache
def _shares_samples() -> list[bytes]:
    shares = decryption_shares(KEY, DEALING.shares[1], _sums())
    proof = prove_shares(KEY, DEALING.shares[1], PLACE, _sums(), shares, seeded("fuzz shares"))
    return [ShareBatch.of(KEY, PLACE, shares, proof).encode()]


def _shares(data: bytes) -> object:
    batch = ShareBatch.read(data)
    assert batch.encode() == data
    batch.verify(KEY, PLACE, _sums())
    assert [data] == _shares_samples()
    return "the shares"


def _layout_samples() -> list[bytes]:
    return [LAYOUT.encode(), Layout(3072, (1, 2, 3), 32, 20).encode()]


def _layout(data: bytes) -> object:
    plan = Layout.from_value(decode(data))
    assert plan.encode() == data
    ends = plan.pack([plan.levels, -plan.levels] * plan.slots)
    total = [sum(plan.weights) * each for each in ends]
    present = range(1, len(plan.weights) + 1)
    assert plan.unpack(total, 2 * plan.slots, present)[0] == sum(plan.weights) * plan.levels
    return plan.slot_bits, plan.slots


@cache
def _roots() -> RootDealing:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return deal_roots(primes(), KEY, seeded("fuzz roots"), allow_experimental=True)


def _root_key(data: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        key = RootKey.read(data, KEY, allow_experimental=True)
    assert key.encode() == data
    key.check_dealing()
    return key.parties, key.threshold


def _root_share(data: bytes) -> object:
    key, shares = _roots().key, _roots().shares
    share = read_share(data, key)
    assert write_share(key, share) == data
    assert share.value == shares[share.party - 1].value
    return share.party


TARGETS: Final = (
    Target("paillier-key", _key_samples, _key, cbor(), 60),
    Target("paillier-share", _share_samples, _share, cbor(), 100),
    Target("paillier-batch", _batch_samples, _batch, cbor(), 80),
    Target("paillier-shares", _shares_samples, _shares, cbor(), 100),
    Target("paillier-root-key", lambda: [_roots().key.encode()], _root_key, cbor(), 60),
    Target(
        "paillier-root-share",
        lambda: [write_share(_roots().key, each) for each in _roots().shares],
        _root_share,
        cbor(),
        100,
    ),
    Target("paillier-layout", _layout_samples, _layout, cbor(), 100),
)
