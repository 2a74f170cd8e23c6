"""A reproduction to be killed. Arguments: the experiment, the directory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.reproduce import tiny

from tclearn.reproduce.experiments import experiment, reproduce
from tclearn.reproduce.plan import Options

if __name__ == "__main__":
    tiny.make_small(pytest.MonkeyPatch())
    reproduce(experiment(sys.argv[1]), Options(seeds=1), Path(sys.argv[2]))
