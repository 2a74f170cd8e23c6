"""ByzFL's attacks on averages, turned on increments: what becomes of them in a coalition. See README.md beside this."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import MagicMock

import numpy as np

# Imported by ByzFL's benchmarks, not by its attacks.
for name in ("torchvision", "matplotlib", "matplotlib.pyplot", "seaborn"):
    sys.modules[name] = MagicMock()

import byzfl  # noqa: E402

from tclearn import Charter, Result, TorchTrainer, simulate  # noqa: E402
from tclearn.coalition.evidence import Evidence  # noqa: E402
from tclearn.learning.datasets import load, partition  # noqa: E402
from tclearn.learning.networks import paper_cnn  # noqa: E402
from tclearn.learning.parameters import Parameters  # noqa: E402
from tclearn.learning.trainer import Contribution, DataId, Trainer, Work  # noqa: E402
from tclearn.protocols.tclearn.adversaries import Honest  # noqa: E402

MEMBERS, ATTACKERS, CONTRIBUTIONS = 7, 2, 2
RULES = ("paper", "anchored")
NETWORK = {"side": 8, "filters": 32, "hidden": 128}

Vector = np.ndarray[Any, np.dtype[np.float64]]
ATTACKS: dict[str, Callable[[list[Vector]], Vector] | None] = {
    "none": None,
    "SignFlipping": byzfl.SignFlipping(),
    "InnerProductManipulation, τ 2": byzfl.InnerProductManipulation(2.0),
    "InnerProductManipulation, τ 0.1": byzfl.InnerProductManipulation(0.1),
    "ALittleIsEnough, τ 1.5": byzfl.ALittleIsEnough(1.5),
    "Mimic": byzfl.Mimic(0),
    "Gaussian, σ 1": byzfl.Gaussian(0.0, 1.0),
    "Gaussian, σ 0.01": byzfl.Gaussian(0.0, 0.01),
    "Inf": byzfl.Inf(),
}


@dataclass
class Shown(Honest):
    """An honest member whose increments the attackers know; notes what it was given to measure."""

    increments: deque[Vector]
    measured: list[Parameters]

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, work)
        if contribution:
            self.increments.append(flat(contribution.parameters) - flat(start))
        return contribution

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        """See ``Trainer.measure``."""
        self.measured.append(candidate)
        return self.trainer.measure(reference, candidate, used)


@dataclass
class Attacker(Honest):
    """Offers M + what an attack makes of the increments of the honest members; its votes are honest."""

    increments: deque[Vector]
    attack: Callable[[list[Vector]], Vector]

    def train(self, start: Parameters, work: Work) -> Contribution | None:
        """See ``Trainer.train``."""
        contribution = self.trainer.train(start, work)
        if contribution is None:
            return None
        vector = flat(start) + self.attack(list(self.increments))
        tensors, place = {}, 0
        for tensor_name, tensor in start.items():
            tensors[tensor_name] = vector[place : place + tensor.size].reshape(tensor.shape).astype(tensor.dtype)
            place += tensor.size
        return replace(contribution, parameters=Parameters(tensors))


def flat(parameters: Parameters) -> Vector:
    """All numbers of a model in one row."""
    return np.concatenate([tensor.astype(np.float64).ravel() for tensor in parameters.values()])


def coalition(rule: str, attack: Callable[[list[Vector]], Vector] | None) -> tuple[Result, list[str]]:
    """A coalition's result, and who attacks in it."""
    digits = load("digits")
    members = partition(digits, MEMBERS, 1)
    attackers = sorted(members)[MEMBERS - ATTACKERS :] if attack else []
    increments: deque[Vector] = deque(maxlen=MEMBERS - ATTACKERS)
    measured: list[Parameters] = []

    def cast(member: str) -> Callable[[Trainer], Trainer]:
        if attack is None or member not in attackers:
            return lambda trainer: Shown(trainer, increments, measured)
        return lambda trainer: Attacker(trainer, increments, attack)

    result = simulate(
        Charter(
            name="byzfl",
            model=paper_cnn,
            arguments=NETWORK,
            metric="accuracy",
            acceptance=rule,
            blocks=CONTRIBUTIONS * MEMBERS,
        ),
        members=members,
        global_test=digits.test,
        trainer=TorchTrainer(epochs=10, batch_size=16),
        seed=1,
        adversaries={member: cast(member) for member in members},
        contributions=CONTRIBUTIONS,
    )
    check(result, attackers, measured)
    return result, attackers


def check(result: Result, attackers: list[str], measured: list[Parameters]) -> None:
    """What is not finite is refused before anything computes with it: unavailable to all, measured by nobody."""
    assert all(parameters.finite for parameters in measured)
    known = {parameters.digest for parameters in measured}
    for number in range(result.state.candidates):
        candidate = result.state.candidate(number)
        if candidate.proposer in attackers and candidate.parameters not in known:
            assert candidate.status in ("rejected", "refused"), candidate
        if candidate.proposer in attackers and candidate.status == "rejected" and candidate.parameters not in known:
            step = next(step for step in result.steps if step.entry == candidate.entry)
            assert step.reason == "not available to enough validators", step
            assert {ballot.vote for ballot in step.ballots} <= {"unavailable", "missing"}, step


def main() -> None:
    """Print the table."""
    print(f"{MEMBERS} members, the last {ATTACKERS} attack · digits · λ 0.98 · seed 1")
    print(f"{'attack':<33}{'rule':<10}{'accepted':<12}{'honest rejected':<17}{'lowest':<8}final  why not")
    for words, attack in ATTACKS.items():
        for rule in RULES:
            result, attackers = coalition(rule, attack)
            hostile = [step for step in result.steps if step.member in attackers]
            honest = [step for step in result.steps if step.member not in attackers]
            accepted = sum(step.block is not None for step in hostile)
            rejected = sum(step.block is None for step in honest)
            # From the first full round on: before it, the model has hardly begun.
            lowest = min(result.performance[MEMBERS - ATTACKERS :])
            reason = next((step.reason for step in hostile if step.block is None), "")
            row = f"{words:<33}{rule:<10}{f'{accepted} of {len(hostile)}':<12}{f'{rejected} of {len(honest)}':<17}"
            print(f"{row}{lowest:<8.3f}{result.performance[-1]:.3f}  {reason}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
