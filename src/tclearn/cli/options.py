"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The coalition's directory.")]
Home = Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The directory of what was joined.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Site = Annotated[Path, typer.Option("--site", metavar="FILE", help="The member's site.toml.")]
