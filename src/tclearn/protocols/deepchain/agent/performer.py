"""How a member performs the duties of DeepChain: trains, encrypts, verifies, adds up, opens.

Everything follows from the ledger's state, the store and the member's outbox: who starts again knows what it knew. What
is made with randomness (a gradient, shares) is made once for a duty: it lies in the member's own drafts, and its name
in the outbox, before a byte of it is seen by others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from tclearn.agents import Site
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import Code, MessageError, UsageError
from tclearn.identity.seed_chain import links
from tclearn.learning.parameters import Parameters
from tclearn.learning.start import check_start
from tclearn.learning.trainer import Work
from tclearn.ledger import Call, Duty, Ledger
from tclearn.ledger.cosigning import cosign
from tclearn.limits import HEAD_CLOCK_SKEW_MS_MAX
from tclearn.paillier.arithmetic import Run, one_by_one
from tclearn.paillier.encryption import Encryptor
from tclearn.paillier.keys import FAST_BITS
from tclearn.paillier.statements import Context
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.ciphering import encrypted, opened, shared
from tclearn.protocols.deepchain.agent.examining import Examiner
from tclearn.protocols.deepchain.agent.files import (
    Batch,
    root_of,
    write_batches,
    write_opened,
)
from tclearn.protocols.deepchain.agent.fraud_proofs import accusation, challenge, dispute
from tclearn.protocols.deepchain.agent.joining import JOINING, Membership, joining
from tclearn.protocols.deepchain.agent.keeping import keyed, made_once
from tclearn.protocols.deepchain.agent.quantising import gradient, quantise
from tclearn.protocols.deepchain.agent.randomness import OperatingSystem, Randomness
from tclearn.protocols.deepchain.agent.remaking import following
from tclearn.protocols.deepchain.agent.watching import ACCUSE, CHALLENGE, DISPUTE, Watched, accused
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import Iteration
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.steps import due_ms
from tclearn.protocols.deepchain.terms import DeepChainTerms
from tclearn.protocols.deepchain.times import PHASES

_GIVE_UP_PARTS: Final = 4
"""In the last quarter of a phase, what has not come by then counts as not coming."""


@dataclass
class Performer:
    """The role of a member in DeepChain: party, worker, or both; one per member.

    Attributes:
        rules: the contract, with a ``PaillierJudge``.
        membership: what a party has; ``None``: the member is only a worker.
        randomness: of ciphertexts and proofs.
        encryptor: with the table of the key, which members in one process share; ``None``: made when it is needed.
        run: cores.
        allow_toy: whether this member takes part though the charter's key is a toy, which hides nothing of what it
            hands in.

    Raises:
        UsageError: the judge has no key; randomness that others know, under a key that is meant to protect; or a party
            under a toy key without ``allow_toy``.
    """

    rules: DeepChain
    membership: Membership | None = None
    randomness: Randomness = field(default_factory=OperatingSystem)
    encryptor: Encryptor | None = field(default=None, repr=False)
    run: Run = field(default=one_by_one, repr=False)
    allow_toy: bool = False
    _model: tuple[int, Parameters] | None = field(default=None, init=False, repr=False)
    _links: tuple[Digest, ...] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        judge = self.rules.judge
        if not isinstance(judge, PaillierJudge):
            raise UsageError(Code.USAGE, "a judge without a threshold key", expected="a PaillierJudge")
        if self.randomness.simulated and not judge.key.is_toy:
            raise UsageError(
                Code.USAGE,
                f"seeded randomness for a key of {judge.key.bits} bits",
                expected="the operating system's; seeds are for toy keys",
            )
        self._judge = judge
        if self.membership is not None:  # whoever only reads the model has nothing that a key could hide
            self._check_toy()
        self._examiner = Examiner(self.rules.terms, judge, self.run)

    @cached_property
    def contract(self) -> Watched:
        """See ``tclearn.agents.loop.Role.contract``: the rules, with what is to be looked at among the duties."""
        return Watched(self.rules.terms, self.rules.judge)

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``tclearn.agents.loop.Role.perform``.

        Raises:
            UsageError: the charter's key is a toy, and nobody has allowed it: no deposit is locked, nothing is trained.
            TCLearnError: the member's data or its store failed.
        """
        self._check_toy()
        state = ledger.state()
        if duty.kind == "timeout":
            return calls.call(calls.Timeout(duty.subject))
        if duty.kind in JOINING:
            return joining(duty.kind, state, site, self.membership, self._judge.key)
        iteration = state.iteration
        if iteration is None:
            return None
        if duty.kind == "append":
            return self._append(iteration, ledger, site)
        during: dict[str, Callable[[Duty, State, Iteration, Site], Call | None]] = {
            ACCUSE: self._accuse,
            DISPUTE: self._dispute,
            CHALLENGE: self._challenge,
            "contribute": self._contribute,
            "attach": lambda *_: calls.call(calls.Attach(iteration.number)),
            "update": self._update,
            "share": self._share,
        }
        voting: dict[str, Callable[[State, Iteration, Site, bool], Call | None]] = {
            "verify": self._verify,
            "check": self._check,
            "take": self._take,
            "report": self._report,
        }
        if duty.kind in voting:
            return voting[duty.kind](state, iteration, site, _late(state, iteration, ledger.time_ms()))
        performer = during.get(duty.kind)
        return performer(duty, state, iteration, site) if performer else None

    def model(self, state: State, site: Site) -> Parameters:
        """W after all iterations that have succeeded, computed from W_0 and what was opened in each.

        Raises:
            StorageError: an opened sum is not in the store.
            ParametersError: W_0 is not what the terms say.
        """
        rounds, terms = state.group.rounds, self.rules.terms
        if self._model is None or self._model[0] > rounds:
            start = site.trainer.initial(terms.model.seed)
            check_start(start, terms.model)
            self._model = 0, start
        for number in range(self._model[0] + 1, rounds + 1):
            result = state.result(number)
            self._model = number, following(self._model[1], result, terms, self._judge.layout, site.store)
        return self._model[1]

    def _check_toy(self) -> None:
        if self._judge.key.is_toy and not self.allow_toy:
            raise UsageError(
                Code.USAGE,
                f"this charter has {', '.join(self._judge.warnings)}",
                expected=f"a key of {FAST_BITS} bits or more",
                remedy="ask whoever founded the coalition; with allow_toy=True a test takes part all the same",
            )

    # --- gradients ----------------------------------------------------------------------------------------------------

    def _contribute(self, duty: Duty, state: State, iteration: Iteration, site: Site) -> Call | None:
        def made() -> Sequence[Batch] | None:
            steps = self._steps(state, iteration, site)
            if steps is None:
                return None
            entropy = self.randomness.source("gradient", site.secret, duty.id, [*steps])
            places = self._places(iteration, site.member)
            return encrypted(self._encryptor(), self._judge.layout, places, steps, entropy, run=self.run)

        return made_once(duty, calls.Contribute, iteration, site, self.rules.terms.key, made)

    def _steps(self, state: State, iteration: Iteration, site: Site) -> list[int] | None:
        start = self.model(state, site)
        contribution = site.trainer.train(start, work(self.rules.terms, iteration.number, site))
        if contribution is None:
            return None
        change = gradient(start, contribution.parameters)
        return [int(step) for step in quantise(change, self.rules.terms.key.clip, self._judge.layout.levels)]

    def _verify(self, state: State, iteration: Iteration, site: Site, late: bool) -> Call | None:
        handed = sorted(set(iteration.gradients) - set(iteration.convicted))
        found = {MemberId(party): self._examiner.gradient(iteration, MemberId(party), site.store) for party in handed}
        if not late and None in found.values():
            return None  # perhaps it is on its way
        approved = tuple(party for party, each in found.items() if each is not None and each.right)
        return calls.call(calls.Verify(iteration.number, approved))

    def _accuse(self, duty: Duty, state: State, iteration: Iteration, site: Site) -> Call | None:
        party = accused(state, duty)
        found = self._examiner.gradient(iteration, party, site.store) if party in iteration.gradients else None
        if party is None or found is None or found.wrong is None:
            return None
        return calls.call(accusation(iteration, party, found.batches, found.wrong))

    # --- the sum ------------------------------------------------------------------------------------------------------

    def _update(self, duty: Duty, state: State, iteration: Iteration, site: Site) -> Call | None:
        sums, link = self._examiner.sums(iteration, site.store), self._link(state, site)
        if sums is None or link is None:
            return None
        locator = site.store.put(write_batches(sums))
        return calls.call(calls.Update(iteration.number, iteration.attempt, root_of(sums), locator, link))

    def _link(self, state: State, site: Site) -> Digest | None:
        known = state.links(site.member)
        if self._links is None:
            # The chain was committed to in the terms, perhaps under an earlier key.
            signers = (site.signer, *site.earlier)
            chains = (links(signer.derive("seed chain")) for signer in signers)
            self._links = next((chain for chain in chains if chain[known.used] == known.last), None)
        return None if self._links is None else self._links[known.used + 1]

    def _check(self, state: State, iteration: Iteration, site: Site, late: bool) -> Call | None:
        right = self._examiner.sum_is_right(iteration, site.store)
        if right is None and not late:
            return None
        return calls.call(calls.Check(iteration.number, iteration.attempt, int(right is True)))

    def _dispute(self, duty: Duty, state: State, iteration: Iteration, site: Site) -> Call | None:
        if self._examiner.sum_is_right(iteration, site.store) is not False:
            return None
        gradients = [self._examiner.gradient(iteration, party, site.store) for party in iteration.counted]
        total, own = self._examiner.total(iteration, site.store), self._examiner.sums(iteration, site.store)
        if total is None or own is None:
            return None
        shown = dispute(iteration, [found.batches for found in gradients if found], total, own)
        return None if shown is None else calls.call(shown)

    def _append(self, iteration: Iteration, ledger: Ledger[State], site: Site) -> Call | None:
        now_ms, total, block = site.clock_ms(), iteration.sum, iteration.block
        if total is None or block is None or abs(ledger.time_ms() - now_ms) > HEAD_CLOCK_SKEW_MS_MAX:
            return None  # a ledger whose time is not ours gets no cosignature
        right = self._examiner.sum_is_right(iteration, site.store)
        # A quorum of the workers has found the sum right: near the deadline, whoever could not look believes them.
        if right is False or (right is None and not _late(ledger.state(), iteration, ledger.time_ms())):
            return None
        cosignature = cosign(site.signer, site.coalition, ledger.head(total.entry + 1), now_ms // 1000)
        return calls.call(calls.Append(block.hash, cosignature))

    # --- opening ------------------------------------------------------------------------------------------------------

    def _take(self, state: State, iteration: Iteration, site: Site, late: bool) -> Call | None:
        right = self._examiner.sum_is_right(iteration, site.store)
        if right is None and not late:
            return None
        return calls.call(calls.Take(iteration.number, int(right is True)))

    def _share(self, duty: Duty, state: State, iteration: Iteration, site: Site) -> Call | None:
        membership = self.membership
        # Whatever votes have said: who opens something else than the sum of all that is counted opens, perhaps, one
        # party's gradient.
        if membership is None or not self._examiner.sum_is_right(iteration, site.store):
            return None
        total = self._examiner.total(iteration, site.store)

        def made() -> Sequence[Batch] | None:
            if total is None:
                return None
            entropy = self.randomness.source("shares", site.secret, duty.id, root_of(total))
            places = self._places(iteration, site.member)
            return shared(self._judge.key, membership.share, places, total, entropy, run=self.run)

        return made_once(duty, calls.Share, iteration, site, self.rules.terms.key, made)

    def _challenge(self, duty: Duty, state: State, iteration: Iteration, site: Site) -> Call | None:
        party, total = accused(state, duty), self._examiner.total(iteration, site.store)
        found = self._examiner.shares(iteration, party, site.store) if party in iteration.shares else None
        if party is None or total is None or found is None or found.wrong is None:
            return None
        return calls.call(challenge(iteration, party, total, found.batches, found.wrong))

    def _report(self, state: State, iteration: Iteration, site: Site, late: bool) -> Call | None:
        if self._examiner.total(iteration, site.store) is None:
            # It was there when shares were made of it: nobody is said to have withheld any.
            return calls.call(calls.Report(iteration.number, ())) if late else None
        announced = sorted(set(iteration.shares) - set(iteration.unshared))
        found = {MemberId(party): self._examiner.shares(iteration, MemberId(party), site.store) for party in announced}
        missing = tuple(party for party, each in found.items() if each is None)
        if missing and not late:
            return None
        terms, layout = self.rules.terms, self._judge.layout
        sound = {terms.number(party): each.batches for party, each in found.items() if each is not None and each.right}
        if len(sound) < terms.key.threshold:
            return calls.call(calls.Report(iteration.number, missing))
        present = [terms.number(party) for party in iteration.counted]
        try:
            sums = opened(self._judge.key, layout, sound, self.rules.terms.values, present, run=self.run)
        except MessageError:
            # Somebody has encrypted values out of range: nobody can tell who, and nobody should train on it.
            return calls.call(calls.Report(iteration.number, missing))
        name = site.store.put(write_opened(iteration.number, sums, layout.slot_bits))
        return calls.call(calls.Report(iteration.number, missing, name))

    # --- what is made once --------------------------------------------------------------------------------------------

    def _encryptor(self) -> Encryptor:
        if self.encryptor is None or self.encryptor.key != self._judge.key:
            self.encryptor = Encryptor(self._judge.key)
        return self.encryptor

    def _places(self, iteration: Iteration, member: MemberId) -> Callable[[int], Context]:
        terms = self.rules.terms
        return lambda batch: Context(terms.digest, iteration.number, terms.number(member), batch)


def work(terms: DeepChainTerms, iteration: int, site: Site) -> Work:
    """What a party's trainer is asked for in an iteration, by its number.

    The seed is the member's secret: nobody else can replay its training to learn about its records. Other members or
    another model mean another seed, so that sums of two coalitions do not differ by one party's gradient alone; another
    threshold key does not.
    """
    members = [member.to_value() for member in terms.members]
    name = digest("tclearn/deepchain/training/1", members, [*terms.parties], terms.model.to_value(), iteration)
    seed = int.from_bytes(keyed(site, b"training", name)[:8], "big") >> 1
    return Work(seed, terms.hyperparameters, frozenset())


def _late(state: State, iteration: Iteration, now_ms: int) -> bool:
    times, place = state.terms.times, PHASES.index(iteration.phase)
    begun = times.due_ms(PHASES[place - 1], iteration.attempt) if place else 0
    lasts = times.due_ms(iteration.phase, iteration.attempt) - begun
    return now_ms >= due_ms(state, iteration) - max(lasts, 0) // _GIVE_UP_PARTS
