"""A coalition of four with real keys, its service on loopback, and its members' ends."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.founding import Secrets, found
from tclearn.directory.site import SiteFile
from tclearn.encoding import MemberId
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.tls import TlsIdentity, identity_of_member
from tclearn.protocols.tclearn.state import State
from tclearn.service import server
from tclearn.service.app import Desk
from tclearn.service.binding import bound_at
from tclearn.service.home import MemberHome, Oneself
from tclearn.service.id_desk import IdDesk
from tclearn.service.turnstile import Turnstile
from tclearn.service.work import Work

NAMES = ("leuven", "namur", "porto", "turin")
PATIENCE_S = 30.0
SCHEDULE = """
stop            = { blocks = 4 }
verdict_minutes = 1
"""
CHARTER = """
[coalition]
name    = "four"
members = ["leuven.pem", "namur.pem", "porto.pem", "turin.pem"]
[model]
factory = "tests.service.material:network"
[task]
metric     = "accuracy"
local_test = 0.10
[acceptance]
lambda = 0.90
[schedule]
minimum_batch = 1
{schedule}
[hyperparameters]
epochs     = 2
batch_size = 8
"""


def keys_of(name: str) -> MemberKeys:
    return MemberKeys.from_entropy(hashlib.sha512(name.encode()).digest())


def now() -> datetime:
    return datetime.now(UTC)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def until(reached: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not come to this in time"
        time.sleep(0.02)


FOUNDED = datetime.now(UTC)
ENROLMENTS = {name: write_enrolment(MemberId(name), keys_of(name), FOUNDED) for name in (*NAMES, "stranger")}


def oneself(name: str) -> Oneself:
    enrolment = read_enrolment(ENROLMENTS[name], now())
    return Oneself(enrolment.member, keys_of(name), enrolment.root)


def found_four(folder: Path, *, schedule: str = SCHEDULE) -> Path:
    """Make a coalition that has said nothing yet; returns its directory."""
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.pem").write_bytes(ENROLMENTS[name])
    (folder / "charter.toml").write_text(CHARTER.replace("{schedule}", schedule))
    site = SiteFile(global_test="tests.service.material:global_test", threads=1)
    made = found(
        folder / "charter.toml",
        site,
        folder / "coalition",
        secrets=Secrets(log=bytes(32), data=bytes(range(32))),
        now=FOUNDED,
    )
    made.close()
    return folder / "coalition"


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tests take copies."""
    return found_four(tmp_path_factory.mktemp("founder"))


@dataclass
class Service:
    """The service, in a thread; it can be ended and started again on the same port."""

    directory: Path
    port: int = 0
    turnstile: Turnstile | None = None
    passphrase: str | None = None
    _running: uvicorn.Server | None = None
    _thread: threading.Thread | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def desk(self) -> Desk:
        assert self._running is not None
        desk: Desk = self._running.config.loaded_app.state.desk
        return desk

    def start(self) -> None:
        ready = threading.Event()
        coalition = self._open.enter_context(
            CoalitionDirectory.open(self.directory, writing=True, passphrase=self.passphrase)
        )
        ids = self._open.enter_context(IdDesk.open(coalition, self.passphrase))
        socket = self._open.enter_context(server.listen("127.0.0.1", self.port))
        self.port = socket.getsockname()[1]
        running = server.server(
            coalition,
            coalition.roots(now()),
            ["127.0.0.1"],
            now(),
            ids=ids,
            turnstile=self.turnstile,
            ready=ready.set,
        )
        self._running = running
        self._thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]})
        self._thread.start()
        assert ready.wait(PATIENCE_S)

    def end(self) -> None:
        if self._running is not None and self._thread is not None:
            self._running.should_exit = True
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive()
            self._running = None
        self._open.close()


@pytest.fixture
def service(founded: Path, tmp_path: Path) -> Iterator[Service]:
    shutil.copytree(founded, tmp_path / "coalition")
    running = Service(tmp_path / "coalition")
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="session")
def quiet(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that many tests ask, and none changes but by putting aside an object."""
    folder = tmp_path_factory.mktemp("quiet")
    shutil.copytree(founded, folder / "coalition")
    running = Service(folder / "coalition")
    running.start()
    yield running
    running.end()


@dataclass
class Member:
    """A member that has joined.

    Attributes:
        home: its directory.
        data: which function of ``material`` gives its data.
    """

    home: MemberHome
    data: str = "of"

    @property
    def name(self) -> str:
        return self.home.oneself.member

    @contextmanager
    def working(
        self,
        said: list[str] | None = None,
        finished: Callable[[State], bool] = lambda _: False,
        *,
        offers: bool = True,
    ) -> Iterator[Work]:
        """Its agent, in a thread of its own, until the end of the block."""
        site = SiteFile(
            data=f"tests.service.material:{self.data}_{self.name}",
            global_test="tests.service.material:global_test",
            threads=1,
        )
        told = [] if said is None else said
        with ExitStack() as open_now:
            connection = open_now.enter_context(self.home.connection(now()))
            trainer = bound_at(self.home, site, connection, clock=now_ms, say=told.append)
            work = open_now.enter_context(
                self.home.work(trainer, now(), clock=now_ms, say=told.append, finished=finished, offers=offers)
            )
            thread = threading.Thread(target=work.run)
            thread.start()
            try:
                yield work
            finally:
                work.end()
                thread.join(PATIENCE_S)
                assert not thread.is_alive()


def all_joined(service: Service, folder: Path) -> dict[str, Member]:
    with CoalitionDirectory.open(service.directory) as coalition:
        digest = coalition.charter.digest
    return {name: Member(MemberHome.join(folder / name, service.url, digest, oneself(name), now())) for name in NAMES}


@pytest.fixture
def members(service: Service, tmp_path: Path) -> dict[str, Member]:
    return all_joined(service, tmp_path)


@pytest.fixture(scope="session")
def joined(quiet: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Member]:
    """Members of the quiet service; they do not work."""
    return all_joined(quiet, tmp_path_factory.mktemp("joined"))


def stranger() -> TlsIdentity:
    """Somebody with a certificate of its own making."""
    keys = keys_of("stranger")
    enrolment = read_enrolment(write_enrolment(MemberId("leuven"), keys, FOUNDED), now())
    return identity_of_member(enrolment.root, keys.root, now())
