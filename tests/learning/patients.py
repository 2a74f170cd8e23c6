"""Four made-up hospitals in the files of the heart disease data, and that data set's checksums made theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tclearn.learning.datasets import heart_disease

SIZES = {"cleveland": 303, "hungarian": 294, "switzerland": 123, "va": 200}
HEALTHY = {"cleveland": 0.54, "hungarian": 0.64, "switzerland": 0.07, "va": 0.25}


def rows(hospital: str, count: int, seed: int = 0) -> list[list[str]]:
    """Patients as text. The diagnosis can be learnt from them, not for certain; some findings are missing."""
    random = np.random.default_rng([seed, list(SIZES).index(hospital)])
    made = []
    for _ in range(count):
        ill = int(random.random() > HEALTHY[hospital])
        row: list[object] = [
            float(random.integers(30, 65) + 8 * ill),
            float(random.random() < 0.6 + 0.3 * ill),
            int(random.choice([1, 2, 3, 4], p=[0.1, 0.1, 0.2, 0.6] if ill else [0.1, 0.4, 0.3, 0.2])),
            int(random.integers(95, 170)),
            0 if hospital == "switzerland" else int(random.integers(130, 380)),
            float(random.random() < 0.15),
            int(random.integers(0, 3)),
            int(random.integers(110, 180) - 20 * ill),
            float(random.random() < 0.2 + 0.4 * ill),
            f".{random.integers(0, 10)}" if not ill else round(float(random.uniform(0, 4)), 1),
            int(random.integers(1, 4)),
            int(random.integers(0, 4)) if hospital == "cleveland" else "?",
            int(random.choice([3, 6, 7], p=[0.2, 0.1, 0.7] if ill else [0.7, 0.1, 0.2])),
            ill * int(random.integers(1, 5)),
        ]
        cells = [str(cell) for cell in row]
        for column in (3, 5, 7, 8, 9, 10, 12):
            if random.random() < 0.1:
                cells[column] = "?"
        made.append(cells)
    return made


def write(folder: Path, monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int] = SIZES) -> None:
    """Write the four files as the archive has them, and let them pass for what was published."""
    folder.mkdir(parents=True, exist_ok=True)
    for hospital, count in sizes.items():
        text = "".join(",".join(cells) + "\n" for cells in rows(hospital, count))
        (folder / f"processed.{hospital}.data").write_text(text)
    published(folder, monkeypatch)


def published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files in a folder pass for what was published."""
    found = {name: heart_disease._table(folder / f"processed.{name}.data") for name in SIZES}
    digests = {name: heart_disease._digest(table) for name, table in found.items()}
    monkeypatch.setattr(heart_disease, "_SHA256", digests)
