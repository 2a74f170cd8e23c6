"""Nobody locks deposits for a key with a small factor, or whose shares do not belong together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.paillier.material import dealing
from tests.protocols.deepchain.training import Coalition, Plan

from tclearn.encoding import MemberId, decode, encode
from tclearn.errors import CharterError, Code, MessageError
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.protocols.deepchain import DeepChain
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge

SMALL = Plan(parties=4, threshold=2, hidden=2, iterations=1)


@pytest.mark.parametrize("factor", [5, 7, 11, 97, 997])
def test_a_modulus_with_a_small_factor_is_refused(factor: int) -> None:
    terms = Coalition(SMALL).terms
    largest = ((1 << 512) - 1) // factor * factor
    modulus = next(each for each in range(largest, 0, -factor) if each % 12 == 1)  # as products of safe primes are
    value = decode(terms.key.key)
    assert isinstance(value, dict)
    forged = encode({**value, "modulus": modulus.to_bytes(64, "big")})
    with pytest.raises(CharterError, match="no product of two safe primes"):
        PaillierJudge.of(replace(terms, key=replace(terms.key, key=forged)))


def test_nobody_locks_deposits_for_a_key_that_was_dealt_wrongly() -> None:
    coalition = Coalition(SMALL)
    key = dealing(4, 2).key
    first, second, *others = key.verification
    wrong = replace(key, verification=(second, first, *others))
    terms = replace(coalition.terms, key=replace(coalition.terms.key, key=wrong.encode()))
    coalition.terms, coalition.contract = terms, DeepChain(terms, PaillierJudge.of(terms))
    coalition.ledger = MemoryLedger(coalition.contract, terms.digest, clock=coalition.clock)
    for member in (MemberId("p00"), MemberId("w00")):
        agent = coalition.agent(member)
        assert member == "w00" or agent.step(), "it states its asset"
        with pytest.raises(MessageError, match="do not belong together") as refused:
            agent.step()
        assert refused.value.code is Code.PAILLIER_KEY
    assert coalition.state.group.joined == {}
