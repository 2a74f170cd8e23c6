"""Who does not do its part among real agents is named, and its deposit goes to the others."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from tests.protocols.deepchain.training import Coalition, Faulty, Plan

from tclearn.agents import Site
from tclearn.encoding import MemberId
from tclearn.ledger import Call
from tclearn.paillier.arithmetic import to_bytes
from tclearn.paillier.messages import EncryptedBatch
from tclearn.paillier.proof_encryption import prove_encryption
from tclearn.paillier.statements import Context
from tclearn.protocols.deepchain import adversaries as a
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.files import Batch, read_batches, root_of, write_batches
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import COMPLETE, EMPTY, SUMS

SMALL = Plan(hidden=2, iterations=1)
COINS, GRADIENT, DECRYPTION, WORK = 10_000, 300, 240, 700


def accepted(coalition: Coalition) -> set[str]:
    return {method for method, _, code in coalition.methods() if code == 0}


def gains(coalition: Coalition) -> dict[str, int]:
    """Coins besides the rewards."""
    assert coalition.state.group.status == COMPLETE and coalition.state.accounts.fault() is None
    paid = coalition.state.result(1).paid
    return {member: coalition.coins(member) - COINS - paid.get(member, 0) for member in coalition.members}


def lost_to_parties(coalition: Coalition, culprit: str, deposit: int) -> dict[str, int]:
    parties = coalition.terms.parties
    share = deposit // (len(parties) - 1)
    others = {str(member): share * (member in parties) for member in coalition.members}
    return {**others, culprit: -deposit}


def test_a_wrong_gradient_is_shown_its_party_pays_and_it_is_not_counted():
    coalition = Coalition(SMALL, {"p01": a.WrongGradient}).run()
    assert gains(coalition) == lost_to_parties(coalition, "p01", GRADIENT)
    assert "accuse" in accepted(coalition)
    assert MemberId("p01") not in coalition.state.block(0).counted and len(coalition.state.block(0).counted) == 6
    assert coalition.state.result(1).divisor == 6


class Shorter(a.Faulty):
    """A gradient with a ciphertext too few, under its own root."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method != "contribute":
            return call
        made = calls.Contribute.from_value(call.arguments)
        key = self.role.rules.terms.key
        (batch,) = read_batches(site.store.get(made.locator, size_max=1 << 20), made.root, key)
        short = [replace(batch, items=batch.items[1:])]
        return calls.call(replace(made, root=root_of(short), locator=site.store.put(write_batches(short))))


