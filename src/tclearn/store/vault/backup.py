"""Backups: a folder with a vault's sealed files, its sealed key file, and a manifest of both.

Nothing is decrypted into a backup. It is a vault itself: ``Vault(FolderBackend(backup), keys)`` reads it in place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blake3 import blake3

from tclearn.encoding import Digest, decode, encode
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UsageError
from tclearn.files import is_there, make_folder, write_whole
from tclearn.limits import KEY_FILE_BYTES_MAX, VAULT_MANIFEST_BYTES_MAX, VAULT_RECORD_BYTES_MAX
from tclearn.records import Record
from tclearn.store.faults import failed
from tclearn.store.filesystem import sync_folder
from tclearn.store.vault.backends import Backend, FolderBackend
from tclearn.store.vault.backends.interface import read_small
from tclearn.store.vault.chunks import CHUNK_BYTES
from tclearn.store.vault.forms import BODIES, HEADS, ROOT, body_path, head_path, id_in
from tclearn.store.vault.keys import KeyEncryption
from tclearn.store.vault.reading import drained
from tclearn.store.vault.vault import Vault, damaged_head

KEY_FILE: Final = "vault.key"
MANIFEST: Final = "manifest"
_FORMAT: Final = "tclearn-vault-backup/1"
_SEAL_CONTEXT: Final = "tclearn-vault-backup/1 manifest"


@dataclass(frozen=True, slots=True)
class Item(Record):
    """A file of a backup.

    Attributes:
        path: its path in the backup.
        size: in bytes.
        digest: BLAKE3-256 of its bytes.
    """

    path: str
    size: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class Manifest(Record):
    """What is in a backup.

    Attributes:
        format: ``tclearn-vault-backup/1``.
        files: all files but the manifest itself, by path.
        seal: keyed BLAKE3 of the files, with a key that only the vault's keys give: a manifest that somebody else has
            made is refused. That a backup is the newest it cannot show; the manifest's digest, kept elsewhere, can.
    """

    format: str
    files: tuple[Item, ...]
    seal: Digest


def backup(vault: Vault, out: Path) -> Digest:
    """Write everything that is in a vault into a new folder, and read it there from beginning to end.

    The folder has its name only when it is complete. Objects that are put meanwhile may be in it or not.

    Args:
        vault: open.
        out: nothing may be there yet.

    Returns:
        The manifest's digest: noted elsewhere, it tells this backup from older ones.

    Raises:
        UsageError: something is there already.
        StorageError: an object is damaged, the keys were rotated meanwhile, or a disk fails; nothing is left then.
    """
    _check_free(out)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    make_folder(out.parent)
    shutil.rmtree(part, ignore_errors=True)  # of an interrupted process that had this number
    try:
        files = _gathered(vault, FolderBackend(part))
        manifest = Manifest(_FORMAT, tuple(files), _seal(vault, files)).encode()
        write_whole(part / MANIFEST, manifest, mode=0o600)
        (part / "incoming").rmdir()
        _check_objects(Vault(FolderBackend(part), vault.keys), files)
        part.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        raise failed(error, out.parent) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Digest(blake3(manifest).digest())


def restore(
    source: Path,
    backend: Backend,
    keys: KeyEncryption,
    *,
    key_file: Path | None = None,
    expected: Digest | None = None,
) -> Vault:
    """Make a vault of a backup. Everything is checked before anything is written.

    The vault's own record is written last: until then there is no vault, and what an interrupted restoration has
    written is overwritten when it is done again.

    Args:
        source: the backup.
        backend: without a vault.
        keys: those of the backup, ``KeyFile.open(source / KEY_FILE, …)`` where they are in it.
        key_file: where to put the sealed key file; nothing may be there, or the same. ``None``: nowhere.
        expected: the digest that ``backup`` returned, where it was kept.

    Raises:
        UsageError: there is a vault, or a part of another one; or something else in the key file's place.
        StorageError: the backup is damaged, incomplete or another one, or the backend fails.
    """
    files = check(source, keys, expected=expected)
    _check_place(backend, files)
    sealed = read_small(FolderBackend(source), KEY_FILE, KEY_FILE_BYTES_MAX)
    if key_file is not None and sealed is not None and not _same(key_file, sealed):
        _check_free(key_file)
    written: list[str] = []
    key_file_is_new = key_file is not None and not is_there(key_file)
    try:
        for item in sorted(files, key=_order):
            if item.path == KEY_FILE:
                continue
            if item.path == ROOT and key_file is not None and sealed is not None:
                write_whole(key_file, sealed, mode=0o600)
            written.append(item.path)
            backend.write(item.path, _copied(source, item))
    except BaseException:
        for path in written:
            with suppress(TCLearnError):
                backend.remove(path)
        if key_file is not None and key_file_is_new:
            with suppress(OSError):  # what has gone wrong is told, not this
                key_file.unlink(missing_ok=True)
        raise
    return Vault(backend, keys)


def check(source: Path, keys: KeyEncryption, *, expected: Digest | None = None) -> tuple[Item, ...]:
    """Check a backup: every file is there as it was written, and every object opens to what its name says.

    Returns:
        The files that are in it.

    Raises:
        StorageError: it is damaged, incomplete or another one.
    """
    if not source.is_dir():
        raise _refused(source, "is not there")
    place = FolderBackend(source)
    data = read_small(place, MANIFEST, VAULT_MANIFEST_BYTES_MAX)
    if data is None:
        raise _refused(source, "has no manifest")
    if expected is not None and blake3(data).digest() != expected:
        raise _refused(source, "is another one than the digest says")
    try:
        manifest = Manifest.from_value(decode(data, size_max=VAULT_MANIFEST_BYTES_MAX))
    except MessageError:
        raise _refused(source, "has a damaged manifest") from None
    if place.size(ROOT) is None:
        raise _refused(source, f"lacks the file {ROOT}")
    vault = Vault(place, keys)
    if manifest.format != _FORMAT or manifest.seal != _seal(vault, manifest.files):
        raise _refused(source, "has a manifest that its vault's keys have not sealed")
    _check_paths(source, place, manifest.files)
    for item in manifest.files:
        for _ in _copied(source, item):
            pass
    _check_objects(vault, manifest.files)
    return manifest.files


def _gathered(vault: Vault, place: FolderBackend) -> list[Item]:
    root = read_small(vault.backend, ROOT, VAULT_RECORD_BYTES_MAX)
    sealed = vault.keys.sealed()
    files = []
    for label, head in vault.heads():
        if head is None:
            raise damaged_head(label)
        files.append(_taken(vault.backend, place, body_path(head.body)))
        place.write(head_path(label), [head.encode()])
        files.append(_item(head_path(label), head.encode()))
    for path, data in ((ROOT, root), (KEY_FILE, sealed)):
        if data:
            place.write(path, [data])
            files.append(_item(path, data))
    if root != read_small(vault.backend, ROOT, VAULT_RECORD_BYTES_MAX) or sealed != vault.keys.sealed():
        raise StorageError(
            Code.VAULT_KEY, "the vault's keys were changed during the backup", remedy="make the backup again"
        )
    return sorted(files, key=lambda item: item.path)


def _taken(backend: Backend, place: FolderBackend, path: str) -> Item:
    counted = blake3()
    size = 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        for piece in _pieces(backend, path):
            counted.update(piece)
            size += len(piece)
            yield piece

    place.write(path, pieces())
    return Item(path, size, Digest(counted.digest()))


def _copied(source: Path, item: Item) -> Iterator[bytes]:
    """A file of a backup; an error at its end when it is not what the manifest says."""
    counted = blake3()
    size = 0
    for piece in _pieces(FolderBackend(source), item.path):
        counted.update(piece)
        size += len(piece)
        yield piece
    if size != item.size or counted.digest() != item.digest:
        raise _refused(source, f"has a damaged file, {item.path}")


def _pieces(backend: Backend, path: str) -> Iterator[bytes]:
    try:
        file = backend.open(path)
    except FileNotFoundError:
        raise StorageError(
            Code.OBJECT_CORRUPT,
            f"{path} is not in {backend!r}",
            expected="the chunks of an object that has a head",
            remedy="put the object again, or remove it",
        ) from None
    try:
        while piece := file.read(CHUNK_BYTES):
            yield piece
    finally:
        file.close()


def _check_objects(vault: Vault, files: tuple[Item, ...] | list[Item]) -> None:
    """Every object opens and is whole; there are as many bodies as heads."""
    heads = 0
    for name in vault.names():
        with vault.opening(name) as stream:
            drained(stream)
        heads += 1
    bodies = sum(item.path.startswith(f"{BODIES}/") for item in files)
    if heads != bodies or heads != sum(item.path.startswith(f"{HEADS}/") for item in files):
        raise _refused(Path(repr(vault.backend)), "has bodies without heads")


def _check_paths(source: Path, place: FolderBackend, files: tuple[Item, ...]) -> None:
    named = {item.path for item in files}
    for path in named:
        # Paths are opened and written: none may lead out of the backup.
        if path not in {ROOT, KEY_FILE} and (id_in(path) is None or path.partition("/")[0] not in {HEADS, BODIES}):
            raise _refused(source, f"names the file {path[:100]!r}, which no vault has")
    there = {entry.path for folder in (HEADS, BODIES) for entry in place.list(folder)}
    there |= {path for path in (ROOT, KEY_FILE) if place.size(path) is not None}
    if there != named or len(named) != len(files):
        odd = sorted(there ^ named)
        raise _refused(source, f"lacks files, or has some too many: {', '.join(odd[:3])}")


def _check_place(backend: Backend, files: tuple[Item, ...]) -> None:
    named = {item.path for item in files}
    strange = any(entry.path not in named for folder in (HEADS, BODIES) for entry in backend.list(folder))
    if strange or backend.size(ROOT) is not None:
        raise UsageError(
            Code.VAULT,
            f"in {backend!r} there is a vault already, or a part of another one",
            expected="an empty place",
            remedy="choose another place",
        )


def _check_free(path: Path) -> None:
    if os.path.lexists(path):  # no where it cannot be looked up: then writing it says why
        raise UsageError(
            Code.USAGE, f"{path} exists already", expected="a name that is not taken", remedy="choose another name"
        )


def _same(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _order(item: Item) -> tuple[int, str]:
    # Bodies, heads, and the record with which there is a vault.
    return (2 if item.path == ROOT else int(item.path.startswith(f"{HEADS}/"))), item.path


def _item(path: str, data: bytes) -> Item:
    return Item(path, len(data), Digest(blake3(data).digest()))


def _seal(vault: Vault, files: tuple[Item, ...] | list[Item]) -> Digest:
    key = blake3(vault.names_key.reveal(), derive_key_context=_SEAL_CONTEXT)
    return Digest(blake3(encode([item.to_value() for item in files]), key=key.digest()).digest())


def _refused(source: Path, what: str) -> StorageError:
    return StorageError(
        Code.VAULT,
        f"the backup {source} {what}",
        expected="a folder as `backup` wrote it",
        remedy="use another backup, or another copy of this one",
    )
