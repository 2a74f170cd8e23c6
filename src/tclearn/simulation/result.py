"""What comes out of a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tclearn.coalition.evidence import MILLION
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory import CoalitionDirectory
from tclearn.encoding import Digest
from tclearn.files import writing
from tclearn.identity import Signer
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Head
from tclearn.ledger.export import write_export
from tclearn.ledger.recorded import Log, Recorded
from tclearn.ledger.verify import Verified, verify
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.history import Step, history
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.rows import header, row


@dataclass(frozen=True)
class Export:
    """A coalition's whole record in one file.

    Attributes:
        path: the file.
        charter: digest of the charter, which whoever verifies must know from elsewhere.
    """

    path: Path
    charter: Digest

    def verify(self) -> Verified:
        """Replay the record with public keys only.

        Raises:
            VerificationError: it does not hold; the error names the first bad entry.
        """
        with self.path.open("rb") as stream:
            return verify(stream, terms_of, self.charter)


@dataclass(frozen=True)
class KeptLog:
    """The log in a coalition's directory, opened whenever it is read: a result outlives the run that made it.

    Attributes:
        directory: the coalition's directory.
        coalition: digest of the charter.
        size: number of entries when the result was taken.
    """

    directory: Path
    coalition: Digest
    size: int

    def __len__(self) -> int:
        return self.size

    def entries(self, start: int, stop: int) -> Iterator[Recorded]:
        """See ``Log.entries``."""
        with CoalitionDirectory.open(self.directory) as home:
            yield from home.ledger.entries(start, stop)

    def head(self, size: int) -> Head:
        """See ``Log.head``."""
        with CoalitionDirectory.open(self.directory) as home:
            return home.ledger.head(size)


@dataclass(frozen=True)
class Result:
    """A coalition after training. ``print`` it for the steps.

    Attributes:
        charter: what the members agreed on.
        state: the state of the ledger at the end.
        parameters: the newest block's parameters.
        model: the same in the form the framework takes (a torch state dict, a fitted estimator).
    """

    charter: ResolvedCharter
    state: State
    parameters: Parameters
    model: Any
    _log: Log
    _log_key: Signer

    @cached_property
    def steps(self) -> list[Step]:
        """All increments offered, in order, with votes and reasons."""
        return history(self.state)

    @property
    def blocks(self) -> list[Step]:
        """The accepted ones."""
        return [step for step in self.steps if step.block is not None]

    @property
    def performance(self) -> list[float]:
        """Performance on the global test set after each block, as the members measured it, 0 to 1."""
        return [step.performance for step in self.blocks if step.performance is not None]

    @property
    def privacy(self) -> dict[str, float] | None:
        """The composed ε of everything that each member offered; ``None``: the charter has no mechanism for it."""
        known = ((member, self.state.epsilon_ppm(member)) for member in self.state.members)
        spent: dict[str, float] = {member: epsilon / MILLION for member, epsilon in known if epsilon is not None}
        return spent or None

    @property
    def ended_early(self) -> str:
        """Why there are fewer blocks than the charter asks for; empty when there are not."""
        wanted = self.charter.schedule.stop_blocks
        if wanted is None or self.state.increments >= wanted:
            return ""
        limited = self.charter.privacy is not None and self.charter.privacy.epsilon_max_ppm is not None
        more = ", or the privacy budget to offer it" if limited else ""
        return f"ended at block {self.state.increments} of {wanted}: nobody has anything more to offer{more}"

    def export(self, path: Path | str) -> Export:
        """Write the record to a file; nothing is left half written.

        Args:
            path: where to; an existing file is replaced.
        """
        target = Path(path)
        with writing(target) as stream:
            write_export(stream, self.charter.encode(), self._log, self._log_key)
        return Export(target, self.charter.digest)

    def __str__(self) -> str:
        head = (
            f"{len(self.charter.members)} members · {self.charter.name} · rule {self.charter.acceptance.rule}, "
            f"λ {self.charter.acceptance.lambda_ppm / 1e6:g}"
        )
        rows = [row(step) for step in self.steps]
        spent = ", ".join(f"{member} {epsilon:.3f}" for member, epsilon in (self.privacy or {}).items())
        budget = f"composed ε: {spent}" if spent else ""
        return "\n".join([head, header(), *rows, *filter(None, [budget, self.ended_early])])
