"""A coalition beside plain training: the same training steps and evaluations, with and without everything else.

Seven honest members with the handwritten digits that scikit-learn ships, and the paper's network: convolution, pool,
two fully connected layers. An increment trains for less than a second, which is little: a real one takes minutes, and
the coalition's own time does not grow with them.

The plain side is a loop as anybody would write it. It takes as many steps over as many records, and evaluates as often
as the validators did: the candidate on G and on L for each of them, the model it is held against once. The coalition
does more that is not counted for the loop: the proposers' search for a step, data IDs, files, signatures, the ledger;
and it begins and ends in the time that is measured. Each member has a trainer of its own, so that none profits from
what another has measured.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Container, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Figure, in_turn, show
from benchmarks.null_increment import commit_durably
from tclearn import Charter, Result, TorchTrainer, simulate
from tclearn.coalition.evidence import Evidence
from tclearn.learning.datasets import load, partition
from tclearn.learning.networks import paper_cnn
from tclearn.learning.parameters import Parameters
from tclearn.learning.trainer import DataId, LocalData, Task, Trainer
from tclearn.learning.trainers.torch_learner import Tensors, TorchLearner
from tclearn.protocols.tclearn.adversaries import Honest

MEMBERS = 7
EPOCHS = 100
BATCH = 16
NETWORK = {"channels": 1, "side": 8, "filters": 32, "hidden": 128, "classes": 10}
ROUNDS = 5
BAR = 1.10
DIGITS = load("digits")


@dataclass(frozen=True)
class Apart:
    """A recipe under which each member has a network and scores of its own, as on a computer of its own."""

    def hyperparameters(self) -> Mapping[str, int]:
        return _recipe().hyperparameters()

    def bind(self, task: Task, data: LocalData) -> Trainer:
        return _recipe().bind(task, data)


@dataclass
class Noting(Honest):
    """Notes which evaluations are made for measurements, by their numbers of records."""

    evaluated: list[int]
    sizes: list[int]

    def measure(self, reference: Parameters, candidate: Parameters, used: Container[DataId]) -> Evidence:
        before = len(self.sizes)
        evidence = self.trainer.measure(reference, candidate, used)
        self.evaluated += self.sizes[before:]
        return evidence


@dataclass
class Work:
    """What was done: records trained on per increment, and records of each evaluation."""

    trained: list[int] = field(default_factory=list)
    evaluated: list[int] = field(default_factory=list)


def _recipe() -> TorchTrainer:
    return TorchTrainer(epochs=EPOCHS, batch_size=BATCH)


def coalition(
    directory: Path | None = None, adversaries: Mapping[str, Callable[[Trainer], Trainer]] | None = None
) -> Result:
    charter = Charter(
        name="overhead", model=paper_cnn, arguments=NETWORK, metric="accuracy", lambda_=0.9, blocks=MEMBERS
    )
    result = simulate(
        charter,
        members=partition(DIGITS, MEMBERS, 1),
        global_test=DIGITS.test,
        trainer=Apart(),
        seed=1,
        adversaries=adversaries,
        directory=directory,
    )
    if len(result.blocks) != MEMBERS or len(result.steps) != MEMBERS:
        raise SystemExit("an increment was not accepted")
    return result


def count_work() -> Work:
    work, sizes = Work(), list[int]()
    outputs = TorchLearner.outputs

    def noted(self: TorchLearner, parameters: Parameters, prepared: Tensors) -> Generator[Any]:
        sizes.append(len(prepared.inputs))
        return outputs(self, parameters, prepared)

    names = partition(DIGITS, MEMBERS, 1)
    with mock.patch.object(TorchLearner, "outputs", noted):
        result = coalition(adversaries={name: lambda trainer: Noting(trainer, work.evaluated, sizes) for name in names})
    for chained in result.state.blocks():
        if chained.block.index:
            work.trained.append(chained.block.samples - chained.block.set_aside)
    return work


def plain(work: Work) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    x, y = torch.from_numpy(DIGITS.train.inputs), torch.from_numpy(DIGITS.train.targets)
    test_x, test_y = torch.from_numpy(DIGITS.test.inputs), torch.from_numpy(DIGITS.test.targets)
    network, loss = paper_cnn(**NETWORK), nn.CrossEntropyLoss()
    place = 0
    for records in work.trained:
        own_x, own_y = x[place : place + records], y[place : place + records]
        place += records
        optimizer = torch.optim.Adadelta(network.parameters())
        network.train()
        for _ in range(EPOCHS):
            for batch in torch.split(torch.randperm(records), BATCH):
                optimizer.zero_grad()
                loss(network(own_x[batch]), own_y[batch]).backward()
                optimizer.step()
    network.eval()
    with torch.inference_mode():
        for records in work.evaluated:
            (network(test_x[:records]).argmax(1) == test_y[:records]).sum().item()


def coalition_on_disk(parent: Path) -> None:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        coalition(Path(folder))


def durable_row(path: Path) -> float:
    began = time.perf_counter()
    commit_durably(path, 50)
    return (time.perf_counter() - began) / 50


@dataclass
class Stopwatch:
    """Times a run by the clock; keeps that, and the processor time that it took."""

    run: Callable[[], object]
    elapsed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        began, processor_began = time.perf_counter(), time.process_time()
        self.run()
        self.processor.append(time.process_time() - processor_began)
        self.elapsed.append(time.perf_counter() - began)
        return self.elapsed[-1]


def main() -> None:
    work = count_work()
    # Some systems keep /tmp in memory, where a durable write costs nothing.
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as name:
        runs = (lambda: plain(work), coalition, lambda: coalition_on_disk(Path(name)))
        watches = [Stopwatch(run) for run in runs]
        alone, memory, disk, row = in_turn(ROUNDS, *watches, lambda: durable_row(Path(name) / "rows.sqlite"))
    fastest = [min(watch.elapsed) for watch in watches]
    processor = [statistics.median(watch.processor) for watch in watches]
    peer = (
        f"plain PyTorch, {alone:.2f} s: {len(work.trained)} × {EPOCHS} epochs over {work.trained[0]} or so records, "
        f"{len(work.evaluated)} evaluations"
    )
    show(
        [
            Figure("plain training", alone / MEMBERS, "s/block"),
            Figure("coalition over plain training, memory", memory / alone, "x", BAR, peer, True),
            Figure("coalition over plain training, on disk", disk / alone, "x", BAR, peer, True),
            Figure("the same, fastest rounds, memory", fastest[1] / fastest[0], "x", None, f"{fastest[0]:.2f} s"),
            Figure("the same, fastest rounds, on disk", fastest[2] / fastest[0], "x", None, f"{fastest[0]:.2f} s"),
            Figure("the same, processor time, memory", processor[1] / processor[0], "x", None, f"{processor[0]:.2f} s"),
            Figure("the same, processor time, on disk", processor[2] / processor[0], "x"),
            Figure("a durable row on this disk", row, "s", None, "bare SQLite; a block of seven members waits for 44"),
        ]
    )


if __name__ == "__main__":
    main()
