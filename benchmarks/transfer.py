"""A model on its way into a coalition's vault and out of it: peak memory of both ends, and megabytes a second.

A service and three members of a coalition of level B, each a process, over TLS on loopback. The one whose turn it is
puts a model's file into the vault; of the two others one writes it into a file, the other one has its bytes. Memory is
each process's peak above what it needed just before. Throughput is from end to end, for information: a put seals the
object on the member's disk and in the vault, a get opens it in the vault, seals it on the member's disk, and opens it
there. Beside it: the same file sent over the same TLS from one process to another, written and synced, with nothing of
ours around it.

Linux only: peaks are reset through ``/proc``. The disk is the one of the temporary folder (``TMPDIR``).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from blake3 import blake3

from benchmarks.common import Figure, show
from benchmarks.null_trainer import null_charter, null_setting
from tclearn.directory.changes import submitted
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity.tls import identity_of_member, identity_of_service
from tclearn.learning.model_file import write_model
from tclearn.learning.parameters import digest_of_file
from tclearn.protocols.tclearn import calls
from tclearn.service import server
from tclearn.service.beside import Beside, beside
from tclearn.service.home import MemberHome, Oneself
from tclearn.service.tls import client_context, server_context
from tclearn.simulation.demo_directory import SERVICE
from tclearn.simulation.network import ENROLMENT, found_coalition
from tclearn.simulation.simulate import MEMBERS as HOMES
from tclearn.simulation.simulate import Setting

MB = 10**6
MEMBERS = 3
LOOPBACK = "127.0.0.1"
PIECE = 1 << 20
MEMORY_BAR_MB = 200.0
BYTES_BAR = 1.2
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Transfer:
    """What one way of an object has cost.

    Attributes:
        seconds: from end to end.
        member_mb: peak of the member's memory above what it had before.
        service_mb: the same of the service.
    """

    seconds: float
    member_mb: float
    service_mb: float


def setting(size: int) -> Setting:
    return null_setting(MEMBERS, null_charter(2, level="B"), size=size // 4)


# --- memory ----------------------------------------------------------------------------------------------------------


def resident_mb(what: str) -> float:
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(what))
    return int(line.split()[1]) * 1024 / MB


def marked() -> float:
    """Begin a new peak; what is resident now, in MB."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return resident_mb("VmRSS:")


def peak_mb() -> float:
    return resident_mb("VmHWM:")


def measured(work: Callable[[], object]) -> dict[str, float]:
    before, began = marked(), time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - began, "mb": peak_mb() - before}


# --- the service -----------------------------------------------------------------------------------------------------


def serve(directory: Path) -> None:
    now, passphrase = datetime.now(UTC), setting(4).keys.passphrase()
    with (
        CoalitionDirectory.open(directory / SERVICE, writing=True, passphrase=passphrase) as coalition,
        server.listen(LOOPBACK, 0) as door,
    ):
        url = f"https://{LOOPBACK}:{door.getsockname()[1]}"
        running = server.server(coalition, coalition.roots(now), [LOOPBACK], now, ready=lambda: say(url))
        threading.Thread(target=answer_about_memory, daemon=True).start()
        try:
            running.run(sockets=[door])
        except KeyboardInterrupt:
            return


def answer_about_memory() -> None:
    before = 0.0
    for command in sys.stdin:
        if command.strip() == "mark":
            before = marked()
        say(json.dumps(peak_mb() - before))


def say(line: str) -> None:
    print(line, flush=True)


# --- a member --------------------------------------------------------------------------------------------------------


def clock() -> int:
    return time.time_ns() // 1_000_000


def take_part(directory: Path, name: MemberId, url: str) -> None:
    now = datetime.now(UTC)
    home = directory / HOMES / name
    oneself = Oneself.read(home / ENROLMENT, setting(4).keys.member_keys(name), now)
    with CoalitionDirectory.open(directory / SERVICE) as coalition:
        charter = coalition.charter.digest
    joined = MemberHome.join(home, url, charter, oneself, now)
    say("ready")
    for line in sys.stdin:
        command, file = line.split()
        with beside(joined, now, clock) as at:
            say(json.dumps(COMMANDS[command](at, Path(file))))


