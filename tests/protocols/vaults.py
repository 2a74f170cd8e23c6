"""A coalition of level B, reduced to its contract; see ``tests.protocols.world``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.protocols.crowd import Crowd
from tests.protocols.world import World, ids, part

from tclearn.coalition.charter_vault import data_key_digest
from tclearn.coalition.terms import DataIdTerms, VaultTerms
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity.oprf_key import oprf_key
from tclearn.ledger import Duty
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.accessing import access_subject, check_witness, delivered_subject, needed
from tclearn.protocols.tclearn.records import AccessState
from tclearn.records import Record

IDS = DataIdTerms(oprf_key(bytes(32)).public, 1000, 1000)


def confidential(**changes: Any) -> dict[str, object]:
    """What makes a charter one of level B; keywords change its ``VaultTerms``."""
    terms = replace(VaultTerms("newest", (), 4, 2, 1), **changes)
    return {"level": "B", "vault": terms, "data_ids": IDS, "data_key": data_key_digest(IDS.public_key)}


class Vaulted(World):
    """A world in which members ask for what they need before they say what needs it."""

    def say(self, member: str, arguments: Record) -> None:
        if isinstance(arguments, calls.Propose | calls.Commit):
            self.ask(member)
        super().say(member, arguments)

    def ask(self, member: str) -> None:
        """Ask for all that the member needs now."""
        for arguments in [each for each, _ in needed(self.state, MemberId(member), self.now)]:
            super().say(member, arguments)

    def use(self, member: str, block: int) -> AccessState:
        """Ask to read a block's model for one's own use."""
        self.say(member, self.using(block))
        return self.state.access(self.state.accesses - 1)

    def using(self, block: int) -> calls.Access:
        return calls.Access(self.state.block(block).locator or digest("M_0"), "use", block=block)

    def witnessing(self, member: str, size: int | None = None) -> calls.Witness:
        return calls.Witness(self.cosignature(member, self.index if size is None else size))

    def showing(self, candidate: Any) -> calls.Show:
        asked = candidate.asked
        file = digest("part file", asked.keeper, asked.number)
        return replace(super().showing(candidate), locator=file)


class VaultCrowd(Crowd):
    """A crowd that also asks for what lies in the vault, whether it may or not."""

    world: Vaulted

    def answer(self, duty: Duty, member: MemberId) -> Record | None:
        world, state = self.world, self.world.state
        if duty.kind == "access":
            return next(
                (
                    each
                    for each, _ in needed(state, member, world.now)
                    if access_subject(state, each, member) == duty.subject
                ),
                None,
            )
        if duty.kind == "delivered":
            numbers = range(state.accesses)
            return next((calls.Delivered(n) for n in numbers if delivered_subject(n) == duty.subject), None)
        if duty.kind == "witness":
            return world.witnessing(member)
        return super().answer(duty, member)

    def proposal(self) -> calls.Propose:
        proposed = super().proposal()
        # The file of a model has one name; now and then somebody claims another one's.
        file = digest("file", proposed.parameters) if self.choose.random() < 0.9 else self.some_object()
        return replace(proposed, locator=file)

    def anything(self, member: str) -> Record:
        choose, state = self.choose, self.world.state
        if choose.random() < 0.5:
            return super().anything(member)
        known = [state.candidate(number).id for number in range(state.candidates)][-3:]
        candidate = choose.choice([None, *known])
        return choose.choice(
            [
                calls.Access(self.some_object(), choose.choice(["train", "test", "use"]), candidate, None),
                calls.Access(self.some_object(), "use", block=choose.randrange(state.tip + 2)),
                self.world.using(choose.randrange(state.tip + 1)),
                calls.Delivered(choose.randrange(state.accesses + 1)),
                self.world.witnessing(member, choose.randrange(self.world.index + 1)),
            ]
        )

    def some_object(self) -> Digest:
        state = self.world.state
        found = [state.candidate(number).locator for number in range(state.candidates)][-4:]
        found += [each.block.locator for each in state.blocks() if each.block.locator]
        return self.choose.choice([*found, digest("no object")])


__all__ = ["IDS", "VaultCrowd", "Vaulted", "check_witness", "confidential", "ids", "part"]
