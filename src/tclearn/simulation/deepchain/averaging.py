"""The same training in the clear: what the members' gradients average to, as steps and as they are.

The simulation holds all data and secrets, so it can do what no member can: train every party again and add up without
a key. Rounding to steps is the protocol's, encryption must not change a bit.

It is here to find faults in what the members run, so the arithmetic is written down a second time, from
``docs/formats/deepchain.md``, and takes nothing from ``agent.quantising``, ``paillier.packing`` or the contract.
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
from tclearn.protocols.deepchain.agent.performer import work
from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.terms import DeepChainTerms

_Tensors = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Averaged:
    """Training in the clear, over the iterations that succeeded, with the gradients that counted.

    Attributes:
        quantised: W of averaging the rounded gradients: what the protocol must come to, bit for bit.
        exact: W of averaging them unrounded, from the first iteration on.
        iterations: how many there were; without one there is nothing to compare.
    """

    quantised: Parameters
    exact: Parameters
    iterations: int


def averaged(terms: DeepChainTerms, sites: Mapping[MemberId, Site], courses: Iterable[Course]) -> Averaged:
    """Train again in the clear.

    Args:
        terms: the charter.
        sites: of all parties, with their trainers and secrets.
        courses: what happened; iterations that failed are passed over.

    Raises:
        AgentError: a party has nothing to train on any more.
    """
    weight = dict(zip(terms.parties, terms.key.weights, strict=True))
    levels, clip = 2.0 ** (terms.key.value_bits - 1) - 1, terms.key.clip / 2.0**40
    start = sites[terms.parties[0]].trainer.initial(terms.model.seed)
    quantised = exact = start
    succeeded = [course for course in courses if course.round is not None]
    for course in succeeded:
        divisor = float(sum(weight[party] for party in course.counted))
        steps, plain = _zeros(start), _zeros(start)
        for party in course.counted:
            for name, change in _change(terms, sites[party], course, quantised).items():
                within = np.minimum(np.maximum(change, -clip), clip)
                steps[name] += weight[party] * np.round(within * levels / clip)
            for name, change in _change(terms, sites[party], course, exact).items():
                plain[name] += weight[party] * change
        # Sums of steps are whole numbers below 2^53, so doubles add them exactly.
        quantised = _after(quantised, {name: total * clip / (levels * divisor) for name, total in steps.items()})
        exact = _after(exact, {name: total / divisor for name, total in plain.items()})
    return Averaged(quantised, exact, len(succeeded))


def _zeros(like: Parameters) -> _Tensors:
    return {name: np.zeros(tensor.shape) for name, tensor in like.items()}


def _change(terms: DeepChainTerms, site: Site, course: Course, start: Parameters) -> _Tensors:
    contribution = site.trainer.train(start, work(terms, course.number, site))
    if contribution is None:
        raise AgentError(Code.STALLED, f"{site.member} has nothing to train on any more")
    trained = contribution.parameters
    return {name: tensor.astype(np.float64) - trained[name].astype(np.float64) for name, tensor in start.items()}


def _after(before: Parameters, mean: _Tensors) -> Parameters:
    return Parameters(
        {name: (tensor.astype(np.float64) - mean[name]).astype(tensor.dtype) for name, tensor in before.items()}
    )
