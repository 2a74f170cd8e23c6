"""Where a data set is looked for, before anything is downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_NAMED: Final = "TCLEARN_DATA"


def named_folder() -> Path | None:
    """The folder that ``TCLEARN_DATA`` names; where it names one, nothing is looked for elsewhere or downloaded."""
    named = os.environ.get(_NAMED)
    return Path(named) if named else None


def folders_of(named: Path, data_set: str) -> tuple[Path, Path]:
    """Where a data set may be in a named folder: in a folder of its own, or there itself."""
    return named / data_set, named
