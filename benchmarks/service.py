"""An increment without training over a network: seven members and the service, each a process, over TLS on loopback.

What is compared: the same increments in one process, on the same disk (``null_increment.py``). Seconds are those from
the first to the last block by the ledger's own clock, so that no process's start is among them; CPU seconds are those
of all processes, from the moment when each was ready.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Figure, show
from benchmarks.null_increment import BLOCKS, MEMBERS, NUMBERS, seconds_per_block
from benchmarks.null_trainer import null_charter, null_setting
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import MemberId
from tclearn.protocols.tclearn.state import State
from tclearn.service import server
from tclearn.service.home import MemberHome, Oneself
from tclearn.simulation.demo_directory import SERVICE
from tclearn.simulation.network import ENROLMENT, found_coalition
from tclearn.simulation.simulate import MEMBERS as HOMES
from tclearn.simulation.simulate import Setting

BAR_SECONDS = 0.50
LOOPBACK = "127.0.0.1"
ROUNDS = 3
PATIENCE_S = 300.0


def setting() -> Setting:
    return null_setting(MEMBERS, null_charter(BLOCKS + 1), size=NUMBERS)


def serve(directory: Path) -> None:
    now = datetime.now(UTC)
    with CoalitionDirectory.open(directory / SERVICE, writing=True) as coalition, server.listen(LOOPBACK, 0) as door:
        url = f"https://{LOOPBACK}:{door.getsockname()[1]}"
        began = 0.0

        def ready() -> None:
            nonlocal began
            began = time.process_time()
            print(url, flush=True)

        running = server.server(coalition, coalition.roots(now), [LOOPBACK], now, ready=ready)
        try:
            running.run(sockets=[door])
        except KeyboardInterrupt:
            print(time.process_time() - began, flush=True)


def take_part(directory: Path, name: MemberId, url: str) -> None:
    now, own = datetime.now(UTC), setting()
    home = directory / HOMES / name
    oneself = Oneself.read(home / ENROLMENT, own.keys.member_keys(name), now)
    with CoalitionDirectory.open(directory / SERVICE) as coalition:
        digest = coalition.charter.digest
    joined = MemberHome.join(home, url, digest, oneself, now)
    (trainer,) = own.trainers([name]).values()

    def finished(state: State) -> bool:
        return state.tip > BLOCKS and state.pending is None and not state.open_candidates()

    def clock() -> int:
        return time.time_ns() // 1_000_000

    with joined.work(
        trainer, now, clock=clock, say=lambda line: print(line, file=sys.stderr), finished=finished
    ) as work:
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.process_time()
        work.run()
    print(time.process_time() - began, flush=True)


@contextmanager
def process(*words: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, __file__, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as running:
        try:
            yield running
            running.wait(PATIENCE_S)
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    said = running.stdout.readline().strip()
    if not said:
        raise SystemExit("a process has ended early")
    return said


def over_a_network(directory: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds of all processes, for a block."""
    found_coalition(directory, setting())
    with ExitStack() as open_now:
        service = open_now.enter_context(process("service", directory))
        url = line(service)
        members = [open_now.enter_context(process("member", directory, name, url)) for name in setting().names]
        for member in members:
            line(member)
        for member in members:
            assert member.stdin is not None
            member.stdin.write("\n")
            member.stdin.flush()
        spent = [float(line(member)) for member in members]
        service.send_signal(2)
        spent.append(float(line(service)))
    with CoalitionDirectory.open(directory / SERVICE) as coalition:
        state = coalition.state
        if any(vote.vote != "yes" for chained in state.blocks() for vote in chained.block.votes):
            raise SystemExit("somebody's verdict is missing")
        first, last = (state.block(index).time_ms for index in (1, BLOCKS + 1))
    return (last - first) / 1000 / BLOCKS, sum(spent) / (BLOCKS + 1)


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as name:
        folder = Path(name)
        runs, alone = [], []
        for number in range(ROUNDS):
            runs.append(over_a_network(folder / str(number)))
            alone.append(seconds_per_block(folder))
    seconds, cpu = (sorted(column)[ROUNDS // 2] for column in zip(*runs, strict=True))
    bare = sorted(alone)[ROUNDS // 2]
    load = os.getloadavg()[0]
    peer = f"{bare:.4f} s: the same in one process, on disk; load average {load:.1f} on {os.cpu_count()} cores"
    show(
        [
            Figure("null increment over TLS, 8 processes", seconds, "s/block", BAR_SECONDS, peer, True),
            Figure("null increment over TLS, CPU", cpu, "s/block", None, "all eight processes together"),
            Figure("null increment over TLS, ratio", seconds / bare, "x", None, "the same in one process"),
        ]
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["service"]:
        serve(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["member"]:
        take_part(Path(sys.argv[2]), MemberId(sys.argv[3]), sys.argv[4])
    else:
        main()
