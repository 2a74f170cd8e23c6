"""A service of level B, killed where it would compute data IDs: ``python -m tests.service.dying DIR PORT KILLS``.

With ``KILLS`` 1 it dies as by ``kill -9`` after it has noted a request and before it answers; with 0 it answers.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.service.conftest import Service
from tests.service.level_b import PASSPHRASE

from tclearn.identity.oprf import OprfKey


def die(*_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[3] == "1":
        OprfKey.evaluate = die  # type: ignore[assignment, method-assign]
    service = Service(Path(sys.argv[1]), port=int(sys.argv[2]), passphrase=PASSPHRASE)
    service.start()
    print("started", flush=True)
    while True:
        time.sleep(1)
