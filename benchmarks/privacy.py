"""What an increment gives away: rebuilt images and membership, on MNIST or, smaller, on digits.

The paper's network, the product's own trainer, and the attacks of ``tclearn.privacy``. With ``TCLEARN_DATA`` naming the
folder of MNIST all is on MNIST, without it on digits. Every run is kept in a file as soon as it is done, and an
interrupted benchmark goes on after it. On one core MNIST takes some twenty minutes, ``--quick`` less than two.

    python benchmarks/privacy.py --quick --table
    TCLEARN_DATA=… python benchmarks/privacy.py --keep benchmarks/results/privacy-mnist.json --table \\
        --page docs/privacy.md --figure docs/figures/privacy.png

Rebuilding is tried twice: a *blind* attack begins with noise, an *informed* one with the mean image of each record's
class over G, which members have anyway. What counts is how far the better one comes above a grey image, and the
informed one above those means. Labels, and which records were in which step, are given away.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

from benchmarks.common import Figure, show
from tclearn import Parameters, TorchTrainer
from tclearn.coalition import privacy
from tclearn.coalition.terms import PrivacyTerms
from tclearn.files import write_whole
from tclearn.learning.datasets import load
from tclearn.learning.drawing import order
from tclearn.learning.networks import paper_cnn
from tclearn.learning.records import Records
from tclearn.learning.trainer import LocalData, Task, Work
from tclearn.privacy.images import likeness, matched, psnr
from tclearn.privacy.increments import Increment, made, noised, shared
from tclearn.privacy.inversion import Search, class_means, inverted
from tclearn.privacy.shadows import attacked

ONE_STEP = TorchTrainer(optimizer=torch.optim.SGD, epochs=1, batch_size=1024, learning_rate=1.0)
DEFAULT = TorchTrainer()
MINIMUM = 64
TRAINED_ON = 58
"""Of the smallest contribution, a tenth put aside."""
PICTURES = 6
DP = PrivacyTerms("example", clip_ppm=1_000_000, noise_ppm=1_000_000, delta_ppt=10_000_000, epsilon_max_ppm=10**9)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Data set and sizes.

    Attributes:
        side: of an image, pixels.
        start: records that the model at hand was trained on.
        victims: records whose images are rebuilt.
        pool: records of which each attacked model has half.
        others: records for the control models.
        public: records of G.
        iterations: of each search for images.
    """

    dataset: str
    side: int
    start: int
    victims: int
    pool: int
    others: int
    public: int
    iterations: int


SCENES = {
    "mnist": Scene(
        dataset="mnist", side=28, start=1000, victims=200, pool=800, others=4000, public=1000, iterations=200
    ),
    "digits": Scene(dataset="digits", side=8, start=300, victims=137, pool=400, others=600, public=360, iterations=300),
}


@dataclass(frozen=True, kw_only=True)
class Rebuilding:
    """A setting in which images are rebuilt.

    Attributes:
        records: that the member trained on.
        recipe: how.
        trained: from the model at hand, instead of M_0.
        share: of the weights that is shared.
        deviation: of noise on every weight, the increment clipped to norm 1; ``None``: neither.
        terms: of differential privacy.
        unrolled: the search goes through all steps; else it takes them as one.
        tries: with other records.
        at_least: what the better attack should reach above a grey image, dB: the attack works.
        at_most: what the better attack may reach above a grey image, and the informed one above the means, dB.
        quick: is part of the quick form.
        pictured: its images are kept for the figure.
    """

    words: str
    records: int = 1
    recipe: TorchTrainer = ONE_STEP
    trained: bool = False
    share: float = 1.0
    deviation: float | None = None
    terms: PrivacyTerms | None = None
    unrolled: bool = False
    tries: int = 3
    at_least: float | None = None
    at_most: float | None = None
    quick: bool = False
    pictured: bool = False


