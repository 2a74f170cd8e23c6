"""Numbers, moments, digests and the charter's words, as the report writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tclearn.coalition.digest_text import format_digest
from tclearn.coalition.evidence import MILLION, Paired
from tclearn.coalition.quantities import decimal_text
from tclearn.encoding import Digest, MemberId
from tclearn.page.markup import Html, el

NONE: Final = "–"
_METRICS: Final = {"accuracy": "accuracy", "macro_f1": "macro F1", "auc": "AUC", "dice": "Dice score"}
_UNITS: Final = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second"), (1, "millisecond"))


def metric(name: str) -> str:
    """The metric's name in a sentence."""
    return _METRICS.get(name, name)


def share(value: float | None, decimals: int = 4) -> str:
    """A performance, 0 to 1."""
    return NONE if value is None else f"{value:.{decimals}f}"


def compared(value: float | None, other: float, what: str) -> str:
    """How far another performance is from one: ``"0.004 above the coalition"``.

    Args:
        value: what it is compared with; ``None``: there is nothing yet.
        other: the other one.
        what: whose performance ``value`` is.
    """
    if value is None:
        return "for comparison"
    if abs(value - other) < 0.0005:
        return "the same"
    return f"{abs(value - other):.3f} {'below' if value > other else 'above'} {what}"


def counted(result: Paired) -> str:
    """What a measurement was made on: ``"957 of 1,000 right"``, or the number of records."""
    if result.scale == MILLION:
        return plural(result.n, "record")
    return f"{whole(result.candidate)} of {whole(result.scale)} right"


def paired(result: Paired | None, which: str = "candidate") -> str:
    """One side of a measurement, with nothing rounded away: ``"957 of 1,000 right (0.9570)"`` or millionths.

    Args:
        result: the measurement.
        which: ``"candidate"`` or ``"reference"``.
    """
    if result is None:
        return NONE
    number = result.candidate if which == "candidate" else result.reference
    if result.scale == MILLION:
        return f"{number / MILLION:.6f} on {plural(result.n, 'record')}"
    return f"{whole(number)} of {whole(result.scale)} right ({number / result.scale:.4f})"


def whole(number: int) -> str:
    """A count, its thousands apart."""
    return f"{number:,}"


def plural(number: int, noun: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{whole(number)} {noun if number == 1 else many or noun + 's'}"


def ppm(millionths: int) -> str:
    """Millionths as a decimal."""
    return decimal_text(millionths, MILLION)


def moment(time_ms: int) -> str:
    """A ledger time as date and time of day in UTC; the bare number when no calendar has it."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def duration(span_ms: int) -> str:
    """A span in the largest unit that divides it."""
    for size, unit in _UNITS:
        if span_ms % size == 0 and span_ms >= size:
            return plural(span_ms // size, unit)
    return plural(span_ms, "millisecond")


def short(text: str, most: int = 20) -> str:
    """A name that has to fit; the whole of it belongs into a title beside."""
    return text if len(text) <= most else text[: most - 1] + "…"


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, three or more that follow each other in one: ``"1–3, 5 and 7"``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words: list[str] = []
    for run in runs:
        words += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else map(str, run)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def in_order(members: Iterable[MemberId]) -> list[MemberId]:
    """Names as people sort them: ``hospital-2`` before ``hospital-10``."""

    def key(member: MemberId) -> list[tuple[int, int, str]]:
        # Every other piece is a number; a number comes before a word.
        pieces = re.split(r"([0-9]+)", member)
        return [(0, int(piece), "") if at % 2 else (1, 0, piece) for at, piece in enumerate(pieces)]

    return sorted(members, key=key)


def hyperparameters(values: Mapping[str, int]) -> str:
    """Hyper-parameters as users write them."""
    return ", ".join(f"{name} {hyperparameter(name, value)}" for name, value in sorted(values.items())) or NONE


def hyperparameter(name: str, value: int) -> str:
    """One value: millionths where the charter keeps it in millionths."""
    return ppm(value) if name == "learning_rate" or name.endswith("_ppm") else str(value)


def hexadecimal(data: bytes) -> Html:
    """Bytes in full; one click selects them all."""
    return el("code", data.hex(), class_="hash")


def brief_hash(data: bytes) -> Html:
    """The first bytes of a digest, the whole in its title: to recognise, not to compare by."""
    return el("code", f"{data.hex()[:10]}…", title=data.hex())


def telephone(data: Digest) -> Html:
    """A digest to read aloud: groups of four digits, four groups a line."""
    groups = format_digest(data).split("-")
    lines = [groups[at : at + 4] for at in range(0, len(groups), 4)]
    return el("div", [el("div", [el("span", group) for group in line]) for line in lines], class_="telephone")
