"""A sum whose file is lost is nobody's loss who has computed it, and is put back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.protocols.deepchain.recorded import exported, verified
from tests.protocols.deepchain.training import Coalition, Plan

from tclearn.agents import Site
from tclearn.encoding import Digest, digest
from tclearn.errors import Code, StorageError
from tclearn.ledger import Call
from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.auditing import audit
from tclearn.protocols.deepchain.records import COMPLETE, EMPTY
from tclearn.store import MemoryStore

SMALL = Plan(parties=4, threshold=3, hidden=2, iterations=1)


class Withholding:
    """One member's way to a store that does not give it some objects, whatever is put."""

    def __init__(self, store: Any, withheld: set[Digest]) -> None:
        self.store, self.withheld = store, withheld

    def get(self, name: Digest, *, size_max: int) -> bytes:
        if name in self.withheld:
            raise StorageError(Code.OBJECT_MISSING, "withheld")
        return bytes(self.store.get(name, size_max=size_max))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize("who", [["p01"], ["p00", "p01", "p02", "p03"]])
def test_a_party_that_has_computed_the_sum_takes_shares_and_reports_without_its_file(who):
    coalition, withheld = Coalition(SMALL), set[Digest]()
    for agent in coalition.agents:
        if agent.site.member in who:
            agent.site = replace(agent.site, store=Withholding(coalition.store, withheld))

    def on_entry() -> bool:
        iteration = coalition.state.iteration
        if iteration is not None and iteration.sum is not None:
            withheld.add(iteration.sum.locator)
        return True

    coalition.run(on_entry)
    assert withheld and coalition.state.group.status == COMPLETE
    assert coalition.state.group.iterations == 1
    assert not any(joined.losses for joined in coalition.state.group.joined.values())
    said = {(method, member) for method, member, code in coalition.methods() if not code}
    assert {(method, member) for method in ("take", "share", "report") for member in who} <= said


def test_a_sum_that_everybody_s_store_has_lost_is_put_back():
    coalition, lost = Coalition(SMALL), set[Digest]()
    store = coalition.store
    assert isinstance(store, MemoryStore)

    def on_entry() -> bool:
        iteration = coalition.state.iteration
        if iteration is not None and iteration.sum is not None and iteration.sum.locator not in lost:
            lost.add(iteration.sum.locator)
            del store._objects[iteration.sum.locator]
        return True

    coalition.run(on_entry)
    assert len(lost) == 1 and all(store.has(name) for name in lost)
    assert coalition.state.group.status == COMPLETE
    assert not any(joined.losses for joined in coalition.state.group.joined.values())
    record = exported(coalition)
    assert audit(record, verified(coalition, record), store).remarks == []


class Elsewhere(a.Faulty):
    """As leader, hands in the right root, and the name of a file that there is not."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method != "update":
            return call
        return calls.call(replace(calls.Update.from_value(call.arguments, call.method), locator=digest("nowhere")))


def test_a_right_root_does_not_excuse_a_file_that_nobody_can_make():
    first = Coalition(SMALL)
    first.run(lambda: first.state.iteration is None or first.state.iteration.leader is None)
    assert first.state.iteration is not None and first.state.iteration.leader is not None
    leader = first.state.iteration.leader
    coalition = Coalition(SMALL, {leader: Elsewhere}).run()
    assert coalition.state.group.status == COMPLETE and coalition.state.block(0).kind == EMPTY
    assert {member for member, joined in coalition.state.group.joined.items() if joined.losses} == {leader}
