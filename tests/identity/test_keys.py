"""Ed25519: the vectors of its RFC, what an attacker can do with the curve's corners, and what a key never shows."""

from __future__ import annotations

import hashlib
import random
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signer, public_key, verify

SEED = bytes(range(32))
SIGNER = Signer(SEED)

# The curve in affine coordinates after RFC 8032 §5.1, slow and obvious, to make points that no honest signer makes.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def times(factor: int, point: Point) -> Point:
    result = NEUTRAL
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


def with_y(y: int) -> Point | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    for root in (pow(square, (P + 3) // 8, P), pow(square, (P + 3) // 8, P) * pow(2, (P - 1) // 4, P) % P):
        if root * root % P == square:
            return root, y
    return None


def compressed(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def opened(data: bytes) -> Point | None:
    number = int.from_bytes(data, "little")
    point = with_y(number & (1 << 255) - 1)
    if point is None or number & (1 << 255) - 1 >= P:
        return None
    return point if point[0] & 1 == number >> 255 else ((P - point[0]) % P, point[1])


def small_order_points() -> list[Point]:
    for y in range(2, 1000):
        point = with_y(y)
        if point is not None:
            torsion = times(L, point)
            if times(4, torsion) != NEUTRAL:  # of order 8: it makes all the others
                return [times(factor, torsion) for factor in range(8)]
    raise AssertionError


SMALL = small_order_points()


@pytest.mark.parametrize(
    ("seed", "key", "message", "signature"),  # RFC 8032 §7.1, tests 1 to 3 and SHA(abc)
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            (
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            (
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
            ),
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            hashlib.sha512(b"abc").hexdigest(),
            (
                "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
                "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
            ),
        ),
    ],
    ids=["1", "2", "3", "SHA(abc)"],
)
def test_vectors_of_the_rfc(seed: str, key: str, message: str, signature: str) -> None:
    signer = Signer(bytes.fromhex(seed))
    assert signer.public.hex() == key
    assert public_key(signer.public) == signer.public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    verify(signer.public, bytes.fromhex(message), bytes.fromhex(signature))


@given(st.binary(min_size=32, max_size=32), st.binary())
def test_agrees_with_openssl_on_honest_signatures(seed: bytes, message: bytes) -> None:
    ours, theirs = Signer(seed), Ed25519PrivateKey.from_private_bytes(seed)
    assert ours.public == theirs.public_key().public_bytes_raw()
    assert ours.sign(message) == theirs.sign(message)
    verify(public_key(ours.public), message, theirs.sign(message))


@given(st.binary(max_size=64), st.integers(0, 511))
def test_one_flipped_bit_is_refused(message: bytes, bit: int) -> None:
    signature = bytearray(SIGNER.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(MessageError):
        verify(SIGNER.public, message, bytes(signature))


def test_another_message_or_key_is_refused() -> None:
    signature = SIGNER.sign(b"yes")
    for key, message in ((SIGNER.public, b"no"), (SIGNER.public, b"yes\0"), (Signer(bytes(32)).public, b"yes")):
        with pytest.raises(MessageError) as refusal:
            verify(key, message, signature)
        assert refusal.value.code is Code.SIGNATURE


@pytest.mark.parametrize("factor", range(1, 16))
def test_a_signature_has_one_form(factor: int) -> None:
    # (R, S + kL) satisfies the same equation; RFC 8032 §5.1.7 wants S < L.
    signature = SIGNER.sign(b"yes")
    stretched = int.from_bytes(signature[32:], "little") + factor * L
    assert stretched < 1 << 256
    with pytest.raises(MessageError):
        verify(SIGNER.public, b"yes", signature[:32] + stretched.to_bytes(32, "little"))


@pytest.mark.parametrize("multiple", range(8))
def test_keys_of_small_order_are_refused(multiple: int) -> None:
    key = compressed(SMALL[multiple])
    with pytest.raises(MessageError):
        public_key(key)
    for nonce in SMALL:  # with S = 0 some of these "sign" every message under a lax verifier
        for message in (b"", b"yes", b"no"):
            with pytest.raises(MessageError):
                verify(PublicKey(key), message, compressed(nonce) + bytes(32))


def test_openssl_accepts_a_key_that_signs_everything() -> None:
    # Why there is one Ed25519 library: should this ever fail, the sentence in identity/keys.py is out of date.
    neutral = compressed(NEUTRAL)
    Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), b"whatever")


@pytest.mark.parametrize("multiple", range(1, 8))
def test_keys_outside_the_prime_order_group_are_refused(multiple: int) -> None:
    honest = opened(SIGNER.public)
    assert honest is not None
    with pytest.raises(MessageError):
        public_key(compressed(add(honest, SMALL[multiple])))


def test_keys_in_a_second_form_are_refused() -> None:
    for y in range(P, 1 << 255):
        for sign in (0, 1):
            with pytest.raises(MessageError):
                public_key((y | sign << 255).to_bytes(32, "little"))
    with pytest.raises(MessageError):
        public_key((1 | 1 << 255).to_bytes(32, "little"))  # x = 0 with its sign bit set


def test_a_key_is_accepted_exactly_when_its_point_has_prime_order() -> None:
    source = random.Random(1)
    accepted = 0
    for _ in range(200):
        data = source.randbytes(32)
        point = opened(data)
        usable = point is not None and times(L, point) == NEUTRAL
        try:
            public_key(data)
        except MessageError:
            assert not usable, data.hex()
        else:
            assert usable, data.hex()
            accepted += 1
    assert accepted


@given(st.binary(max_size=70), st.binary(max_size=70), st.binary(max_size=20))
def test_arbitrary_keys_and_signatures_are_refused(key: bytes, signature: bytes, message: bytes) -> None:
    with pytest.raises(MessageError):
        verify(PublicKey(key), message, signature)
    with pytest.raises(MessageError):
        verify(SIGNER.public, message, signature)


@given(st.binary(max_size=70).filter(lambda data: len(data) != 32))
def test_keys_of_another_length_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        public_key(data)


def test_a_signer_shows_only_its_public_half() -> None:
    for text in (repr(SIGNER), str(SIGNER), f"{SIGNER}", repr([SIGNER]), f"{SIGNER!r}"):
        assert SIGNER.public.hex()[:16] in text
        assert SEED.hex() not in text
        assert repr(SEED) not in text
    assert not hasattr(SIGNER, "__dict__")
    assert SIGNER.seed() == SEED


def test_a_traceback_with_local_variables_does_not_show_the_private_half() -> None:
    def fails(signer: Signer) -> None:
        verify(signer.public, b"yes", signer.sign(b"no"))

    with pytest.raises(MessageError) as failure:
        fails(SIGNER)
    shown = "".join(traceback.TracebackException.from_exception(failure.value, capture_locals=True).format())
    assert "Signer(" in shown
    assert repr(SEED) not in shown
    assert SEED.hex() not in shown


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), "0" * 32, None], ids=repr)
def test_a_seed_of_another_form_is_refused_without_being_shown(seed: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as refusal:
        Signer(seed)
    assert "0" * 31 not in str(refusal.value)


def test_derived_secrets_differ_by_purpose_and_key_and_are_not_the_seed() -> None:
    secrets = {
        SIGNER.derive("site"),
        SIGNER.derive("seed chain"),
        SIGNER.derive(""),
        Signer(bytes(32)).derive("site"),
        SEED,
        bytes(SIGNER.public),
    }
    assert len(secrets) == 6
    assert SIGNER.derive("site") == Signer(SEED).derive("site")
    assert all(len(secret) == 32 for secret in secrets)
