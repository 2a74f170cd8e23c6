"""The runs of ``privacy.py`` as tables for the documentation, and rebuilt images as one PNG."""

from __future__ import annotations

import base64
import statistics
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tclearn.files import write_whole

BEGIN, END = "<!-- made by benchmarks/privacy.py -->\n", "<!-- end -->"
ACROSS, SCALE, GAP = 6, 2, 6


class Runs(Protocol):
    """What ``privacy.Kept`` offers."""

    scene: Any
    runs: dict[str, dict[str, Any]]

    def tries(self, name: str) -> list[dict[str, Any]]: ...


def put_tables(page: Path, kept: Runs) -> None:
    """Replace the two tables between their marks in a page: rebuilt images, then membership."""
    pieces = page.read_text(encoding="utf-8").split(BEGIN)
    if len(pieces) != 3 or not all(END in piece for piece in pieces[1:]):
        raise SystemExit(f"{page} lacks two pairs of {BEGIN.strip()} and {END}")
    text = pieces[0]
    for piece, table in zip(pieces[1:], (_rebuilt(kept), _inferred(kept)), strict=True):
        text += f"{BEGIN}\n{table}\n\n{END}{piece.partition(END)[2]}"
    write_whole(page, text.encode())


def _rebuilt(kept: Runs) -> str:
    from benchmarks.privacy import REBUILDINGS

    lines = [
        "| the member's training | tries | grey | blind attack | class mean | informed attack | SSIM | most exposed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, setting in REBUILDINGS.items():
        tries = kept.tries(name)
        if not tries:
            continue
        most = max(run["informed"]["most"] for run in tries)
        better = max(("blind", "informed"), key=lambda way: _mean(tries, way, "psnr"))
        cells = [
            setting.words,
            str(len(tries)),
            f"{_mean(tries, 'blind', 'known'):.1f}",
            f"{_mean(tries, 'blind', 'psnr'):.1f}",
            f"{_mean(tries, 'informed', 'known'):.1f}",
            f"{_mean(tries, 'informed', 'psnr'):.1f}",
            f"{_mean(tries, better, 'ssim'):.2f}",
            f"{most:+.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(tries: Sequence[Mapping[str, Any]], way: str, figure: str) -> float:
    return statistics.fmean(run[way][figure] for run in tries)


def _inferred(kept: Runs) -> str:
    from benchmarks.privacy import MEMBERSHIPS

    lines = [
        "| the member's training | ε | accuracy, members | others | AUC | found at 1 % false | control AUC |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, setting in MEMBERSHIPS.items():
        run = kept.runs.get(name)
        if run is None:
            continue
        cells = [
            setting.words,
            "–" if run["epsilon"] is None else f"{run['epsilon']:.1f}",
            f"{run['accuracy_in']:.3f}",
            f"{run['accuracy_out']:.3f}",
            _interval(run["members"]["auc"], "{:.3f}"),
            _interval(run["members"]["tpr"], "{:.1%}").replace("%", " %"),
            _interval(run["control"]["auc"], "{:.3f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(each: Mapping[str, float], form: str) -> str:
    value, low, high = (form.format(each[name]) for name in ("value", "low", "high"))
    return f"{value} ({low}–{high})"


def draw(kept: Runs, names: Sequence[str]) -> bytes:
    """For each setting a row of true images above a row of rebuilt ones, as a grey PNG."""
    rows: list[NDArray[np.uint8]] = []
    for name in names:
        tries = kept.tries(name)
        for which in ("true", "rebuilt"):
            packed = b"".join(base64.b64decode(run[which]) for run in tries)
            images = np.frombuffer(packed, np.uint8).reshape(-1, kept.scene.side, kept.scene.side)[:ACROSS]
            rows.append(_row(images, kept.scene.side))
        rows.append(np.full((2 * GAP, rows[-1].shape[1]), 255, np.uint8))
    return png(np.concatenate(rows[:-1]))


def _row(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    row = np.full((SCALE * side + GAP, ACROSS * (SCALE * side + GAP)), 255, np.uint8)
    for number, image in enumerate(images):
        left = number * (SCALE * side + GAP)
        row[: SCALE * side, left : left + SCALE * side] = image.repeat(SCALE, 0).repeat(SCALE, 1)
    return row


def png(grey: NDArray[np.uint8]) -> bytes:
    """A grey image as PNG (ISO/IEC 15948), eight bits a pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = grey.shape
    lines = b"".join(b"\0" + line.tobytes() for line in grey)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
