"""Members that lie in what they say on the ledger, for testing a charter and the rules themselves.

Each is a participant that departs from the protocol in one way; ``tclearn.simulation.storm`` lets them loose. The other
modules here have those that lie in their training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from tclearn.agents import Site
from tclearn.coalition.evidence import Paired
from tclearn.coalition.verdict import TESTED, Verdict
from tclearn.encoding import digest
from tclearn.ledger import Call, Duty, Ledger
from tclearn.ledger.cosigning import cosign
from tclearn.limits import TRANSACTION_BYTES_MAX
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.records import REVEALING, TESTING, Candidate
from tclearn.protocols.tclearn.state import State


@dataclass
class Liar(Participant):
    """A participant that may also say what nobody asked it; the base of those below, by itself honest."""

    def mischief(self, ledger: Ledger[State], site: Site) -> Iterator[Call]:
        """What it says beyond its duties, each time that it looks at the ledger."""
        return iter(())


@dataclass
class Silent(Liar):
    """Never says anything."""

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``Participant.perform``."""
        return None


@dataclass
class Contrary(Liar):
    """Votes no on what is good and yes on what is bad; several of them collude without a word."""

    def _verdict(self, state: State, candidate: Candidate, now_ms: int, site: Site) -> Verdict | None:
        verdict = super()._verdict(state, candidate, now_ms, site)
        if verdict is None or verdict.evidence is None:
            return verdict
        honest = verdict.evidence.on_global
        worse = honest.candidate >= honest.reference
        claimed = replace(verdict.evidence, on_global=_claimed(honest, 0 if worse else honest.n), on_local=None)
        return Verdict(TESTED, claimed, None if verdict.vote is None else 1 - verdict.vote)


@dataclass
class Inventor(Liar):
    """Reports results on G that it never measured."""

    def _verdict(self, state: State, candidate: Candidate, now_ms: int, site: Site) -> Verdict | None:
        verdict = super()._verdict(state, candidate, now_ms, site)
        if verdict is None or verdict.evidence is None:
            return verdict
        honest = verdict.evidence.on_global
        drawn = int.from_bytes(digest("invented", site.secret, candidate.id)[:8], "big") % (honest.n + 1)
        return Verdict(TESTED, replace(verdict.evidence, on_global=_claimed(honest, drawn)), verdict.vote)


