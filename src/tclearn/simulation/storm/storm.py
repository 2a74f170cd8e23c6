"""The storm itself: members that each follow the ledger over a bad line, one step after the other, as the seed says."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from tclearn.coalition.charter import Charter
from tclearn.coalition.resolve import resolve
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import MessageError, UnreachableError
from tclearn.identity import Signer
from tclearn.ledger.engines.follower import Follower
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.protocols.tclearn import contract as contract_of
from tclearn.protocols.tclearn.contract import TCLearn
from tclearn.protocols.tclearn.memo import Memo
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.keys import SeededKeys
from tclearn.simulation.storm.faults import Weather
from tclearn.simulation.storm.node import Node
from tclearn.simulation.storm.plan import Plan
from tclearn.simulation.storm.sequencers import Face, Sequencer, TwoFaced
from tclearn.simulation.storm.toys import GLOBAL_N, Looking, Toy
from tclearn.simulation.storm.vault import Handed, StormVault
from tclearn.store import MemoryStore

START_MS: Final = 1_767_225_600_000
CALM_MS: Final = 14 * 24 * 3_600_000
"""How long after the storm training may take to end."""
FORK_MS: Final = 6 * 3_600_000
"""How long two histories are shown before everybody compares."""
REPLAYING: Final = 2
"""So many honest members replay everything themselves; the others see what they see."""
_IDLE_MS: Final = 60_000
_STEP_MS_MAX: Final = 400
_OUTAGE_MS_MAX: Final = 60 * 60_000
_KEYS_SEED: Final = 0
"""All storms have the same keys: what happens does not depend on them, and making them takes longer than the storm."""


@dataclass
class Storm:
    """A storm before, while and after it blows.

    Attributes:
        plan: what was to go wrong.
        contract: the rules.
        weather: what goes wrong.
        nodes: the members; a liar has a second one under a second history.
        sequencers: the history, or both.
        store: the coalition's store.
        handed: what the vault has handed out, at level B.
        rounds: how often every member had its turn.
    """

    plan: Plan
    contract: TCLearn
    weather: Weather
    nodes: list[Node]
    sequencers: list[Sequencer]
    store: MemoryStore
    rounds: int = 0
    handed: list[Handed] = field(default_factory=list)

    @property
    def charter(self) -> ResolvedCharter:
        """What the members have agreed on."""
        return self.contract.charter

    @property
    def honest(self) -> list[Node]:
        """The members that keep to the protocol."""
        return [node for node in self.nodes if not node.lie]

    @property
    def ledger(self) -> MemoryLedger[State]:
        """The history, or the first of two."""
        return self.sequencers[0].ledger

    def trace(self) -> Digest:
        """A digest over everything that happened: the same plan gives the same."""
        heads = [repr(each.ledger.head(len(each.ledger))) for each in self.sequencers]
        return digest("tclearn/storm-trace/1", heads, self.rounds, self.weather.now_ms)

    def run(self) -> None:
        """Let it blow, then wait until training ends, or long enough to say that it does not."""
        weather = self.weather
        calm_ms = weather.now_ms + self.plan.storm_ms
        end_ms = calm_ms + (FORK_MS if self.plan.forks else CALM_MS)
        up_ms = 0
        while weather.now_ms < end_ms:
            self.rounds += 1
            weather.storming = weather.now_ms < calm_ms
            if weather.happens(self.plan.outage):
                up_ms = weather.now_ms + weather.chance.randint(1, _OUTAGE_MS_MAX)
            for each in self.sequencers:
                each.down = weather.storming and weather.now_ms < up_ms
            if not self._round():
                if not weather.storming and self._over():
                    break
                self._wait(calm_ms)
        if self.plan.forks:
            weather.storming = False
            for _ in range(2):
                for node in self.nodes:
                    for other in self.nodes:
                        _tell(node, other)

    def _round(self) -> bool:
        weather = self.weather
        spoke = False
        for node in weather.chance.sample(self.nodes, len(self.nodes)):
            spoke |= node.turn()
            weather.now_ms += weather.chance.randint(1, _STEP_MS_MAX)
            self._deliver()
        if self.plan.forks and not weather.happens(self.plan.lost):
            _tell(*weather.chance.sample(self.nodes, 2))
        return spoke

    def _deliver(self) -> None:
        weather = self.weather
        due = [item for item in weather.mail if item[0] <= weather.now_ms]
        weather.mail = [item for item in weather.mail if item[0] > weather.now_ms]
        weather.chance.shuffle(due)
        for _, deliver in due:
            try:
                deliver()
            except (MessageError, UnreachableError):
                continue

    def _wait(self, calm_ms: int) -> None:
        weather = self.weather
        moments = [moment for moment, _ in weather.mail]
        moments += [node.up_ms for node in self.nodes if node.agent is None]
        for node in self.nodes:
            if node.agent is not None and (due := node.agent.due_ms()) is not None:
                moments.append(due)
        if weather.storming:
            moments.append(calm_ms)
        ahead = [moment for moment in moments if moment > weather.now_ms]
        weather.now_ms = min([*ahead, weather.now_ms + _IDLE_MS * 10]) if ahead else weather.now_ms + _IDLE_MS

    def _over(self) -> bool:
        if self.plan.forks or self.weather.mail:
            return False
        size = len(self.ledger)
        caught_up = all(node.follower is not None and len(node.follower) == size for node in self.honest)
        return caught_up and self.ledger.state().increments >= self.plan.blocks


def weather(plan: Plan) -> Storm:
    """A storm that is about to begin."""
    chance = random.Random(f"tclearn/weather/{plan.seed}")
    contract = _coalition(plan.members, plan.blocks, plan.turns, plan.level, hidden=plan.hidden > 0)
    keys = SeededKeys(_KEYS_SEED)
    sky = Weather(plan, chance, START_MS)
    log = keys.log()
    names = [member.id for member in contract.charter.members]
    lies = {names[place]: lie for place, lie in plan.liars}
    store = MemoryStore()
    storm = Storm(plan, contract, sky, [], [], store)

    def now_ms() -> int:
        return sky.now_ms

    faces: dict[tuple[MemberId, int], Face] = {}
    if plan.forks:
        liar = TwoFaced(
            contract,
            contract.charter.digest,
            log,
            now_ms,
            chance,
            parting=chance.randint(0, 40),
            censored=chance.choice([None, *names]),
            skew_ms=chance.choice([0, 0, -60_000, 600_000]),
        )
        storm.sequencers = [liar.side(0), liar.side(1)]
        faces = {(name, side): Face(liar, side, name) for name in names for side in (0, 1)}
    else:
        storm.sequencers = [Sequencer(MemoryLedger(contract, contract.charter.digest, clock=now_ms), log)]
    honest = [name for name in names if name not in lies]
    replaying = {*honest} if plan.forks else {*chance.sample(honest, min(len(honest), REPLAYING))}
    for place, name in enumerate(names):
        for side in (0, 1) if plan.forks and name in lies else (chance.randint(0, 1),):
            storm.nodes.append(
                Node(
                    name=name,
                    lie=lies.get(name, ""),
                    contract=contract,
                    log_key=log.public,
                    signer=_signer(name),
                    secret=keys.secret(name),
                    echoed=None if name in replaying or plan.forks else storm.sequencers[0],
                    source=faces[name, side] if plan.forks else storm.sequencers[0],
                    elsewhere=faces[name, chance.choice([0, 1])] if plan.forks else storm.sequencers[0],
                    store=StormVault(store, name, storm.sequencers, storm.handed) if plan.level == "B" else store,
                    weather=sky,
                    skew_ms=plan.skews_ms[place] if plan.skews_ms else 0,
                )
            )
    return storm


@cache
def _coalition(members: int, blocks: int, turns: str, level: str, *, hidden: bool) -> TCLearn:
    names = [MemberId(f"m{number:02d}") for number in range(members)]
    keys = SeededKeys(_KEYS_SEED)
    initial = Toy("").initial(1)
    charter = Charter(
        name="storm",
        model=_no_model,
        metric="accuracy",
        blocks=blocks,
        turns=turns,
        level=level,
        acceptance="paper",
        minimum_batch=1,
    )
    resolved = resolve(
        charter,
        members=[keys.member(name) for name in names],
        log_key=keys.log().public,
        layout=initial.layout,
        initial=initial.digest,
        source=digest("tclearn/storm/1"),
        global_test=digest("tclearn/storm/1"),
        global_n=GLOBAL_N,
        hyperparameters={"epochs": 1},
        data_key=keys.data(),
        id_key=keys.ids().public,
    )
    contract = contract_of(resolved)
    if not isinstance(contract, TCLearn):
        raise TypeError("not the contract of TCLearn")
    return replace(contract, rule=Looking(), _memo=Memo()) if hidden else contract


@cache
def _signer(name: MemberId) -> Signer:
    return SeededKeys(_KEYS_SEED).signer(name)


def _no_model() -> None:
    """Stands in for the model factory that a charter names."""


def _tell(node: Node, other: Node) -> None:
    if node is not other and isinstance(node.follower, Follower) and not node.lie:
        for fork in node.forks:
            other.learn(fork)
        if node.follower.note is not None:
            other.hear(node.follower.note)
