"""Simulations of level B: data IDs under the supervisor's key, the printed seed's, as its service would give them."""

from __future__ import annotations

from pathlib import Path

from tests.simulation.tumours import coalition, tumours

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.identity.oprf import Blinded, blind, finalize
from tclearn.learning.data_ids import record_digests
from tclearn.learning.records import materialise
from tclearn.simulation.keys import SeededKeys


def test_ids_are_those_that_a_service_with_this_key_gives(tmp_path: Path) -> None:
    coalition(level="B", blocks=1, contributions=4, directory=tmp_path / "b")
    with CoalitionDirectory.open(tmp_path / "b") as home:
        state, terms = home.state, home.charter.data_ids
        ids = state.data_ids(1)
    assert terms is not None
    key = SeededKeys(1).ids()
    assert key.public == terms.public_key
    first = materialise(tumours()[0]["hospital-1"], "hospital-1")
    pending = blind(record_digests(first))
    answer = key.evaluate(Blinded(pending.blinded.elements))
    served = {output[:16] for output in finalize(pending, answer, key.public)}
    found = [ids[at : at + 16] for at in range(0, len(ids), 16)]
    assert found and set(found) <= served
    assert not (tmp_path / "b" / "data.key").exists()
