"""ristretto255 (RFC 9496): a group of prime order, with libsodium's edwards25519 below it.

PyNaCl has the curve's arithmetic and not the group's encoding, which is therefore here, in Python's integers. These
take a time that depends on their values, and never see a secret scalar: every multiplication by one is libsodium's, in
constant time. What they do see is what is sent anyway (encoded elements), and, at whoever hashes into the group or
reads a result, points that belong to that party's own input.

An element is kept as the curve point 8P (``Point``): the factor takes it into the subgroup that libsodium works in, and
is divided out again in the scalar. The result is read as twice a half, because a doubled point shows its encoding
without another square root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NewType

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from tclearn.errors import Code, MessageError

ELEMENT_BYTES: Final = 32
SCALAR_BYTES: Final = 32
UNIFORM_BYTES: Final = 64
ORDER: Final = (1 << 252) + 27742317777372353535851937790883648493

Point = NewType("Point", bytes)
"""8P of an element P, in the curve's 32-byte encoding: a point of the prime-order subgroup."""

_P: Final = (1 << 255) - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SQRT_EXPONENT: Final = (_P - 5) // 8
_IDENTITY: Final = Point(b"\x01" + bytes(31))
_IDENTITY_ELEMENT: Final = bytes(ELEMENT_BYTES)
_ZERO: Final = bytes(SCALAR_BYTES)
_ONE: Final = (1).to_bytes(SCALAR_BYTES, "little")


def read_element(data: bytes) -> Point:
    """Decode an element that somebody sent. Source: RFC 9496, §4.3.1.

    Raises:
        MessageError: not 32 bytes, not the one encoding of an element, or the identity.
    """
    s = int.from_bytes(data, "little")
    if len(data) != ELEMENT_BYTES or s >= _P or s & 1:
        raise _not_an_element()
    square = s * s % _P
    u1, u2 = 1 - square, 1 + square
    u2_square = u2 * u2 % _P
    v = (-_D * u1 * u1 - u2_square) % _P
    was_square, root = _sqrt_ratio(1, v * u2_square % _P)
    den_x = root * u2 % _P
    x = _absolute(2 * s * den_x % _P)
    y = u1 * (root * den_x % _P * v % _P) % _P
    if not was_square or x * y % _P & 1 or y == 0 or s == 0:
        raise _not_an_element()
    return _cleared(x, y, 1)


def from_uniform(uniform: bytes) -> Point:
    """The element that 64 uniform bytes are mapped to. Source: RFC 9496, §4.3.4.

    Raises:
        ValueError: another number of bytes.
    """
    if len(uniform) != UNIFORM_BYTES:
        raise ValueError(f"{len(uniform)} uniform bytes, not {UNIFORM_BYTES}")
    return _cleared(*_sum(_mapped(uniform[:32]), _mapped(uniform[32:])))


def multiply(scalar: bytes, point: Point) -> bytes:
    """The encoding of a multiple of an element; the scalar may be secret.

    Args:
        scalar: 32 bytes, little-endian, below ``ORDER``.
        point: the element.
    """
    if scalar == _ZERO or point == _IDENTITY:
        return _IDENTITY_ELEMENT
    return _encoded_double(crypto_scalarmult_ed25519_noclamp(crypto_core_ed25519_scalar_mul(scalar, _SIXTEENTH), point))


def multiply_base(scalar: bytes) -> bytes:
    """The encoding of a multiple of the group's generator; the scalar may be secret."""
    if scalar == _ZERO:
        return _IDENTITY_ELEMENT
    return _encoded_double(crypto_scalarmult_ed25519_base_noclamp(crypto_core_ed25519_scalar_mul(scalar, _HALF)))


def combine(scalars: Iterable[bytes], points: Sequence[Point]) -> Point:
    """The sum of each point times its scalar.

    Raises:
        ValueError: not as many scalars as points.
    """
    total = _IDENTITY
    for scalar, point in zip(scalars, points, strict=True):
        if scalar != _ZERO and point != _IDENTITY:
            total = Point(crypto_core_ed25519_add(total, crypto_scalarmult_ed25519_noclamp(scalar, point)))
    return total


def encode_element(point: Point) -> bytes:
    """The encoding of an element, 32 bytes."""
    return multiply(_ONE, point)


def reduce_scalar(wide: bytes) -> bytes:
    """64 bytes, read as a little-endian number, modulo the group's order."""
    return crypto_core_ed25519_scalar_reduce(wide)


def read_scalar(data: bytes) -> bytes:
    """Check a scalar that somebody sent.

    Raises:
        MessageError: not 32 bytes, or not below the group's order.
    """
    if len(data) != SCALAR_BYTES or int.from_bytes(data, "little") >= ORDER:
        raise MessageError(Code.OPRF, "bytes that are not a scalar of ristretto255", expected="32 bytes, reduced")
    return data


