"""The demonstration over a network: a service and its members, each a process of its own, over TLS on this computer.

Keys come from the printed seed, as in every simulation; connections, processes, clocks and files are those of a
deployment. With turns in order the accepted models are those of the demonstration in one process.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from tclearn.agents.clock import RealClock
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import Digest, MemberId
from tclearn.errors import AgentError, Code
from tclearn.files import make_folder, write_whole
from tclearn.identity.certificates import certificate_digest
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.learning.datasets import load
from tclearn.learning.id_source import IdSource
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Trainer
from tclearn.limits import PARAMETERS_BYTES_MAX
from tclearn.protocols.tclearn.history import Step
from tclearn.protocols.tclearn.proposing import finished
from tclearn.protocols.tclearn.state import State
from tclearn.service import server
from tclearn.service.binding import made_with_ids
from tclearn.service.home import MemberHome, Oneself
from tclearn.service.id_desk import IdDesk
from tclearn.simulation.demo import Shown, cast
from tclearn.simulation.demo_directory import SERVICE, alone, make_directory
from tclearn.simulation.demo_options import DemoOptions
from tclearn.simulation.demo_result import EXPORT, MODEL
from tclearn.simulation.keys import SeededKeys
from tclearn.simulation.simulate import MEMBERS, NO_COST, Setting
from tclearn.simulation.tasks import TASKS

_LOOPBACK: Final = "127.0.0.1"
ENROLMENT: Final = "member.pem"
"""In a member's home: its own certificates."""
_LOOK_S: Final = 0.3
_START_S: Final = 120.0
_END_S: Final = 30.0


@dataclass(frozen=True)
class NetworkDemo:
    """A demonstration over a network, ready to run.

    Attributes:
        options: what it shows.
        directory: where everything is kept.
        charter: what the members agree on.
    """

    options: DemoOptions
    directory: Path
    charter: ResolvedCharter
    _lock: Connection

    @classmethod
    def prepare(cls, options: DemoOptions, directory: Path) -> NetworkDemo:
        """Make keys, charter, and the coalition's directory.

        Args:
            options: what to show.
            directory: where everything is kept; an earlier demonstration there is replaced.

        Raises:
            UsageError: an option is out of range, or the directory holds something else.
            UnreachableError: the data set is not here and cannot be fetched.
        """
        options.check()
        setting = cast(options, load(TASKS[options.dataset].dataset))
        setting.check()  # what is there is deleted when nothing can be refused any more
        held = alone(directory)
        try:
            make_directory(directory, options.settings(), resume=False)
            charter = found_coalition(directory, setting)
        except BaseException:
            held.close()
            raise
        return cls(options, directory, charter, held)

    def run(self, on_step: Callable[[Step], None], on_phase: Callable[[str], None]) -> State:
        """Start the service and the members, wait until the charter's stop condition is met, and end them all.

        Args:
            on_step: called once for each increment when it is closed, in order.
            on_phase: told, in words, what is under way.

        Returns:
            The final state, from the service's own ledger; record and model are written.

        Raises:
            AgentError: a process has ended with an error; what it said is in its ``log.txt``.
        """
        shown = Shown(on_step)
        with ExitStack() as running:
            on_phase("starting the service")
            service = running.enter_context(_process(self.directory / SERVICE, "service", self.directory))
            url = _told(service, self.directory / SERVICE / "log.txt")
            on_phase("starting the members")
            members = {
                name: running.enter_context(_process(self._home(name), "member", self.directory, name, url))
                for name in self.options.names
            }
            while any(process.poll() is None for process in members.values()):
                _check({"service": service, **members}, self.directory)
                with CoalitionDirectory.open(self.directory / SERVICE) as coalition:
                    shown.update(coalition.state, all_of_them=False)
                time.sleep(_LOOK_S)
            _check({"service": service, **members}, self.directory)
        passphrase = SeededKeys(self.options.seed).passphrase()
        with CoalitionDirectory.open(self.directory / SERVICE, passphrase=passphrase) as coalition:
            state = coalition.state
            shown.update(state, all_of_them=True)
            coalition.export(self.directory / EXPORT)
            newest = state.block(state.tip)
            if newest.locator is not None:
                model = coalition.store.get(newest.locator, size_max=PARAMETERS_BYTES_MAX)
                Parameters.from_bytes(model, layout=self.charter.model.layout)
                write_whole(self.directory / MODEL, model)
        return state

    def close(self) -> None:
        """Release the directory."""
        self._lock.close()

    def _home(self, name: str) -> Path:
        return self.directory / MEMBERS / name


