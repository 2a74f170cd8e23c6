"""The figures, drawn with matplotlib; only imported when something is drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tclearn.files import write_whole
from tclearn.reproduce.outcome import GLOBAL, Outcome
from tclearn.reproduce.plan import Outcomes

_DPI: Final = 110
_LOCAL: Final = "#9aa5b1"
_GLOBAL: Final = "#c0392b"
_TRAINING: Final = "#2c6fad"
_COLOURS: Final = ("#c0392b", "#2c6fad", "#2e8b57", "#b8860b", "#6a4c93", "#555555")


def draw_increments(outcomes: Outcomes, file: Path, *, metric: str) -> None:
    """Figures 5 and 6: loss and performance, of each epoch on what is trained on, of each model on G and on all L.

    The first seed is drawn in full; of the others G, thin.
    """
    first, *others = outcomes.values()
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, what in zip(figure.subplots(1, 2), ("loss", "performance"), strict=True):
        ends = _ends(first)
        for number, (start, increment) in enumerate(zip(ends, first.accepted, strict=False)):
            epochs = len(increment.training)
            values = [getattr(point, what) for point in increment.training]
            label = "training, by epoch" if number == 0 else None
            axes.plot([start + k for k in range(1, epochs + 1)], values, color=_TRAINING, lw=1, label=label)
        for number, name in enumerate(name for name in first.start if name != GLOBAL):
            axes.plot(ends, _values(first, name, what), ".-", color=_LOCAL, lw=0.8, ms=4, label=None if number else "L")
        for other in others:
            axes.plot(_ends(other), _values(other, GLOBAL, what), "--", color=_GLOBAL, lw=0.7)
        axes.plot(ends, _values(first, GLOBAL, what), "o-", color=_GLOBAL, lw=1.6, ms=5, label="G")
        named(axes, "epochs; a mark after each increment", metric if what == "performance" else "loss")
        if what == "loss":
            axes.set_yscale("log")
        else:
            axes.set_ylim(*_limits(_values(first, GLOBAL, what)[1:]))
        axes.legend(fontsize=8)
    figure.suptitle(f"seed {first.seed}" + (f"; dashed: G with {len(others)} other seeds" if others else ""), size=10)
    save(figure, file)


def draw_training(panels: Mapping[str, Sequence[Outcome]], file: Path, *, shift: float) -> None:
    """Figure 4: the loss while training, epoch by epoch, a panel for each way of training.

    Args:
        panels: by title, the runs to be drawn, one a seed.
        file: where to.
        shift: added to the loss.
    """
    figure = Figure(figsize=(3.6 * len(panels), 3.6), layout="constrained")
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, outcomes) in zip(every, panels.items(), strict=True):
        for number, outcome in enumerate(outcomes):
            start, colour = 0, _COLOURS[number % len(_COLOURS)]
            for part, increment in enumerate(outcome.accepted):
                epochs = range(start + 1, start + 1 + len(increment.training))
                values = [point.loss + shift for point in increment.training]
                axes.plot(epochs, values, color=colour, lw=1.2, label=None if part else f"seed {outcome.seed}")
                start += len(increment.training)
                if number == 0:
                    axes.axvline(start + 0.5, color="#cccccc", lw=0.7)
        axes.set_title(title, size=10)
        named(axes, "epochs; a line after each partner" if len(outcomes[0].accepted) > 1 else "epochs", "−Dice")
    every[0].legend(fontsize=8)
    save(figure, file)


def draw_bars(groups: Mapping[str, Sequence[tuple[float, float]]], file: Path, *, names: tuple[str, str]) -> None:
    """Two numbers for each of several kinds of runs, side by side, with a point for each seed."""
    figure = Figure(figsize=(11, 0.5 + 0.45 * len(groups)), layout="constrained")
    labels = list(groups)
    for place, axes in enumerate(figure.subplots(1, 2, sharey=True)):
        for row, label in enumerate(labels):
            values = [pair[place] for pair in groups[label]]
            axes.barh(row, sum(values) / len(values), color=_LOCAL, height=0.6)
            axes.plot(values, [row] * len(values), "o", color=_GLOBAL, ms=4)
        axes.set_yticks(range(len(labels)), labels, size=8)
        axes.invert_yaxis() if place == 0 else None
        named(axes, names[place], "")
    save(figure, file)


def draw_rates(panels: Mapping[str, Sequence[Outcome]], file: Path) -> None:
    """Performance on G block by block with two kinds of charters, and the learning rate of each block."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (title, outcomes) in zip(_COLOURS, panels.items(), strict=False):
        for number, outcome in enumerate(outcomes):
            label = None if number else title
            blocks = range(1, len(outcome.accepted) + 1)
            rates = [each.hyperparameters["learning_rate"] / 1e6 for each in outcome.accepted]
            left.plot(blocks, outcome.curve()[1:], ".-", color=colour, lw=1, label=label)
            right.step(blocks, rates, where="mid", color=colour, lw=1.2, label=label)
    left.set_ylim(*_limits([value for each in panels.values() for one in each for value in one.curve()[1:]]))
    named(left, "block", "accuracy on G")
    named(right, "block", "learning rate")
    left.legend(fontsize=8)
    save(figure, file)


def _ends(outcome: Outcome) -> list[int]:
    """Epochs trained when each model was made, M_0 first."""
    ends = [0]
    for increment in outcome.accepted:
        ends.append(ends[-1] + max(1, len(increment.training)))
    return ends


def _values(outcome: Outcome, name: str, what: str) -> list[float]:
    points = [outcome.start[name], *(each.measured[name] for each in outcome.accepted)]
    return [getattr(point, what) for point in points]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """From somewhat below the lowest: M_0, near chance, would press everything else together."""
    low = min(values, default=0.0)
    return max(0.0, low - 0.25 * (1 - low) - 0.01), 1.002


def named(axes: Axes, x: str, y: str) -> None:
    """Name the axes, in the style of all figures."""
    axes.set_xlabel(x, size=9)
    axes.set_ylabel(y, size=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)


def save(figure: Figure, file: Path) -> None:
    """Write a figure whole, as PNG without a trace of when it was made."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=_DPI, metadata={"Software": None})
    write_whole(file, image.getvalue())
