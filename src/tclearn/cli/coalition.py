"""``tclearn coalition``: found one, and show what it agreed on."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli import charter_text
from tclearn.cli.changes import admit, approve, change, expel, members
from tclearn.cli.imports import user_code
from tclearn.cli.keys import VAULT_PASSPHRASE, new_passphrase
from tclearn.cli.options import AsJson, Directory, Site
from tclearn.cli.output import print_json, say
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory import CoalitionDirectory
from tclearn.directory.founding import Secrets, found
from tclearn.directory.site import SiteFile
from tclearn.directory.vault import VAULT_KEY

app = typer.Typer(no_args_is_help=True, help="Found a coalition, show what it agreed on, change it together.")
app.command("members", short_help="List who is a member now.")(members)
app.command("admit", short_help="Ask that somebody be admitted, or approve it.")(admit)
app.command("expel", short_help="Ask that a member be expelled, or approve it; or leave.")(expel)
app.command("change", short_help="Ask for other hyper-parameters, or approve them.")(change)
app.command("approve", short_help="Approve a change that was asked for.")(approve)


@app.command(short_help="Make a coalition from a charter.toml.")
def new(
    charter: Annotated[
        Path, typer.Argument(metavar="CHARTER", help="The charter.toml; members' .pem files lie beside it.")
    ],
    site: Site = Path("site.toml"),
    directory: Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The directory to make.")] = Path(
        "coalition"
    ),
    as_json: AsJson = False,
) -> None:
    """Resolve a charter into its final form, and make the coalition's directory with an empty ledger."""
    user_code()

    def ask() -> str:
        return new_passphrase(directory / VAULT_KEY, VAULT_PASSPHRASE)

    made = Secrets(log=secrets.token_bytes(32), data=secrets.token_bytes(32))
    now = datetime.now(UTC)
    with found(charter, SiteFile.read(site), directory, secrets=made, now=now, passphrase=ask) as coalition:
        resolved = coalition.charter
    _print(resolved, as_json=as_json)
    if as_json:
        return
    say(f"\nmade {directory}: every member compares the digest above with you, by telephone,")
    say("and joins once `tclearn serve` runs here.")


@app.command()
def show(directory: Directory = Path("demo"), as_json: AsJson = False) -> None:
    """Show the charter, every field of it, and its digest."""
    with CoalitionDirectory.open(directory) as coalition:
        _print(coalition.charter, as_json=as_json)


def _print(charter: ResolvedCharter, *, as_json: bool) -> None:
    if as_json:
        print_json(charter_text.as_json(charter))
        return
    for line in charter_text.as_text(charter):
        say(line)
