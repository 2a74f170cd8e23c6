"""A command that is told to end leaves no file half written; one that is killed leaves none that others can read."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

BUSY = """
import importlib, sys, time
from pathlib import Path
from tclearn.files import writing

def busy(**_):
    with writing(Path(sys.argv[1])) as file:
        file.write(b"half of a model")
        file.flush()
        print("half", flush=True)
        time.sleep(60)

cli = importlib.import_module("tclearn.cli.main")
cli.app = busy
cli.main()
"""


@pytest.mark.parametrize(
    ("number", "code", "left"),
    [(signal.SIGTERM, 130, 0), (signal.SIGINT, 130, 0), (signal.SIGKILL, -signal.SIGKILL, 1)],
)
def test_stopped_while_it_writes(tmp_path: Path, number: signal.Signals, code: int, left: int) -> None:
    command = [sys.executable, "-c", BUSY, str(tmp_path / "model.safetensors")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in said
    files = list(tmp_path.iterdir())
    assert len(files) == left
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
