"""The vectors, and a second reading of the format: Python's own integers, by the page, nothing of the library."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import cbor2
import pytest
from tests.paillier.vectors import computed

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())


def test_the_library_still_gives_the_vectors() -> None:
    assert computed() == VECTORS


# --- by docs/formats/paillier.md, alone -------------------------------------------------------------------------------


def number(text: str) -> int:
    return int(text, 16)


def message(text: str) -> dict[str, Any]:
    value: dict[str, Any] = cbor2.loads(bytes.fromhex(text))
    assert cbor2.dumps(value, canonical=True).hex() == text
    return value


def digest(*parts: Any) -> bytes:
    return hashlib.sha256(cbor2.dumps(list(parts), canonical=True)).digest()


def split(data: bytes, size: int) -> list[int]:
    assert len(data) % size == 0
    return [int.from_bytes(data[at : at + size], "big") for at in range(0, len(data), size)]


KEY = message(VECTORS["key"])
N = int.from_bytes(KEY["modulus"], "big")
N2, SIZE = N * N, 128
V = split(KEY["verification"], SIZE)
DELTA = math.factorial(len(V))
LAYOUT = message(VECTORS["layout"])
SLOTS = (512 - 220) // LAYOUT["slot_bits"]
P_BITS = LAYOUT["slot_bits"] * (SLOTS - 1) + LAYOUT["value_bits"] + 87
E_BITS = 256 + 87


def element(value: int) -> int:
    return min(value % N2, -value % N2)


def jacobi(a: int, n: int) -> int:
    result = 1
    a %= n
    while a:
        while a % 2 == 0:
            a //= 2
            result = -result if n % 8 in (3, 5) else result
        a, n = n, a
        result = -result if a % 4 == n % 4 == 3 else result
        a %= n
    return result if n == 1 else 0


def is_element(value: int) -> bool:
    return 0 < value < N2 / 2 and jacobi(value, N) == 1


def hashed(name: str) -> int:
    data = hashlib.shake_256(name.encode() + b"\0" + KEY["modulus"]).digest(64 + 16)
    return int.from_bytes(data, "big") % N


H = element(pow(hashed("tclearn/paillier/h/1"), 2 * N, N2))
BASE = element((1 + N) * pow(hashed("tclearn/paillier/v/1"), 2 * N, N2))


def test_the_key() -> None:
    first, second = map(number, VECTORS["primes"])
    assert first * second == N
    assert (KEY["format"], KEY["threshold"], len(V), N.bit_length()) == ("tclearn/paillier-key/1", 3, 4, 512)
    assert digest("tclearn/paillier/key/1", bytes.fromhex(VECTORS["key"])).hex() == VECTORS["key_digest"]
    assert number(VECTORS["h_N"]) == H
    assert number(VECTORS["v"]) == BASE
    shares = [int.from_bytes(message(each)["share"], "big") for each in VECTORS["shares_of_d"]]
    assert [element(pow(BASE, DELTA * share, N2)) for share in shares] == V
    assert all(map(is_element, [*V, H, BASE]))
    order = N * (first // 2) * (second // 2)
    for chosen in ((0, 1, 2), (1, 2, 3)):  # Lagrange at 0, modulo the order of the group
        d = 0
        for i in chosen:
            others = [j + 1 for j in chosen if j != i]
            d += shares[i] * math.prod(others) * pow(math.prod(j - i - 1 for j in others), -1, order)
        assert d % order % N == 1
        assert d % order % (order // N) == 0


def test_the_dealing() -> None:
    n, t = len(V), KEY["threshold"]
    stream = hashlib.shake_256(b"tclearn/paillier/dealing/1\0" + bytes.fromhex(VECTORS["key_digest"]))
    w = split(stream.digest(16 * (n - t + 1)), 16)
    sides = [1, 1]
    for i, base in enumerate([1 + DELTA * N, *V]):
        exponent = math.comb(n, i) * sum(weight * i**k for k, weight in enumerate(w))
        sides[(n - i) % 2] = sides[(n - i) % 2] * pow(base, exponent, N2) % N2
    assert element(sides[0]) == element(sides[1])


def test_the_ciphertexts() -> None:
    levels = (1 << LAYOUT["value_bits"] - 1) - 1
    for each in (each for batch in VECTORS["encrypted"].values() for each in batch):
        values = each["values"] + [0] * (SLOTS - len(each["values"]))
        m = sum((value + levels) << LAYOUT["slot_bits"] * k for k, value in enumerate(values))
        assert m == number(each["plaintext"])
        c = element((1 + N * m) * pow(H, number(each["exponent"]), N2))
        assert c == number(each["ciphertext"])


def encryption_holds(batch: dict[str, Any]) -> bool:
    """Every row by itself, without weights."""
    c, a = split(batch["ciphertexts"], SIZE), split(batch["masks"], SIZE)
    z, zeta = split(batch["plaintexts"], -(-P_BITS // 8)), split(batch["exponents"], -(-E_BITS // 8))
    if not len(a) == len(z) == len(zeta) == len(c) + 127 or not all(map(is_element, a + c)):
        return False
    if max(z) >> P_BITS or max(zeta) >> E_BITS:
        return False
    head = digest(
        "tclearn/paillier/encryption/1", batch["key"], LAYOUT, batch["context"], batch["ciphertexts"], batch["masks"]
    )
    e = [head[place // 8] >> 7 - place % 8 & 1 for place in range(128)]
    for i in range(len(a)):
        right = a[i]
        for j, value in enumerate(c):
            if 0 <= i - j < 128 and e[i - j]:
                right = right * value % N2
        if element(pow(H, zeta[i], N2) * (1 + z[i] * N)) != element(right):
            return False
    return True


def shares_hold(batch: dict[str, Any], ciphertexts: list[int]) -> bool:
    d = split(batch["shares"], SIZE)
    data = b"".join(each.to_bytes(SIZE, "big") for each in ciphertexts)
    seed = digest("tclearn/paillier/shares/1", batch["key"], batch["context"], data, batch["shares"])
    w = split(hashlib.shake_256(seed).digest(16 * len(d)), 16)
    big_c = element(math.prod(pow(each, weight, N2) for each, weight in zip(ciphertexts, w, strict=True)) ** 2)
    big_d = element(math.prod(pow(each, weight, N2) for each, weight in zip(d, w, strict=True)))
    e, z = int.from_bytes(batch["challenge"], "big"), int.from_bytes(batch["response"], "big")
    own = V[batch["context"]["party"] - 1]
    shown = [element(pow(base, z, N2) * pow(of, -e, N2)) for base, of in ((big_c, big_d), (BASE, own))]
    packed = b"".join(each.to_bytes(SIZE, "big") for each in (big_c, big_d, *shown))
    in_range = z < 1 << 2 * 512 + DELTA.bit_length() + 208
    return in_range and digest("tclearn/paillier/shares/challenge/1", seed, packed)[:16] == batch["challenge"]


def test_the_batch_of_ciphertexts() -> None:
    batch = message(VECTORS["batch"])
    assert batch["key"].hex() == VECTORS["key_digest"]
    assert batch["context"] == {"coalition": bytes(range(32)), "round": 3, "party": 2, "batch": 0}
    assert split(batch["ciphertexts"], SIZE) == [number(each["ciphertext"]) for each in VECTORS["encrypted"]["2"]]
    assert encryption_holds(batch)
    for name in ("round", "party", "batch"):
        assert not encryption_holds({**batch, "context": {**batch["context"], name: 1}})
    assert not encryption_holds({**batch, "exponents": batch["exponents"][:-1] + b"\x00"})


def test_the_batches_of_shares_and_what_they_open() -> None:
    total = []
    for at in range(len(VECTORS["sum"])):
        made = {int(party): number(batch[at]["ciphertext"]) for party, batch in VECTORS["encrypted"].items()}
        total.append(element(math.prod(pow(c, LAYOUT["weights"][party - 1], N2) for party, c in made.items())))
    assert total == [number(each) for each in VECTORS["sum"]]
    shares = {}
    for party, text in VECTORS["share_batches"].items():
        batch = message(text)
        assert shares_hold(batch, total)
        assert not shares_hold({**batch, "context": {**batch["context"], "round": 4}}, total)
        shares[int(party)] = split(batch["shares"], SIZE)
    for at, opened in enumerate(VECTORS["opened"]):
        value = 1
        for i in shares:
            others = [j for j in shares if j != i]
            factor = DELTA * math.prod(others) // math.prod(j - i for j in others)
            value = value * pow(shares[i][at], 2 * factor, N2) % N2
        value = value if value % N == 1 else -value % N2
        assert (value - 1) // N * pow(4 * DELTA**2, -1, N) % N == number(opened)


@pytest.mark.parametrize("slot", range(7))
def test_the_sums(slot: int) -> None:
    levels, mask = (1 << LAYOUT["value_bits"] - 1) - 1, (1 << LAYOUT["slot_bits"]) - 1
    parties = [int(party) for party in VECTORS["encrypted"]]
    weight = sum(LAYOUT["weights"][party - 1] for party in parties)
    found = (number(VECTORS["opened"][0]) >> LAYOUT["slot_bits"] * slot & mask) - weight * levels
    values = {int(party): batch[0]["values"] for party, batch in VECTORS["encrypted"].items()}
    assert found == VECTORS["sums"][slot] == sum(LAYOUT["weights"][i - 1] * values[i][slot] for i in parties)
