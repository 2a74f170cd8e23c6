"""The same seed gives the same blocks, in whatever process; another seed gives others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.simulation.ledgers import entry_bytes
from tests.simulation.toys import toy_setting

from tclearn.simulation import Simulation

TUMOURS = """
import json, sys
from tests.simulation.tumours import coalition
for seed in map(int, sys.argv[1:]):
    print(json.dumps([chained.block.hash.hex() for chained in coalition(seed=seed, blocks=3).state.blocks()]))
"""
DIGITS = """
import json, sys, tempfile
from pathlib import Path
from tclearn.simulation.demo import Demo, DemoOptions
for seed in map(int, sys.argv[1:]):
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo.prepare(DemoOptions(members=4, blocks=3, attacks=(), seed=seed), Path(folder) / "demo")
        demo.simulation.run()
        print(json.dumps([chained.block.hash.hex() for chained in demo.simulation.ledger.state().blocks()]))
        demo.close()
"""


def started(script, *seeds, hash_seed):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, seeds)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[2],
    )


def hashes(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("script", [TUMOURS, pytest.param(DIGITS, marks=pytest.mark.slow)], ids=["tumours", "digits"])
def test_two_processes_make_the_same_blocks_of_a_seed(script):
    one, other = started(script, 1, 2, hash_seed="1"), started(script, 1, hash_seed="2")
    first, second = hashes(one)
    (again,) = hashes(other)
    assert len(first) == 4 and first == again
    assert not set(first) & set(second), "another seed shares no block, not even genesis: its members have other keys"


def test_every_entry_is_the_same():
    def entries(seed):
        simulation = Simulation.prepare(toy_setting(seed=seed))
        simulation.run()
        return entry_bytes(simulation.ledger)

    assert entries(1) == entries(1)
    assert not set(entries(1)) & set(entries(2))