class Garbage(a.Faulty):
    """A file that is none."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method != "contribute":
            return call
        made = calls.Contribute.from_value(call.arguments)
        return calls.call(replace(made, locator=site.store.put(b"\xff" * 1000)))


@pytest.mark.parametrize(("faulty", "accused"), [(Shorter, True), (Garbage, False)])
def test_gradients_of_another_form_are_shown_or_voted_down(faulty, accused):
    coalition = Coalition(SMALL, {"p03": faulty}).run()
    assert gains(coalition) == lost_to_parties(coalition, "p03", GRADIENT)
    assert ("accuse" in accepted(coalition)) == accused


class Greedy(a.Faulty):
    """A gradient with a value of 23 bits where 16 are meant, and a proof that holds all the same."""

    def said(self, call: Call, site: Site) -> Call | None:
        if call.method != "contribute":
            return call
        made = calls.Contribute.from_value(call.arguments)
        judge, terms = self.role.rules.judge, self.role.rules.terms
        assert isinstance(judge, PaillierJudge) and self.role.encryptor is not None
        plaintexts = judge.layout.pack([0] * self.role.rules.terms.values)
        plaintexts[0] += 1 << 22 + judge.layout.slot_bits  # in the second slot
        place = Context(terms.digest, made.iteration, terms.number(site.member), 0)
        both = self.role.encryptor.encrypt(plaintexts, os.urandom)
        proof = prove_encryption(self.role.encryptor, judge.layout, place, both.ciphertexts, both.openings, os.urandom)
        message = EncryptedBatch.of(judge.key, judge.layout, place, both.ciphertexts, proof)
        size = judge.key.group.element_bytes
        items = tuple(to_bytes([each], size) for each in both.ciphertexts)
        batches = [Batch(items, replace(message, ciphertexts=b"").encode())]
        return calls.call(replace(made, root=root_of(batches), locator=site.store.put(write_batches(batches))))


def test_a_value_out_of_range_that_is_proved_ends_the_iteration_and_nobody_is_blamed():
    coalition = Coalition(SMALL, {"p04": Greedy})
    coalition.run(lambda: coalition.state.group.iterations < 2)
    group = coalition.state.group
    assert (group.rounds, group.voids) == (0, 1)
    assert coalition.state.block(0).kind == SUMS and MemberId("p04") in coalition.state.block(0).counted
    assert {coalition.coins(member) for member in coalition.members} == {COINS}


def test_the_model_is_that_of_the_others():
    lying, silent = (
        Coalition(SMALL, {"p01": faulty}).run()
        for faulty in (a.WrongGradient, lambda role: a.Silent(role, frozenset({"contribute"})))
    )
    assert lying.model("p00") == silent.model("p00") == lying.model("p01")


def test_shares_that_are_announced_and_withheld_cost_their_party_its_deposit():
    coalition = Coalition(SMALL, {"p02": a.WithheldShares}).run()
    assert gains(coalition) == lost_to_parties(coalition, "p02", DECRYPTION)


def test_a_party_that_hands_in_no_shares_loses_its_deposit():
    coalition = Coalition(SMALL, {"p02": lambda role: a.Silent(role, frozenset({"share"}))}).run()
    assert gains(coalition) == lost_to_parties(coalition, "p02", DECRYPTION)


def test_wrong_shares_are_shown_and_their_party_pays():
    coalition = Coalition(SMALL, {"p06": a.WrongShares}).run()
    assert gains(coalition) == lost_to_parties(coalition, "p06", DECRYPTION)
    assert "challenge" in accepted(coalition)


@pytest.fixture(scope="module")
def first_leader() -> str:
    coalition = Coalition(SMALL)
    coalition.run(lambda: coalition.state.iteration is None or coalition.state.iteration.leader is None)
    iteration = coalition.state.iteration
    assert iteration is not None and iteration.leader is not None
    return iteration.leader


def test_a_wrong_sum_is_shown_its_leader_pays_and_another_one_leads(first_leader):
    coalition = Coalition(SMALL, {first_leader: a.WrongSum}).run()
    blocks = [coalition.state.block(number) for number in range(coalition.state.group.blocks)]
    assert [(block.kind, block.reason) for block in blocks] == [(EMPTY, "the sum is wrong"), (SUMS, "")]
    assert blocks[0].leader == first_leader != blocks[1].leader
    others = dict.fromkeys(coalition.members, WORK // (len(coalition.members) - 1))
    assert gains(coalition) == {**others, first_leader: -WORK}
    assert "dispute" in accepted(coalition)


def test_as_many_as_may_be_faulty_at_once_stop_nothing(first_leader):
    faulty: dict[str, Faulty] = {"p00": a.WrongGradient, "p05": a.WithheldShares, first_leader: a.WrongSum}
    coalition = Coalition(SMALL, faulty).run()
    assert coalition.state.group.status == COMPLETE
    assert {member for member, gain in gains(coalition).items() if gain < 0} == {*faulty}


def test_no_party_opens_a_sum_that_is_not_that_of_what_is_counted():
    # All workers lie, and nobody accuses: the parties neither sign nor open.
    coalition = Coalition(SMALL)
    workers = coalition.terms.workers
    roles: dict[str, Faulty] = {each: a.Agreeable if each in workers else a.Faulty for each in coalition.members}
    coalition = Coalition(SMALL, roles)

    def goes_on() -> bool:
        iteration = coalition.state.iteration
        return iteration is None or (iteration.number == 1 and iteration.attempt < 2)

    coalition.run(goes_on)
    block = coalition.state.block(0)
    assert block.kind == EMPTY and block.reason == "the committee did not sign"
    assert {"share", "take"}.isdisjoint(accepted(coalition))
