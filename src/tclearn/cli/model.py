"""``tclearn model``: list, get and revert models; ``triggers`` looks for backdoors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.change_text import change_json, standing, wanted
from tclearn.cli.keys import Key
from tclearn.cli.options import AsJson, Directory
from tclearn.cli.output import print_json, say, table, when
from tclearn.cli.speaking import speaking
from tclearn.cli.triggers import triggers
from tclearn.cli.versions import written
from tclearn.coalition.block import Block
from tclearn.coalition.quorum import quorum
from tclearn.directory import CoalitionDirectory
from tclearn.directory.changes import ask_for_revert
from tclearn.directory.models import block_at
from tclearn.errors import Code, UsageError
from tclearn.files import is_folder
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
    block: Annotated[str, typer.Argument(metavar="BLOCK", help="Index of the block, or newest.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, or a directory to put it in.")] = Path(
        "model.safetensors"
    ),
    key: Key = None,
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Write the model of a block, checked against the ledger, as a safetensors file.

    In a member's directory the model comes from the service, where it is not here yet; at level B this is a reading for
    your own use, which is in the journal.
    """
    into = (lambda index: to / f"block-{index}.safetensors") if is_folder(to) else lambda _: to
    model = written(directory, block, key, into, as_json=as_json)
    digest = model.parameters.hex()
    if as_json:
        print_json(
            {
                "block": model.block,
                "file": str(model.path),
                "parameters": digest,
                "bytes": model.size,
                "reading": model.reading,
            }
        )
    else:
        noted = "" if model.reading is None else f", reading {model.reading} of the journal"
        say(f"{model.path}: block {model.block}, {model.size:,} bytes, parameters {digest}{noted}")


@app.command(short_help="Go back to an earlier model.")
def revert(
    block: Annotated[int, typer.Argument(metavar="BLOCK", help="Index of the block to go back to.")],
    member: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="In a demonstration: who asks for it or approves it; may be repeated."),
    ] = None,
    key: Key = None,
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Ask that the model of an earlier block be restored; it is when two thirds of the members approve.

    It is asked, or approved, in the name of the member whose key is given. In a demonstration, where the keys of all
    members are at hand, this speaks for those named with --member.
    """
    with CoalitionDirectory.open(directory) as coalition:
        block_at(coalition, block)
        needed = quorum(len(coalition.state.members))
    if not (directory / SETTINGS).is_file():
        if member:
            raise UsageError(
                Code.USAGE,
                f"{directory} holds no demonstration",
                expected="--key, or a directory that `tclearn demo` has made: only there are all members' keys at hand",
            )
        _ask_for_revert(directory, block, key, as_json=as_json)
        return
    change, tip = revert_demo(directory, block, member or [])
    done = change.status == "done"
    if as_json:
        print_json({"target": block, "approvals": list(change.approvals), "needed": needed, "done": done, "tip": tip})
        return
    say(f"approved by {len(change.approvals)} of {needed} needed: {', '.join(change.approvals)}")
    if done:
        say(f"block {tip} restores the model, strengths and data IDs of block {block}")


def _ask_for_revert(directory: Path, block: int, key: Path | None, *, as_json: bool) -> None:
    with speaking(directory, key) as speaker:
        asked = ask_for_revert(speaker.ledger, speaker.coalition, speaker.signer, block)
        state = speaker.ledger.state()
    if as_json:
        print_json(change_json(asked, state))
    else:
        say(f"{wanted(asked.change, state)}: {standing(asked, state)}")


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
