"""``simulate``: a coalition of named data sets, trained here and now."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tclearn.agents import Agent, MemoryOutbox, Outbox, Site, VirtualClock, run
from tclearn.agents.outbox import FileOutbox
from tclearn.coalition.acceptance import wanted
from tclearn.coalition.charter import Charter
from tclearn.coalition.charter_vault import CONFIDENTIAL
from tclearn.coalition.resolve import resolve, terms_of_privacy
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import MemberRecord
from tclearn.directory import CoalitionDirectory
from tclearn.directory.vault import own_vault
from tclearn.encoding import MemberId
from tclearn.errors import Code, DataError, UsageError
from tclearn.extensions import load
from tclearn.learning.data_ids import data_set_digest
from tclearn.learning.drawing import order
from tclearn.learning.id_source import IdSource, SupervisorIds
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records, materialise
from tclearn.learning.source import load_factory, source_digest
from tclearn.learning.trainer import LocalData, Recipe, Task, Trainer
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.recorded import Log
from tclearn.protocols.tclearn import contract as contract_of
from tclearn.protocols.tclearn.agent import Participant
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.continuing import continued, keep_cast, name_of
from tclearn.simulation.installed import installed_name
from tclearn.simulation.keys import SeededKeys
from tclearn.simulation.progress import following
from tclearn.simulation.result import KeptLog, Result
from tclearn.store import Store
from tclearn.store.filesystem import FilesystemStore
from tclearn.store.memory import MemoryStore
from tclearn.store.vault.key_file import Cost

CANDIDATES_WITHOUT_BLOCK_PER_MEMBER: Final = 4
"""A simulation ends when so many candidates a member, one after the other, have brought no block."""
START_MS: Final = 1_767_225_600_000
"""Virtual time begins on 1 January 2026, 00:00 UTC, in every simulation: block hashes must not depend on the day."""
NO_COST: Final = Cost(1, 8)
"""Of a guess of the vault's passphrase: it comes from a printed seed, and nobody has to guess it."""
MEMBERS: Final = "members"


def _go_on(_: State) -> bool:
    return True


