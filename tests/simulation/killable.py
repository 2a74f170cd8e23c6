"""A run to be killed: prints the number of entries after each one is acknowledged. Arguments: what, directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.simulation.toys import toy_setting

from tclearn.errors import AgentError
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.demo import Demo, DemoOptions
from tclearn.simulation.simulate import Setting, Simulation

EXPORT = "coalition.tclearn"
SEED = 5


def toys() -> Setting:
    return toy_setting(5, records=12, blocks=16, contributions=4, seed=SEED)


def demo_options() -> DemoOptions:
    return DemoOptions(seed=SEED)


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


def run_demo(directory: Path) -> None:
    try:
        demo = Demo.prepare(demo_options(), directory, resume=True)
    except AgentError:  # killed before it had begun
        demo = Demo.prepare(demo_options(), directory)
    demo.run(on_entry=lambda state: say(f"{len(demo.simulation.ledger)}"))
    demo.close()


if __name__ == "__main__":
    {"toys": run_toys, "demo": run_demo}[sys.argv[1]](Path(sys.argv[2]))
    say("done")
