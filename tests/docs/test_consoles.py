"""The consoles of the documentation, typed in: every command succeeds, and says what is shown.

Numbers and digests are compared only on request (``TCLEARN_DOCS=exact``), on the kind of processor that they come from:
a trained model differs in its last bits on another. ``…`` stands for any lines, or within a line for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EXACT = os.environ.get("TCLEARN_DOCS") == "exact"
FOUNDING = "docs/how-to/found-a-coalition.md"
PAGES = [
    "README.md",
    "docs/tutorial.md",
    "docs/reference/cli.md",
    "docs/how-to/add-an-acceptance-rule.md",
    "docs/how-to/audit-a-record.md",
    "docs/how-to/a-different-record.md",
    "docs/how-to/find-who-had-a-version.md",
    FOUNDING,
]
# Keys come from the operating system: what follows from them is another each time.
RANDOM = re.compile(r"charter [0-9a-f…]|the next contribution would train on")


@dataclass
class Typed:
    """A command of a page and the lines that are shown below it."""

    command: str
    shown: list[str]


def consoles(page: str) -> list[Typed]:
    typed: list[Typed] = []
    for match in FENCE.finditer((ROOT / page).read_text(encoding="utf-8")):
        if match["info"].split(" ")[0] != "console":
            continue
        in_output = False
        for line in match["body"].splitlines():
            if line.startswith("$ "):
                typed.append(Typed(line[2:].partition("  #")[0].strip().replace("make demo", "tclearn demo"), []))
                in_output = not typed[-1].command.startswith("make ")
                if not in_output:
                    typed.pop()
            elif in_output:
                typed[-1].shown.append(line)
    once: dict[str, Typed] = {}
    return [once.setdefault(each.command, each) for each in typed if each.shown or each.command not in once]


def write_files(page: str, folder: Path) -> None:
    """The code blocks that carry a file's name; a package is offered as if it were installed."""
    for match in FENCE.finditer((ROOT / page).read_text(encoding="utf-8")):
        _, _, name = match["info"].partition(" ")
        if name:
            (folder / name).write_text(match["body"], encoding="utf-8")
        if name == "pyproject.toml":
            project = tomllib.loads(match["body"])["project"]
            info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
            lines = []
            for group, points in project["entry-points"].items():
                lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
            (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def run(commands: list[str], folder: Path) -> list[tuple[int, list[str]]]:
    """Exit code and output of each command, typed one after the other into one shell."""
    lines = ["status=0"]
    for command in commands:
        lines += ["printf '\\036'", f"(exit $status); {command}", "status=$?", "printf '\\037%d' $status"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    parts = [part.partition("\x1f") for part in done.stdout.split("\x1e")[1:]]
    return [(int(code), text.splitlines()) for text, _, code in parts]


def masked(line: str) -> str:
    if EXACT and not RANDOM.search(line):
        return " ".join(line.split())
    return " ".join(re.sub(r"[0-9a-f]{4,}(-[0-9a-f…]+)*|\d+", "#", line).split())


def pattern(shown: list[str]) -> re.Pattern[str]:
    """What an output must be, line by line, each with its newline; one group for each line that is not ``…`` alone."""
    parts = []
    for line in shown:
        words = "[^\n]*".join(re.escape(part) for part in masked(line).split("…"))
        parts.append(r"(?:[^\n]*\n)*" if line.strip() == "…" else f"({words})\n")
    return re.compile("".join(parts))


def missing(shown: list[str], said: list[str]) -> str | None:
    """The first line that is shown and was not said where it should be; ``None``: all is as shown."""
    text = "".join(f"{masked(line)}\n" for line in said)
    if not shown or pattern(shown).fullmatch(text):
        return None
    for size in range(1, len(shown) + 1):
        if not pattern(shown[:size]).match(text):
            return shown[size - 1]
    return "the end"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_what_is_typed_is_what_is_said(page: str, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    typed = consoles(page)
    if page == "docs/reference/cli.md":
        write_files(FOUNDING, tmp_path)
        others = [Typed(f"tclearn member new {name}", []) for name in ("namur", "porto", "turin")]
        typed = [*others, *typed]
    results = run([each.command for each in typed], tmp_path)
    assert len(results) == len(typed)
    for at, (each, (code, said)) in enumerate(zip(typed, results, strict=True)):
        asked = at + 1 < len(typed) and typed[at + 1].command == "echo $?"
        assert asked or code == 0, (each.command, said)
        line = missing(each.shown, said)
        assert line is None, f"{each.command!r} did not say {line!r} but:\n" + "\n".join(said)
