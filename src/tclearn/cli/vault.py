"""``tclearn vault``: who has read which version, and the vault's files and keys."""

from __future__ import annotations

import typer

from tclearn.cli.journal import check, show_journal, show_statistics, show_who_had
from tclearn.cli.vault_files import backup, keys, passphrase, restore, sweep
from tclearn.cli.vault_put import put

app = typer.Typer(no_args_is_help=True, help="Who has read which version; the vault's files and keys.")

app.command("journal", short_help="List who has read what.")(show_journal)
app.command("who-had", short_help="Say who had a version of the model.")(show_who_had)
app.command("statistics", short_help="Count each member's readings.")(show_statistics)
app.command("check", short_help="Hold a signed journal against a record.")(check)
app.command("backup", short_help="Copy the vault into a folder, sealed as it is.")(backup)
app.command("restore", short_help="Make a vault of a backup.")(restore)
app.command("put", short_help="Put a model back that a restored vault has not.")(put)
app.command("passphrase", short_help="Change the passphrase of the vault's key file.")(passphrase)
app.command("sweep", short_help="Remove what interrupted writers have left.")(sweep)
app.add_typer(keys, name="keys")