def found_coalition(directory: Path, setting: Setting) -> ResolvedCharter:
    """Make the directories of a coalition with certificates: the service's, and a home for each member.

    Args:
        directory: what holds them all.
        setting: who takes part with what; keys come from its seed.
    """
    now, keys, enrolments, records = datetime.now(UTC), setting.keys, {}, []
    for name in setting.names:
        enrolment = write_enrolment(name, keys.member_keys(name), now)
        root = read_enrolment(enrolment, now).root
        records.append(replace(keys.member(name), certificate=certificate_digest(root)))
        enrolments[name] = enrolment
        make_folder(directory / MEMBERS / name)
        (directory / MEMBERS / name / ENROLMENT).write_bytes(enrolment)
    first = setting.names[:1]
    charter = setting.resolved(setting.trainers(first)[first[0]].initial(setting.charter.seed), records)
    CoalitionDirectory.make(
        directory / SERVICE,
        charter,
        log_key=keys.log(),
        data_key=keys.data(),
        clock=lambda: int(now.timestamp() * 1000),
        enrolments=enrolments,
        passphrase=keys.passphrase(),
        cost=NO_COST,
    ).close()
    return charter


@contextmanager
def _process(home: Path, *words: object) -> Iterator[subprocess.Popen[bytes]]:
    make_folder(home)
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", __name__, *map(str, words)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _told(service: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        said = log.read_text(errors="replace").split()
        if said and said[-1].startswith("https://") and log.read_text().endswith("\n"):
            return said[-1]
        if service.poll() is not None:
            break
        time.sleep(0.05)
    raise AgentError(Code.STALLED, f"the service did not start: {log.read_text(errors='replace')[-500:]}")


def _check(processes: dict[str, subprocess.Popen[bytes]], directory: Path) -> None:
    for name, process in processes.items():
        if process.poll():
            home = directory / SERVICE if name == "service" else directory / MEMBERS / name
            said = (home / "log.txt").read_text(errors="replace").strip().splitlines()
            raise AgentError(
                Code.STALLED,
                f"{name} has ended: {said[-1] if said else f'exit code {process.returncode}'}",
                remedy=f"see {home / 'log.txt'}",
            )


def serve(directory: Path) -> None:
    """The service's process."""
    now = datetime.now(UTC)
    passphrase = SeededKeys(DemoOptions.interrupted(directory).seed).passphrase()
    with (
        CoalitionDirectory.open(directory / SERVICE, writing=True, passphrase=passphrase) as coalition,
        IdDesk.open(coalition, passphrase) as ids,
        server.listen(_LOOPBACK, 0) as listening,
    ):
        url = f"https://{_LOOPBACK}:{listening.getsockname()[1]}"
        running = server.server(coalition, coalition.roots(now), [_LOOPBACK], now, ids=ids, ready=lambda: _say(url))
        try:
            running.run(sockets=[listening])
        except KeyboardInterrupt:  # raised again when all is closed
            return


def take_part(directory: Path, name: MemberId, url: str) -> None:
    """A member's process: joins, and does its part until the charter's stop condition is met."""
    now = datetime.now(UTC)
    options = DemoOptions.interrupted(directory)
    setting = cast(options, load(TASKS[options.dataset].dataset))
    home = directory / MEMBERS / name
    oneself = Oneself.read(home / ENROLMENT, SeededKeys(options.seed).member_keys(name), now)
    with CoalitionDirectory.open(directory / SERVICE) as coalition:
        digest: Digest = coalition.charter.digest
    joined = MemberHome.join(home, url, digest, oneself, now)
    clock = RealClock()

    def trainer_with(ids: IdSource) -> Trainer:
        return setting.trainers([name], ids)[name]

    with joined.connection(now) as connection:
        trainer = made_with_ids(trainer_with, joined, connection, clock=clock, say=_say)
        with joined.work(trainer, now, clock=clock, say=_say, finished=lambda state: finished(state, clock())) as work:
            signal.signal(signal.SIGINT, lambda *_: work.end())
            work.run()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(words: Sequence[str]) -> None:
    """``python -m tclearn.simulation.network service DIR`` or ``… member DIR NAME URL``."""
    directory = Path(words[1])
    if words[0] == "service":
        serve(directory)
    else:
        take_part(directory, MemberId(words[2]), words[3])


if __name__ == "__main__":
    main(sys.argv[1:])
