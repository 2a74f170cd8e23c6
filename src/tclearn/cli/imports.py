"""Commands that import the user's own modules find them where the user stands, as ``python`` would."""

from __future__ import annotations

import sys


def user_code() -> None:
    """Let modules of the working directory be imported."""
    if "" not in sys.path:
        sys.path.insert(0, "")
