"""What came out of a demonstration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tclearn.encoding import MemberId
from tclearn.simulation.demo_options import DemoOptions
from tclearn.simulation.result import Export, Result

EXPORT: Final = "coalition.tclearn"
MODEL: Final = "model.safetensors"
REPORT: Final = "report.html"


@dataclass(frozen=True)
class DemoResult:
    """A finished demonstration.

    Attributes:
        options: what it showed.
        directory: where everything is.
        result: the coalition's result.
        export: the record.
        centralised: performance on G of the same trainer on all members' records in one place, 0 to 1.
        coalition_seconds: time of this run's coalition part.
        seconds: time of the whole run.
    """

    options: DemoOptions
    directory: Path
    result: Result
    export: Export
    centralised: float
    coalition_seconds: float
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """One object with everything."""
        result, directory = self.result, self.directory
        local: dict[str, list[float | None]] = {member: [] for member in result.state.members}
        for step in result.blocks:
            measured = {ballot.member: ballot.on_local for ballot in step.ballots}
            for member, series in local.items():
                series.append(measured.get(MemberId(member)))
        rejected = [step for step in result.steps if step.closed and step.block is None]
        return {
            "coalition": result.charter.digest.hex(),
            "protocol": result.charter.protocol,
            "level": result.charter.level,
            "dataset": self.options.dataset,
            "rule": result.charter.acceptance.rule,
            "lambda": result.charter.acceptance.lambda_ppm / 1e6,
            "seed": self.options.seed,
            "attacks": [str(attack) for attack in self.options.misbehaving],
            "members": list(result.state.members),
            "blocks": [
                {
                    "index": chained.block.index,
                    "hash": chained.block.hash.hex(),
                    "contributor": chained.block.contributor,
                    "parameters": chained.block.parameters.hex(),
                    "yes": sum(vote.vote == "yes" for vote in chained.block.votes),
                    "votes": len(chained.block.votes),
                }
                for chained in result.state.blocks()
                if chained.block.index > 0
            ],
            "accepted": len(result.blocks),
            "rejected": [
                {"member": step.member, "status": step.status, "reason": step.reason, "count": step.count}
                for step in rejected
            ],
            "performance": {"global": result.performance, "local": local},
            "centralised": self.centralised,
            "final": result.performance[-1] if result.performance else None,
            "ledger": str(directory / "ledger.sqlite"),
            "export": str(self.export.path),
            "report": str(directory / REPORT),
            "model": str(directory / MODEL),
            "seconds": round(self.seconds, 3),
            "coalition_seconds": round(self.coalition_seconds, 3),
        }
