"""``tclearn coalition``: found one, and show what it agreed on."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.imports import user_code
from tclearn.cli.options import AsJson, Directory, Site
from tclearn.cli.output import print_json, say, table
from tclearn.coalition.digest_text import format_digest
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory import DATA_KEY, CoalitionDirectory
from tclearn.directory.founding import Secrets, found
from tclearn.directory.site import SiteFile

app = typer.Typer(no_args_is_help=True, help="Found a coalition, or show what it agreed on.")


@app.command()
def new(
    charter: Annotated[Path, typer.Argument(help="The charter.toml; members' .pem files lie beside it.")],
    site: Site = Path("site.toml"),
    directory: Annotated[Path, typer.Option("--dir", "-C", help="The directory to make.")] = Path("coalition"),
    as_json: AsJson = False,
) -> None:
    """Resolve a charter into its final form, and make the coalition's directory with an empty ledger."""
    user_code()
    made = Secrets(log=secrets.token_bytes(32), data=secrets.token_bytes(32))
    with found(charter, SiteFile.read(site), directory, secrets=made, now=datetime.now(UTC)) as coalition:
        resolved = coalition.charter
    if as_json:
        print_json(as_dict(resolved))
        return
    describe(resolved)
    say(f"\nmade {directory}: every member compares the digest above with you, by telephone,")
    say(f"and gets {directory / DATA_KEY} from you by a safe way: it makes the data IDs.")


@app.command()
def show(directory: Directory = Path("demo"), as_json: AsJson = False) -> None:
    """Show the charter and its digest."""
    with CoalitionDirectory.open(directory) as coalition:
        resolved = coalition.charter
    if as_json:
        print_json(as_dict(resolved))
    else:
        describe(resolved)


def describe(charter: ResolvedCharter) -> None:
    """Print a charter for people."""
    schedule, rate = charter.schedule, charter.learning_rate
    stops = [
        f"{schedule.stop_blocks} blocks" if schedule.stop_blocks is not None else "",
        f"performance {schedule.stop_performance_ppm / 1e6:g}" if schedule.stop_performance_ppm is not None else "",
        f"{datetime.fromtimestamp(schedule.stop_until_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        if schedule.stop_until_ms is not None
        else "",
    ]
    parameters = sum(_size(tensor.shape) for tensor in charter.model.layout)
    trained = ", ".join(f"{name} {_plain(name, value)}" for name, value in charter.hyperparameters.items())
    rows = [
        ("name", charter.name),
        ("protocol", f"{charter.protocol}, level {charter.level} ({', '.join(charter.contracts)})"),
        ("model", f"{charter.model.factory}, {len(charter.model.layout)} tensors, {parameters:,} numbers"),
        ("M_0", charter.model.initial.hex()),
        ("measured by", f"{charter.task.metric} on {charter.task.global_n} records of the global test set"),
        ("global test", f"blake3:{charter.task.global_test.hex()}"),
        ("local test", f"{charter.task.local_share_ppm / 1e4:g} % of each contribution"),
        ("accepted by", f"{charter.acceptance.rule}, λ = {charter.acceptance.lambda_ppm / 1e6:g}"),
        (
            "turns",
            f"{schedule.turns}, {schedule.turn_ms / 60_000:g} min each, at least {schedule.minimum_batch} records",
        ),
        ("verdicts", f"within {schedule.verdict_ms / 60_000:g} min"),
        ("ends at", ", or ".join(stop for stop in stops if stop)),
        ("trained with", f"{charter.trainer}: {trained}"),
        (
            "learning rate",
            f"{rate.rule}, × {rate.factor_ppm / 1e6:g} after {rate.patience} blocks" if rate else "constant",
        ),
        ("may change", ", ".join(charter.governance.may_change) or "nothing"),
    ]
    for name, value in rows:
        say(f"{name:<14} {value}")
    say()
    table(
        ["member", "transaction key", "keys from"],
        [
            (
                member.id,
                member.key.hex(),
                "a printed seed: a simulation" if member.origin == "seed" else "its own computer",
            )
            for member in charter.members
        ],
    )
    say(f"\ncharter {format_digest(charter.digest)}")


def as_dict(charter: ResolvedCharter) -> dict[str, object]:
    """A charter for programs."""
    return {
        "digest": charter.digest.hex(),
        "name": charter.name,
        "protocol": charter.protocol,
        "level": charter.level,
        "members": [{"id": m.id, "key": m.key.hex(), "origin": m.origin} for m in charter.members],
        "model": {"factory": charter.model.factory, "initial": charter.model.initial.hex()},
        "metric": charter.task.metric,
        "global_test": f"blake3:{charter.task.global_test.hex()}",
        "global_records": charter.task.global_n,
        "rule": charter.acceptance.rule,
        "lambda": charter.acceptance.lambda_ppm / 1e6,
        "turns": charter.schedule.turns,
        "hyperparameters": charter.hyperparameters,
    }


def _plain(name: str, value: int) -> str:
    return f"{value / 1e6:g}" if name == "learning_rate" or name.endswith("_ppm") else str(value)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
