"""A coalition of real processes on loopback: ``tclearn serve``, and ``tclearn agent`` for each member."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.service.conftest import ENROLMENTS, FOUNDED, NAMES, keys_of, now, oneself, until
from tests.service.level_b import PASSPHRASE

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.founding import Secrets, found
from tclearn.directory.site import SiteFile
from tclearn.identity.key_file import write_key_file
from tclearn.service.home import MemberHome

ROOT = Path(__file__).parents[2]
SERVICE = "service"
START_S = 60.0
GLOBAL_TEST = {False: "tests.service.material:global_test", True: "tests.service.material:wide_test"}
DATA = {False: "tests.service.material:more_of_", True: "tests.service.material:wide_of_"}
"""By whether the coalition is of level B: there a model's file is so large that its writing takes a while."""
SEALED = """
[vault]
reads = 6
[data_ids]
per_day = 100000
"""
"""What a charter of level B says besides."""
CHARTER = """
[coalition]
name    = "four"
members = ["leuven.pem", "namur.pem", "porto.pem", "turin.pem"]
[model]
factory = "tests.service.material:classifier"
trainer = "sklearn"
[task]
metric     = "accuracy"
local_test = 0.10
[acceptance]
lambda = 0.50
[schedule]
stop            = {{ blocks = {blocks} }}
verdict_minutes = {minutes}
turn_minutes    = {turn_minutes}
seal_minutes    = {minutes}
minimum_batch   = 1
"""


@dataclass
class Fleet:
    """Processes of a coalition in a folder, any of which may be killed and started again.

    Attributes:
        folder: holds the service's directory, and the members' homes and keys.
        addresses: where members find the service, when it is not where it listens.
        sealed: whether the coalition is of level B.
    """

    folder: Path
    addresses: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = False
    port: int = 0
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def log(self, name: str) -> str:
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self, name: str) -> None:
        at = self.folder / name
        if name == SERVICE:
            words = ["serve", "--dir", at, "--listen", f"127.0.0.1:{self.port}"]
        else:
            site = self.folder / f"{name}.toml"
            words = ["agent", "--key", self.folder / f"{name}.key", "--site", site, "--dir", at, "--until-complete"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.service.tapped", *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "TCLEARN_TEST_FOLDER": str(self.folder),
                    "TCLEARN_TEST_ACKNOWLEDGED": str(self.folder / f"{name}.acknowledged"),
                    **({"TCLEARN_VAULT_PASSPHRASE": PASSPHRASE, "TCLEARN_TEST_SLOW_S": "0.02"} if self.sealed else {}),
                },
            )

    def serve(self) -> None:
        self.start(SERVICE)
        until(lambda: "members: tclearn join" in self.log(SERVICE), START_S)
        self.port = int(self.log(SERVICE).partition("https://127.0.0.1:")[2].split()[0])

    def join(self, name: str) -> None:
        with CoalitionDirectory.open(self.folder / SERVICE) as coalition:
            digest = coalition.charter.digest
        home = MemberHome.join(self.folder / name, self.url, digest, oneself(name), now())
        address = self.addresses.get(name)
        if address is not None:
            (home.path / "service.url").write_text(address + "\n")
        write_key_file(self.folder / f"{name}.key", keys_of(name))
        (self.folder / f"{name}.pem").write_bytes(ENROLMENTS[name])
        (self.folder / f"{name}.toml").write_text(
            f'data = "{DATA[self.sealed]}{name}"\nglobal_test = "{GLOBAL_TEST[self.sealed]}"\n'
        )

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running.pop(name).wait()

    def any_ended(self) -> bool:
        """Whether a member has ended, however."""
        return any(process.poll() is not None for process in self.running.values())

    def ended(self) -> bool:
        """Whether all members have ended because training is complete."""
        for name in NAMES:
            code = self.running[name].poll()
            assert code in (None, 0), f"{name}: {self.log(name)[-2000:]}"
        assert self.running[SERVICE].poll() is None, self.log(SERVICE)[-2000:]
        return all(self.running[name].poll() == 0 for name in NAMES)


@contextmanager
def fleet(folder: Path, *, blocks: int, minutes: float, turn_minutes: float, sealed: bool = False) -> Iterator[Fleet]:
    """The service runs, the members have joined and have not started yet."""
    for name in NAMES:
        (folder / f"{name}.pem").write_bytes(ENROLMENTS[name])
    charter = CHARTER.format(blocks=blocks, minutes=minutes, turn_minutes=turn_minutes)
    if sealed:
        charter = charter.replace("[coalition]\n", '[coalition]\nlevel   = "B"\n') + SEALED
    (folder / "charter.toml").write_text(charter)
    secrets = Secrets(log=bytes(32), data=bytes(range(32)))
    site = SiteFile(global_test=GLOBAL_TEST[sealed])
    found(
        folder / "charter.toml", site, folder / SERVICE, secrets=secrets, now=FOUNDED, passphrase=lambda: PASSPHRASE
    ).close()
    ships = Fleet(folder, sealed=sealed)
    try:
        ships.serve()
        yield ships
    finally:
        for process in ships.running.values():
            process.kill()
            process.wait()