def _not_an_element() -> MessageError:
    return MessageError(
        Code.OPRF,
        "bytes that are not an element of ristretto255",
        expected="32 bytes, the canonical encoding (RFC 9496), not the identity",
    )


def _absolute(value: int) -> int:
    return _P - value if value & 1 else value


def _sqrt_ratio(u: int, v: int) -> tuple[bool, int]:
    # SQRT_RATIO_M1, RFC 9496 §4.2: the even root of u/v, or where there is none that of √-1·u/v.
    cube = v * v * v % _P
    root = u * cube % _P * pow(u * cube % _P * cube % _P * v % _P, _SQRT_EXPONENT, _P) % _P
    check = v * root % _P * root % _P
    correct, flipped = check == u % _P, check == -u % _P
    if flipped or check == -u * _SQRT_M1 % _P:
        root = root * _SQRT_M1 % _P
    return correct or flipped, _absolute(root)


def _mapped(half: bytes) -> tuple[int, int, int]:
    # MAP, RFC 9496 §4.3.4, to projective coordinates.
    t = int.from_bytes(half, "little") % (1 << 255) % _P
    r = _SQRT_M1 * t * t % _P
    u = (r + 1) * (1 - _D * _D) % _P
    v = (-1 - r * _D) * (r + _D) % _P
    was_square, s = _sqrt_ratio(u, v)
    c = -1
    if not was_square:
        s, c = -_absolute(s * t % _P) % _P, r
    n = (c * (r - 1) * (_D - 1) * (_D - 1) - v) % _P
    square = s * s % _P
    w0, w1, w2, w3 = 2 * s * v % _P, n * _SQRT_AD_MINUS_ONE % _P, 1 - square, 1 + square
    return w0 * w3 % _P, w2 * w1 % _P, w1 * w3 % _P


def _sum(first: tuple[int, int, int], second: tuple[int, int, int]) -> tuple[int, int, int]:
    # The complete addition of the curve -x² + y² = 1 + d·x²·y², in projective coordinates.
    (x1, y1, z1), (x2, y2, z2) = first, second
    a = z1 * z2 % _P
    b = a * a % _P
    c, d = x1 * x2 % _P, y1 * y2 % _P
    e = _D * c * d % _P
    f, g = b - e, b + e
    return a * f % _P * (x1 * y2 + x2 * y1) % _P, a * g % _P * (d + c) % _P, f * g % _P


def _cleared(x: int, y: int, z: int) -> Point:
    for _ in range(3):
        x, y, z = _sum((x, y, z), (x, y, z))
    inverse = pow(z, -1, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return Point((y | (x & 1) << 255).to_bytes(32, "little"))


def _encoded_double(encoded: bytes) -> bytes:
    # ENCODE, RFC 9496 §4.3.2, of twice a point (x, y) of the curve. With e = 2xy, f = 1 + d·x²y², g = x² + y² and
    # h = 1 - d·x²y² its double is (eh : fg : fh), and eg is the fourth coordinate. From the curve's equation follows
    # h² - g² = -(1 + d)·e², so that u1 = (z0 + y0)·(z0 - y0) = -(1 + d)·e²f²: the square root of u1·u2² is known, and
    # what remains is one inversion. Its sign cancels out.
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    y_square = y * y % _P
    _, x = _sqrt_ratio(y_square - 1, (_D * y_square + 1) % _P)
    if x & 1 != sign:
        x = _P - x
    xy, x_square = x * y % _P, x * x % _P
    bend = _D * xy % _P * xy % _P
    e, f, g, h = 2 * xy % _P, 1 + bend, (x_square + y_square) % _P, 1 - bend
    ef, gh, eg, fh, eh, fg = e * f % _P, g * h % _P, e * g % _P, f * h % _P, e * h % _P, f * g % _P
    product = ef * gh % _P
    inverse = pow(product, -1, _P) if product else 0
    z_inverse = eg * inverse % _P
    if eg * z_inverse % _P & 1:
        x0, y0, den = _SQRT_M1 * fg % _P, _SQRT_M1 * eh % _P, ef * inverse % _P
    else:
        x0, y0, den = eh, fg, _INVSQRT_A_MINUS_D * (gh * inverse % _P) % _P
    if x0 * z_inverse % _P & 1:
        y0 = -y0
    return _absolute(den * (fh - y0) % _P).to_bytes(ELEMENT_BYTES, "little")


_SQRT_M1: Final = _absolute(pow(2, (_P - 1) // 4, _P))
_SQRT_AD_MINUS_ONE: Final = 25063068953384623474111414158702152701244531502492656460079210482610430750235
_INVSQRT_A_MINUS_D: Final = _sqrt_ratio(1, -1 - _D)[1]
_HALF: Final = pow(2, -1, ORDER).to_bytes(SCALAR_BYTES, "little")
_SIXTEENTH: Final = pow(16, -1, ORDER).to_bytes(SCALAR_BYTES, "little")
