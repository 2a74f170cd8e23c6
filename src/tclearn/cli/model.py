"""``tclearn model``: list, get and revert models; ``triggers`` looks for backdoors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.options import AsJson, Directory
from tclearn.cli.output import print_json, say, table, when
from tclearn.cli.triggers import triggers
from tclearn.coalition.block import Block
from tclearn.coalition.quorum import quorum
from tclearn.directory import CoalitionDirectory
from tclearn.directory.models import block_at, stored_model
from tclearn.errors import Code, UsageError
from tclearn.files import write_whole
from tclearn.simulation.demo import revert_demo
from tclearn.simulation.demo_options import SETTINGS

app = typer.Typer(no_args_is_help=True, help="List, get and revert models; look for backdoors.")


@app.command("list")
def list_models(directory: Directory = Path("demo"), as_json: AsJson = False) -> None:
    """List the blocks of the model chain."""
    with CoalitionDirectory.open(directory) as coalition:
        blocks = [chained.block for chained in coalition.state.blocks()]
    if as_json:
        print_json({"blocks": [_as_dict(block) for block in blocks]})
        return
    table(
        ["block", "time (UTC)", "from", "records", "votes", "global", "parameters"],
        [
            (
                block.index,
                when(block.time_ms) if block.index else "",
                _source(block),
                block.samples or "",
                f"{sum(vote.vote == 'yes' for vote in block.votes)}/{len(block.votes)}" if block.votes else "",
                f"{block.performance.candidate / block.performance.scale:.4f}" if block.performance else "",
                block.parameters.hex()[:16] + "…",
            )
            for block in blocks
        ],
        right=["block", "records", "votes", "global"],
    )


@app.command(short_help="Write the model of a block into a file.")
def get(
    block: Annotated[int, typer.Argument(metavar="BLOCK", help="Index of the block.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, or a directory to put it in.")] = Path(
        "model.safetensors"
    ),
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Write the model of a block, checked against the ledger, as a safetensors file."""
    with CoalitionDirectory.open(directory) as coalition:
        data, parameters = stored_model(coalition, block)
    if to.is_dir():
        to /= f"block-{block}.safetensors"
    write_whole(to, data)
    if as_json:
        print_json({"block": block, "file": str(to), "parameters": parameters.digest.hex(), "bytes": len(data)})
    else:
        say(f"{to}: block {block}, {len(data):,} bytes, parameters {parameters.digest.hex()}")


@app.command(short_help="Go back to an earlier model, in a demonstration.")
def revert(
    block: Annotated[int, typer.Argument(metavar="BLOCK", help="Index of the block to go back to.")],
    member: Annotated[
        list[str], typer.Option(metavar="NAME", help="Who asks for it or approves it; repeat for each member.")
    ],
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Ask that the model of an earlier block be restored; it is when two thirds of the members approve.

    In this version for demonstrations only: there the keys of all members are at hand, and this speaks for those
    named with --member.
    """
    with CoalitionDirectory.open(directory) as coalition:
        block_at(coalition, block)
        needed = quorum(len(coalition.charter.members))
    if not (directory / SETTINGS).is_file():
        raise UsageError(
            Code.USAGE,
            f"{directory} holds no demonstration",
            expected="a directory that `tclearn demo` has made: only there are all members' keys at hand",
        )
    change, tip = revert_demo(directory, block, member)
    done = change.status == "done"
    if as_json:
        print_json({"target": block, "approvals": list(change.approvals), "needed": needed, "done": done, "tip": tip})
        return
    say(f"approved by {len(change.approvals)} of {needed} needed: {', '.join(change.approvals)}")
    if done:
        say(f"block {tip} restores the model, strengths and data IDs of block {block}")


app.command("triggers", short_help="Look for a backdoor in the model of a block.")(triggers)


def _source(block: Block) -> str:
    if block.reverts is not None:
        return f"{block.contributor or 'hidden parts'}: back to block {block.reverts}"
    return block.contributor or "genesis"


def _as_dict(block: Block) -> dict[str, object]:
    return {
        "index": block.index,
        "kind": block.kind,
        "hash": block.hash.hex(),
        "time_ms": block.time_ms,
        "contributor": block.contributor,
        "samples": block.samples,
        "yes": sum(vote.vote == "yes" for vote in block.votes),
        "votes": len(block.votes),
        "performance": block.performance.candidate / block.performance.scale if block.performance else None,
        "parameters": block.parameters.hex(),
        "reverts": block.reverts,
    }
