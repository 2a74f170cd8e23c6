"""The runs of ``robustness.py`` as a table for the documentation, and as small charts in one SVG."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

from tclearn.files import write_whole

PANELS = ("honest", "flip-3", "frog", "targeted", "backdoor-adaptive", "skewed")
BEGIN, END = "<!-- made by benchmarks/robustness.py -->\n", "<!-- end -->"
COLOURS = ("#b3541e", "#1f5fa8", "#3a7d44", "#7a4a9e")
COLUMNS, WIDTH, HEIGHT = 3, 290, 210
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 34, 34
LEGEND = 34


class Runs(Protocol):
    """What ``robustness.Kept`` offers."""

    def of(self, case: str, rule: str) -> dict[int, Any]: ...


def put_table(page: Path, kept: Runs, rules: Sequence[str]) -> None:
    """Replace the table between the two marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} lacks {BEGIN.strip()} and {END}")
    write_whole(page, f"{before}{begin}\n{markdown(kept, rules)}\n\n{end}{after}".encode())


def markdown(kept: Runs, rules: Sequence[str]) -> str:
    """A table: the mean over the seeds, and the range where there is one."""
    from benchmarks.robustness import CASES

    lines = [
        "| coalition | rule | seeds | final accuracy | poisoned blocks | honest increments rejected | harm |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, case in CASES.items():
        for rule in rules:
            runs = list(kept.of(name, rule).values())
            if not runs:
                continue
            poisoned = _spread([run.liars_accepted for run in runs], "{:.0f}") if case.liars else "–"
            harm = [run.harm[-1] for run in runs if run.harm]
            cells = [
                case.words,
                f"`{rule}`",
                str(len(runs)),
                _spread([run.final for run in runs], "{:.3f}"),
                poisoned,
                _spread([100 * run.honest_rejected for run in runs], "{:.0f}") + " %",
                f"{case.harm} {_spread(harm, '{:.2f}')}" if harm else "–",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{form.format(statistics.fmean(values))} ({low}–{high})"


def draw(kept: Runs, rules: Sequence[str]) -> str:
    """One chart a case: accuracy on G by block, a line a seed, and dashed the harm that is measured apart."""
    rows = -(-len(PANELS) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + LEGEND
    size = f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11" fill="#222"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>',
        "<title>Accuracy by block in coalitions with members that lie in their training</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, name in enumerate(PANELS):
        across, down = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT + LEGEND
        parts.append(f'<g transform="translate({across} {down})">')
        parts += _panel(kept, name, rules)
        parts.append("</g>")
    parts += _legend(rules)
    return "\n".join([*parts, "</svg>", ""])


def _panel(kept: Runs, name: str, rules: Sequence[str]) -> Iterator[str]:
    from benchmarks.robustness import CASES

    case = CASES[name]
    found = {rule: kept.of(name, rule) for rule in rules}
    last = max([len(run.curve) for runs in found.values() for run in runs.values()], default=1)

    def x(block: float) -> float:
        return LEFT + (block - 1) / max(1, last - 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - value) * (HEIGHT - TOP - BOTTOM)

    yield f'<text x="{LEFT}" y="{TOP - 14}" font-weight="600">{escape(case.words)}</text>'
    for tick in (0, 0.25, 0.5, 0.75, 1):
        yield f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 5}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#666">{tick:g}</text>'
    for block in sorted({1, *range(10, last - 3, 10), last}):
        yield f'<text x="{x(block):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle" fill="#666">{block}</text>'
    for rule, colour in zip(rules, COLOURS, strict=False):
        for seed, run in found[rule].items():
            for values, dash in ((run.harm, ' stroke-dasharray="3 3"'), (run.curve, "")):
                points = " ".join(f"{x(block):.1f},{y(value):.1f}" for block, value in enumerate(values, 1))
                if points:
                    yield (
                        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4" '
                        f'stroke-opacity="0.75"{dash}><title>{escape(rule)}, seed {seed}</title></polyline>'
                    )
    if case.harm:
        yield f'<text x="{LEFT}" y="{HEIGHT - 4}" fill="#666">dashed: {escape(case.harm)}</text>'


def _legend(rules: Sequence[str]) -> Iterator[str]:
    across = LEFT
    for rule, colour in zip(rules, COLOURS, strict=False):
        yield f'<path d="M{across} 18h22" stroke="{colour}" stroke-width="2"/>'
        yield f'<text x="{across + 28}" y="22">{escape(rule)}</text>'
        across += 110
    yield f'<text x="{across}" y="22" fill="#666">accuracy on G by block, a line a seed</text>'
