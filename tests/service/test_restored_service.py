"""``docs/how-to/back-up-the-service.md``, done: restored, it goes on, with a member's copy where that is newer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.service.conftest import Member, Service, all_joined, now, now_ms
from tests.service.level_b import PASSPHRASE, found_b

from tclearn.directory.changes import ask_to_expel
from tclearn.directory.coalition import LEDGER
from tclearn.directory.vault import VAULT, VAULT_KEY, open_vault
from tclearn.encoding import MemberId
from tclearn.errors import TCLearnError
from tclearn.service.beside import beside
from tclearn.store.vault import FolderBackend, KeyFile
from tclearn.store.vault.backup import backup, restore

COPIED = ("charter.cbor", "log.key", "enrolments", "data-ids.key", "data-ids.sqlite", LEDGER)


def speaks(member: Member) -> int:
    """Asks for something, and keeps what the log then has; returns how many entries that are."""
    with beside(member.home, now(), now_ms) as here:
        signer = member.home.oneself.keys.signer
        ask_to_expel(here.ledger, here.ledger.coalition, signer, MemberId("turin"))
        return len(here.ledger)


def restored(kept: Path, at: Path) -> None:
    at.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (kept / name).is_dir() else shutil.copy2
        copy(kept / name, at / name)
    keys = KeyFile.open(kept / VAULT / "vault.key", PASSPHRASE)
    restore(kept / VAULT, FolderBackend(at / VAULT), keys, key_file=at / VAULT_KEY)


@pytest.mark.slow
def test_a_restored_service_goes_on_and_one_that_is_behind_takes_a_members_copy(tmp_path: Path) -> None:
    service = Service(found_b(tmp_path / "founder"), passphrase=PASSPHRASE)
    service.start()
    members = all_joined(service, tmp_path)
    assert speaks(members["leuven"]) == 1
    service.end()

    kept = tmp_path / "backup"
    kept.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (service.directory / name).is_dir() else shutil.copy2
        copy(service.directory / name, kept / name)
    backup(open_vault(service.directory, PASSPHRASE), kept / VAULT)

    service.start()
    assert speaks(members["namur"]) == 2  # after the backup
    service.end()
    shutil.rmtree(service.directory)

    restored(kept, service.directory)
    service.start()
    with pytest.raises(TCLearnError) as behind:  # it has seen two entries, and is shown one
        speaks(members["namur"])
    assert "set back" in str(behind.value) or "were seen before" in str(behind.value)
    service.end()

    shutil.copy2(members["namur"].home.path / LEDGER, service.directory / LEDGER)
    service.start()
    try:
        assert speaks(members["porto"]) == 3
        with beside(members["namur"].home, now(), now_ms) as here:
            assert len(here.ledger) == 3
            assert not here.ledger.forks
        assert "turin" not in service.desk.office.coalition.state.members
    finally:
        service.end()
