"""Founding and running a coalition of level B from the command line."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_founding import CHARTER, office

from tclearn.directory import CoalitionDirectory
from tclearn.errors import UsageError

__all__ = ["office"]
PASSPHRASE = "three slanted drums"
SECRETS = ("log.key", "vault.key", "data-ids.key")


@pytest.fixture
def confidential(office: Path) -> Path:
    (office / "charter.toml").write_text(CHARTER.replace('level    = "A"', 'level    = "B"'))
    return office


def test_a_confidential_coalition_is_founded_with_a_passphrase(
    tclearn: Any, confidential: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCLEARN_VAULT_PASSPHRASE", PASSPHRASE)
    said = tclearn("coalition", "new", "charter.toml").out
    assert "[vault]" in said and "reads_per_1000_samples 2" in said and "witnessed              true" in said
    assert PASSPHRASE not in said
    told = tclearn("coalition", "show", "--json", "--dir", "coalition").json
    assert told["vault"]["versions"] == "newest" and told["data_ids"]["per_day"] == 100_000
    for secret in SECRETS:
        assert stat.S_IMODE((confidential / "coalition" / secret).stat().st_mode) == 0o600
    assert not (confidential / "coalition" / "data.key").exists()
    assert (confidential / "coalition" / "vault" / "vault").exists()
    status = tclearn("status", "--json", "--dir", "coalition").json  # what is on the ledger takes no passphrase
    assert {"member": "leuven", "for": "propose", "until_ms": None} in status["waiting"]
    with pytest.raises(UsageError):
        CoalitionDirectory.open(confidential / "coalition", passphrase="another")
    CoalitionDirectory.open(confidential / "coalition", passphrase=PASSPHRASE).close()


@pytest.mark.usefixtures("confidential")
def test_without_a_passphrase_nothing_is_made(tclearn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TCLEARN_VAULT_PASSPHRASE", raising=False)
    said = tclearn("coalition", "new", "charter.toml", code=2)
    assert "TCLEARN_VAULT_PASSPHRASE" in said.err
    assert not Path("coalition").exists()
    for short in ("", "x", "eleven char"):
        monkeypatch.setenv("TCLEARN_VAULT_PASSPHRASE", short)
        said = tclearn("coalition", "new", "charter.toml", code=2).err
        assert "expected at least 12" in said
        assert "eleven" not in said
    monkeypatch.setenv("TCLEARN_VAULT_PASSPHRASE", PASSPHRASE)
    tclearn("coalition", "new", "charter.toml")
