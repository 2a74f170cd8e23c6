"""A vault under way while the power fails, and what must be found then."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final
from unittest.mock import patch

from tests.storage.disk import State
from tests.storage.folder_calls import folder_recording, without_fsync
from tests.storage.runs import MADE, Run

from tclearn.encoding import Digest
from tclearn.errors import Code, TCLearnError
from tclearn.store.vault import FolderBackend, HeldKeys, Vault
from tclearn.store.vault.chunks import CHUNK_BYTES
from tclearn.store.vault.keys import new_key
from tclearn.store.vault.rotation import rotate

ROTATED: Final = "rotated"
_FOLDER: Final = "vault"


def vault_run(folder: Path) -> Run:
    """A vault is made and takes objects, its keys are rotated, and it takes another, of several pieces."""
    objects: dict[Digest, bytes] = {}
    with patch("secrets.token_bytes", random.Random(1).randbytes):
        secrets = {name: new_key() for name in ("1-old", "2-new")}
        with folder_recording(folder) as record:
            vault = Vault(FolderBackend(folder / _FOLDER), HeldKeys(secrets, "1-old"), create=True)
            record.said(MADE)
            for data in (b"large " * 500, b"weights", b"weights"):
                name = vault.put(data)
                record.said(name.hex())
                objects[name] = data
            vault = Vault(FolderBackend(folder / _FOLDER), HeldKeys(secrets, "2-new"))
            rotate(vault)
            record.said(ROTATED)
            data = b"more" * (CHUNK_BYTES // 4) + b"and more"
            name = vault.put(data)
            record.said(name.hex())
            objects[name] = data

    def fault(folder: Path, state: State) -> str:
        with without_fsync():
            return _fault(folder / _FOLDER, HeldKeys(secrets, "2-new"), objects, state)

    return Run(record.trace(), fault)


def _fault(folder: Path, keys: HeldKeys, objects: dict[Digest, bytes], state: State) -> str:
    said = set(state.said)
    try:
        vault = Vault(FolderBackend(folder), keys)
    except TCLearnError as error:
        if error.code is Code.FILE_MISSING and MADE not in said:
            return ""
        return f"a vault that was made is lost, or does not open: {error}"
    try:
        if ROTATED in said and any(head is None or head.kek != keys.current for _, head in vault.heads()):
            return "a rotation that was done is lost"
        for name in vault.names():
            if vault.get(name, size_max=2 * CHUNK_BYTES) != objects[name]:
                return "an object has its name and is not complete"
        lost = [name for name in objects if name.hex() in said and not vault.has(name)]
        if lost:
            return f"objects that were put are lost: {len(lost)}"
        if state.number % 4:
            return ""
        rotate(vault)
        for name, data in objects.items():
            vault.put(data)
            if vault.get(name, size_max=len(data)) != data:
                return "an object cannot be put again"
    except TCLearnError as error:
        return f"an object has its name and is not complete, or it does not go on: {error}"
    return ""
