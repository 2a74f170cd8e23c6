"""What ``tclearn ledger receipt`` and ``tclearn ledger evidence`` share: signed things from others, for people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tclearn.cli.output import count, say, when
from tclearn.coalition.digest_text import format_digest, parse_digest
from tclearn.directory.reading import read_file
from tclearn.encoding import Digest, decode
from tclearn.errors import Code, MessageError, UnreachableError, UsageError
from tclearn.ledger import Head, Transaction
from tclearn.ledger.verify import Terms
from tclearn.limits import CHARTER_BYTES_MAX
from tclearn.protocols import protocol_of, terms_of
from tclearn.records import is_member_name

CharterDigest = Annotated[
    str | None,
    typer.Option(metavar="DIGEST", help="The charter's digest, as you know it from elsewhere, or a file charter.cbor."),
]

_CHARACTERS_MAX: Final = 40
_TIME_MS_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999; whoever signs a head may write any time into it."""


def told_digest(text: str) -> Digest:
    """The charter's digest as a user gives it: in any grouping, or as a file ``charter.cbor``.

    Raises:
        UsageError: neither a digest nor a charter.
        UnreachableError: there is no such file.
    """
    try:
        return parse_digest(text)
    except UsageError as error:
        wrong = error
    file = Path(text)
    try:
        data = read_file(file, CHARTER_BYTES_MAX, "name a charter.cbor, or give its digest")
        protocol_of(data)
        return Digest(hashlib.sha256(data).digest())
    except UnreachableError:
        if file.suffix or len(file.parts) > 1:
            raise
        expected = f"{wrong.expected}, or a file charter.cbor"
        raise UsageError(wrong.code, f"--charter: {wrong.what}", expected=expected, remedy=wrong.remedy) from None
    except MessageError as error:
        expected = "the charter.cbor of a coalition's directory"
        raise UsageError(Code.USAGE, f"--charter {file} is no charter in its final form", expected=expected) from error


def digest_of(charter: bytes, told: str | None) -> Digest:
    """The digest that a file's charter must have: what the user has told, or else its own."""
    return Digest(hashlib.sha256(charter).digest()) if told is None else told_digest(told)


def say_charter(charter: bytes, coalition: Digest, *, told: bool) -> None:
    """The lines about the charter that a file carries."""
    say(f"charter   {format_digest(coalition)}")
    if not told:
        say("          read from the file itself: compare it with the digest that you know, or give --charter")
    if _seeded(charter):
        say("keys      from a printed seed, as in a simulation: anybody could have signed")
    say_warnings(terms_of(charter))


def say_warnings(terms: Terms[Any]) -> None:
    """What people must be told about a charter, whatever it is that they look at."""
    for warning in terms.warnings:
        say(f"warning   {warning}")


def _seeded(charter: bytes) -> bool:
    # Charters of all protocols have their members under the same key, in the same form.
    value = decode(charter, size_max=CHARTER_BYTES_MAX)
    members = value.get("members") if isinstance(value, dict) else None
    return isinstance(members, list) and any(
        isinstance(each, dict) and each.get("origin") == "seed" for each in members
    )


def at(time_ms: int) -> str:
    """A time that somebody else has written, for people."""
    return f"{when(time_ms)} UTC" if time_ms <= _TIME_MS_MAX else f"{time_ms} ms after 1970"


def head_text(head: Head) -> str:
    """A head in a line."""
    return f"{count(head.size, 'entry', 'entries')}, until {at(head.time_ms)}, root {head.root.hex()[:16]}…"


def head_json(head: Head) -> dict[str, object]:
    """A head for programs."""
    return {
        "entries": head.size,
        "root": head.root.hex(),
        "results": head.results.hex(),
        "time_ms": head.time_ms,
    }


def call_text(transaction: Transaction) -> str:
    """What a transaction says, in a line that cannot do anything to a terminal."""
    arguments = ", ".join(f"{plain(name)} {_value(value)}" for name, value in transaction.call.arguments.items())
    return f"{plain(transaction.call.method)}: {arguments}" if arguments else plain(transaction.call.method)


def transaction_json(transaction: Transaction) -> dict[str, object]:
    """A transaction for programs; bytes in hexadecimal."""
    call = transaction.call
    return {
        "key": transaction.signer.hex(),
        "contract": call.contract,
        "method": call.method,
        "arguments": {name: _for_json(value) for name, value in call.arguments.items()},
        "sequence": transaction.sequence,
        "id": transaction.id.hex(),
    }


def plain(text: str) -> str:
    """Somebody else's word: as it is when it is one, else quoted and cut."""
    return text if is_member_name(text.replace("_", "-")) else repr(text[:_CHARACTERS_MAX])


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 8 else f"{value[:8].hex()}…"
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return "{…}"
    return str(value) if isinstance(value, int) else "[…]"


def _for_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {name: _for_json(item) for name, item in value.items()}
    return [_for_json(item) for item in value] if isinstance(value, list | tuple) else value
