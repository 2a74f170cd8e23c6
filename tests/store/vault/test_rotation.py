"""Rotating keys: heads only, interrupted anywhere, and readable throughout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore
from tests.store.vault.vaults import (
    PASSPHRASE,
    body_file,
    files,
    head_file,
    noise,
    place,
    refusal,
    vault_with_key_file,
)

from tclearn.errors import Code
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.backends.bucket import BucketBackend
from tclearn.store.vault.forms import Head, Root
from tclearn.store.vault.key_file import KeyFile
from tclearn.store.vault.keys import new_key, new_name
from tclearn.store.vault.rotation import Rotation, retire, rotate


class PowerCut(BaseException):
    pass


class Interrupted(BucketBackend):
    """A backend that fails at the n-th writing from now."""

    writes_left = 1 << 30

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        if self.writes_left == 0:
            raise PowerCut
        self.writes_left -= 1
        super().write(path, pieces)


def test_all_heads_come_under_the_new_key_and_no_chunk_is_touched(tmp_path: Path) -> None:
    vault, keys = vault_with_key_file(tmp_path)
    objects = {vault.put(noise(size, size)): noise(size, size) for size in (0, 10, 3 << 20)}
    old = keys.current
    bodies = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files(place(vault) / "bodies")}
    contents = {name: Head.read(head_file(vault, name).read_bytes()) for name in objects}
    new = keys.add()
    assert rotate(vault) == Rotation(rewrapped=3, before=0, damaged=())
    assert rotate(vault) == Rotation(rewrapped=0, before=3, damaged=())
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files(place(vault) / "bodies")} == bodies
    for name, data in objects.items():
        head, before = Head.read(head_file(vault, name).read_bytes()), contents[name]
        assert head is not None
        assert before is not None
        assert (before.kek, head.kek) == (old, new)
        assert (head.body, head.content) == (before.body, before.content)
        assert vault.get(name, size_max=len(data)) == data
    root = Root.read((place(vault) / "vault").read_bytes())
    assert root is not None
    assert root.kek == new
    assert retire(vault, keys) == [old]
    again = Vault(FolderBackend(place(vault)), KeyFile.open(keys.path, PASSPHRASE))
    assert set(again.names()) == set(objects)


@given(cut=st.integers(0, 6), objects=st.integers(0, 4), rounds=st.integers(1, 3))
@settings(max_examples=30)
def test_a_rotation_that_is_interrupted_anywhere_is_readable_and_goes_on(cut: int, objects: int, rounds: int) -> None:
    memory = MemoryStore()
    names = [new_name(number) for number in range(1, rounds + 2)]
    secrets = {name: new_key() for name in names}
    vault = Vault(BucketBackend(memory), HeldKeys(secrets, names[0]), create=True)
    kept = {vault.put(bytes([number])): bytes([number]) for number in range(objects)}
    done = 0
    for current in names[1:]:
        keys = HeldKeys(secrets, current)
        backend = Interrupted(memory)
        backend.writes_left = cut
        try:
            rotate(Vault(backend, keys))
        except PowerCut:
            done += 1
        for some in (HeldKeys(secrets, names[0]), keys):  # an older process, and one that begins now
            vault = Vault(BucketBackend(memory), some)
            assert {name: vault.get(name, size_max=1) for name in vault.names()} == kept
    rotate(Vault(BucketBackend(memory), HeldKeys(secrets, names[-1])))
    vault = Vault(BucketBackend(memory), HeldKeys({names[-1]: secrets[names[-1]]}, names[-1]))
    assert {name: vault.get(name, size_max=1) for name in vault.names()} == kept
    assert done == (rounds if cut <= objects else 0)


def test_what_is_put_during_a_rotation_is_under_the_new_key(tmp_path: Path) -> None:
    vault, keys = vault_with_key_file(tmp_path)
    other = Vault(FolderBackend(place(vault)), KeyFile.open(keys.path, PASSPHRASE))
    first = vault.put(b"before")
    keys.add()
    error = refusal(lambda: vault.put(b"between"))
    assert error.code is Code.VAULT_KEY
    assert "rotate to the end" in error.remedy
    rotate(vault)
    vault.put(b"after")
    error = refusal(lambda: other.put(b"by a process that has the old keys"))
    assert error.code is Code.VAULT_KEY
    assert refusal(lambda: other.get(first, size_max=10)).code is Code.VAULT_KEY
    assert refusal(lambda: other.has(first)).code is Code.VAULT_KEY
    reopened = Vault(FolderBackend(place(vault)), KeyFile.open(keys.path, PASSPHRASE))
    assert reopened.get(first, size_max=10) == b"before"
    assert len(files(place(vault) / "bodies")) == 2


def test_a_head_that_is_damaged_is_named_and_keeps_the_old_key_alive(tmp_path: Path) -> None:
    vault, keys = vault_with_key_file(tmp_path)
    good, bad, worse = (vault.put(data) for data in (b"good", b"bad", b"worse"))
    for name, cut in ((bad, slice(0, -1)), (worse, slice(0, 10))):
        head_file(vault, name).write_bytes(head_file(vault, name).read_bytes()[cut])
    path = head_file(vault, good)
    keys.add()
    result = rotate(vault)
    assert (result.rewrapped, len(result.damaged)) == (1, 2)
    assert path.relative_to(place(vault)).as_posix() not in result.damaged
    assert refusal(lambda: retire(vault, keys)).code is Code.OBJECT_CORRUPT
    assert len(keys.names) == 2
    for data in (b"bad", b"worse"):
        vault.put(data)
    assert len(retire(vault, keys)) == 1
    assert vault.get(good, size_max=4) == b"good"


def test_nothing_is_retired_before_the_rotation_is_done(tmp_path: Path) -> None:
    vault, keys = vault_with_key_file(tmp_path)
    name = vault.put(b"weights")
    keys.add()
    assert refusal(lambda: retire(vault, keys)).code is Code.VAULT_KEY
    vault.write_root()  # interrupted here
    assert retire(vault, keys) == []
    rotate(vault)
    assert len(retire(vault, keys)) == 1
    assert vault.get(name, size_max=7) == b"weights"


def test_keys_of_another_vault_open_nothing(tmp_path: Path) -> None:
    vault, _ = vault_with_key_file(tmp_path)
    vault.put(b"weights")
    error = refusal(lambda: Vault(FolderBackend(place(vault)), HeldKeys.new()))
    assert error.code is Code.VAULT_KEY
    assert "do not have" in error.what
    body = body_file(vault, next(vault.names()))
    assert body.exists()
    same_name = HeldKeys({vault.keys.current: new_key()}, vault.keys.current)
    with pytest.raises(Exception, match="is damaged"):
        Vault(FolderBackend(place(vault)), same_name)
