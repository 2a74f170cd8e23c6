"""A toy key hides nothing: nobody takes part under one unasked, whoever has written the charter."""

from __future__ import annotations

import pytest
from tests.protocols.deepchain.training import Coalition, Plan

from tclearn.errors import Code, UsageError
from tclearn.protocols import terms_of
from tclearn.protocols.deepchain import DeepChainTerms, contract
from tclearn.protocols.deepchain.agent import OperatingSystem, Performer

SMALL = Plan(parties=4, threshold=3, hidden=2, iterations=1)
SAID = "this charter has a toy key of 512 bits: anybody can read every gradient"


def test_a_party_that_was_sent_a_charter_with_a_toy_key_is_told_before_it_joins():
    coalition = Coalition(SMALL)
    rules = contract(DeepChainTerms.from_bytes(coalition.terms.encode()))
    membership = coalition.performer(coalition.members[0]).membership
    with pytest.raises(UsageError, match=SAID) as raised:
        Performer(rules, membership, OperatingSystem())
    assert raised.value.code is Code.USAGE and "2048 bits" in raised.value.expected
    assert Performer(rules, membership, allow_toy=True).membership is membership


def test_nobody_else_performs_a_duty_under_one_either_and_reading_the_model_needs_no_leave():
    coalition = Coalition(SMALL)
    worker = next(agent for agent in coalition.agents if agent.site.member == coalition.terms.workers[0])
    worker.role = Performer(coalition.contract)
    with pytest.raises(UsageError, match=SAID):
        worker.step()
    assert len(coalition.ledger) == 0
    assert worker.role.model(coalition.state, worker.site).digest == coalition.terms.model.initial


def test_what_a_charter_fixes_says_which_key_it_has():
    toy, real = (terms_of(Coalition(Plan(hidden=2, bits=bits)).terms.encode()) for bits in (512, 2048))
    assert (toy.facts, real.facts) == ({"key_bits": 512, "toy": True}, {"key_bits": 2048, "toy": False})
    assert toy.warnings == (SAID.removeprefix("this charter has "),) and real.warnings == ()
