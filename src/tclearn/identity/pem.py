"""PEM blocks (RFC 7468), read strictly: nothing before, between or after them."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final

_LINE: Final = 64
_BLOCK: Final = re.compile(
    rb"-----BEGIN (?P<label>[A-Z0-9 ]{1,40})-----\n(?P<body>[A-Za-z0-9+/=\n]*)-----END (?P=label)-----\n*"
)


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block.

    Attributes:
        label: what stands after ``BEGIN``.
        content: the decoded bytes.
    """

    label: str
    content: bytes = field(repr=False)


def write_pem(*blocks: Block) -> bytes:
    """The blocks as ASCII text, lines of 64 characters."""
    lines = []
    for block in blocks:
        body = base64.b64encode(block.content).decode()
        lines += [f"-----BEGIN {block.label}-----"]
        lines += [body[at : at + _LINE] for at in range(0, len(body), _LINE)]
        lines += [f"-----END {block.label}-----"]
    return "".join(line + "\n" for line in lines).encode()


def read_pem(text: bytes) -> list[Block]:
    """The blocks of a text. CRLF line ends are taken as LF, for mail programs change them.

    Raises:
        ValueError: there is anything but well-formed blocks; the message names the line.
    """
    lines = text.replace(b"\r\n", b"\n").strip(b"\n")
    if lines:
        lines += b"\n"
    blocks = []
    at = 0
    while at < len(lines):
        found = _BLOCK.match(lines, at)
        if found is None:
            raise ValueError(f"line {lines.count(bytes([10]), 0, at) + 1} does not begin a PEM block")
        label = found["label"].decode()
        try:
            blocks.append(Block(label, base64.b64decode(found["body"].replace(b"\n", b""), validate=True)))
        except ValueError:
            raise ValueError(f"the block {label!r} is not base64") from None
        at = found.end()
    return blocks
