"""Digests as people compare them over the telephone: ``9f2c-41aa-…``, sixteen groups of four."""

from __future__ import annotations

from typing import Final

from tclearn.encoding import Digest
from tclearn.errors import Code, UsageError

_GROUP: Final = 4
_DIGITS: Final = 64
_BETWEEN: Final = str.maketrans("", "", " \t\r\n-:.\u00a0\u2010\u2011\u2012\u2013\u2014")


def format_digest(digest: Digest) -> str:
    """A digest in groups; it can be pasted into a command line as it is."""
    digits = digest.hex()
    return "-".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))


def parse_digest(text: str) -> Digest:
    """Read a digest in any grouping and in either case.

    Raises:
        UsageError: it is not 64 hexadecimal digits; the message says which group is at fault.
    """
    digits = text.translate(_BETWEEN).lower().removeprefix("sha256")
    wrong = next((at for at, digit in enumerate(digits) if digit not in "0123456789abcdef"), None)
    if wrong is not None:
        raise _refused(f"{digits[wrong]!r} in group {wrong // _GROUP + 1} of the digest")
    if len(digits) != _DIGITS:
        raise _refused(f"a digest of {len(digits)} digits")
    return Digest(bytes.fromhex(digits))


def same_digest(text: str, digest: Digest) -> bool:
    """Whether a text, in any grouping and either case, is this digest.

    Raises:
        UsageError: the text is not a digest at all.
    """
    return parse_digest(text) == digest


def _refused(what: str) -> UsageError:
    return UsageError(
        Code.USAGE, what, expected="64 hexadecimal digits, 0 to 9 and a to f", remedy="ask for the whole digest again"
    )