def said(at: Beside, arguments: Any) -> None:
    refused = submitted(at.ledger, at.ledger.coalition, at.home.oneself.keys.signer, calls.call(arguments))
    if refused:
        raise SystemExit(f"the contract refuses: {refused}")


def put(at: Beside, file: Path) -> dict[str, float]:
    """Announce the model in a file, hand it over, and release it."""
    state, store = at.ledger.state(), at.home.store(at.connection, at.ledger, clock)
    newest, records = state.block(state.tip), (digest("record", number)[:16] for number in range(1))
    size, name = file.stat().st_size, name_of(file)
    with file.open("rb") as stream:
        parameters = digest_of_file(stream, layout=at.home.charter.model.layout)
        said(at, calls.Propose(newest.hash, parameters, name, 1, 0, b"".join(records)))
        stream.seek(0)
        found = measured(lambda: store.put_stream(stream, size_max=size, name=name))
    (candidate,) = at.ledger.state().open_candidates()
    said(at, calls.Release(candidate.id))
    return found


def get_file(at: Beside, file: Path) -> dict[str, float]:
    """Fetch the candidate's model into a file, as ``tclearn model get`` does."""
    candidate, store = granted(at), at.home.store(at.connection, at.ledger, clock)

    def work() -> None:
        with store.opened(candidate.locator, size_max=1 << 40) as stream:
            write_model(
                stream,
                file,
                name=candidate.locator,
                parameters=candidate.parameters,
                layout=at.home.charter.model.layout,
                block=1,
            )

    found = measured(work)
    if name_of(file) != candidate.locator:
        raise SystemExit("another file came than was put")
    return found


def get_bytes(at: Beside, _: Path) -> dict[str, float]:
    """Fetch the candidate's model for whoever needs its bytes."""
    candidate, store = granted(at), at.home.store(at.connection, at.ledger, clock)
    kept: list[bytes] = []
    found = measured(lambda: kept.append(store.get(candidate.locator, size_max=1 << 40)))
    if blake3(kept[0]).digest() != candidate.locator:
        raise SystemExit("other bytes came than were put")
    return found


COMMANDS = {"put": put, "file": get_file, "bytes": get_bytes}


def granted(at: Beside) -> Any:
    (candidate,) = at.ledger.state().open_candidates()
    said(at, calls.Access(candidate.locator, "test", candidate.id))
    return candidate


def name_of(file: Path) -> Digest:
    hashed = blake3()
    with file.open("rb") as stream:
        while piece := stream.read(PIECE):
            hashed.update(piece)
    return Digest(hashed.digest())


# --- the control -----------------------------------------------------------------------------------------------------


def plain_serve(directory: Path) -> None:
    """Take one file over TLS, write and sync it, and answer with a byte."""
    now = datetime.now(UTC)
    with CoalitionDirectory.open(directory / SERVICE) as coalition:
        identity = identity_of_service(coalition.log_key(), [LOOPBACK], now)
        context = server_context(identity, coalition.roots(now).values())
    with socket.create_server((LOOPBACK, 0)) as door:
        say(f"https://{LOOPBACK}:{door.getsockname()[1]}")
        plain, _ = door.accept()
        with context.wrap_socket(plain, server_side=True) as secured, (directory / "plain").open("wb") as file:
            left = int.from_bytes(secured.recv(8), "big")
            buffer = bytearray(PIECE)
            while left:
                count = secured.recv_into(buffer)
                file.write(memoryview(buffer)[:count])
                left -= count
            file.flush()
            os.fsync(file.fileno())
            secured.sendall(b".")


