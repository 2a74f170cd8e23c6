"""How much memory the service needs when every place for an upload is taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tclearn.limits import UPLOADS_AT_ONCE_MAX

EACH_MB = 6
"""What has come and is not read, one chunk, and what is sealed and not written; 4.1 MB were measured."""
AT_ONCE = """
import asyncio, io, os, sys
from functools import partial
from pathlib import Path
from benchmarks.transfer import marked, peak_mb
from tclearn.encoding import MemberId
from tclearn.service.uploads import Uploads
from tclearn.store.vault import FolderBackend, HeldKeys, Vault

vault = Vault(FolderBackend(Path(sys.argv[1])), HeldKeys.new(), create=True)
vault.put(bytes(3 << 20))
uploads = Uploads()

class Request:
    headers = {}

    async def stream(self):
        for _ in range(12 * 16):
            yield os.urandom(1 << 16)
            await asyncio.sleep(0)

async def one(number):
    with uploads.place(MemberId(f"m{number}")):
        await uploads.received(Request(), 1 << 30, partial(vault.put_stream, size_max=1 << 30))

async def all_of_them():
    await asyncio.gather(*(one(number) for number in range(int(sys.argv[2]))))

before = marked()
asyncio.run(all_of_them())
print(peak_mb() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are told by Linux only")
def test_each_of_all_uploads_at_once_needs_a_few_pieces(tmp_path: Path) -> None:
    command = [sys.executable, "-c", AT_ONCE, str(tmp_path / "vault"), str(UPLOADS_AT_ONCE_MAX)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    print(f"{float(done.stdout):.0f} MB")
    assert UPLOADS_AT_ONCE_MAX < float(done.stdout) < UPLOADS_AT_ONCE_MAX * EACH_MB
