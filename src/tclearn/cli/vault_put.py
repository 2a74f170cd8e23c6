"""``tclearn vault put``: a model that the vault has lost, from somebody who has read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.options import AsJson
from tclearn.cli.output import count, print_json, say
from tclearn.cli.vault_files import Directory, opened_vault
from tclearn.directory import CoalitionDirectory
from tclearn.directory.coalition import OBJECTS
from tclearn.directory.missing import blocks_of, missing_versions
from tclearn.directory.reading import read_file
from tclearn.protocols.tclearn.agent import object_bytes_max

_SHOWN = 20


def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As a member's `tclearn model get` has written it.")],
    directory: Directory = Path("coalition"),
    as_json: AsJson = False,
) -> None:
    """Put a model back into the vault, after a restoration of a backup that is older than the ledger.

    Only what the ledger names is taken: its digest must be that of a block's model, or of another object announced.
    """
    with CoalitionDirectory.open(directory) as coalition:
        state, size_max = coalition.state, object_bytes_max(coalition.contract)
    data = read_file(file, size_max, "name a file that `tclearn model get` has written")
    blocks = blocks_of(state, data)  # before a passphrase is asked for
    vault, _ = opened_vault(directory, None, None)
    vault.put(data)
    if as_json:
        print_json({"file": str(file), "bytes": len(data), "blocks": blocks})
        return
    of = f"the model of {_listed(blocks)}" if blocks else "an object of a candidate"
    say(f"{file}: {of}, {count(len(data), 'byte')}, is in the vault")


def say_missing(coalition: CoalitionDirectory) -> None:
    """Say which versions a service that starts cannot hand out, and how they come back; nothing if it has all."""
    missing = missing_versions(coalition)
    if not missing:
        return
    say(f"missing: the store has no model of {_listed(missing)}, which the ledger names; nobody can fetch it")
    say("a member that has read it has it still: `tclearn model get BLOCK --to FILE` there, from its own copy;")
    if coalition.charter.vault is not None:
        say(f"then here: tclearn vault put FILE --dir {coalition.path}")
    else:
        say(f"or copy what lies in its objects/ to {coalition.path / OBJECTS}")


def _listed(blocks: list[int]) -> str:
    shown = ", ".join(map(str, blocks[:_SHOWN]))
    more = f" and {count(len(blocks) - _SHOWN, 'other')}" if len(blocks) > _SHOWN else ""
    return f"{'block' if len(blocks) == 1 else 'blocks'} {shown}{more}"