def simulate(  # noqa: PLR0913 - a coalition has that many parts, and each is named by the caller
    charter: Charter,
    *,
    members: Mapping[str, Any],
    global_test: Any,
    trainer: Recipe,
    seed: int,
    local_tests: Mapping[str, Any] | None = None,
    hidden_test: Any = None,
    hidden_parts: int = 8,
    adversaries: Mapping[str, Callable[[Trainer], Trainer]] | None = None,
    contributions: int | None = None,
    directory: Path | str | None = None,
    on_entry: Callable[[State], bool] = _go_on,
    progress: bool | None = None,
) -> Result:
    """Train one model over several members' data, as a coalition would, in this process.

    The members' agents, the contract and the ledger are those of a deployment. Keys and noise come from ``seed``, and
    the clock is virtual, so the same call gives the same blocks on the same machine.

    Args:
        charter: what the members agree on.
        members: data set by member name: ``(x, y)`` arrays or a map-style torch data set.
        global_test: the global test set G, in the same form.
        trainer: how to train (``TorchTrainer(...)``, ``SklearnTrainer(...)``, or your own ``Recipe``).
        seed: fixes keys, draws and training.
        local_tests: local test sets by member, instead of records put aside from the contributions.
        hidden_test: test records that nobody sees, in the same form; they are dealt out to the members, who keep them
            hidden until they are shown part by part, where the acceptance rule looks at such parts (``strict``).
        hidden_parts: into how many parts each member divides its share of them.
        adversaries: by member, a wrapper that makes its trainer misbehave.
        contributions: into how many contributions each member divides its records; ``None``: as many as it takes to
            make the charter's blocks when nobody's is rejected.
        directory: where ledger, models and outboxes are kept; ``None``: in memory. A directory of an interrupted run
            with the same arguments is continued.
        on_entry: called after every ledger entry; ``False`` stops the run there.
        progress: say on standard error how far it is: in one line that is rewritten on a terminal or in a notebook, in
            a line a block elsewhere. ``None``: only where it can be rewritten, and only without ``on_entry``.

    Returns:
        Blocks, votes, performance, the trained model, and the record.

    Raises:
        CharterError: the charter is not usable.
        DataError: a data set or the model code is not usable.
        AgentError: ``directory`` belongs to a run with other arguments.
    """
    setting = Setting(
        charter=charter,
        members=members,
        global_test=global_test,
        trainer=trainer,
        seed=seed,
        local_tests=local_tests or {},
        hidden_test=hidden_test,
        hidden_parts=hidden_parts,
        adversaries=adversaries or {},
        contributions=contributions,
    )
    simulation = Simulation.prepare(setting, Path(directory) if directory is not None else None)
    if progress is None and on_entry is not _go_on:
        progress = False  # what the caller prints there would be mixed up with it
    try:
        with following(progress) as tell:

            def entry(state: State) -> bool:
                tell(state)
                return on_entry(state)

            tell(simulation.ledger.state())
            simulation.run(entry)
        return simulation.result()
    finally:
        simulation.close()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Who takes part with what; attributes as the arguments of ``simulate``."""

    charter: Charter
    members: Mapping[str, Any]
    global_test: Any
    trainer: Recipe
    seed: int
    local_tests: Mapping[str, Any] = field(default_factory=dict)
    hidden_test: Any = None
    hidden_parts: int = 8
    adversaries: Mapping[str, Callable[[Trainer], Trainer]] = field(default_factory=dict)
    contributions: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.members, Mapping):
            raise UsageError(Code.USAGE, "members is not a mapping", expected='{"hospital-1": its data set, …}')
        for name, wrap in self.adversaries.items():
            if not callable(wrap):
                raise UsageError(
                    Code.USAGE, f"the adversary {name!r} is {wrap!r}", expected="a callable that wraps a trainer"
                )
        for given in (*self.local_tests, *self.adversaries):
            if given not in self.members:
                raise UsageError(Code.USAGE, f"{given!r} is not a member", expected=", ".join(map(str, self.members)))

    @property
    def cast(self) -> dict[str, Any]:
        """What is not in the charter; see ``keep_cast``."""
        named = {name: name_of(wrap) for name, wrap in self.adversaries.items()}
        cast = {"adversaries": named, "contributions": self.contributions, "local_tests": sorted(self.local_tests)}
        return cast if self.hidden_test is None else {**cast, "hidden_parts": self.hidden_parts}

    @property
    def names(self) -> list[MemberId]:
        """The members' names, sorted as text, as the charter has them."""
        return sorted(MemberId(name) for name in self.members)

    @property
    def keys(self) -> SeededKeys:
        """Every key."""
        return SeededKeys(self.seed)

    def trainers(self, names: Sequence[MemberId] | None = None, ids: IdSource | None = None) -> dict[MemberId, Trainer]:
        """A trainer per member, with its data and its misbehaviour.

        Args:
            names: of which members; ``None``: of all.
            ids: where their data IDs come from; ``None``: from the seeded key, at level B that of the supervisor.
        """
        if ids is None and self.charter.level == CONFIDENTIAL:
            ids = SupervisorIds(self.keys.ids())
        task = Task(
            model=load_factory(self.charter.model),
            arguments=self.charter.arguments,
            metric=self.charter.metric,
            global_test=self.global_test,
            local_share=self.charter.local_share_ppm,
            minimum_batch=self.charter.minimum_batch,
            data_key=self.keys.data(),
            step_search=self.charter.steps_searched_on,
            wants=wanted(load("tclearn.acceptance", self.charter.acceptance)),
            privacy=terms_of_privacy(self.charter),
            seeded_noise=True,
        )
        # As many contributions per member as it takes to fill the chain: a record counts once.
        enough = math.ceil((self.charter.blocks or 1) / len(self.members))
        trainers = {}
        hidden = self._hidden()
        for name in self.names if names is None else names:
            data = LocalData(
                self.members[name],
                self.local_tests.get(name),
                self.contributions or enough,
                hidden_test=hidden.get(name),
                hidden_parts=self.hidden_parts,
                ids=ids,
            )
            try:
                trainer = self.trainer.bind(task, data)
            except DataError as error:
                error.what = f"{name}: {error.what}"
                raise
            trainers[name] = self.adversaries[name](trainer) if name in self.adversaries else trainer
        return trainers

    def check(self) -> None:
        """Resolve the charter, and write nothing; returns nothing. Errors as ``simulate``."""
        first = self.names[:1]
        self.resolved(self.trainers(first)[first[0]].initial(self.charter.seed))

    def _hidden(self) -> dict[MemberId, Records]:
        if self.hidden_test is None:
            return {}
        records = materialise(self.hidden_test, "the hidden test set")
        dealt = order(self.seed, "hidden", len(records))
        count = len(self.names)
        shares = {name: dealt[place::count] for place, name in enumerate(self.names)}
        return {name: records.take(share) for name, share in shares.items() if len(share)}

    def resolved(self, initial: Parameters, members: Sequence[MemberRecord] | None = None) -> ResolvedCharter:
        """The charter, complete.

        Args:
            initial: M_0.
            members: as the charter admits them; ``None``: by their seeded keys, without certificates.
        """
        records = materialise(self.global_test, "the global test set")
        return resolve(
            replace(self.charter, trainer=installed_name(self.trainer) or self.charter.trainer),
            members=[self.keys.member(name) for name in self.names] if members is None else members,
            log_key=self.keys.log().public,
            layout=initial.layout,
            initial=initial.digest,
            source=source_digest(load_factory(self.charter.model)),
            global_test=data_set_digest(records),
            global_n=len(records),
            hyperparameters=self.trainer.hyperparameters(),
            data_key=self.keys.data(),
            id_key=self.keys.ids().public,
        )


