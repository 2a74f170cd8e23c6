"""A run to be killed: prints the number of entries after each one is acknowledged. Argument: the directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.simulation.toys import toy_setting

from tclearn.protocols.tclearn.state import State
from tclearn.simulation.simulate import Setting, Simulation

EXPORT = "coalition.tclearn"
SEED = 5


def toys() -> Setting:
    return toy_setting(5, records=12, blocks=16, contributions=4, seed=SEED)


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())  # at once, or not at all


def run_toys(directory: Path) -> None:
    simulation = Simulation.prepare(toys(), directory)

    def entry(_: State) -> bool:
        say(f"{len(simulation.ledger)}")
        return True

    simulation.run(entry)
    simulation.result().export(directory / EXPORT)
    simulation.close()


if __name__ == "__main__":
    run_toys(Path(sys.argv[1]))
    say("done")
