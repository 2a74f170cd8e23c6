"""How much memory an object needs on its way: neither end holds it, but for whoever needs its bytes, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.transfer import MB, transfers

SIZE_MB = 100
ROOM_MB = 40
"""A few pieces, threads and buffers at each end: what was measured is a quarter of it."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are told by Linux only")
def test_an_object_is_in_memory_once_at_most(tmp_path: Path) -> None:
    found, _ = transfers(SIZE_MB * MB, tmp_path)
    assert {way: each.service_mb < ROOM_MB for way, each in found.items()} == dict.fromkeys(
        ("put", "file", "bytes"), True
    )
    assert found["put"].member_mb < ROOM_MB
    assert found["file"].member_mb < ROOM_MB
    assert SIZE_MB <= found["bytes"].member_mb < 1.2 * SIZE_MB, "once, or nothing was measured"
