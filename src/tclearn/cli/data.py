"""``tclearn data``: what a member has, before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.imports import user_code
from tclearn.cli.options import AsJson, Directory, Site
from tclearn.cli.output import count, print_json, say
from tclearn.directory import CoalitionDirectory
from tclearn.directory.founding import check_data
from tclearn.directory.site import SiteFile, load_source
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import NAMES, load
from tclearn.learning.records import materialise

app = typer.Typer(no_args_is_help=True, help="Check your data, name a test set; nothing is sent.")


@app.command(short_help="Measure the newest model on your data.")
def check(site: Site = Path("site.toml"), directory: Directory = Path("coalition"), as_json: AsJson = False) -> None:
    """Load the data that site.toml names, measure the newest model on them, count used records. Nothing is sent."""
    user_code()
    with CoalitionDirectory.open(directory) as coalition:
        found = check_data(coalition, SiteFile.read(site))
        metric, minimum = coalition.charter.task.metric, coalition.charter.schedule.minimum_batch
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
                "left": inventory.left,
                "minimum_batch": minimum,
                "hidden": inventory.hidden,
                "block": found.block,
                "metric": metric,
                "global": performance,
                "local": local,
            }
        )
        return
    say(f"{count(inventory.records, 'record')}, {inventory.copies:,} of them copies of others")
    say(f"in a test set and never trained on: {inventory.tested:,}; on the ledger already: {inventory.used:,}")
    say(f"the next contribution would train on {inventory.next_trained:,} and put {inventory.next_put_aside:,} aside")
    if inventory.left < minimum:
        say(f"there is no next contribution: {inventory.left:,} left to train on, the charter's minimum is {minimum:,}")
    if inventory.hidden:
        say(f"kept hidden until they are shown: {count(inventory.hidden, 'test record')}")
    here = "none yet" if local is None or on_local is None else f"{local:.4f} on {count(on_local.n, 'record')}"
    say(f"block {found.block}: {metric} {performance:.4f} on {count(on_global.n, 'global test record')}, local: {here}")
    say("nothing was sent")


@app.command(short_help="Print the digest of a global test set.")
def digest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help=f"module:callable of a data set, or {', '.join(NAMES)} for the test set of that name.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Print the digest by which a charter names a global test set."""
    user_code()
    records = load(source).test if source in NAMES else materialise(load_source(source, "SOURCE"), source)
    text = digest_text(data_set_digest(records))
    if as_json:
        print_json({"digest": text, "records": len(records)})
    else:
        say(text)
        say(count(len(records), "record"))
