"""What the report says that the state does not know."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.ledger.cosigning import Cosigned


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of any report.

    Attributes:
        coalition: the charter's digest, as the command line prints it.
        entries: entries of the ledger.
        cosigned: the newest head that a quorum has cosigned, and by whom; ``None``: there is none.
        seed: the printed seed of a simulation; ``None``: unknown, or no simulation.
        export: name of the file with the whole record; empty: none was written.
        note: where the report was made from, and by what.
    """

    coalition: str
    entries: int
    cosigned: Cosigned | None = None
    seed: int | None = None
    export: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Summary(Circumstances):
    """The circumstances of a report, see ``Circumstances``.

    Attributes:
        centralised: performance on G of the same training with all data in one place, 0 to 1, where it was measured.
    """

    centralised: float | None = None
