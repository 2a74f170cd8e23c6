"""``tclearn data``: what a member has, before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.imports import user_code
from tclearn.cli.options import AsJson, Directory, Site
from tclearn.cli.output import print_json, say
from tclearn.directory import CoalitionDirectory
from tclearn.directory.founding import check_data
from tclearn.directory.site import SiteFile
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import NAMES, load
from tclearn.learning.records import materialise
from tclearn.learning.source import load_factory

app = typer.Typer(no_args_is_help=True, help="Check your data; nothing is sent.")


@app.command()
def check(site: Site = Path("site.toml"), directory: Directory = Path("coalition"), as_json: AsJson = False) -> None:
    """Load the data that site.toml names, measure the newest model on them, count used records. Sends nothing."""
    user_code()
    with CoalitionDirectory.open(directory) as coalition:
        found = check_data(coalition, SiteFile.read(site))
        metric = coalition.charter.task.metric
    inventory, on_global, on_local = found.inventory, found.evidence.on_global, found.evidence.on_local
    performance = on_global.candidate / on_global.scale
    local = None if on_local is None else on_local.candidate / on_local.scale
    if as_json:
        print_json(
            {
                "records": inventory.records,
                "copies": inventory.copies,
                "in_a_test_set": inventory.tested,
                "used": inventory.used,
                "next_trained": inventory.next_trained,
                "next_put_aside": inventory.next_put_aside,
                "block": found.block,
                "metric": metric,
                "global": performance,
                "local": local,
            }
        )
        return
    say(f"{inventory.records} records, {inventory.copies} of them copies of others")
    say(f"{inventory.tested} are in a test set and never trained on, {inventory.used} count on the ledger already")
    say(f"the next contribution would train on {inventory.next_trained} and put {inventory.next_put_aside} aside")
    here = "none yet" if local is None or on_local is None else f"{local:.4f} on {on_local.n} records"
    say(f"block {found.block}: {metric} {performance:.4f} on {on_global.n} global test records, local: {here}")
    say("nothing was sent")


@app.command()
def digest(
    source: Annotated[
        str, typer.Argument(help=f"module:callable that gives a data set, or one of {', '.join(NAMES)} (its test set).")
    ],
    as_json: AsJson = False,
) -> None:
    """Print the digest by which a charter names a global test set."""
    user_code()
    records = load(source).test if source in NAMES else materialise(load_factory(source), source)
    text = digest_text(data_set_digest(records))
    if as_json:
        print_json({"digest": text, "records": len(records)})
    else:
        say(text)
        say(f"{len(records)} records")