REBUILDINGS = {
    "one": Rebuilding(words="1 record, 1 step, untrained model", at_least=10, quick=True),
    "one-trained": Rebuilding(words="1 record, 1 step", trained=True, pictured=True),
    "eight": Rebuilding(words="8 records, 1 step, untrained model", records=8, tries=2),
    "eight-trained": Rebuilding(words="8 records, 1 step", records=8, trained=True, tries=2, pictured=True),
    "tenth": Rebuilding(words="1 record, 1 step, untrained model, largest 10 % shared", share=0.1),
    "hundredth": Rebuilding(words="1 record, 1 step, untrained model, largest 1 % shared", share=0.01),
    "noise-0.0001": Rebuilding(words="1 record, 1 step, untrained model, noise 0.0001", deviation=1e-4),
    "noise-0.001": Rebuilding(words="1 record, 1 step, untrained model, noise 0.001", deviation=1e-3),
    "noise-0.01": Rebuilding(words="1 record, 1 step, untrained model, noise 0.01", deviation=1e-2),
    "default": Rebuilding(words="1 record, 5 epochs, untrained model", recipe=DEFAULT),
    "default-trained": Rebuilding(words="1 record, 5 epochs", recipe=DEFAULT, trained=True, pictured=True),
    "default-unrolled": Rebuilding(
        words="1 record, 5 epochs, all steps simulated", recipe=DEFAULT, trained=True, unrolled=True
    ),
    "default-dp": Rebuilding(words="1 record, 5 epochs, DP-SGD σ = 1", recipe=DEFAULT, trained=True, terms=DP),
    "batch": Rebuilding(words="16 records, 5 epochs", records=16, recipe=DEFAULT, trained=True, tries=2),
    "batch-untrained": Rebuilding(words="16 records, 5 epochs, untrained model", records=16, recipe=DEFAULT, tries=2),
    "smallest-step": Rebuilding(words=f"{TRAINED_ON} records, 1 step", records=TRAINED_ON, trained=True, tries=2),
    "smallest-untrained": Rebuilding(
        words=f"{TRAINED_ON} records, 5 epochs, untrained model",
        records=TRAINED_ON,
        recipe=DEFAULT,
        tries=2,
        at_most=2,
    ),
    "smallest": Rebuilding(
        words=f"{TRAINED_ON} records, 5 epochs",
        records=TRAINED_ON,
        recipe=DEFAULT,
        trained=True,
        tries=2,
        at_most=2,
        quick=True,
        pictured=True,
    ),
    "smallest-dp": Rebuilding(
        words=f"{TRAINED_ON} records, 5 epochs, DP-SGD σ = 1",
        records=TRAINED_ON,
        recipe=DEFAULT,
        trained=True,
        terms=DP,
        tries=2,
    ),
    "twice": Rebuilding(words="115 records, 5 epochs", records=115, recipe=DEFAULT, trained=True, tries=1),
    "more": Rebuilding(words="200 records, 5 epochs", records=200, recipe=DEFAULT, trained=True, tries=1),
    "smallest-unrolled": Rebuilding(
        words=f"{TRAINED_ON} records, 5 epochs, all steps simulated",
        records=TRAINED_ON,
        recipe=DEFAULT,
        trained=True,
        unrolled=True,
        tries=1,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A setting in which membership is inferred, from one increment of the model at hand.

    Attributes:
        recipe: of the increment.
        terms: of differential privacy.
        pool: records of which each model has half; ``None``: those of the scene.
        controls: control models.
        auc: what the attack should reach at least.
        quick: is part of the quick form.
    """

    words: str
    recipe: TorchTrainer
    terms: PrivacyTerms | None = None
    pool: int | None = None
    controls: int = 8
    auc: float | None = None
    quick: bool = False


SLOW_SGD = TorchTrainer(optimizer=torch.optim.SGD, epochs=10, batch_size=64, learning_rate=0.2)
MEMBERSHIPS = {
    "members": Membership(words="half the pool, 5 epochs", recipe=DEFAULT, quick=True),
    "members-smallest": Membership(
        words=f"{TRAINED_ON} records, 5 epochs", recipe=DEFAULT, pool=2 * TRAINED_ON, controls=30
    ),
    "members-10": Membership(words="half the pool, 10 epochs", recipe=TorchTrainer(epochs=10)),
    "members-overfit": Membership(words="half the pool, 40 epochs", recipe=TorchTrainer(epochs=40), auc=0.6),
    "members-sgd": Membership(words="half the pool, 10 epochs of SGD", recipe=SLOW_SGD),
    "members-dp": Membership(words="half the pool, 10 epochs of SGD, DP-SGD σ = 1", recipe=SLOW_SGD, terms=DP),
    "members-smallest-sgd": Membership(
        words=f"{TRAINED_ON} records, 10 epochs of SGD", recipe=SLOW_SGD, pool=2 * TRAINED_ON, controls=30
    ),
    "members-smallest-dp": Membership(
        words=f"{TRAINED_ON} records, 10 epochs of SGD, DP-SGD σ = 1",
        recipe=SLOW_SGD,
        terms=DP,
        pool=2 * TRAINED_ON,
        controls=30,
    ),
}
CONTROL = 0.03


@cache
def parts(scene: Scene) -> Mapping[str, Records]:
    """The records of each purpose, all different; which, a fixed seed decides."""
    data = load(scene.dataset)
    sizes = {name: getattr(scene, name) for name in ("start", "victims", "pool", "others")}
    ends = np.cumsum([0, *sizes.values()])
    places = order(1, "privacy train", len(data.train))
    made_of = {name: data.train.take(places[ends[number] : ends[number + 1]]) for number, name in enumerate(sizes)}
    return made_of | {"public": data.test.take(order(1, "privacy test", len(data.test))[: scene.public])}


def task_of(scene: Scene, terms: PrivacyTerms | None = None) -> Task:
    return Task(
        model=paper_cnn,
        arguments={"side": scene.side},
        metric="accuracy",
        global_test=parts(scene)["public"],
        step_search="none",
        privacy=terms,
        seeded_noise=True,
    )


@cache
def at_hand(scene: Scene) -> Parameters:
    """A model that was trained on other members' records."""
    return made(DEFAULT, task_of(scene), parts(scene)["start"], seed=7).after


def rebuild(scene: Scene, setting: Rebuilding, number: int) -> dict[str, Any]:
    """One try: how near both attacks come, and the images of the better one."""
    began = time.monotonic()
    public = parts(scene)["public"]
    first = number * setting.records
    chosen = parts(scene)["victims"].take(range(first, first + setting.records))
    start = at_hand(scene) if setting.trained else None
    increment = made(setting.recipe, task_of(scene, setting.terms), chosen, seed=number, start=start)
    if setting.share < 1:
        increment = shared(increment, setting.share)
    if setting.deviation is not None:
        increment = noised(increment, 1.0, setting.deviation, seed=number)
    true = increment.records.inputs
    means = class_means(public, increment.training.labels)
    grey = np.full_like(true, public.inputs.mean())
    images = {
        "blind": attack(scene, setting, increment, number, None),
        "informed": attack(scene, setting, increment, number, means),
    }
    better = max(images.values(), key=lambda each: likeness(true, each, grey).psnr)
    better = better[matched(true, better)]
    exposed = np.argsort(psnr(true, means) - psnr(true, better))[:PICTURES]
    return {
        "blind": asdict(likeness(true, images["blind"], grey)),
        "informed": asdict(likeness(true, images["informed"], means)),
        "steps": len(increment.training.batches),
        "true": _packed(true[exposed]) if setting.pictured else "",
        "rebuilt": _packed(better[exposed]) if setting.pictured else "",
        "seconds": round(time.monotonic() - began, 1),
    }


def attack(
    scene: Scene, setting: Rebuilding, increment: Increment, seed: int, first: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    training = increment.training if setting.unrolled else increment.training.at_once()
    rate = 0.1 if first is None else 0.02
    restarts = 2 if first is None and setting.records == 1 else 1
    return inverted(
        paper_cnn(side=scene.side),
        increment.before,
        increment.after,
        training,
        shape=increment.records.inputs.shape[1:],
        seed=seed,
        search=Search(iterations=scene.iterations, rate=rate, restarts=restarts, shared_only=setting.share < 1),
        first=first,
    ).images


def infer(scene: Scene, setting: Membership) -> dict[str, Any]:
    """Attack one setting, and its control."""
    began = time.monotonic()
    pool = parts(scene)["pool"]
    pool = pool.take(range(setting.pool or len(pool)))
    task = task_of(scene, setting.terms)
    found = attacked(
        setting.recipe,
        task,
        pool,
        parts(scene)["others"],
        seed=1,
        start=at_hand(scene),
        controls=setting.controls,
    )
    return asdict(found) | {
        "epsilon": spent(setting, task, pool, at_hand(scene)),
        "seconds": round(time.monotonic() - began, 1),
    }


def spent(setting: Membership, task: Task, pool: Records, start: Parameters) -> float | None:
    """ε of one of the increments; ``None`` without differential privacy."""
    if setting.terms is None:
        return None
    trainer = setting.recipe.bind(replace(task, local_share=0), LocalData(pool.take(range(len(pool) // 2))))
    contribution = trainer.train(start, Work(1, {}, frozenset()))
    if contribution is None or contribution.privacy is None:
        raise SystemExit("the trainer did not train with differential privacy")
    cost = privacy.cost(setting.terms, contribution.privacy, start.layout)
    return privacy.epsilon_ppm(setting.terms, cost) / 1e6


def _packed(images: NDArray[np.float32]) -> str:
    return base64.b64encode(np.rint(255 * images).astype(np.uint8).tobytes()).decode()


@dataclass
class Kept:
    """The runs that are done, in a file."""

    file: Path | None
    scene: Scene
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path | None, scene: Scene) -> Kept:
        if file is None or not file.exists():
            return cls(file, scene)
        content = json.loads(file.read_text())
        if content["scene"] != asdict(scene):
            raise SystemExit(f"{file} holds runs of another scene: name another file")
        return cls(file, scene, content["runs"])

    def put(self, key: str, done: dict[str, Any]) -> None:
        self.runs[key] = done
        if self.file is not None:
            lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in self.runs.items())
            text = f'{{"scene": {json.dumps(asdict(self.scene))},\n"runs": {{\n{lines}\n}}}}\n'
            write_whole(self.file, text.encode())

    def tries(self, name: str) -> list[dict[str, Any]]:
        """The tries of one rebuilding."""
        keys = (f"{name} {number}" for number in range(REBUILDINGS[name].tries))
        return [self.runs[key] for key in keys if key in self.runs]


def measure(kept: Kept, names: Sequence[str]) -> None:
    """Run what is missing."""
    for name in names:
        numbers = range(REBUILDINGS[name].tries if name in REBUILDINGS else 1)
        for number in numbers:
            key = f"{name} {number}" if name in REBUILDINGS else name
            if key in kept.runs:
                continue
            if name in REBUILDINGS:
                done = rebuild(kept.scene, REBUILDINGS[name], number)
                said = f"blind {done['blind']['gain']:+.1f} dB, informed {done['informed']['gain']:+.1f} dB"
            else:
                done = infer(kept.scene, MEMBERSHIPS[name])
                said = f"AUC {done['members']['auc']['value']:.3f}, control {done['control']['auc']['value']:.3f}"
            kept.put(key, done)
            print(f"{key}: {said}, {done['seconds']:.0f} s", file=sys.stderr, flush=True)


def figures(kept: Kept) -> list[Figure]:
    """All that was measured, as figures. Bars but those that show that the attacks work are for MNIST."""
    made_of = []
    for name, setting in REBUILDINGS.items():
        if tries := kept.tries(name):
            made_of += _rebuilt(setting, tries, bars=kept.scene.dataset == "mnist")
    for name, each in MEMBERSHIPS.items():
        if name in kept.runs:
            made_of += _inferred(each, kept.runs[name])
    return made_of


def _rebuilt(setting: Rebuilding, tries: Sequence[Mapping[str, Any]], *, bars: bool) -> list[Figure]:
    def mean(attack: str, figure: str) -> float:
        return statistics.fmean(run[attack][figure] for run in tries)

    grey, means, words = mean("blind", "known"), mean("informed", "known"), setting.words
    better = max(mean("blind", "psnr"), mean("informed", "psnr"))
    works = setting.at_least is not None
    bar = setting.at_least if works else setting.at_most if bars else None
    most = max(run["informed"]["most"] for run in tries)
    of_class = f"the mean image of its class, {means:.1f} dB"
    return [
        Figure(f"{words}: better attack", better - grey, "dB", bar, f"grey image, {grey:.1f} dB", not works),
        Figure(
            f"{words}: informed attack",
            mean("informed", "gain"),
            "dB",
            setting.at_most if bars else None,
            of_class,
            True,
        ),
        Figure(f"{words}: most exposed record", most, "dB", None, "the mean image of its class"),
    ]


def _inferred(setting: Membership, run: Mapping[str, Any]) -> list[Figure]:
    members, control = run["members"], run["control"]

    def interval(each: Mapping[str, float]) -> str:
        return f"{each['low']:.3f} to {each['high']:.3f}"

    exact = f"accuracy {run['accuracy_in']:.3f} on members, {run['accuracy_out']:.3f} on others"
    if run["epsilon"] is not None:
        exact += f", ε = {run['epsilon']:.2f}"
    return [
        Figure(f"{setting.words}: membership AUC", members["auc"]["value"], "", setting.auc, interval(members["auc"])),
        Figure(f"{setting.words}: found at 1 % false", members["tpr"]["value"], "", None, interval(members["tpr"])),
        Figure(f"{setting.words}: control AUC from .5", abs(control["auc"]["value"] - 0.5), "", CONTROL, exact, True),
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*REBUILDINGS, *MEMBERSHIPS]
    options.add_argument("--settings", nargs="+", choices=names, default=names)
    options.add_argument("--quick", action="store_true", help="on digits, and few settings")
    options.add_argument("--keep", type=Path, help="the file of the runs that are done; without, nothing is kept")
    options.add_argument("--report", action="store_true", help="run nothing: show what is kept")
    options.add_argument("--figure", type=Path, help="draw rebuilt images, as PNG")
    options.add_argument("--page", type=Path, help="put the tables into this page of the documentation")
    options.add_argument("--table", action="store_true", help="print a table instead of JSON lines")
    asked = options.parse_args()
    quick = [name for name in names if (REBUILDINGS.get(name) or MEMBERSHIPS[name]).quick]
    kept = Kept.read(asked.keep, SCENES["mnist" if os.environ.get("TCLEARN_DATA") and not asked.quick else "digits"])
    torch.set_num_threads(1)
    if not asked.report:
        measure(kept, quick if asked.quick else asked.settings)
    if asked.figure:
        from benchmarks.privacy_page import draw

        write_whole(asked.figure, draw(kept, [name for name, each in REBUILDINGS.items() if each.pictured]))
    if asked.page:
        from benchmarks.privacy_page import put_tables

        put_tables(asked.page, kept)
    show(figures(kept))


if __name__ == "__main__":
    main()