@dataclass
class Simulation:
    """A coalition in this process, ready to run.

    Attributes:
        charter: the resolved charter.
        ledger: the ledger that all members share.
        agents: one per member, in the order of the names.
        keys: every key.
        clock: the virtual clock.
        store: the coalition's store of model files.
        directory: where all of it is kept, if anywhere.
    """

    charter: ResolvedCharter
    ledger: MemoryLedger[State] | EmbeddedLedger[State]
    agents: list[Agent[State]]
    keys: SeededKeys
    clock: VirtualClock
    store: Store
    directory: Path | None
    _outboxes: list[FileOutbox] = field(default_factory=list)

    @classmethod
    def prepare(cls, setting: Setting, directory: Path | None = None) -> Simulation:
        """Bind data, resolve the charter, open or make the ledger. Errors as ``simulate``."""
        keys = setting.keys
        names, trainers = setting.names, setting.trainers()
        resolved = setting.resolved(trainers[names[0]].initial(setting.charter.seed))
        contract = contract_of(resolved)
        clock = VirtualClock(START_MS)
        if directory is None:
            store: Store = MemoryStore()
            ledger: MemoryLedger[State] | EmbeddedLedger[State] = MemoryLedger(contract, resolved.digest, clock=clock)
        else:
            keep_cast(directory, setting.cast)
            home = CoalitionDirectory.make(
                directory,
                resolved,
                log_key=keys.log(),
                data_key=keys.data(),
                clock=clock,
                passphrase=keys.passphrase(),
                cost=NO_COST,
            )
            store, ledger = home.store, home.ledger
        simulation = cls(resolved, ledger, [], keys, clock, store, directory)
        try:
            for name in names:
                simulation.agents.append(Agent(Participant(contract), ledger, simulation._site(name, trainers[name])))
        except BaseException:
            simulation.close()
            raise
        return simulation

    def run(self, on_entry: Callable[[State], bool] = _go_on) -> None:
        """Let the members work until nobody has anything left to do."""
        last_speaker = continued(self.ledger, self.agents, self.clock)

        def goes_on() -> bool:
            state = self.ledger.state()
            return on_entry(state) and not self._is_stuck(state)

        if not self._is_stuck(self.ledger.state()):
            run(self.agents, self.clock, last_speaker=last_speaker, on_entry=goes_on)

    def _is_stuck(self, state: State) -> bool:
        # Nothing is decided any more: a deployment would wait for the members that are away.
        number = state.candidates - CANDIDATES_WITHOUT_BLOCK_PER_MEMBER * len(self.agents)
        return number >= 0 and state.candidate(number).height > state.tip

    def result(self) -> Result:
        """What has come out so far."""
        state = self.ledger.state()
        site, role = self.agents[0].site, self.agents[0].role
        if not isinstance(role, Participant):
            raise TypeError("not a TCLearn role")
        parameters = role.model(state.block(state.tip), site)
        model = site.trainer.model(parameters)
        log: Log = self.ledger
        if self.directory is not None:
            log = KeptLog(self.directory, self.charter.digest, len(self.ledger))
        return Result(self.charter, state, parameters, model, log, self.keys.log())

    def close(self) -> None:
        """Release the files."""
        for outbox in self._outboxes:
            outbox.close()
        if isinstance(self.ledger, EmbeddedLedger):
            self.ledger.close()

    def _site(self, name: MemberId, trainer: Trainer) -> Site:
        drafts: Store = MemoryStore()
        outbox: Outbox = MemoryOutbox()
        if self.directory is not None:
            home = self.directory / MEMBERS / name
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            sealed = self.charter.vault is not None
            drafts = (
                own_vault(home / "drafts", self.keys.own_vault(name)) if sealed else FilesystemStore(home / "drafts")
            )
            outbox = FileOutbox(home / "outbox.sqlite")
            self._outboxes.append(outbox)
        return Site(
            member=name,
            coalition=self.charter.digest,
            signer=self.keys.signer(name),
            store=self.store,
            drafts=drafts,
            trainer=trainer,
            outbox=outbox,
            clock_ms=self.clock,
            secret=self.keys.secret(name),
        )
