"""Coalitions with something to tell: driven through the contract, with the numbers of a plausible training."""

from __future__ import annotations

from dataclasses import replace

from tests.protocols.world import World, chain_secret, ids, signer

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.coalition.terms import AcceptanceTerms, MemberRecord, TaskTerms
from tclearn.coalition.verdict import UNAVAILABLE, Verdict
from tclearn.encoding import MemberId, digest
from tclearn.identity.seed_chain import tip
from tclearn.ledger import Head
from tclearn.ledger.cosigning import Cosigned
from tclearn.page import Summary
from tclearn.protocols.tclearn import calls
from tclearn.protocols.tclearn.calls import REVERT
from tclearn.protocols.tclearn.governing import change_id
from tclearn.protocols.tclearn.records import Candidate

GLOBAL_N = 5000
LOCAL_N = 714


def hospitals(n: int) -> tuple[MemberRecord, ...]:
    names = sorted(f"hospital-{i}" for i in range(1, n + 1))
    return tuple(MemberRecord(MemberId(m), signer(m).public, tip(chain_secret(m)), "seed") for m in names)


class Story(World):
    """A world of hospitals, with every validator's result made up from one number per candidate."""

    def __init__(self, n: int = 7, **changes: object) -> None:
        task = TaskTerms("accuracy", digest("G"), GLOBAL_N, 100_000)
        first = {"name": "digits", "members": hospitals(n), "task": task, "acceptance": _ANCHORED}
        super().__init__(n, {**first, **changes})
        self.now = 1_767_225_600_000
        self.performance = {0: 0.098}

    def wobble(self, member: str, what: object) -> float:
        number = int.from_bytes(digest("wobble", member, str(what))[:4], "big") / 2**32
        steady = int.from_bytes(digest("wobble", member)[:4], "big") / 2**32
        return 0.02 * (number - 0.5) - 0.03 * steady

    def verdict(self, member: str, candidate: Candidate, value: float) -> Verdict:
        before = self.performance[candidate.reference]
        local = self.paired(
            LOCAL_N, before + self.wobble(member, candidate.reference), value + self.wobble(member, candidate.height)
        )
        on_global = self.paired(self.charter.task.global_n, before, value)
        if self.charter.local_results == "vote":
            return Verdict("tested", Evidence(on_global, None), int(value >= 0.98 * before))
        return Verdict("tested", Evidence(on_global, local))

    def paired(self, n: int, before: float, value: float) -> Paired:
        scale = n if self.charter.task.metric == "accuracy" else 1_000_000
        old, new = (round(scale * min(max(number, 0.0), 1.0)) for number in (before, value))
        if scale != n:
            return Paired(n, scale, old, new, 0, 0)
        churn = min(n - max(old, new), old, new, 7)
        return Paired(n, n, old, new, max(old - new, 0) + churn, max(new - old, 0) + churn)

    def tested(
        self, value: float, *, records: int = 400, missing: str = "", absent: str = "", deviating: str = ""
    ) -> Candidate:
        """The member whose turn it is offers a candidate that everybody tests, but for those named."""
        proposer = self.state.turn.member or next(m for m in self.members if "propose" in self.duties(m))
        known = ids(*range(self.records, self.records + records))
        self.records += records
        self.now += 60_000
        candidate = self.release(self.propose(proposer, records=known))
        said: dict[MemberId, Verdict] = {}
        for member in candidate.committee:
            if member in missing.split():
                continue
            said[member] = self.verdict(member, candidate, value)
            if member in absent.split():
                said[member] = Verdict(UNAVAILABLE)
            elif member in deviating.split():
                said[member] = self.verdict(member, candidate, value - 0.2)
        for member, verdict in said.items():
            self.commit(member, candidate, verdict)
        if len(said) < len(candidate.committee):
            self.timeout()
        for member, verdict in said.items():
            self.reveal(member, candidate, verdict)
        return self.state.candidate(candidate.number)

    def accepted(self, value: float, **how: object) -> None:
        candidate = self.tested(value, **how)  # type: ignore[arg-type]
        assert candidate.status == "accepted", candidate
        self.now += 1500
        height = candidate.height
        self.seal()
        for member in self.members:
            self.endorse(member)
        self.performance[height] = value

    def refused_for_duplicates(self) -> None:
        self.now += 60_000
        proposer = self.state.turn.member
        assert proposer is not None
        self.propose(proposer, records=ids(*range(204)))

    def reverted(self, target: int) -> None:
        self.now += 3_600_000
        change = calls.Change(REVERT, self.state.tip + 1, target=target)
        asker, *others = self.members
        self.say(asker, calls.Request(change))
        for member in others:
            if self.state.pending is None:
                self.say(member, calls.Approve(change_id(change)))
        self.performance[self.state.tip + 1] = self.performance[target]
        self.chain()


_ANCHORED = AcceptanceTerms("anchored", 980_000, {})


def digits() -> Story:
    """Seven hospitals, seven blocks, one liar, one cheat, and some ordinary trouble."""
    story = Story()
    story.accepted(0.871, records=204)
    story.accepted(0.902, records=1080)
    story.tested(0.104, records=900)
    story.refused_for_duplicates()
    story.accepted(0.921, records=1080, missing="hospital-2")
    story.accepted(0.9318, records=3000, deviating="hospital-3")
    story.accepted(0.947, records=2400, absent="hospital-6")
    story.accepted(0.9442, records=2400)
    story.accepted(0.957, records=4800)
    return story


def summary(story: World, **changes: object) -> Summary:
    size = story.index
    head = Head(size, digest("root", size), digest("results", size), story.now)
    cosigned = Cosigned(head, tuple(story.members[:-1]))
    first = Summary(
        coalition=story.charter.digest.hex(),
        entries=size + 1,
        cosigned=cosigned,
        seed=1,
        centralised=0.961,
        export="coalition.tclearn",
        note="tclearn demo, version 0.1.0",
    )
    return replace(first, **changes)  # type: ignore[arg-type]
