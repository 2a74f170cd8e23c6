"""Parameters that nobody has decided on may be offered again, and who-had misses nobody that had them before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.protocols.vaults import Vaulted, confidential, ids
from tests.protocols.world import World, verdict

from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import Code, ParametersError
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Rejected
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.reading_journal import TRAINED, who_had
from tclearn.protocols.tclearn.refusals import Refusal
from tclearn.store import FilesystemStore

PARAMETERS = digest("a model")


def undecided(changes: dict[str, object], n: int = 7) -> World:
    """m00's candidate was tested by all of its committee, and none of them has said anything."""
    changes["schedule"] = replace(World(n).charter.schedule, turns="free")
    w = Vaulted(n, changes) if "vault" in changes else World(n, changes)
    candidate = w.release(w.propose("m00", parameters=PARAMETERS))
    if isinstance(w, Vaulted):
        for member in candidate.committee:
            w.ask(member)
    while w.state.open_candidates():
        w.timeout()
    assert w.state.candidate(0).status == "undecided"
    return w


@pytest.mark.parametrize("other_file", [False, True])
def test_a_tester_cannot_offer_as_its_own_what_it_was_handed(other_file: bool) -> None:
    w = undecided(confidential())
    first = w.state.candidate(0)
    file = digest("written anew") if other_file else first.locator
    newest = w.state.block(w.state.tip).hash
    with pytest.raises(Rejected) as refused:
        World.say(w, first.committee[0], calls.Propose(newest, PARAMETERS, file, 10, 1, ids(*range(900, 910))))
    assert refused.value.code == Refusal.PARAMETERS_TAKEN
    assert not w.state.offered(PARAMETERS), "and the first one still can"


def test_the_first_one_offers_it_again_in_the_same_object_and_all_earlier_readers_are_found() -> None:
    w = undecided(confidential())
    first = w.state.candidate(0)
    newest = w.state.block(w.state.tip).hash
    renamed = calls.Propose(newest, PARAMETERS, digest("written anew"), 10, 1, ids(*range(900, 910)))
    assert w.refused("m00", renamed) == Refusal.PARAMETERS_TAKEN
    w.now += 5000
    w.say("m00", replace(renamed, locator=first.locator))
    again = w.release(w.state.candidate(1))
    w.vote(again, verdict(60))
    w.chain()
    had = {holder.member: holder for holder in who_had(w.state, w.state.tip)}
    assert {first.proposer, *first.committee, *again.committee} <= had.keys()
    assert had[MemberId("m00")].how == TRAINED
    assert had[MemberId("m00")].since_ms == first.proposed_ms, "it had it when it offered it for the first time"
    assert not w.state.offered(digest("another model")), "others are nobody's"


def test_who_had_looks_through_every_offer_of_equal_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a ledger on which another member could offer them, in another file."""
    monkeypatch.setattr("tclearn.protocols.tclearn.proposing.check_first", lambda *_: None)
    w = undecided(confidential())
    first = w.state.candidate(0)
    thief = first.committee[0]
    newest = w.state.block(w.state.tip).hash
    w.now += 5000
    w.say(thief, calls.Propose(newest, PARAMETERS, digest("written anew"), 10, 1, ids(*range(900, 910))))
    again = w.release(w.state.candidate(1))
    w.vote(again, verdict(60))
    w.chain()
    had = {holder.member: holder for holder in who_had(w.state, w.state.tip)}
    assert had[MemberId("m00")].how == had[thief].how == TRAINED
    assert had[MemberId("m00")].since_ms == first.proposed_ms
    for member in first.committee:
        assert len(had[member].readings) >= 1


def test_at_level_a_nothing_of_this_is_in_the_state() -> None:
    w = undecided({})
    assert not [key for key in w.view if key.startswith("forgiven/")]
    newest = w.state.block(w.state.tip).hash
    w.say("m01", calls.Propose(newest, PARAMETERS, digest("written anew"), 10, 1, ids(*range(900, 910))))
    assert w.state.candidate(1).status == "proposed", "as entries of older ledgers replay"


def in_another_way(data: bytes) -> bytes:
    """The same tensors, with a word of the writer's own in the header."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size]) | {"__metadata__": {"written": "by hand"}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@pytest.mark.parametrize("level", ["A", "B"])
def test_at_level_b_a_file_written_in_another_way_is_not_tested(tmp_path: Path, level: str) -> None:
    w = Vaulted(4, confidential()) if level == "B" else World(4)
    layout = w.contract.charter.model.layout
    parameters = Parameters({each.name: np.zeros(each.shape, np.float32) for each in layout})
    store = FilesystemStore(tmp_path / "store")
    plain, odd = (store.put(data) for data in (parameters.to_bytes(), in_another_way(parameters.to_bytes())))
    assert plain != odd

    def read(locator: Digest) -> Parameters:
        block = replace(w.state.block(0), locator=locator, parameters=parameters.digest)
        site: Any = SimpleNamespace(store=store)
        return Participant(w.contract).model(block, site)

    assert read(plain) == parameters
    if level == "A":
        assert read(odd) == parameters, "as before"
    else:
        with pytest.raises(ParametersError, match="written in another way") as refused:
            read(odd)
        assert refused.value.code is Code.PARAMETERS_FORMAT
