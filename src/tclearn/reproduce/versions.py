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


def cryptography() -> dict[str, str]:
    """Versions of what encrypts, and the kind of processor."""
    return {
        "tclearn": version("tclearn"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "gmpy2": version("gmpy2"),
        "processor": platform.machine(),
    }
