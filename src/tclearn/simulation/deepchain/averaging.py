"""The same training in the clear: what the members' gradients average to, as steps and as they are.

The simulation holds all data and secrets, so it can do what no member can: train every party again and add up without
a key. Rounding to steps is the protocol's, encryption must not change a bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tclearn.agents import Site
from tclearn.encoding import MemberId
from tclearn.errors import AgentError, Code
from tclearn.learning.parameters import Parameters
from tclearn.paillier.packing import Layout
from tclearn.protocols.deepchain.agent.performer import work
from tclearn.protocols.deepchain.agent.quantising import dequantise, gradient, quantise, stepped
from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.terms import DeepChainTerms


@dataclass(frozen=True)
class Averaged:
    """Training in the clear, over the iterations that succeeded, with the gradients that counted.

    Attributes:
        quantised: W of averaging the rounded gradients: what the protocol must come to, bit for bit.
        exact: W of averaging them unrounded, from the first iteration on.
    """

    quantised: Parameters
    exact: Parameters


def averaged(
    terms: DeepChainTerms, sites: Mapping[MemberId, Site], courses: Iterable[Course], layout: Layout
) -> Averaged:
    """Train again in the clear.

    Args:
        terms: the charter.
        sites: of all parties, with their trainers and secrets.
        courses: what happened; iterations that failed are passed over.
        layout: how values are packed; for the number of steps only.

    Raises:
        AgentError: a party has nothing to train on any more.
    """
    start = sites[terms.parties[0]].trainer.initial(terms.model.seed)
    quantised = exact = start
    for course in courses:
        if course.round is None:
            continue
        steps = sum(
            terms.key.weights[terms.number(party) - 1]
            * quantise(_gradient(terms, sites[party], course, quantised), terms.key.clip, layout.levels)
            for party in course.counted
        )
        quantised = stepped(
            quantised, dequantise(np.asarray(steps), terms.divisor(course.counted), terms.key.clip, layout.levels)
        )
        weighted = sum(
            terms.key.weights[terms.number(party) - 1] * _gradient(terms, sites[party], course, exact)
            for party in course.counted
        )
        exact = stepped(exact, np.asarray(weighted) / terms.divisor(course.counted))
    return Averaged(quantised, exact)


def _gradient(terms: DeepChainTerms, site: Site, course: Course, start: Parameters) -> NDArray[np.float64]:
    contribution = site.trainer.train(start, work(terms, course.number, site))
    if contribution is None:
        raise AgentError(Code.STALLED, f"{site.member} has nothing to train on any more")
    return gradient(start, contribution.parameters)
