"""The figures of DeepChain, drawn beside the paper's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plots import named, save

HERE: Final = "#c0392b"
PAPER: Final = "#2c6fad"
OTHERS: Final = ("#2e8b57", "#b8860b")
PROVED: Final = "#e08e79"
_LIGHT: Final = "#9aa5b1"


def draw_training(
    ways: Mapping[str, Sequence[Outcome]],
    file: Path,
    *,
    steps: int,
    published: Sequence[float],
    baseline: float | None,
) -> None:
    """Figures 6 and 7: accuracy over the iterations, and at the end beside the paper's.

    Args:
        ways: the ways of training, the shared one first; a run for each seed.
        file: where to.
        steps: iterations between two sharings.
        published: percent, party by party.
        baseline: percent, of the paper's party alone.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    lowest = 1.0
    for (way, outcomes), colour in zip(ways.items(), (HERE, *OTHERS), strict=True):
        for number, outcome in enumerate(outcomes):
            curve = outcome.curve()[1:]
            every = steps * _apart(ways, len(curve))
            iterations = [every * place for place in range(1, len(curve) + 1)]
            left.plot(iterations, curve, color=colour, lw=1.1, label=None if number else way)
            lowest = min([lowest, *curve[len(curve) // 4 :]])
    left.set_ylim(max(0.0, lowest - 0.02), 1.0)
    named(left, "iterations", "accuracy on the test images")
    left.legend(fontsize=8)
    _ends(right, ways, published, baseline)
    save(figure, file)


def _apart(ways: Mapping[str, Sequence[Outcome]], points: int) -> int:
    """Sharings between two points of a curve: what trains alone is not measured as often."""
    most = max(len(outcome.accepted) for outcomes in ways.values() for outcome in outcomes)
    return max(1, round(most / max(1, points)))


def _ends(
    axes: Axes, ways: Mapping[str, Sequence[Outcome]], published: Sequence[float], baseline: float | None
) -> None:
    together, *others = ways.items()
    bars: list[tuple[str, float, str]] = [
        (f"paper, party {number}", value, PAPER) for number, value in enumerate(published, 1)
    ]
    if baseline is not None:
        bars.append(("paper, baseline", baseline, _LIGHT))
    bars += [(f"here, seed {outcome.seed}", 100 * outcome.final(), HERE) for outcome in together[1]]
    for (way, outcomes), colour in zip(others, OTHERS, strict=True):
        values = [100 * value for outcome in outcomes for value in outcome.numbers.values()]
        bars.append((f"here, {way}", sum(values) / len(values), colour))
    for place, (_, value, colour) in enumerate(bars):
        axes.barh(place, value, color=colour, height=0.7)
        axes.text(value, place, f" {value:.2f}", va="center", size=7)
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars], size=7)
    axes.invert_yaxis()
    low = min(value for _, value, _ in bars)
    axes.set_xlim(max(0.0, low - 1), min(100.5, max(value for _, value, _ in bars) + 0.6))
    named(axes, "accuracy at the end, %", "")


def draw_ciphers(lines: Mapping[str, tuple[Sequence[int], Sequence[float], str]], file: Path, *, what: str) -> None:
    """Figures 4 and 5: something of ciphertexts by the number of gradients in them, logarithmic.

    Args:
        lines: by label, numbers of gradients, a value for each, and the colour.
        file: where to.
        what: the values' axis.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, (gradients, values, colour) in lines.items():
        axes.plot(gradients, values, "o-", color=colour, lw=1.3, ms=4, label=name)
    axes.set_yscale("log")
    named(axes, "gradients", what)
    axes.legend(fontsize=8)
    save(figure, file)


def draw_times(
    parties: Sequence[int], stages: Mapping[str, Sequence[float]], published: Mapping[int, float], file: Path
) -> None:
    """Figure 9: what a party computes in all, stage by stage, beside the paper's total.

    Args:
        parties: how many, a bar for each.
        stages: by name, seconds for each number of parties.
        published: seconds, by number of parties.
        file: where to.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    base = [0.0] * len(parties)
    for number, (name, values) in enumerate(stages.items()):
        left.bar(parties, values, bottom=base, label=name, color=f"C{number}", width=0.7)
        base = [low + value for low, value in zip(base, values, strict=True)]
    named(left, "parties", "CPU seconds of one party")
    left.set_ylim(0, 1.3 * max(base))
    left.legend(fontsize=7, ncols=3, loc="upper left")
    right.plot(list(published), list(published.values()), "o-", color=PAPER, label="paper: total time, 1024 bits")
    right.plot(parties, base, "o-", color=HERE, label="here: one party, one core, 2048 bits")
    right.plot(
        parties,
        [n * each for n, each in zip(parties, base, strict=True)],
        "s--",
        color=HERE,
        lw=0.9,
        label="here: all parties on one core",
    )
    right.set_yscale("log")
    right.set_ylim(bottom=min(base) / 4)
    named(right, "parties", "seconds")
    right.legend(fontsize=8, loc="lower right")
    save(figure, file)