@dataclass
class Copycat(Liar):
    """Commits to what another validator has committed to, and repeats its verdict when it is shown."""

    def _test(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        for candidate in ledger.state().open_candidates():
            if candidate.round == duty.subject and candidate.commits:
                (copied, *_) = candidate.commits.values()
                return calls.call(calls.Commit(candidate.id, candidate.attempt, copied))
        return None

    def mischief(self, ledger: Ledger[State], site: Site) -> Iterator[Call]:
        """See ``Liar.mischief``."""
        for candidate in ledger.state().open_candidates():
            if site.member in candidate.commits and candidate.reveals:
                (verdict, *_) = candidate.reveals.values()
                yield calls.call(calls.Reveal(candidate.id, candidate.attempt, verdict, bytes(32)))


@dataclass
class Withholder(Liar):
    """Never seals and never endorses."""

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``Participant.perform``."""
        return None if duty.kind in ("seal", "endorse") else super().perform(duty, ledger, site)


@dataclass
class Forger(Liar):
    """Seals with a link that is not of its chain, and endorses blocks and heads that do not exist."""

    def _seal(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        return calls.call(calls.Seal(ledger.state().tip + 1, digest("forged link", site.secret)))

    def mischief(self, ledger: Ledger[State], site: Site) -> Iterator[Call]:
        """See ``Liar.mischief``."""
        state = ledger.state()
        head = ledger.head(0)
        forged = digest("forged block", site.secret, state.tip)
        yield calls.call(calls.Seal(state.tip + 2, forged))
        yield calls.call(calls.Endorse(forged, cosign(site.signer, site.coalition, head, site.clock_ms() // 1000)))
        yield calls.call(calls.Finalize(state.tip + 1))


@dataclass
class Teaser(Liar):
    """Says that its weights are in the store, and keeps them."""

    def _release(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        for candidate in ledger.state().open_candidates():
            if candidate.round == duty.subject:
                return calls.call(calls.Release(candidate.id))
        return None


@dataclass
class Hoarder(Liar):
    """Keeps its turn, and what it has proposed, until the deadlines pass."""

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``Participant.perform``."""
        keeps = duty.kind == "release" or (duty.kind == "propose" and int.from_bytes(duty.id[:1], "big") % 2)
        return None if keeps else super().perform(duty, ledger, site)


@dataclass
class Equivocator(Liar):
    """Commits twice and reveals twice, each time something else."""

    def mischief(self, ledger: Ledger[State], site: Site) -> Iterator[Call]:
        """See ``Liar.mischief``."""
        for candidate in ledger.state().open_candidates():
            if site.member not in candidate.committee:
                continue
            other = digest("another word", site.secret, candidate.round)
            if candidate.status == TESTING:
                yield calls.call(calls.Commit(candidate.id, candidate.attempt, other))
            elif candidate.status == REVEALING:
                yield calls.call(calls.Reveal(candidate.id, candidate.attempt, Verdict("unavailable"), other))


@dataclass
class Secretive(Liar):
    """Hides parts of its test records, and shows none."""

    def _show(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        return None


@dataclass
class Swapper(Liar):
    """Shows other records than those that it has hidden, or the right ones with a file that nobody has."""

    def _show(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        call = super()._show(duty, ledger, site)
        if call is None:
            return None
        said, other = calls.Show.from_value(call.arguments), digest("other records", site.secret, duty.id)
        return calls.call(replace(said, records=other) if other[0] % 2 else replace(said, locator=other))


@dataclass
class Boaster(Liar):
    """Claims records that nobody has, to be drawn more often."""

    records: int = 5_000

    def _propose(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        call = super()._propose(duty, ledger, site)
        if call is None or call.method != "propose":
            return call
        honest = calls.Propose.from_value(call.arguments)
        number = self.records
        drawn = digest("invented records", site.secret, duty.id)
        step = (1 << 128) // (number + 1)
        first = int.from_bytes(drawn[:8], "big") % step
        ids = b"".join((first + index * step).to_bytes(16, "big") for index in range(number))
        return calls.call(
            calls.Propose(honest.parent, honest.parameters, honest.locator, number, honest.set_aside, ids)
        )


@dataclass
class Shouter(Liar):
    """Sends messages as large as any that are taken, and larger."""

    sizes: tuple[int, ...] = (TRANSACTION_BYTES_MAX // 16, TRANSACTION_BYTES_MAX + 1)
    _said: int = field(default=0, repr=False)

    def mischief(self, ledger: Ledger[State], site: Site) -> Iterator[Call]:
        """See ``Liar.mischief``."""
        if self._said < len(self.sizes):
            self._said += 1
            yield Call(calls.CONTRACT, "declare", {"data_ids": bytes(self.sizes[self._said - 1])})


@dataclass
class Meddler(Liar):
    """Calls deadlines before they have passed, and does what is for others to do."""

    def mischief(self, ledger: Ledger[State], site: Site) -> Iterator[Call]:
        """See ``Liar.mischief``."""
        state = ledger.state()
        for candidate in state.open_candidates():
            yield calls.call(calls.Timeout(candidate.round))
            yield calls.call(calls.Release(candidate.id))
        if state.pending is not None:
            yield calls.call(calls.Timeout(state.pending.step))
            yield calls.call(calls.Finalize(state.tip + 1))
        yield calls.call(calls.Pass(state.block(state.tip).hash, state.turn.number))


LIARS: Final[dict[str, Callable[[TCLearn], Liar]]] = {
    "silent": Silent,
    "contrary": Contrary,
    "inventor": Inventor,
    "copycat": Copycat,
    "withholder": Withholder,
    "forger": Forger,
    "teaser": Teaser,
    "hoarder": Hoarder,
    "equivocator": Equivocator,
    "secretive": Secretive,
    "swapper": Swapper,
    "boaster": Boaster,
    "shouter": Shouter,
    "meddler": Meddler,
}
"""Every liar by its name."""


def _claimed(honest: Paired, candidate: int) -> Paired:
    # Numbers in the form that the contract demands, whatever they say.
    if honest.scale != honest.n:
        return Paired(honest.n, honest.scale, honest.reference, min(candidate, honest.scale), 0, 0)
    change = candidate - honest.reference
    return Paired(honest.n, honest.scale, honest.reference, candidate, max(0, -change), max(0, change))
