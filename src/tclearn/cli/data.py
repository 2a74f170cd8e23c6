"""``tclearn data``: what a member has, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tclearn.agents.clock import RealClock
from tclearn.cli.id_journal import journal
from tclearn.cli.imports import user_code
from tclearn.cli.keys import Key, oneself
from tclearn.cli.options import AsJson, Directory, Site
from tclearn.cli.output import count, messages, print_json, say
from tclearn.directory import CoalitionDirectory
from tclearn.directory.coalition import OBJECTS
from tclearn.directory.founding import DataCheck, check_data
from tclearn.directory.site import SiteFile, load_source
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.datasets import NAMES, load
from tclearn.learning.records import materialise

app = typer.Typer(no_args_is_help=True, help="Check your data, name a test set, see who asked for data IDs.")
app.command("journal", short_help="Show and check who asked for data IDs (level B).")(journal)


@app.command(short_help="Measure the newest model on your data.")
def check(
    site: Site = Path("site.toml"), directory: Directory = Path("coalition"), key: Key = None, as_json: AsJson = False
) -> None:
    """Load the data that site.toml names, measure the newest model on them, count used records. Nothing is sent.

    At level B the service is asked for the IDs of records that it was not asked for before, without seeing them, and
    the newest model that this member has been handed is measured; --key names the member's key file.
    """
    user_code()
    with CoalitionDirectory.open(directory) as coalition:
        asks, asked = coalition.charter.data_ids is not None, list[str]()
        found = (
            _checked_at_level_b(coalition, site, key, asked.append)
            if asks
            else check_data(coalition, SiteFile.read(site))
        )
        tip = coalition.state.tip
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
    if found.block < tip:
        say(f"the newest is block {tip}: its model is not here yet, the agent fetches it for its work")
    say("nothing but requests for data IDs was sent" if asked else "nothing was sent")


def _checked_at_level_b(
    coalition: CoalitionDirectory, site: Path, key: Path | None, noted: Callable[[str], None]
) -> DataCheck:
    from tclearn.service.binding import id_source
    from tclearn.service.home import MemberHome

    def note(line: str) -> None:  # of each request
        noted(line)
        _note(line)

    now = datetime.now(UTC)
    home = MemberHome.open(coalition.path, oneself(key, now))
    with home.connection(now) as connection:
        ids = id_source(home, connection, clock=RealClock(), say=note)
        return check_data(coalition, SiteFile.read(site), ids, home.kept(OBJECTS))


def _note(line: str) -> None:
    messages.print(line, markup=False, soft_wrap=True)


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
