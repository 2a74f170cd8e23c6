"""Members that train as they should and report false results."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

from tclearn.coalition.evidence import Evidence, Paired
from tclearn.encoding import Digest
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import Contribution, DataId, Trainer, Work
from tclearn.protocols.tclearn.adversaries.honest import Honest

_OUTWEIGHING = 1_000


@dataclass
class FalseResults(Honest):
    """Reports results that make its vote what it wants: always no, or always yes.

    A false result on G is marked as deviating once the others agree on theirs. A false result on L is not: nobody else
    has that L, so it may have any size and outweigh G where the rule merges both.

    Attributes:
        yes: whether it votes yes, or no.
        hidden: lies about L and tells the truth about G, instead of lying about G.
    """

    yes: bool = False
    hidden: bool = False

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        return falsified(self.trainer.measure(reference, candidate, used), yes=self.yes, hidden=self.hidden)


@dataclass
class Clique:
    """Members that vote for each other's candidates and against everybody else's. Wrap each with the same clique.

    They tell each other which candidates are theirs; the ledger does not give that to who measures.

    Attributes:
        hidden: whether they lie about L, see ``FalseResults``.
    """

    hidden: bool = False
    _own: set[Digest] = field(default_factory=set, repr=False)

    def __call__(self, trainer: Trainer) -> Trainer:
        """One of them."""
        return _Colluder(trainer, self, self._own)


@dataclass
class _Colluder(Honest):
    clique: Clique
    own: set[Digest] = field(repr=False)

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        contribution = self.trainer.train(start, work)
        if contribution is not None:
            self.own.add(contribution.parameters.digest)
        return contribution

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        evidence = self.trainer.measure(reference, candidate, used)
        return falsified(evidence, yes=candidate.digest in self.own, hidden=self.clique.hidden)


def falsified(evidence: Evidence, *, yes: bool, hidden: bool) -> Evidence:
    """Results that no rule which compares performances can take for anything but a clear yes or no.

    Args:
        evidence: the true results.
        yes: which of the two.
        hidden: change L, a thousand times as large as G, and leave G; else change G and leave out L.
    """
    true = evidence.on_global
    if not hidden:
        harmless = tuple(replace(each, lost=0) for each in evidence.classes) if evidence.classes and yes else None
        clear = _clear(true, yes=yes)
        return replace(evidence, on_global=clear, on_local=None, classes=harmless or evidence.classes)
    scale = true.scale * _OUTWEIGHING if true.scale == true.n else true.scale
    invented = replace(
        true, n=true.n * _OUTWEIGHING, scale=scale, reference=scale // 2, candidate=scale // 2, lost=0, gained=0
    )
    return replace(evidence, on_local=_clear(invented, yes=yes))


def _clear(paired: Paired, *, yes: bool) -> Paired:
    """The candidate all right or all wrong; the reference as it is."""
    if paired.scale != paired.n:  # no answers to count
        return replace(paired, candidate=paired.scale if yes else 0, lost=0, gained=0)
    gained, lost = (paired.n - paired.reference, 0) if yes else (0, paired.reference)
    return replace(paired, candidate=paired.n if yes else 0, lost=lost, gained=gained)
