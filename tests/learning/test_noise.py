"""The noise: from a cipher, unrepeatable unless seeded, and of the distributions it is named after."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from scipy import stats

from tclearn.learning import noise
from tclearn.learning.noise import Noise

COUNT = 200_000


def test_a_seeded_stream_repeats_and_the_systems_does_not() -> None:
    first, second = Noise.seeded(7, "example"), Noise.seeded(7, "example")
    assert np.array_equal(first.normal(100), second.normal(100))
    assert not np.array_equal(first.normal(100), Noise.seeded(7, "shokri").normal(100))
    assert not np.array_equal(Noise.of_system().integers(10), Noise.of_system().integers(10))


def test_the_stream_is_chacha20_of_rfc_8439() -> None:
    # Key and nonce of zeros, block 0 (RFC 8439, appendix A.1, test vector 1).
    start = bytes.fromhex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1a")
    assert Noise(bytes(32)).integers(3).astype("<u8").tobytes() == start


def test_when_a_nonce_is_used_up_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_NONCE_BYTES", 128)
    key = bytes(range(32))
    streams = [
        Cipher(algorithms.ChaCha20(key, bytes(4) + bytes([number]) + bytes(11)), mode=None).encryptor()
        for number in range(3)
    ]
    expected = b"".join(stream.update(bytes(128)) for stream in streams)
    drawn = Noise(key)
    given = b"".join(drawn.integers(count).astype("<u8").tobytes() for count in (5, 11, 30, 2))
    assert given == expected


def test_a_nonce_is_left_before_the_cipher_refuses() -> None:
    """Nobody draws 256 GiB in a test: the cipher starts two blocks before the end, and so does the count."""
    last = Noise(bytes(32))
    last.integers(1)
    last._stream = Cipher(algorithms.ChaCha20(bytes(32), b"\xfe\xff\xff\xff" + bytes(12)), mode=None).encryptor()
    last._left = noise._NONCE_BYTES - 64 * (2**32 - 2)
    assert len(set(last.integers(24).tolist())) == 24


@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (Noise.normal, stats.norm),
        (Noise.laplace, stats.laplace),
        (Noise.gumbel, stats.gumbel_r),
        (Noise.uniform, stats.uniform),
    ],
    ids=["normal", "laplace", "gumbel", "uniform"],
)
def test_numbers_are_of_the_distribution(draw, distribution) -> None:
    drawn = draw(Noise.seeded(1, "test"), COUNT)
    assert drawn.shape == (COUNT,) and np.isfinite(drawn).all()
    assert stats.kstest(drawn, distribution.cdf).pvalue > 0.001
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / np.sqrt(COUNT)


def test_each_record_is_taken_by_itself_with_its_probability() -> None:
    drawn = Noise.seeded(1, "test")
    sizes = [len(drawn.chosen(324, 16, 324)) for _ in range(2000)]
    deviation = np.sqrt(16 * (1 - 16 / 324))
    assert abs(np.mean(sizes) - 16) < 5 * deviation / np.sqrt(2000)
    assert abs(np.std(sizes) - deviation) < 0.3
    assert drawn.chosen(5, 5, 5).tolist() == [0, 1, 2, 3, 4]
    assert len(drawn.chosen(1000, 1, 10**12)) == 0


def test_an_order_has_every_position_once() -> None:
    assert sorted(Noise.seeded(1, "test").order(1000).tolist()) == list(range(1000))
