"""What commands print: tables and progress for people, one JSON object for programs, coded errors for both."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tclearn.errors import Code, StorageError, TCLearnError

_FILE_WIDTH: Final = 160

# Without emoji: the bytes :AB: of a fingerprint would come out as a picture.
console: Final = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)
messages: Final = Console(stderr=True, highlight=False, emoji=False)

CRASH_FILE: Final = "tclearn-crash.txt"


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def say(text: str = "") -> None:
    """A line for people, as it is: no markup, no breaking."""
    console.print(text, markup=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """A plain table; columns named in ``right`` are set flush right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(str(cell)) for cell in row))
    console.print(drawn)


def count(number: int, one: str, many: str = "") -> str:
    """A number of things: ``1 record``, ``2 records``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def natural(name: str) -> list[str | int]:
    """A key that sorts names as people do: hospital-2 before hospital-10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def when(time_ms: int) -> str:
    """A time for people, UTC; a time that no calendar has, in milliseconds."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # beyond the year 9999: whoever orders the ledger says what time it is
        return f"{time_ms} ms"


def show_error(error: TCLearnError, *, as_json: bool) -> None:
    """An error as users see it: code, what happened, what was expected, what to do."""
    if as_json:
        parts = {"code": error.label, "what": error.what, "expected": error.expected, "remedy": error.remedy}
        print_json({"error": {name: text for name, text in parts.items() if text}})
    messages.print(str(error), markup=False, soft_wrap=True)


def denied(error: OSError) -> TCLearnError:
    """What the operating system has refused, where no command has said it in better words."""
    return StorageError(
        Code.STORE_FAILED,
        f"{error.filename or 'a file'} cannot be used: {error.strerror}",
        expected="files and folders that you may read and write",
        remedy="check the path and its permissions",
    )


def unexpected(error: BaseException) -> TCLearnError:
    """An error of ours, not of the user's: the traceback goes to a file, the user gets a sentence."""
    trace = "".join(traceback.format_exception(error))
    where = Path(CRASH_FILE)
    try:
        where.write_text(trace, encoding="utf-8")
        kept = f"the details are in {where}"
    except OSError:
        kept = "the details could not be kept"
    return TCLearnError(
        Code.UNEXPECTED,
        f"a defect in tclearn ({type(error).__name__}); {kept}",
        remedy="please report it with that file",
    )
