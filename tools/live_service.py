"""A service of four members on loopback, alive for as long as a command runs: ``live_service.py COMMAND WORD …``.

In the words ``{url}``, ``{port}``, ``{root}``, ``{certificate}`` and ``{key}`` stand for the service's address, its
port, and files: the root certificate of the service, and a member's own with its key, as they are when its agent has
started. The coalition has four blocks, so that there are entries and models to ask for; one is called ``{object}``.
No member is limited in how often it asks, so that answers are tested and not the limit. With ``TCLEARN_LEVEL=B`` in the
environment the coalition is one of level B, where the service computes data IDs and hands out what the ledger grants.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.service.conftest import NAMES, Member, Service, found_four, oneself, until
from tests.service.level_b import PASSPHRASE, found_b

from tclearn.directory.coalition import CoalitionDirectory
from tclearn.identity.tls import identity_of_member
from tclearn.service.home import MemberHome
from tclearn.service.turnstile import Turnstile


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tclearn-live-") as name:
        folder, now = Path(name), datetime.now(UTC)
        sealed = os.environ.get("TCLEARN_LEVEL", "A") == "B"
        service = Service(
            found_b(folder / "founder") if sealed else found_four(folder / "founder"),
            turnstile=Turnstile(per_second=1e6, at_once=10**6),
            passphrase=PASSPHRASE if sealed else None,
        )
        service.start()
        try:
            with CoalitionDirectory.open(service.directory) as coalition:
                digest = coalition.charter.digest
            joined = [MemberHome.join(folder / each, service.url, digest, oneself(each), now) for each in NAMES]
            with ExitStack() as running:
                works = [running.enter_context(Member(home).working()) for home in joined]
                until(lambda: all(work.ledger.state().increments == 4 for work in works))
            with CoalitionDirectory.open(service.directory) as coalition:
                locator = coalition.state.block(coalition.state.tip).locator
            leuven = joined[0]
            identity = identity_of_member(leuven.oneself.root, leuven.oneself.keys.root, now)
            chain = [each.public_bytes(Encoding.PEM) for each in (identity.certificate, identity.root)]
            (folder / "certificate.pem").write_bytes(b"".join(chain))
            key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (folder / "key.pem").write_bytes(key)
            words = {
                "url": service.url,
                "port": str(service.port),
                "root": str(leuven.path / "service.pem"),
                "certificate": str(folder / "certificate.pem"),
                "key": str(folder / "key.pem"),
                "object": locator.hex() if locator else "",
            }
            return subprocess.run([word.format(**words) for word in sys.argv[1:]], check=False).returncode
        finally:
            service.end()


if __name__ == "__main__":
    sys.exit(main())
