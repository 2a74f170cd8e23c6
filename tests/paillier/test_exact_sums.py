"""What any t parties open is the sum of the integers, whoever is there, whatever they weigh; fewer open nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.paillier.material import dealing, seeded

from tclearn.errors import MessageError
from tclearn.paillier.decryption import combine, decryption_shares
from tclearn.paillier.encryption import Encryptor, weighted_sum
from tclearn.paillier.keys import TOY_BITS
from tclearn.paillier.packing import Layout

VALUE_BITS = ((24, 16), (16, 8), (32, 16), (40, 32))
"""Bits of slots and of values."""


@settings(max_examples=40)
@given(st.data())
def test_what_t_parties_open_is_the_sum_of_the_integers(data: Any) -> None:
    parties = data.draw(st.integers(2, 7), "parties")
    threshold = data.draw(st.integers(2, parties), "threshold")
    slot_bits, value_bits = data.draw(st.sampled_from(VALUE_BITS), "bits")
    most = ((1 << slot_bits) - 1) // ((1 << value_bits) - 1) // parties
    weights = tuple(data.draw(st.lists(st.integers(1, most), min_size=parties, max_size=parties), "weights"))
    layout = Layout(TOY_BITS, weights, slot_bits, value_bits)
    key = dealing(parties, threshold).key
    ends = st.sampled_from([-layout.levels, layout.levels, 0])
    count = data.draw(st.integers(1, 3 * layout.slots), "count")
    values = st.lists(ends | st.integers(-layout.levels, layout.levels), min_size=count, max_size=count)
    everybody = range(1, parties + 1)
    present = sorted(data.draw(st.sets(st.sampled_from(everybody), min_size=1), "present"))
    vectors = {party: data.draw(values, "values") for party in present}
    encryptor = Encryptor(key, window=2)
    sent = {party: encryptor.encrypt(layout.pack(each), seeded(party)).ciphertexts for party, each in vectors.items()}
    sums = weighted_sum(key, layout, sent)
    openers = data.draw(st.permutations(everybody), "openers")[:threshold]
    shares = {party: decryption_shares(key, dealing(parties, threshold).shares[party - 1], sums) for party in openers}
    assert layout.unpack(combine(key, shares), count, present) == [
        sum(weights[party - 1] * vector[place] for party, vector in vectors.items()) for place in range(count)
    ]
    shares.pop(openers[0])
    with pytest.raises(MessageError, match=f"shares of {threshold - 1} parties"):
        combine(key, shares)
