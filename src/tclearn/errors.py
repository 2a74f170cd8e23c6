"""Every error a user can meet: a stable code, what happened, what was expected, what to do.

The class says who is at fault and fixes the exit code of the command line; the code names the case and has a line in
``docs/reference/errors.md`` (a test keeps the two together). An error never carries key material or records, and what
it quotes of others cannot act on the reader's screen.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Code(IntEnum):
    """Stable numbers: 1xx charter, 2xx data and models, 3xx messages and keys, 4xx record, 5xx store, 7xx agents."""

    CHARTER_SYNTAX = 101
    CHARTER_UNKNOWN_KEY = 102
    CHARTER_VALUE = 103
    CHARTER_MODEL = 104
    CHARTER_MISMATCH = 105
    CHARTER_MEMBER = 106
    EXTENSION_UNKNOWN = 107
    DATA_UNREADABLE = 201
    DATA_SHAPE = 202
    DATA_CHANGED = 203
    DATA_MISSING = 204
    DATA_CHECKSUM = 205
    PARAMETERS_NOT_FINITE = 210
    PARAMETERS_SHAPE = 211
    PARAMETERS_FORMAT = 212
    PARAMETERS_DIGEST = 213
    TRAINING_FAILED = 214
    ENCODING = 301
    TOO_LARGE = 302
    SIGNATURE = 303
    UNKNOWN_SIGNER = 304
    SEQUENCE = 305
    EXPIRED = 306
    WRONG_COALITION = 307
    KEY_FILE = 308
    CERTIFICATE = 309
    OPRF = 310
    ALLOWANCE = 311
    FORMER_MEMBER = 312
    PAILLIER_KEY = 320
    HEAD_ROOM = 321
    PROOF = 322
    RECORD_FORMAT = 401
    RECORD_ENTRY = 402
    RECORD_HEAD = 403
    RECORD_QUORUM = 404
    RECORD_CHARTER = 405
    RECORD_EXTENSION = 406
    LEDGER_FILE = 407
    LEDGER_LOCKED = 408
    LEDGER_UNREACHABLE = 409
    RECEIPT = 410
    EVIDENCE = 411
    JOURNAL = 412
    PROOFS = 413
    PROOFS_FILE = 414
    OBJECT_MISSING = 501
    OBJECT_CORRUPT = 502
    STORE_FAILED = 503
    FILE_MISSING = 504
    VAULT_KEY = 505
    VAULT = 506
    OUTBOX_LOCKED = 701
    OUTBOX_CONFLICT = 702
    STALLED = 703
    RESUME = 704
    REFUSED = 705
    PORT_TAKEN = 706
    BUSY = 707
    USAGE = 901
    UNEXPECTED = 999


def visible(text: str) -> str:
    """A text on one line: control characters, marks that reverse text and lone surrogates as their escapes."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class TCLearnError(Exception):
    """Base of all errors that are shown to users.

    Args:
        code: the stable case number.
        what: what happened, naming the culprit (file, field, member, entry).
        expected: what would have been right.
        remedy: what the user can do now.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, code: Code, what: str, *, expected: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = visible(what)
        self.expected = visible(expected)
        self.remedy = visible(remedy)

    @property
    def label(self) -> str:
        """The code as users quote it, ``TCL-214``."""
        return f"TCL-{self.code:03d}"

    def __str__(self) -> str:
        parts = [self.what]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.remedy:
            parts.append(self.remedy)
        return f"error[{self.label}]: " + " · ".join(parts)


class CharterError(TCLearnError):
    """The charter, or what it refers to, is not usable."""

    exit_code = 2


class UsageError(TCLearnError):
    """A command or call was used in a way that cannot work."""

    exit_code = 2


class DataError(TCLearnError):
    """A member's own data set or model code is at fault."""


class ParametersError(TCLearnError):
    """A set of model parameters offered by somebody is not usable."""


class MessageError(TCLearnError):
    """A transaction or another message does not have the form or the signature it must have."""


class VerificationError(TCLearnError):
    """A record does not verify.

    Attributes:
        entry: index of the first bad entry, when one can be named.
    """

    exit_code = 3

    def __init__(
        self, code: Code, what: str, *, entry: int | None = None, expected: str = "", remedy: str = ""
    ) -> None:
        super().__init__(code, what, expected=expected, remedy=remedy)
        self.entry = entry


class StorageError(TCLearnError):
    """A ledger file, an object or an outbox could not be read or written."""


class UnreachableError(TCLearnError):
    """Something needed is not there: no network, no data set, no peer."""

    exit_code = 4


class AgentError(TCLearnError):
    """An agent or a simulation cannot go on."""