def plain_send(directory: Path, port: int, source: Path) -> float:
    """Seconds until the other end has all of a file on its disk."""
    now, name = datetime.now(UTC), setting(4).names[0]
    home = MemberHome.open(
        directory / HOMES / name,
        Oneself.read(directory / HOMES / name / ENROLMENT, setting(4).keys.member_keys(name), now),
    )
    context = client_context(identity_of_member(home.oneself.root, home.oneself.keys.root, now), home.service)
    with (
        socket.create_connection((LOOPBACK, port)) as plain,
        context.wrap_socket(plain, server_hostname=LOOPBACK) as secured,
        source.open("rb") as file,
    ):
        began = time.perf_counter()
        secured.sendall(source.stat().st_size.to_bytes(8, "big"))
        while piece := file.read(PIECE):
            secured.sendall(piece)
        if secured.recv(1) != b".":
            raise SystemExit("the control has ended early")
        return time.perf_counter() - began


# --- the measurement -------------------------------------------------------------------------------------------------


@contextmanager
def process(*words: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, __file__, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def asked(running: subprocess.Popen[str], *words: object) -> Any:
    assert running.stdin is not None
    running.stdin.write(" ".join(map(str, words)) + "\n")
    running.stdin.flush()
    return json.loads(line(running))


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    said = running.stdout.readline().strip()
    if not said:
        raise SystemExit("a process has ended early")
    return said


def make_model(file: Path, numbers: int) -> None:
    """A safetensors file with one tensor, ``w``, of random bits."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}).encode()
    header += b" " * (-len(header) % 8)
    left = 4 * numbers
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        while left:
            left -= stream.write(os.urandom(min(left, PIECE)))


def transfers(size: int, folder: Path) -> tuple[dict[str, Transfer], float]:
    """A model of so many bytes put, fetched into a file, and fetched as bytes; and the seconds of the control."""
    own = setting(size)
    found_coalition(folder, own)
    model = folder / "model.safetensors"
    make_model(model, size // 4)
    found = {}
    with ExitStack() as open_now:
        service = open_now.enter_context(process("service", folder))
        url = line(service)
        members = {name: open_now.enter_context(process("member", folder, name, url)) for name in own.names}
        for member in members.values():
            line(member)
        with CoalitionDirectory.open(folder / SERVICE) as coalition:
            proposer = coalition.state.turn.member
        others = [name for name in members if name != proposer]
        for name, command, file in (
            (proposer, "put", model),
            (others[0], "file", folder / "got.safetensors"),
            (others[1], "bytes", folder / "nothing"),
        ):
            asked(service, "mark")
            spent = asked(members[MemberId(str(name))], command, file)
            found[command] = Transfer(spent["seconds"], spent["mb"], asked(service, "peak"))
        plain = open_now.enter_context(process("plain", folder))
        control = plain_send(folder, int(line(plain).rpartition(":")[2]), model)
    return found, control


def main() -> None:
    parser = argparse.ArgumentParser(description="A model on its way into a vault and out of it, over TLS.")
    parser.add_argument("--table", action="store_true", help="a table in place of JSON lines")
    parser.add_argument("--size", type=int, default=500, help="of the model, in MB (500)")
    size = parser.parse_args().size
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as name:
        found, control = transfers(size * MB, Path(name))
    words = {"put": "put", "file": "get into a file", "bytes": "get as bytes"}
    figures = [
        Figure(f"{words[way]} of {size} MB: the service's memory", each.service_mb, "MB", MEMORY_BAR_MB, at_most=True)
        for way, each in found.items()
    ]
    figures += [
        Figure(
            f"{words[way]} of {size} MB: the member's memory", found[way].member_mb, "MB", MEMORY_BAR_MB, at_most=True
        )
        for way in ("put", "file")
    ]
    over = found["bytes"].member_mb / size
    figures.append(
        Figure(
            f"{words['bytes']} of {size} MB: the member's memory, over the object", over, "x", BYTES_BAR, at_most=True
        )
    )
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    figures += [Figure(f"{words[way]}", size / each.seconds, "MB/s", None, load) for way, each in found.items()]
    figures.append(Figure("the file sent over TLS, written and synced", size / control, "MB/s", None, "the control"))
    show(figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["service"]:
        serve(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["member"]:
        take_part(Path(sys.argv[2]), MemberId(sys.argv[3]), sys.argv[4])
    elif sys.argv[1:2] == ["plain"]:
        plain_serve(Path(sys.argv[2]))
    else:
        main()
