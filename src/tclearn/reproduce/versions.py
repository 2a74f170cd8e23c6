"""What the digests of a run depend on besides its settings."""

from __future__ import annotations

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Versions of what computes, and the kind of processor."""
    import torch

    return {
        "tclearn": version("tclearn"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": torch.__version__,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }
