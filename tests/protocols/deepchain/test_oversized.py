"""Files larger than an honest one: they count as not there, and stop nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.protocols.deepchain.training import Coalition, Plan
from tests.protocols.deepchain.world import terms

from tclearn.agents import Site
from tclearn.encoding import MemberId
from tclearn.errors import Code, MessageError
from tclearn.ledger import Call
from tclearn.limits import (
    DEEPCHAIN_CIPHERTEXT_BYTES_MAX,
)
from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.files import (
    Batch,
    batch_bytes_max,
    batches_bytes_max,
    read_batches,
    root_of,
    write_batches,
)
from tclearn.protocols.deepchain.records import COMPLETE

TWO_BATCHES = Plan(parties=4, threshold=2, hidden=21, iterations=1)


class Padded(a.Wrong):
    """Hands in a first batch that is larger than an honest one, in a file of a size that is usual."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method != self.call.__name__.lower():
            return call
        said, key = self.call.from_value(call.arguments, call.method), self.role.rules.terms.key
        first, second = read_batches(site.store.get(said.locator, size_max=1 << 22), said.root, key)
        padded = [padded_batch(first, batch_bytes_max(key)), second]
        data = write_batches(padded)
        assert len(data) < batches_bytes_max(key)
        return calls.call(replace(said, root=root_of(padded), locator=site.store.put(data)))


def padded_batch(batch: Batch, most: int) -> Batch:
    return replace(batch, proof=bytes(most - sum(len(item) + 16 for item in batch.items) + 1))


class PaddedGradient(Padded):
    call = calls.Contribute


class PaddedShares(Padded):
    call = calls.Share


class PaddedSum(Padded):
    call = calls.Update


def test_a_batch_is_read_up_to_the_size_of_an_honest_one() -> None:
    key = replace(terms().key, ciphertexts=1)
    most = batch_bytes_max(key)
    item = bytes(key.ciphertext_bytes)
    for proof, string, count, taken in (
        (most - len(item) - 16, item, 1, True),
        (most - len(item) - 15, item, 1, False),
        (0, bytes(DEEPCHAIN_CIPHERTEXT_BYTES_MAX), 1, True),
        (0, bytes(DEEPCHAIN_CIPHERTEXT_BYTES_MAX + 1), 1, False),
        (0, bytes(2000), most // 2016, True),
        (0, bytes(2000), most // 2016 + 1, False),
    ):
        batches = [Batch((string,) * count, bytes(proof))]
        data = write_batches(batches)
        if taken:
            assert read_batches(data, root_of(batches), key) == tuple(batches)
            continue
        with pytest.raises(MessageError) as refused:
            read_batches(data, root_of(batches), key)
        assert refused.value.code is Code.TOO_LARGE


@pytest.mark.parametrize(("who", "faulty"), [("p01", PaddedGradient), ("p01", PaddedShares), ("w", PaddedSum)])
def test_what_is_too_large_to_be_shown_counts_as_not_there_and_costs_who_handed_it_in(who: str, faulty) -> None:
    if who == "w":
        first = Coalition(TWO_BATCHES)
        first.run(lambda: first.state.iteration is None or first.state.iteration.leader is None)
        assert first.state.iteration is not None and first.state.iteration.leader is not None
        who = first.state.iteration.leader
    coalition = Coalition(TWO_BATCHES, {who: faulty}).run()
    assert coalition.state.group.status == COMPLETE
    lost = {member for member, joined in coalition.state.group.joined.items() if joined.losses}
    assert lost == {MemberId(who)}
