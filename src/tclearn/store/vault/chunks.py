"""An object's bytes in authenticated chunks: the STREAM construction with AES-256-GCM.

Every object has a key of its own, so a nonce need only differ within the object: it is the chunk's number in 11 bytes
and a flag. The flag of the last chunk differs from the others', which makes a stream that was cut off at a chunk's end
unreadable. A reader has a chunk's bytes only when the whole chunk is authentic.

Source: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance",
CRYPTO 2015, §6 (nOAE2 and STREAM).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tclearn.encoding import Digest
from tclearn.store.interface import Readable
from tclearn.store.streams import Passing
from tclearn.store.vault.secret import Secret

CHUNK_BYTES: Final = 1 << 20
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
_DOMAIN: Final = b"tclearn-vault-chunk/1"
_MORE, _LAST, _CONTENT = b"\x00", b"\x01", b"\x02"


class ChunkCipher:
    """Seals and opens what belongs to one object.

    Args:
        key: the object's own, 32 random bytes that seal nothing else.
        vault: the vault's id, 16 bytes.
        body: the object's id, 16 bytes.
    """

    __slots__ = ("_aead", "_context")

    def __init__(self, key: Secret, vault: bytes, body: bytes) -> None:
        self._aead = AESGCM(key.reveal())
        self._context = _DOMAIN + vault + body

    def seal(self, number: int, data: bytes, *, last: bool) -> bytes:
        """A chunk with its tag: ``TAG_BYTES`` longer."""
        return self._aead.encrypt(_nonce(number, _LAST if last else _MORE), data, self._bound(number))

    def open(self, number: int, sealed: bytes, *, last: bool) -> bytes | None:
        """A chunk's bytes; ``None`` when it is not this chunk of this object, or not as it was sealed."""
        return _opened(self._aead, _nonce(number, _LAST if last else _MORE), sealed, self._bound(number))

    def seal_content(self, data: bytes, context: bytes) -> bytes:
        """What is kept beside the chunks, once for each object; bound to ``context``."""
        return self._aead.encrypt(_nonce(0, _CONTENT), data, context)

    def open_content(self, sealed: bytes, context: bytes) -> bytes | None:
        """What ``seal_content`` sealed; ``None`` when it was not this."""
        return _opened(self._aead, _nonce(0, _CONTENT), sealed, context)

    def _bound(self, number: int) -> bytes:
        return self._context + number.to_bytes(8, "big")


class Sealing:
    """A stream on its way into the vault. ``size`` and ``digest`` are of what has passed.

    Args:
        stream: read once, a chunk ahead.
        cipher: of the object.
        size_max: a longer stream is refused, in bytes.
        name: what the plain bytes must come to; ``None``: anything.
    """

    def __init__(self, stream: Readable, cipher: ChunkCipher, size_max: int, name: Digest | None = None) -> None:
        self._plain = Passing(stream, size_max, name)
        self._cipher = cipher

    @property
    def size(self) -> int:
        """Plain bytes."""
        return self._plain.size

    @property
    def digest(self) -> Digest:
        """BLAKE3-256 of the plain bytes."""
        return self._plain.digest

    def pieces(self) -> Iterator[bytes]:
        """The sealed chunks in order; at least one.

        Raises:
            StorageError: the stream is longer than ``size_max``, or has other bytes than those of the name: in place of
                the last chunk, so that no reader would take the others for an object.
        """
        number = 0
        chunk = self._take()
        while True:
            following = self._take() if len(chunk) == CHUNK_BYTES else b""
            if not following:
                self._plain.check_name()
            yield self._cipher.seal(number, chunk, last=not following)
            if not following:
                return
            number, chunk = number + 1, following

    def _take(self) -> bytes:
        return read_fully(self._plain, CHUNK_BYTES)


def chunk_count(size: int) -> int:
    """In how many chunks so many plain bytes lie; an empty object has one."""
    return max(1, -(-size // CHUNK_BYTES))


def sealed_size(size: int) -> int:
    """How long so many plain bytes are when they are sealed."""
    return size + TAG_BYTES * chunk_count(size)


def read_fully(stream: Readable, size: int) -> bytes:
    """So many bytes of a stream; fewer only at its end."""
    first = stream.read(size)
    if len(first) == size or not first:
        return first
    parts = [first]
    missing = size - len(first)
    while missing and (more := stream.read(missing)):
        parts.append(more)
        missing -= len(more)
    return b"".join(parts)


def _nonce(number: int, flag: bytes) -> bytes:
    return number.to_bytes(11, "big") + flag


def _opened(aead: AESGCM, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
    try:
        return aead.decrypt(nonce, sealed, context)
    except InvalidTag:
        return None
