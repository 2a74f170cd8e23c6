"""Packing: sums come back exactly, at the ends of every range, whoever is absent; and overflow is refused before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tclearn.encoding import decode, encode
from tclearn.errors import Code, MessageError
from tclearn.paillier.packing import Layout

LAYOUT = Layout(512, (1, 1, 1))


def test_the_slots_of_every_size() -> None:
    assert {bits: Layout(bits, (1, 1)).slots for bits in (512, 2048, 3072)} == {512: 12, 2048: 76, 3072: 118}
    assert LAYOUT.weight_max == 256
    assert LAYOUT.levels == 32767


@st.composite
def rounds(draw: Any) -> tuple[Layout, list[list[int]], set[int]]:
    slot_bits = draw(st.sampled_from([8, 16, 24, 32, 64]))
    value_bits = draw(st.integers(2, min(slot_bits, 32)))
    most = ((1 << slot_bits) - 1) // ((1 << value_bits) - 1)
    assume(most >= 2)
    parties = draw(st.integers(2, min(6, most)))
    weights, left = [], most
    for number in range(parties):
        weights.append(draw(st.integers(1, left - (parties - number - 1)) | st.just(left - (parties - number - 1))))
        left -= weights[-1]
    layout = Layout(512, tuple(weights), slot_bits, value_bits)
    value = st.integers(-layout.levels, layout.levels) | st.sampled_from([-layout.levels, layout.levels])
    count = draw(st.integers(1, 2 * layout.slots + 1))
    vectors = [draw(st.lists(value, min_size=count, max_size=count)) for _ in range(parties)]
    present = draw(st.sets(st.integers(1, parties), min_size=1))
    return layout, vectors, present


ENDS = Layout(512, (100, 100, 56))


@given(rounds())
@example((ENDS, [[32767] * 25] * 3, {1, 2, 3}))
@example((ENDS, [[-32767] * 24] * 3, {1, 2, 3}))
@example((ENDS, [[32767, -32767] * 6] * 3, {3}))
def test_sums_come_back_exactly(given_round: tuple[Layout, list[list[int]], set[int]]) -> None:
    layout, vectors, present = given_round
    packed = {party: layout.pack(vectors[party - 1]) for party in present}
    assert all(each < 1 << layout.plaintext_bits for each in packed[min(present)])
    count = len(vectors[0])
    assert len(packed[min(present)]) == layout.count(count)
    sums = [
        sum(layout.weights[party - 1] * packed[party][place] for party in present)
        for place in range(layout.count(count))
    ]
    expected = [
        sum(layout.weights[party - 1] * vectors[party - 1][place] for party in present) for place in range(count)
    ]
    for strict in (True, False):
        assert layout.unpack(sums, count, present, strict=strict) == expected


@pytest.mark.parametrize(
    ("weights", "slot_bits", "value_bits"),
    [
        ((256, 1), 24, 16),
        ((1,) * 257, 24, 16),
        ((1 << 62, 1 << 62), 24, 16),
        ((1, 1), 16, 16),
        ((171, 85), 16, 8),
        ((2, 256), 24, 16),
    ],
)
def test_too_little_head_room_is_refused_before_anything_is_encrypted(
    weights: tuple[int, ...], slot_bits: int, value_bits: int
) -> None:
    if sum(weights) <= ((1 << slot_bits) - 1) // ((1 << value_bits) - 1):
        Layout(512, weights, slot_bits, value_bits)
        return
    with pytest.raises(MessageError) as refused:
        Layout(512, weights, slot_bits, value_bits)
    assert refused.value.code is Code.HEAD_ROOM


def test_the_last_weight_that_fits() -> None:
    assert Layout(512, (255, 1)).weight_max == 256
    with pytest.raises(MessageError, match="weights that sum to 257"):
        Layout(512, (255, 2))


@pytest.mark.parametrize(
    "fields",
    [
        {"modulus_bits": 1024},
        {"modulus_bits": 0},
        {"weights": ()},
        {"weights": (1,)},
        {"weights": (1, 0)},
        {"weights": (5, -1)},
        {"slot_bits": 0},
        {"slot_bits": 25},
        {"slot_bits": 72},
        {"value_bits": 1},
        {"value_bits": 33, "slot_bits": 64},
        {"value_bits": 25},
    ],
)
def test_layouts_out_of_range_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MessageError) as refused:
        Layout(**{"modulus_bits": 512, "weights": (1, 1), **fields})
    assert refused.value.code is Code.HEAD_ROOM


def test_a_layout_is_checked_when_it_is_read() -> None:
    assert Layout.from_value(decode(LAYOUT.encode())) == LAYOUT
    value = LAYOUT.to_value()
    with pytest.raises(MessageError, match="weights that sum to 300"):
        Layout.from_value(decode(encode({**value, "weights": [100, 100, 100]})))


@pytest.mark.parametrize("value", [32768, -32768, 1 << 70])
def test_values_out_of_range_are_not_packed(value: int) -> None:
    with pytest.raises(MessageError, match="beyond the range"):
        LAYOUT.pack([0, value, 0])


@given(st.integers(1, 1 << 40), st.lists(st.integers(-(1 << 45), 1 << 45)))
@example(1, [0, 1, -1, 2])
@example(32767, [5, -5])
def test_quantised_values_are_the_nearest_steps(clip: int, values: list[int]) -> None:
    steps = LAYOUT.quantise(values, clip)
    for value, step in zip(values, steps, strict=True):
        kept = max(-clip, min(clip, value))
        assert 2 * abs(step * clip - kept * LAYOUT.levels) <= clip  # half a step at most
        assert (step == 0) or (step > 0) == (value > 0)
    assert LAYOUT.quantise([-each for each in values], clip) == [-each for each in steps]
    assert LAYOUT.quantise([0, clip, -clip], clip) == [0, 32767, -32767]
    if clip >= 1 << 20:
        assert LAYOUT.quantise(LAYOUT.dequantise(steps, clip), clip) == steps


def test_halves_go_to_even_steps() -> None:
    assert LAYOUT.quantise([1, 3, -1, -3], 2 * LAYOUT.levels) == [0, 2, 0, -2]
    assert LAYOUT.dequantise([1, 3, -1], 1) == [0, 0, 0]
    assert LAYOUT.dequantise([LAYOUT.levels * 5], 3) == [15]


@pytest.mark.parametrize("clip", [0, -5])
def test_a_clip_must_be_positive(clip: int) -> None:
    with pytest.raises(MessageError, match="clip"):
        LAYOUT.quantise([1], clip)


@pytest.mark.parametrize("present", [(), (0,), (4,), (1, 1), (1, 2, 3, 3)])
def test_sums_of_nobody_are_refused(present: tuple[int, ...]) -> None:
    with pytest.raises(MessageError, match="a sum of"):
        LAYOUT.unpack([0], 1, present)


@pytest.mark.parametrize(("plaintexts", "count"), [([], 1), ([0], 13), ([0, 0], 12), ([0], 0), ([], -1)])
def test_another_number_of_plaintexts_is_refused(plaintexts: list[int], count: int) -> None:
    with pytest.raises(MessageError, match="plaintexts for"):
        LAYOUT.unpack(plaintexts, count, (1,))


def test_nothing_packs_to_nothing() -> None:
    assert LAYOUT.pack([]) == []
    assert LAYOUT.unpack([], 0, (1,)) == []


def test_what_a_liar_can_add() -> None:
    """A plaintext of full slots: found in the sum, by whom not; taken all the same, it is 256 times too much."""
    honest, full = LAYOUT.pack([0] * 12)[0], (1 << 24 * 12) - 1
    with pytest.raises(MessageError, match="a party has encrypted") as refused:
        LAYOUT.unpack([honest + full], 12, (1, 2))
    assert refused.value.code is Code.HEAD_ROOM
    taken = LAYOUT.unpack([honest + full], 12, (1, 2), strict=False)
    assert max(map(abs, taken)) <= 256 * LAYOUT.levels * 2
    for beyond in (1 << 24 * 12, 1 << 24 * 12 + 200, -(1 << 17), -(1 << 400)):
        with pytest.raises(MessageError, match="a party has encrypted"):
            LAYOUT.unpack([2 * honest + beyond], 12, (1, 2))
    for harmless in (1 << 24 * 12, 1 << 24 * 12 + 200, -(1 << 400)):
        assert LAYOUT.unpack([2 * honest + harmless], 12, (1, 2), strict=False) == [0] * 12


def test_one_value_too_much_is_found() -> None:
    honest = LAYOUT.pack([32767] * 12)[0]
    assert LAYOUT.unpack([honest * 3], 12, (1, 2, 3)) == [3 * 32767] * 12
    with pytest.raises(MessageError, match="a party has encrypted"):
        LAYOUT.unpack([honest * 3 + 1], 12, (1, 2, 3))
