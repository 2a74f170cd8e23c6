"""A member's own vault, made by whichever of its processes comes first."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from tclearn.directory.vault import own_vault
from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend
from tclearn.store.vault.forms import ROOT
from tclearn.store.vault.secret import Secret

SECRET = bytes(range(32))


def put_one(folder: str, data: bytes, begin: Any, told: Any) -> None:
    begin.wait()
    try:
        told.put((data, own_vault(Path(folder), SECRET).put(data)))
    except Exception as error:  # noqa: BLE001 - the test says which
        told.put((data, repr(error)))


def test_two_processes_that_make_it_at_once_lose_nothing(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("fork")
    for number in range(20):
        folder = tmp_path / str(number)
        begin, told = processes.Event(), processes.Queue()
        both = [processes.Process(target=put_one, args=(str(folder), each, begin, told)) for each in (b"one", b"two")]
        for process in both:
            process.start()
        begin.set()
        names = dict(told.get(timeout=20) for _ in both)
        for process in both:
            process.join(20)
        vault = own_vault(folder, SECRET)
        for data, name in names.items():
            assert isinstance(name, bytes), name
            assert vault.get(Digest(name), size_max=10) == data


class LateFolder(FolderBackend):
    """A folder in which another process makes the vault just before this one would."""

    overtaken = False

    def create(self, path: str, data: bytes) -> bool:
        if not self.overtaken:
            self.overtaken = True
            own_vault(self.folder, SECRET).put(b"first")
        return super().create(path, data)


def test_the_record_of_a_vault_is_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Vault(LateFolder(tmp_path / "vault"), HeldKeys({"1-member": Secret(SECRET)}, "1-member"), create=True)
    assert refused.value.code is Code.VAULT
    vault = own_vault(tmp_path / "vault", SECRET)
    assert isinstance(vault, Vault)
    assert [vault.get(name, size_max=10) for name in vault.names()] == [b"first"]


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_of_several_that_create_a_file_one_has_made_it(tmp_path: Path, kind: str) -> None:
    backend = FolderBackend(tmp_path / "vault") if kind == "folder" else BucketBackend(MemoryStore())
    assert [backend.create(ROOT, data) for data in (b"first", b"second")] == [True, False]
    source = backend.open(ROOT)
    assert source.read(10) == b"first"
    source.close()
    if kind == "folder":
        assert sorted(path.name for path in (tmp_path / "vault").rglob("*") if path.is_file()) == [ROOT]
