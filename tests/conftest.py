"""What holds for every test: how Hypothesis searches, and that two test processes do not fight for two cores."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Read when numpy and torch are first imported, which is after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines: a busy machine is not a failure. A failing example is printed so that it can be pasted into a test.
settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], max_examples=100
)
# In CI the same examples every time: what was green stays green until the code changes.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
# `make test-all` searches longer.
settings.register_profile("thorough", settings.get_profile("default"), max_examples=300)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))
