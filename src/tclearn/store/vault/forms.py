"""The vault's small records, as they lie beside the sealed chunks: its root, and a head for each object.

Source of the format: ``docs/formats/vault.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from tclearn.encoding import Digest, decode, encode
from tclearn.errors import MessageError
from tclearn.limits import VAULT_RECORD_BYTES_MAX
from tclearn.records import Record
from tclearn.store.vault.chunks import ChunkCipher
from tclearn.store.vault.keys import KeyEncryption
from tclearn.store.vault.secret import Secret

ROOT: Final = "vault"
HEADS: Final = "heads"
BODIES: Final = "bodies"
ID_BYTES: Final = 16
_ROOT_FORMAT: Final = "tclearn-vault/1"
_HEAD_FORMAT: Final = "tclearn-vault-object/1"
_NAMES_DOMAIN: Final = "tclearn-vault-names/1"
_KEY_DOMAIN: Final = "tclearn-vault-key/1"
_CONTENT_DOMAIN: Final = "tclearn-vault-content/1"


@dataclass(frozen=True, slots=True)
class Root(Record):
    """The record of a vault itself; where it is, there is a vault.

    Attributes:
        format: ``tclearn-vault/1``.
        id: of the vault, 16 random bytes.
        kek: the name of the KEK that is current.
        names: the key of the objects' labels, wrapped under it.
    """

    format: str
    id: bytes
    kek: str
    names: bytes

    @classmethod
    def made(cls, vault: bytes, names: Secret, keys: KeyEncryption) -> Root:
        """A root with the key of labels wrapped under the current KEK."""
        return cls(_ROOT_FORMAT, vault, keys.current, keys.wrap(names, encode([_NAMES_DOMAIN, vault])))

    @classmethod
    def read(cls, data: bytes) -> Root | None:
        """The record; ``None``: it is damaged."""
        try:
            root = cls.from_value(decode(data, size_max=VAULT_RECORD_BYTES_MAX))
        except MessageError:
            return None
        return root if root.format == _ROOT_FORMAT and len(root.id) == ID_BYTES else None

    def names_key(self, keys: KeyEncryption) -> Secret | None:
        """The key of labels; ``None``: the record is damaged.

        Raises:
            StorageError: the KEK is not among the keys.
        """
        return keys.unwrap(self.names, encode([_NAMES_DOMAIN, self.id]), self.kek)


@dataclass(frozen=True, slots=True)
class Content(Record):
    """What only readers of an object learn about it before its bytes.

    Attributes:
        digest: BLAKE3-256 of its bytes: its name.
        size: their number.
    """

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Head(Record):
    """The small part of an object: where its chunks lie, and their key. Only ``kek`` and ``wrapped`` ever change.

    Attributes:
        format: ``tclearn-vault-object/1``.
        body: the object's id, 16 random bytes; its chunks lie under it.
        kek: the name of the KEK that wraps its key.
        wrapped: its key.
        content: the ``Content``, sealed under its key.
    """

    format: str
    body: bytes
    kek: str
    wrapped: bytes
    content: bytes

    @classmethod
    def read(cls, data: bytes) -> Head | None:
        """The record; ``None``: it is damaged. What is sealed in it is not looked at."""
        try:
            head = cls.from_value(decode(data, size_max=VAULT_RECORD_BYTES_MAX))
        except MessageError:
            return None
        return head if head.format == _HEAD_FORMAT and len(head.body) == ID_BYTES else None


class Envelope:
    """Makes, opens and re-wraps the heads of one vault.

    Args:
        vault: its id.
        keys: its KEKs.
    """

    __slots__ = ("_keys", "_vault")

    def __init__(self, vault: bytes, keys: KeyEncryption) -> None:
        self._vault = vault
        self._keys = keys

    def cipher(self, key: Secret, body: bytes) -> ChunkCipher:
        """What seals an object's chunks."""
        return ChunkCipher(key, self._vault, body)

    def seal(self, label: bytes, body: bytes, key: Secret, content: Content) -> Head:
        """The head of an object, for the file of this label and no other."""
        sealed = self.cipher(key, body).seal_content(
            content.encode(), encode([_CONTENT_DOMAIN, self._vault, label, body])
        )
        return Head(_HEAD_FORMAT, body, self._keys.current, self._keys.wrap(key, self._bound(label, body)), sealed)

    def open(self, label: bytes, head: Head) -> tuple[ChunkCipher, Content] | None:
        """What opens the chunks, and what they must come to; ``None``: the head is damaged, or another object's.

        Raises:
            StorageError: the KEK is not among the keys.
        """
        key = self._keys.unwrap(head.wrapped, self._bound(label, head.body), head.kek)
        if key is None:
            return None
        cipher = self.cipher(key, head.body)
        content = cipher.open_content(head.content, encode([_CONTENT_DOMAIN, self._vault, label, head.body]))
        if content is None:
            return None
        return cipher, Content.from_value(decode(content))

    def rewrap(self, label: bytes, head: Head) -> Head | None:
        """The same head under the current KEK; ``None``: it is damaged, or another object's.

        Raises:
            StorageError: the KEK that wraps it now is not among the keys.
        """
        context = self._bound(label, head.body)
        key = self._keys.unwrap(head.wrapped, context, head.kek)
        if key is None:
            return None
        return Head(head.format, head.body, self._keys.current, self._keys.wrap(key, context), head.content)

    def _bound(self, label: bytes, body: bytes) -> bytes:
        return encode([_KEY_DOMAIN, self._vault, label, body])


def label_of(names: Secret, name: Digest) -> bytes:
    """What an object's head is filed under: a keyed hash, which without the key tells nothing of the name."""
    return blake3(name, key=names.reveal()).digest()


def head_path(label: bytes) -> str:
    """Where a head lies in its backend."""
    return _path(HEADS, label)


def body_path(body: bytes) -> str:
    """Where an object's chunks lie in their backend."""
    return _path(BODIES, body)


def id_in(path: str) -> bytes | None:
    """The label or id that a path was made of; ``None``: it was not made of one."""
    folder, _, rest = path.partition("/")
    text = rest.replace("/", "")
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return None
    return found if _path(folder, found) == path else None


def _path(folder: str, number: bytes) -> str:
    text = number.hex()
    return f"{folder}/{text[:2]}/{text[2:]}"
