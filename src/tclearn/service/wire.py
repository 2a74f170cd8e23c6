"""What travels between a member and the service, besides the bytes of transactions and objects.

Pages of the log are deterministic CBOR, errors are JSON. Specification: ``docs/formats/service.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tclearn.encoding import Digest, decode
from tclearn.errors import (
    AgentError,
    CharterError,
    Code,
    DataError,
    MessageError,
    ParametersError,
    StorageError,
    TCLearnError,
    UnreachableError,
    UsageError,
    VerificationError,
)
from tclearn.ledger.engines.follower import Page
from tclearn.limits import ERROR_CHARACTERS_MAX, PAGE_BYTES_MAX
from tclearn.records import Record

_KINDS: Final[Mapping[str, type[TCLearnError]]] = {
    kind.__name__: kind
    for kind in (
        AgentError,
        CharterError,
        DataError,
        MessageError,
        ParametersError,
        StorageError,
        UnreachableError,
        UsageError,
        VerificationError,
    )
}


@dataclass(frozen=True, slots=True)
class _Item(Record):
    entry: bytes
    results: Digest


@dataclass(frozen=True, slots=True)
class _Page(Record):
    entries: tuple[_Item, ...]
    note: bytes


def encode_page(page: Page) -> bytes:
    """A piece of the log as bytes."""
    return _Page(tuple(_Item(entry, results) for entry, results in page.entries), page.note).encode()


def decode_page(data: bytes) -> Page:
    """What ``encode_page`` gave; nothing of it is believed yet.

    Raises:
        MessageError: larger than ``PAGE_BYTES_MAX``, or not such bytes.
    """
    read = _Page.from_value(decode(data, size_max=PAGE_BYTES_MAX), "page")
    return Page([(item.entry, item.results) for item in read.entries], read.note)


def encode_error(error: TCLearnError) -> dict[str, Any]:
    """An error as the other end is told it."""
    kind = next((name for name, each in _KINDS.items() if type(error) is each), AgentError.__name__)
    return {
        "kind": kind,
        "code": error.label,
        "what": error.what,
        "expected": error.expected,
        "remedy": error.remedy,
    }


def decode_error(value: Any) -> TCLearnError | None:
    """The error behind an answer; ``None`` when it is none of ours (a proxy's page, for one)."""
    if not isinstance(value, Mapping) or not isinstance(value.get("error"), Mapping):
        return None
    said = value["error"]
    texts = [said.get(key) for key in ("kind", "code", "what", "expected", "remedy")]
    kind, label, what, expected, remedy = (
        text[:ERROR_CHARACTERS_MAX] if isinstance(text, str) else "" for text in texts
    )
    codes = {f"TCL-{code:03d}": code for code in Code}
    if kind not in _KINDS or label not in codes:
        return None
    return _KINDS[kind](codes[label], what, expected=expected, remedy=remedy)
