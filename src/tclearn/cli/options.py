"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from tclearn.files import is_folder, is_there

DEMO: Final = Path("demo")
COALITION: Final = Path("coalition")


def present(context: typer.Context, option: typer.CallbackParam, value: Path) -> Path:
    """What ``--dir`` stands for where nobody has given it: ``demo``, or ``coalition`` where only that is there."""
    source = context.get_parameter_source(option.name or "")
    by_default = source is not None and source.name == "DEFAULT"
    return COALITION if value == DEMO and by_default and not is_there(DEMO) and is_folder(COALITION) else value


Directory = Annotated[
    Path, typer.Option("--dir", "-C", metavar="DIR", help="The coalition's directory.", callback=present)
]
Home = Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The directory of what was joined.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Site = Annotated[Path, typer.Option("--site", metavar="FILE", help="The member's site.toml.")]
