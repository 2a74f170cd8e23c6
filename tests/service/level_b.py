"""A coalition of level B as the tests of its service need one."""

from __future__ import annotations

from pathlib import Path

from tests.service.conftest import CHARTER, ENROLMENTS, FOUNDED, NAMES, SCHEDULE

from tclearn.directory.founding import Secrets, found
from tclearn.directory.site import SiteFile

PASSPHRASE = "three slanted drums"
SITE = SiteFile(global_test="tests.service.material:global_test", threads=1)


def found_b(folder: Path, *, per_day: int = 100_000, at_once: int = 200_000, schedule: str = SCHEDULE) -> Path:
    """Make a coalition that has said nothing yet; returns its directory."""
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.pem").write_bytes(ENROLMENTS[name])
    text = CHARTER.replace("{schedule}", schedule).replace("[coalition]\n", '[coalition]\nlevel = "B"\n')
    (folder / "charter.toml").write_text(f"{text}\n[data_ids]\nper_day = {per_day}\nat_once = {at_once}\n")
    secrets = Secrets(log=bytes(32), data=bytes(range(32)))
    made = found(
        folder / "charter.toml",
        SITE,
        folder / "coalition",
        secrets=secrets,
        now=FOUNDED,
        passphrase=lambda: PASSPHRASE,
    )
    made.close()
    return folder / "coalition"
