"""Members that look away: where all do, the ledger takes what is wrong as right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.protocols.deepchain.training import Coalition, Faulty, Plan

from tclearn.agents import Role
from tclearn.encoding import MemberId
from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain.agent import Performer
from tclearn.protocols.deepchain.agent.examining import Examiner, Found
from tclearn.protocols.deepchain.records import Iteration
from tclearn.protocols.deepchain.state import State
from tclearn.store import Store


class Blind(Examiner):
    """Finds everything right that is there."""

    def gradient(self, iteration: Iteration, party: MemberId, store: Store) -> Found | None:
        found = super().gradient(iteration, party, store)
        return None if found is None else replace(found, wrong=None)

    def shares(self, iteration: Iteration, party: MemberId, store: Store) -> Found | None:
        found = super().shares(iteration, party, store)
        return None if found is None else replace(found, wrong=None)

    def sum_is_right(self, iteration: Iteration, store: Store) -> bool | None:
        return True


def blind(around: Faulty = a.Faulty) -> Faulty:
    def made(role: Performer) -> Role[State]:
        role._examiner = Blind(role.rules.terms, role._judge)
        return around(role)

    return made


def all_blind(plan: Plan, faulty: Mapping[str, Faulty]) -> Coalition:
    """Everybody looks away, and some lie."""
    roles: dict[str, Faulty] = {member: faulty.get(member, blind()) for member in Coalition(plan).members}
    return Coalition(plan, roles).run()
