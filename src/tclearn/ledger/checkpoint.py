"""Checkpoints: heads as signed notes, in the forms of C2SP tlog-checkpoint and signed-note (signature type 0x01).

The format is described in ``docs/formats/entry.md``. Two extension lines follow the root hash: the head of the results
chain, and the ledger time of the last entry.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from tclearn.encoding import Digest
from tclearn.errors import Code, MessageError
from tclearn.identity import PublicKey, Signer, verify
from tclearn.ledger.contract import Head
from tclearn.limits import EXPORT_NOTE_BYTES_MAX

LOG_SIGNATURE: Final = 0x01
COSIGNATURE: Final = 0x04

_NATURAL: Final = rb"(0|[1-9][0-9]{0,18})"
_HASH: Final = rb"([A-Za-z0-9+/]{43}=)"
_BODY: Final = re.compile(
    rb"tclearn/([0-9a-f]{64})\n" + _NATURAL + rb"\n" + _HASH + rb"\nresults " + _HASH + rb"\ntime " + _NATURAL + rb"\n"
)
_LINE: Final = re.compile("\N{EM DASH} ([^\\s+\x00-\x1f]+) ([A-Za-z0-9+/]+={0,2})\n")
_NATURAL_MAX: Final = (1 << 63) - 1


def origin(coalition: Digest) -> str:
    """The log's name: the checkpoint's first line, and the name of the key that signs it."""
    return f"tclearn/{coalition.hex()}"


def body(coalition: Digest, head: Head) -> bytes:
    """The text that is signed: origin, size, root hash, results head, time; each a line."""
    lines = [
        origin(coalition),
        str(head.size),
        _base64(head.root),
        f"results {_base64(head.results)}",
        f"time {head.time_ms}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def key_id(name: str, kind: int, key: PublicKey) -> bytes:
    """The four bytes that stand for a key in a signature line. Source: C2SP signed-note, "Signatures".

    Args:
        name: the key's name.
        kind: the signature type, ``LOG_SIGNATURE`` or ``COSIGNATURE``.
        key: the Ed25519 public key.
    """
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature of a note.

    Attributes:
        name: the key's name; neither spaces nor ``+``.
        key_id: 4 bytes.
        signature: what the key's signature type prescribes.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"\N{EM DASH} {self.name} {_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint with its signature lines.

    Attributes:
        coalition: whose log it is.
        head: what is said of it.
        lines: one or more signatures; a name and key id occur once.
    """

    coalition: Digest
    head: Head
    lines: tuple[SignatureLine, ...]

    def encode(self) -> bytes:
        """The note as text in UTF-8."""
        return body(self.coalition, self.head) + b"\n" + "".join(map(str, self.lines)).encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a note without checking its signatures.

        Raises:
            MessageError: larger than ``EXPORT_NOTE_BYTES_MAX``, or not exactly what ``encode`` gives.
        """
        if len(data) > EXPORT_NOTE_BYTES_MAX:
            raise MessageError(
                Code.TOO_LARGE, f"a checkpoint of {len(data)} bytes", expected=f"at most {EXPORT_NOTE_BYTES_MAX}"
            )
        fields = _BODY.match(data)
        if fields is None or data[fields.end() : fields.end() + 1] != b"\n":
            raise _malformed("body")
        coalition, size, root, results, time_ms = fields.groups()
        head = Head(int(size), _digest(root), _digest(results), int(time_ms))
        note = cls(Digest(bytes.fromhex(coalition.decode())), head, _lines(data[fields.end() + 1 :]))
        if max(head.size, head.time_ms) > _NATURAL_MAX or note.encode() != data:
            raise _malformed("form")
        return note

    def check(self, key: PublicKey) -> None:
        """Check that the log's own key signed it; returns nothing.

        Raises:
            MessageError: no line of that key, or its signature does not hold.
        """
        name = origin(self.coalition)
        wanted = key_id(name, LOG_SIGNATURE, key)
        for line in self.lines:
            if line.name == name and line.key_id == wanted:
                verify(key, body(self.coalition, self.head), line.signature)
                return
        raise MessageError(
            Code.SIGNATURE,
            f"a checkpoint of {self.head.size} entries that the log's key {key.hex()[:16]}… did not sign",
            expected=f"a line of {name}",
        )


def sign(log: Signer, coalition: Digest, head: Head) -> Note:
    """Sign a head with the log's own key.

    A log never signs two heads of which neither extends the other: together they would prove that it forked.
    """
    name = origin(coalition)
    line = SignatureLine(name, key_id(name, LOG_SIGNATURE, log.public), log.sign(body(coalition, head)))
    return Note(coalition, head, (line,))


def _lines(data: bytes) -> tuple[SignatureLine, ...]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _malformed("encoding") from error
    lines: list[SignatureLine] = []
    at = 0
    while at < len(text):
        found = _LINE.match(text, at)
        if found is None:
            raise _malformed(f"signature line {len(lines) + 1}")
        try:
            decoded = base64.b64decode(found[2], validate=True)
        except ValueError as error:
            raise _malformed(f"signature line {len(lines) + 1}") from error
        lines.append(SignatureLine(found[1], decoded[:4], decoded[4:]))
        at = found.end()
    if not lines or len({(line.name, line.key_id) for line in lines}) != len(lines):
        raise _malformed("list of signatures")
    return tuple(lines)


def _digest(text: bytes) -> Digest:
    return Digest(base64.b64decode(text))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _malformed(part: str) -> MessageError:
    return MessageError(
        Code.RECORD_HEAD,
        f"a checkpoint with a malformed {part}",
        expected="a signed note: origin, size, root, results and time lines, a blank line, signature lines",
    )
