"""How a member performs the duties of TCLearn: the one part of the protocol that touches models, data and stores."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from tclearn.agents import Site
from tclearn.coalition.acceptance import Terms, wanted
from tclearn.coalition.block import Block
from tclearn.coalition.evidence import HIDDEN, STEP, Paired, Step
from tclearn.coalition.hidden import part_commitment
from tclearn.coalition.terms import ModelTerms
from tclearn.coalition.verdict import TESTED, UNAVAILABLE, Verdict, commitment
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import Code, DataError, ParametersError, StorageError
from tclearn.identity import Signer
from tclearn.identity.seed_chain import links, tip
from tclearn.learning.data_ids import data_set_digest, record_digests
from tclearn.learning.hidden import opened, read_part, write_part
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.learning.steps import compared
from tclearn.learning.trainer import Contribution, HiddenTests, Work
from tclearn.ledger import Call, Duty, Ledger
from tclearn.ledger.cosigning import cosign
from tclearn.limits import (
    DATA_IDS_PER_TRANSACTION_MAX,
    HEAD_CLOCK_SKEW_MS_MAX,
    HIDDEN_PART_BYTES_MAX,
    HIDDEN_PARTS_MAX,
    PARAMETERS_BYTES_MAX,
    PARAMETERS_HEADER_BYTES_MAX,
)
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.accessing import access_subject, check_witness, delivered_subject, needed
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.drawing import next_link
from tclearn.protocols.tclearn.duties import reveal_subject
from tclearn.protocols.tclearn.hiding import hide_subject, parts_before
from tclearn.protocols.tclearn.objects import STEPS_COMPARED
from tclearn.protocols.tclearn.proposing import over_budget
from tclearn.protocols.tclearn.records import Candidate
from tclearn.protocols.tclearn.sealing import to_endorse
from tclearn.protocols.tclearn.state import State
from tclearn.store.streams import hand_on

_MODELS_KEPT: Final = 2 * STEPS_COMPARED + 2
_GIVE_UP_PARTS: Final = 4
_NO_CANDIDATE: Final = Digest(bytes(32))


@dataclass
class Participant:
    """The role of a member in TCLearn; one per member.

    Attributes:
        contract: the rules.
    """

    contract: TCLearn
    _models: OrderedDict[Digest, Parameters] = field(default_factory=OrderedDict, repr=False)
    _work: tuple[Digest, Contribution | None] | None = field(default=None, repr=False)
    _earlier_parts: dict[Digest, frozenset[Digest]] = field(default_factory=dict, repr=False)
    _nothing_hidden: tuple[int, int] | None = field(default=None, repr=False)
    _links: tuple[Digest, ...] | None = field(default=None, repr=False)

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``tclearn.agents.loop.Role.perform``."""
        performers: dict[str, Callable[[Duty, Ledger[State], Site], Call | None]] = {
            "timeout": self._timeout,
            "seal": self._seal,
            "endorse": self._endorse,
            "finalize": self._finalize,
            "release": self._release,
            "hide": self._hide,
            "show": self._show,
            "test": self._test,
            "propose": self._propose,
            "renew": self._renew,
            "access": self._access,
            "delivered": self._delivered,
            "witness": self._witness,
        }
        performer = performers.get(duty.kind)
        return performer(duty, ledger, site) if performer else None

    def model(self, block: Block, site: Site) -> Parameters:
        """The parameters of a block's model, fetched and verified.

        Raises:
            StorageError: they are not in the store.
            ParametersError: what is there is not what the block says.
        """
        return self._fetch(block.locator, block.parameters, site)

    def _timeout(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        return calls.call(calls.Timeout(duty.subject))

    def _propose(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        state = ledger.state()
        newest = state.block(state.tip)
        contribution = self._train(state, newest, site)
        if contribution is None:
            return pass_on(state, site.member)
        declared = state.declared(site.member)
        left = contribution.data_ids[declared.count if declared else 0 :]
        if len(left) > DATA_IDS_PER_TRANSACTION_MAX:
            part = b"".join(left[:DATA_IDS_PER_TRANSACTION_MAX])
            return calls.call(calls.Declare(newest.hash, part))
        return calls.call(
            calls.Propose(
                parent=newest.hash,
                parameters=contribution.parameters.digest,
                locator=site.drafts.put(contribution.parameters.to_bytes()),
                samples=len(contribution.data_ids),
                set_aside=contribution.set_aside,
                data_ids=b"".join(left),
                privacy=contribution.privacy,
            )
        )

    def _train(self, state: State, newest: Block, site: Site) -> Contribution | None:
        subject = state.chance(site.member)
        if self._work is None or self._work[0] != subject or self._work[1] is None:
            # The seed is this member's secret: nobody can replay its training to learn about its records.
            seed = int.from_bytes(_keyed(site, b"training", state.training(site.member))[:8], "big") >> 1
            work = Work(seed, state.hyperparameters, state.used_ids())
            self._work = (subject, site.trainer.train(self.model(newest, site), work))
        contribution = self._work[1]
        if contribution is None:
            return None
        if len(contribution.data_ids) - contribution.set_aside < state.charter.schedule.minimum_batch:
            return None
        done = contribution.privacy
        # It would be refused, and the next one too: what is spent stays spent.
        return None if done and over_budget(state, site.member, done) else contribution

    def _release(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        candidate = _about(duty, ledger.state())
        if candidate is None:
            return None
        if not site.store.has(candidate.locator):
            hand_on(candidate.locator, site.drafts, site.store, size_max=PARAMETERS_BYTES_MAX)
        return calls.call(calls.Release(candidate.id))

    def _hide(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        state = ledger.state()
        first = parts_before(state, site.member)
        if not isinstance(site.trainer, HiddenTests) or self._nothing_hidden == (first, state.tip):
            return None
        earlier = self._earlier(state, site)
        if earlier is None:
            return None  # without them nobody can say what would be new
        parts = site.trainer.hidden_parts(earlier)[:HIDDEN_PARTS_MAX]
        if not parts:
            self._nothing_hidden = first, state.tip
            return None
        promises = tuple(_hidden(part, first, first + place, site) for place, part in enumerate(parts))
        return calls.call(calls.Hide(first, promises))

    def _earlier(self, state: State, site: Site) -> frozenset[Digest] | None:
        # A part that was asked for may have been seen though its `show` came too late: its file is in the store first.
        shown = (state.candidate(number).hidden for number in range(state.candidates))
        announced = {each.part.locator for each in shown if each and each.part and each.part.keeper == site.member}
        locators = set(announced)
        for promise in _promised(state, site):
            decided = site.outbox.get(_part_id(promise, site.member))
            if decided is not None:
                locators.add(calls.Show.from_value(decided.arguments, "outbox").locator)
        for locator in locators - self._earlier_parts.keys():
            try:
                data = _part_file(locator, site)
            except StorageError as error:
                unseen = error.code is Code.VAULT and locator not in announced  # the vault hands out what is announced
                if unseen or error.code is Code.OBJECT_MISSING:
                    continue  # it is lost, and nobody can have seen it
                return None
            self._earlier_parts[locator] = frozenset(record_digests(read_part(data)))
        return frozenset().union(*(self._earlier_parts[each] for each in locators & self._earlier_parts.keys()))

    def _show(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        candidate = _about(duty, ledger.state())
        decided = candidate and candidate.asked and site.outbox.get(_part_id(candidate.asked.commitment, site.member))
        if not candidate or not decided:
            return None
        said = calls.Show.from_value(decided.arguments, "outbox")
        if not site.store.has(said.locator):
            try:
                data = site.drafts.get(said.locator, size_max=HIDDEN_PART_BYTES_MAX)
            except StorageError:
                return None  # it is lost: others are asked
            site.store.put(data)
        return calls.call(replace(said, candidate=candidate.id))

    def _test(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        state = ledger.state()
        candidate = _about(duty, state)
        if candidate is None:
            return None
        later = Duty("reveal", reveal_subject(candidate), site.member, None)
        decided = site.outbox.get(later.id)
        if decided is None:
            verdict = self._verdict(state, candidate, ledger.time_ms(), site)
            if verdict is None:
                return None
            # The reveal is decided with the commitment, and kept first: after any crash it is this verdict or none.
            said = calls.Reveal(candidate.id, candidate.attempt, verdict, _keyed(site, b"salt", duty.id))
            site.outbox.put(later.id, calls.call(said))
        else:
            said = calls.Reveal.from_value(decided.arguments, "outbox")
        promise = commitment(site.coalition, candidate.id, said.attempt, site.member, said.verdict, said.salt)
        return calls.call(calls.Commit(candidate.id, candidate.attempt, promise))

    def _verdict(self, state: State, candidate: Candidate, now_ms: int, site: Site) -> Verdict | None:
        late = now_ms >= candidate.due_ms - state.charter.schedule.verdict_ms // _GIVE_UP_PARTS
        try:
            reference = self.model(state.block(candidate.reference), site)
            offered = self._fetch(candidate.locator, candidate.parameters, site)
            step = self._step(state, offered, site)
        except StorageError:
            # Perhaps it is on its way; near the deadline, not having it is the verdict.
            return Verdict(UNAVAILABLE) if late else None
        except ParametersError:
            return Verdict(UNAVAILABLE)
        try:
            on_hidden, drift = self._on_hidden(state, candidate, (reference, offered), site)
        except StorageError:
            if not late:
                return None
            on_hidden = drift = None
        evidence = site.trainer.measure(reference, offered, state.used_ids())
        evidence = replace(evidence, step=step, on_hidden=on_hidden, drift=drift)
        fault = evidence.fault(
            state.charter.task.metric, wanted(state.rule), hidden_n=candidate.hidden_n, drifting=state.drifting
        )
        if fault:
            raise DataError(
                Code.DATA_SHAPE,
                f"the trainer's measurement cannot be said: {fault}",
                expected=f"what the metric {state.charter.task.metric} and the rule {state.rule.name} ask for",
                remedy="use a trainer that measures it, or another rule in the charter",
            )
        if state.charter.local_results == "counts":
            return Verdict(TESTED, evidence)
        acceptance = state.charter.acceptance
        judged = state.rule.judge(evidence, Terms(acceptance.lambda_ppm, acceptance.arguments))
        return Verdict(TESTED, replace(evidence, on_local=None), int(judged.accepted))

    def _step(self, state: State, offered: Parameters, site: Site) -> Step | None:
        if STEP not in wanted(state.rule):
            return None
        lately = islice(state.lineage(state.tip), STEPS_COMPARED)
        earlier = [(self.model(state.block(block.index - 1), site), self.model(block, site)) for block in lately]
        return compared(self.model(state.block(state.tip), site), offered, earlier)

    def _on_hidden(
        self, state: State, candidate: Candidate, models: tuple[Parameters, Parameters], site: Site
    ) -> tuple[Paired | None, Paired | None]:
        part = candidate.hidden.part if candidate.hidden else None
        if part is None or not isinstance(site.trainer, HiddenTests):
            return None, None
        newest = state.block(state.tip)
        try:
            records = opened(site.store.get(part.locator, size_max=HIDDEN_PART_BYTES_MAX), part.records, part.n)
            chain = (self.model(state.block(newest.best), site), self.model(newest, site)) if state.drifting else None
        except (DataError, ParametersError):
            return None, None  # it says nothing, whoever is to blame
        compare = site.trainer.compare
        return compare(*models, records), compare(*chain, records) if chain else None

    def _seal(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        state = ledger.state()
        chain = state.seed_chain(site.member)
        link = next_link(state, site.member)
        if link is None:
            return None
        epoch, used = link
        shown = chain.last if epoch == chain.epoch else chain.following
        if self._links is None or self._links[used] != shown:
            self._links = next((made for made in _chains(site, epoch) if made[used] == shown), None)
        if self._links is None:
            return None  # of keys that are lost: the next general takes over
        return calls.call(calls.Seal(state.tip + 1, self._links[used + 1]))

    def _endorse(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        state = ledger.state()
        now_ms = site.clock_ms()
        if abs(ledger.time_ms() - now_ms) > HEAD_CLOCK_SKEW_MS_MAX:
            return None  # a ledger whose time is not ours gets no cosignature
        entries = [each.entry for each in to_endorse(state) if each.block.hash == duty.subject]
        if not entries or entries[0] is None:
            return None
        cosignature = cosign(site.signer, site.coalition, ledger.head(entries[0] + 1), now_ms // 1000)
        return calls.call(calls.Endorse(duty.subject, cosignature))

    def _finalize(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        return calls.call(calls.Finalize(ledger.state().tip + 1))

    def _renew(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        epoch = ledger.state().seed_chain(site.member).epoch + 1
        return calls.call(calls.Renew(tip(_seed_secret(site.signer, epoch))))

    def _access(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        state = ledger.state()
        for arguments, _ in needed(state, site.member, ledger.time_ms()):
            if access_subject(state, arguments, site.member) == duty.subject:
                return calls.call(arguments)
        return None

    def _delivered(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        state = ledger.state()
        for number in state.undelivered(site.member):
            if delivered_subject(number) == duty.subject:
                try:
                    site.store.get(state.access(number).object, size_max=object_bytes_max(self.contract))
                except StorageError:
                    return None  # perhaps it is on its way; whether it comes shows in the verdict
                return calls.call(calls.Delivered(number))
        return None

    def _witness(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        now_ms = site.clock_ms()
        if abs(ledger.time_ms() - now_ms) > HEAD_CLOCK_SKEW_MS_MAX:
            return None
        newest = check_witness(ledger.state(), site.member)
        cosignature = cosign(site.signer, site.coalition, ledger.head(newest + 1), now_ms // 1000)
        return calls.call(calls.Witness(cosignature))

    def _fetch(self, locator: Digest | None, parameters: Digest, site: Site) -> Parameters:
        known = self._models.get(parameters)
        if known is None:
            charter = self.contract.charter
            if locator is None:
                known = site.trainer.initial(charter.model.seed)
            else:
                data = site.store.get(locator, size_max=file_bytes_max(charter.model))
                known = Parameters.from_bytes(data, layout=charter.model.layout)
                if charter.vault is not None and not known.is_written_in(data):
                    # One model would have many names, and whoever has it under one would not be found under another.
                    raise ParametersError(
                        Code.PARAMETERS_FORMAT,
                        f"a model's file {locator.hex()[:16]}… that is written in another way than ours",
                        expected="at level B the file that `Parameters.to_bytes` writes, byte by byte",
                        remedy="tell the member that offered it",
                    )
                known.check_finite()
            if known.digest != parameters:
                raise ParametersError(
                    Code.PARAMETERS_DIGEST,
                    f"parameters with digest {known.digest.hex()[:16]}…",
                    expected=f"{parameters.hex()[:16]}… as the ledger says",
                    remedy="tell the member that offered them; if it is M_0, the model code here is another version",
                )
            self._models[parameters] = known
            if len(self._models) > _MODELS_KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(parameters)
        return known


def file_bytes_max(model: ModelTerms) -> int:
    """Bytes that a parameters file of this model can have at most."""
    # No element takes more than 8 bytes: whoever offers a larger file does not make others read it.
    return PARAMETERS_HEADER_BYTES_MAX + 8 * sum(math.prod(tensor.shape) for tensor in model.layout)


def pass_on(state: State, member: MemberId) -> Call | None:
    """What a member says that has nothing to offer: it gives its turn on; ``None``: it is not its turn."""
    if state.turn.member != member:
        return None
    return calls.call(calls.Pass(state.block(state.tip).hash, state.turn.number))


def object_bytes_max(contract: TCLearn) -> int:
    """The largest object of a coalition: no model of its charter has a larger file, and no hidden part."""
    parts = HIDDEN_PART_BYTES_MAX if HIDDEN in wanted(contract.rule) else 0
    return max(parts, file_bytes_max(contract.charter.model))


def _about(duty: Duty, state: State) -> Candidate | None:
    return next((candidate for candidate in state.open_candidates() if candidate.round == duty.subject), None)


def _hidden(records: Records, first: int, number: int, site: Site) -> Digest:
    # What will be shown is decided with the commitment, and kept first, with the records themselves.
    locator, name = site.drafts.put(write_part(records)), data_set_digest(records)
    salt = _keyed(site, b"hidden", digest("tclearn/hidden-salt/1", number, name))
    promise = part_commitment(site.coalition, site.member, number, name, len(records), salt)
    kept = _part_id(promise, site.member)
    if site.outbox.get(kept) is None:
        said = calls.Show(_NO_CANDIDATE, first, number, locator, name, len(records), salt)
        site.outbox.put(kept, calls.call(said))
    return promise


def _promised(state: State, site: Site) -> Iterator[Digest]:
    """What this member has committed to so far: the newest parts are in the state, those before in its outbox."""
    kept = state.kept(site.member)
    if kept is None:
        return
    yield from kept.parts
    first = 0
    while first < kept.first:
        decided = site.outbox.get(Duty("hide", hide_subject(first), site.member, None).id)
        if decided is None:
            return
        parts = calls.Hide.from_value(decided.arguments, "outbox").parts
        yield from parts
        first += len(parts)


def _part_file(locator: Digest, site: Site) -> bytes:
    try:
        return site.drafts.get(locator, size_max=HIDDEN_PART_BYTES_MAX)
    except StorageError:
        return site.store.get(locator, size_max=HIDDEN_PART_BYTES_MAX)


def _part_id(promise: Digest, member: MemberId) -> Digest:
    return Duty("show", promise, member, None).id


def _keyed(site: Site, purpose: bytes, subject: bytes) -> bytes:
    return hmac.new(site.secret, purpose + b"/" + subject, hashlib.sha256).digest()


def _seed_secret(signer: Signer, epoch: int) -> bytes:
    return signer.derive("seed chain" if epoch == 0 else f"seed chain {epoch}")


def _chains(site: Site, epoch: int) -> Iterator[tuple[Digest, ...]]:
    # Renewed, a chain is derived under its epoch's number; an enrolment's, under 0. Either may be of an earlier key.
    for signer in (site.signer, *reversed(site.earlier)):
        for number in sorted({epoch, 0}, reverse=True):
            yield links(_seed_secret(signer, number))
