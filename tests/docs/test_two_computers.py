"""Founding a coalition, as the page shows it: what is typed on each computer, in a folder for each.

Consoles of the page that begin with a member's name are typed there; the other two members do as namur does.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.docs.test_consoles import FENCE, FOUNDING, ROOT, Typed, consoles, missing, run, write_files

MEMBERS = ("leuven", "namur", "porto", "turin")
SHOWN = "https://leuven.example:8443"
RUNNING = ("tclearn serve", "tclearn agent")
PATIENCE_S = 120.0


def steps() -> list[tuple[str, Typed]]:
    """Who types what, in the order of the page."""
    found = []
    for match in FENCE.finditer((ROOT / FOUNDING).read_text(encoding="utf-8")):
        if match["info"] not in MEMBERS:
            continue
        for line in match["body"].splitlines():
            if line.startswith("$ "):
                found.append((match["info"], Typed(line[2:], [])))
            else:
                found[-1][1].shown.append(line)
    return found


class Computer:
    """One member's folder and what runs there."""

    def __init__(self, folder: Path, name: str, environment: dict[str, str]) -> None:
        self.folder, self.name = folder, name
        self.environment = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.running: list[subprocess.Popen[bytes]] = []

    def type(self, command: str, url: str) -> Path:
        """Begin a command; returns the file with what it says."""
        command = command.replace("--host leuven.example", "--listen 127.0.0.1:0").replace(SHOWN, url)
        log = self.folder / f"said-{len(self.running)}"
        with log.open("wb") as said:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        return log

    def says(self, typed: Typed, log: Path) -> str:
        """Wait for what is shown below the command that was begun last; returns it."""
        end = time.monotonic() + PATIENCE_S
        while True:
            code = self.running[-1].poll()
            text = log.read_text()
            said = re.sub(r"https://127\.0\.0\.1:\d+", SHOWN, text).splitlines()
            line = missing(typed.shown, said)
            if line is None and (code == 0 or typed.command.startswith(RUNNING)):
                return text
            assert code in (None, 0) and (code is None or line is None), f"{self.name}: {line!r} is not in:\n{text}"
            assert time.monotonic() < end, f"{self.name}$ {typed.command}: {line!r} is not in:\n{text}"
            time.sleep(0.1)

    def end(self) -> None:
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 0


@contextmanager
def computers(tmp_path: Path) -> Iterator[dict[str, Computer]]:
    found = {}
    for place, name in enumerate(MEMBERS):
        folder = tmp_path / name
        folder.mkdir()
        write_files(FOUNDING, folder)
        own = folder / "our_data.py"  # the page shows leuven's
        own.write_text(own.read_text().replace("400::4", f"{400 + place}::4").replace("Leuven", name.capitalize()))
        found[name] = Computer(folder, name, {})
    try:
        yield found
        for computer in found.values():
            computer.end()
    finally:
        for computer in found.values():
            for process in computer.running:
                process.kill()
                process.wait()


@pytest.mark.slow
def test_what_is_typed_on_each_computer_is_what_is_said_there(tmp_path: Path) -> None:
    with computers(tmp_path) as each:
        at_founder = [typed.command for typed in consoles(FOUNDING)]
        assert all(code == 0 for code, _ in run(at_founder, each["leuven"].folder))
        for name in MEMBERS[1:]:
            for end in ("key", "pem"):
                (each["leuven"].folder / f"{name}.{end}").rename(each[name].folder / f"{name}.{end}")
        url, said = "", ""
        for name, typed in steps():
            everybody = name == "namur" and typed.command.startswith(("tclearn join", "tclearn agent"))
            logs = {who: each[who].type(typed.command, url) for who in (MEMBERS[1:] if everybody else [name])}
            for who, log in logs.items():
                if who == name:
                    said = each[who].says(typed, log)
                elif "join" in typed.command:
                    each[who].says(Typed(typed.command, []), log)
            if typed.command.startswith("tclearn serve"):
                url = re.findall(r"https://\S+", said)[0]
                digest = re.findall(r"(?m)^charter (\S+)$", said)[0]
                for computer in each.values():
                    computer.environment["DIGEST"] = digest
