"""Every place where a command takes a path, and how it has to end when the wrong thing lies there.

A row is a command with "@" in the place of the path; ``places`` finds the parameter that a row tries by parsing it as
the command line does, and all parameters that are paths by asking the commands themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import typer

from tclearn.cli.main import app

RECORD = "demo/coalition.tclearn"
DIGEST = "00" * 32


@dataclass(frozen=True)
class Ends:
    """How a command ends where a file holds something else.

    Attributes:
        code: its exit code.
        labels: the code of its error, one of these.
        large: both for a file that is too large.
        empty: how it ends for an empty file, where it is otherwise.
    """

    code: int
    labels: tuple[str, ...]
    large: tuple[int, str] = (2, "TCL-302")
    empty: Ends | None = None


_SITE = Ends(2, ("TCL-901",))
# An empty one is read; then the key is a stranger's.
_SITE_OF_STRANGER = Ends(2, ("TCL-901",), empty=Ends(2, ("TCL-106",)))
_CHARTER = Ends(2, ("TCL-901",))
_KEY = Ends(2, ("TCL-308",), large=(2, "TCL-308"))
_STREAM = Ends(3, ("TCL-401",), large=(3, "TCL-401"))  # read piece by piece: the first bytes are wrong already
_SIGNED = Ends(3, ("TCL-401",))

# A file that is read. It is tried empty, full of something else, too large, missing, a directory, and unreadable.
FILES = {
    "coalition new @": Ends(2, ("TCL-101", "TCL-103"), large=(2, "TCL-302")),
    "coalition new charter.toml --site @": _SITE,
    "coalition admit @ --key leuven.key -C demo": Ends(1, ("TCL-309",)),
    "coalition admit namur.pem --key @ -C demo": _KEY,
    "coalition expel namur --key @ -C demo": _KEY,
    "coalition change epochs=2 --key @ -C demo": _KEY,
    "coalition approve 0011 --key @ -C demo": _KEY,
    "member rotate --key @ -C demo": _KEY,
    f"join https://localhost:9 --charter {DIGEST} --key @": _KEY,
    "agent --key @ -C home": _KEY,
    "agent --key leuven.key -C home --site @": _SITE_OF_STRANGER,
    "propose --key @ -C home": _KEY,
    "propose --key leuven.key -C home --site @": _SITE_OF_STRANGER,
    "data check -C demo --site @": _SITE,
    "data check -C sealed --site site.toml --key @": _KEY,
    "data journal -C joined --key @": _KEY,
    "model get newest -C home --key @": _KEY,
    "model revert 0 -C home --key @": _KEY,
    "model triggers 1 -C home --site @": _SITE,
    "ledger verify @": _STREAM,
    f"ledger verify {RECORD} --charter @": _CHARTER,
    f"ledger verify {RECORD} --since @": _SITE,
    "ledger receipt --check @": _SIGNED,
    "ledger receipt --check entry.receipt --charter @": _CHARTER,
    "ledger evidence @": _STREAM,
    f"ledger evidence {RECORD} @": _STREAM,
    "ledger evidence --check @": _SIGNED,
    f"ledger evidence {RECORD} --charter @": _CHARTER,
    "predict @.npz -C demo": Ends(1, ("TCL-201",)),
    "predict data -C demo --site @": _SITE,
    "predict breast-cancer -C home --key @": _KEY,
    "vault journal --record @": _STREAM,
    f"vault journal --record {RECORD} --charter @": _CHARTER,
    "vault journal --export new --key @ -C sealed": _KEY,
    "vault who-had newest --record @": _STREAM,
    f"vault who-had newest --record {RECORD} --charter @": _CHARTER,
    "vault statistics --record @": _STREAM,
    f"vault statistics --record {RECORD} --charter @": _CHARTER,
    f"vault check @ --record {RECORD} --charter demo/charter.cbor": Ends(3, ("TCL-301", "TCL-412")),
    "vault check journal.file --charter sealed/charter.cbor --record @": _STREAM,
    f"vault check journal.file --record {RECORD} --charter @": _CHARTER,
    "vault put @ -C sealed": Ends(2, ("TCL-213",)),
    "vault sweep --at nowhere --vault-key @": _KEY,
    "vault backup new --at nowhere --vault-key @": _KEY,
    "vault keys rotate --at nowhere --vault-key @": _KEY,
    "vault keys retire --at nowhere --vault-key @": _KEY,
}

# A coalition's directory, and the file in it that counts.
DIRECTORIES = {
    "status -C @": "charter.cbor",
    "serve --listen 127.0.0.1:0 -C @": "charter.cbor",
    "agent --key leuven.key -C @": "charter.cbor",
    "propose --key leuven.key -C @": "charter.cbor",
    "member rotate --key leuven.key -C @": "charter.cbor",
    "coalition show -C @": "charter.cbor",
    "coalition members -C @": "charter.cbor",
    "coalition admit namur.pem --key leuven.key -C @": "charter.cbor",
    "coalition expel namur --key leuven.key -C @": "charter.cbor",
    "coalition change epochs=2 --key leuven.key -C @": "charter.cbor",
    "coalition approve 0011 --key leuven.key -C @": "charter.cbor",
    "ledger show -C @": "charter.cbor",
    "ledger export new.tclearn -C @": "charter.cbor",
    "ledger receipt 0 -C @": "charter.cbor",
    "model list -C @": "charter.cbor",
    "model get 1 -C @": "charter.cbor",
    "model revert 1 --member hospital-1 -C @": "charter.cbor",
    "model triggers 1 -C @": "charter.cbor",
    "data check -C @": "charter.cbor",
    "data journal -C @": "charter.cbor",
    "predict breast-cancer -C @": "charter.cbor",
    "vault journal -C @": "charter.cbor",
    "vault who-had 1 -C @": "charter.cbor",
    "vault statistics -C @": "charter.cbor",
    "vault backup new -C @": "charter.cbor",
    "vault passphrase -C @": "charter.cbor",
    "vault put junk.file -C @": "charter.cbor",
    "vault sweep -C @": "charter.cbor",
    "vault keys rotate -C @": "charter.cbor",
    "vault keys retire -C @": "charter.cbor",
    "demo --resume --out @": "demo.json",
}

# A file that is written, and its name when a directory is given; or how that is refused.
OUTPUTS: dict[str, str | Ends] = {
    "ledger export @": "demo-breast-cancer.tclearn",
    "ledger receipt 0 -C demo --to @": "entry-0.receipt",
    "model get 2 --to @": "block-2.safetensors",
    f"ledger verify {RECORD} --remember @": Ends(2, ("TCL-901",)),
    "predict breast-cancer -C demo --out @.csv": Ends(1, ("TCL-503",)),
    "vault journal -C sealed --export @": Ends(1, ("TCL-503",)),
    f"ledger evidence {RECORD} other/coalition.tclearn --to @": "two-heads-log.evidence",
}

# A directory that is made.
MADE = (
    "member new turin --to @",
    "demo --dataset breast-cancer --blocks 1 --out @",
    "coalition new charter.toml -C @",
    "reproduce tclearn-table1 --out @",
)
JOINED = f"join https://localhost:9 --charter {DIGEST} --key leuven.key -C @"

# The folders of a vault, and what a restoration makes (tests/cli/test_vault_paths.py).
BACKUP = "vault backup @"
RESTORE = "vault restore @ -C fresh"
RESTORED = (
    "vault restore copy -C @",
    "vault restore copy -C fresh --at @",
    "vault restore copy -C fresh --vault-key @",
)
OPENED = (
    "vault backup new --at @",
    "vault sweep --at @",
    "vault keys rotate --at @",
    "vault keys retire --at @",
)
VAULTS = (BACKUP, RESTORE, *RESTORED, *OPENED)

# The folder of objects that a record names (tests/cli/test_deepchain_record.py).
PROOFS = "ledger verify hearts.tclearn --proofs @"
# A model beside such a record (tests/cli/test_deepchain_model.py).
MODEL = "ledger verify coalition.tclearn --proofs objects --charter charter.cbor --model @"

ROWS = (*FILES, *DIRECTORIES, *OUTPUTS, *MADE, JOINED, *VAULTS, PROOFS, MODEL)

Place = tuple[str, str]
"""The words of a command, and the name of one of its parameters."""


def places(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every parameter of every command that is a path, or a text that may name one."""
    command = _root() if command is None else command
    for word, each in getattr(command, "commands", {}).items():
        yield from places(each, (*words, word))
    yield from ((" ".join(words), parameter.name) for parameter in command.params if is_path(parameter))


@cache
def _root() -> Any:
    return typer.main.get_command(app)


def is_path(parameter: Any) -> bool:
    """Whether a parameter is a path by its type, or a text whose placeholder or help says that it may name one."""
    if parameter.bare_type() == "str":  # the name of the type, which is all that every Typer tells
        text = f"{parameter.metavar or ''} {parameter.help or ''}".lower()
        return any(word in text for word in ("file", "folder", "director"))
    return "Path" in parameter.bare_type()


def tried(rows: Iterable[str]) -> set[Place]:
    """The parameters that rows try."""
    return {_tried(row) for row in rows}


def _tried(row: str) -> Place:
    command: Any = _root()
    words, rest = [], row.split()
    while hasattr(command, "commands"):
        word = rest.pop(0)
        command = command.commands[word]
        words.append(word)
    context = command.make_context(words[-1], rest)
    (name,) = [name for name, value in context.params.items() if str(value).startswith("@")]
    return " ".join(words), name
