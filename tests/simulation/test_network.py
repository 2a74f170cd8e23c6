"""The demonstration as eight processes connected by TLS is the one in a single process."""

from __future__ import annotations

import pytest

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.protocols.tclearn.history import Step
from tclearn.simulation.demo import Demo, DemoOptions
from tclearn.simulation.demo_result import EXPORT, MODEL
from tclearn.simulation.network import NetworkDemo
from tclearn.simulation.result import Export
from tclearn.simulation.simulate import MEMBERS

OPTIONS = DemoOptions(dataset="breast-cancer", members=7, blocks=5)


@pytest.mark.slow
def test_processes_over_tls_accept_the_models_of_one_process(tmp_path):
    alone = Demo.prepare(OPTIONS, tmp_path / "alone")
    try:
        expected = [chained.block.parameters for chained in alone.run().result.state.blocks()]
    finally:
        alone.close()
    steps: list[Step] = []
    together = NetworkDemo.prepare(OPTIONS, tmp_path / "together")
    try:
        state = together.run(steps.append, lambda _: None)
    finally:
        together.close()
    assert [chained.block.parameters for chained in state.blocks()] == expected
    assert {step.status for step in steps if step.member == "hospital-3"} == {"rejected"}
    assert {step.status for step in steps if step.member == "hospital-4"} == {"refused"}
    digest = together.charter.digest
    verified = Export(tmp_path / "together" / EXPORT, digest).verify()
    assert verified.cosigned is not None
    assert (tmp_path / "together" / MODEL).is_file()
    for name in OPTIONS.names:
        with CoalitionDirectory.open(tmp_path / "together" / MEMBERS / name) as copy:
            assert [chained.block.parameters for chained in copy.state.blocks()] == expected
