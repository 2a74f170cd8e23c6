"""One block in full: every field, every vote, every endorsement, and how to check them."""

from __future__ import annotations

import base64
import shlex

from tclearn.coalition.block import GENESIS, REVERT, Block, Vote
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.quorum import quorum
from tclearn.encoding import MemberId, encode
from tclearn.page import text
from tclearn.page.facts import Facts
from tclearn.page.markup import Child, Html, el, join
from tclearn.page.summary import Summary
from tclearn.page.tables import facts as listed
from tclearn.page.tables import fold, heading, link, number, row, table
from tclearn.page.votes import total, vote_glyph
from tclearn.protocols.tclearn.history import Ballot
from tclearn.protocols.tclearn.state import ChainedBlock


def certificate(facts: Facts, chained: ChainedBlock, summary: Summary) -> Html:
    """A block's certificate, folded."""
    block = chained.block
    return fold(
        _summary(facts, block),
        listed(_fields(facts, chained)),
        _by_member(facts, chained),
        _check(block, summary),
        id_=f"block-{block.index}",
        css="certificate",
    )


def _summary(facts: Facts, block: Block) -> list[Child]:
    step = facts.step_of_block(block.index)
    result = block.performance
    said = [block.kind if block.kind == GENESIS else block.contributor or ""]
    if result:
        said.append(f"{result.candidate / result.scale:.4f}")
    if step:
        said.append(f"{total(step)} yes")
    return [el("b", f"Block {block.index}"), " ", el("span", " · ".join(said)), " ", text.brief_hash(block.hash)]


def _fields(facts: Facts, chained: ChainedBlock) -> list[tuple[Child, Child]]:
    block = chained.block
    previous: Child = text.hexadecimal(block.previous)
    if block.index:
        previous = [previous, " ", link(f"block {block.index - 1}", f"#block-{block.index - 1}")]
    fields: list[tuple[Child, Child]] = [
        ("Block hash", text.hexadecimal(block.hash)),
        ("Previous hash", previous),
        ("Index", block.index),
        ("Kind", block.kind),
        ("Time", [text.moment(block.time_ms), f" ({block.time_ms} ms)"] if block.time_ms else "0: before the first entry"),
        ("Parameters digest", text.hexadecimal(block.parameters)),
        ("Locator", text.hexadecimal(block.locator) if block.locator else "none: M₀, which every member draws itself"),
        ("Asked for by" if block.kind == REVERT else "Contributor", block.contributor or text.NONE),
        ("Samples", f"{text.whole(block.samples)}, of which {text.whole(block.set_aside)} put aside for its L"),
        ("Root of data IDs", text.hexadecimal(block.data_ids)),
        ("Hyper-parameters", hyperparameters(block.hyperparameters)),
        ("Performance on G", _performance(block)),
        ("Best so far", link(f"block {block.best}", f"#block-{block.best}")),
    ]
    if block.reverts is not None:
        fields.append(("Restores", link(f"block {block.reverts}", f"#block-{block.reverts}")))
    fields += [
        ("Committee", join(block.committee, ", ") or text.NONE),
        ("General", block.general or ("none: after f + 1 failed, anybody may finalize" if block.index else text.NONE)),
        ("Digest of members", text.hexadecimal(block.members)),
        ("Ledger entries", _entries(facts, chained)),
    ]
    return fields


def hyperparameters(values: dict[str, int]) -> str:
    """Hyper-parameters as users write them."""
    return ", ".join(f"{name} {hyperparameter(name, value)}" for name, value in sorted(values.items())) or text.NONE


def hyperparameter(name: str, value: int) -> str:
    """One value: millionths where the charter keeps it in millionths."""
    return text.ppm(value) if name == "learning_rate" or name.endswith("_ppm") else str(value)


def _performance(block: Block) -> str:
    result = block.performance
    if result is None:
        return text.NONE
    words = f"{text.paired(result)}; what it was compared with: {text.paired(result, 'reference')}"
    if result.scale == result.n:
        words += f"; {text.whole(result.gained)} answers gained, {text.whole(result.lost)} lost"
    return words


def _entries(facts: Facts, chained: ChainedBlock) -> str:
    if chained.entry is None:
        return "none: genesis follows from the charter"
    step = facts.step_of_block(chained.block.index)
    candidate = facts.candidate(step) if step else None
    words = f"proposed in {candidate.entry}, " if candidate else ""
    return f"{words}sealed in {chained.entry}, endorsed in {', '.join(map(str, sorted(chained.endorsements.values()))) or 'none'}"


def _by_member(facts: Facts, chained: ChainedBlock) -> Html:
    block = chained.block
    step = facts.step_of_block(block.index)
    votes = {vote.member: vote for vote in block.votes}
    ballots = {ballot.member: ballot for ballot in step.ballots} if step else {}
    head: list[Child] = ["member", "vote", "comparison", heading("G", "num"), heading("L", "num")]
    head += [heading("endorsed in entry", "num"), heading("records D", "num"), heading("strength S", "num")]
    rows = []
    for member in facts.members:
        vote, ballot = votes.get(member), ballots.get(member)
        said: Child = text.NONE
        if ballot is not None and step is not None:
            said = vote_glyph(step, ballot)
        elif member == block.contributor:
            said = "proposer" if block.kind != REVERT else text.NONE
        rows.append(
            row(
                member,
                said,
                _comparison(vote, ballot),
                number(text.share(_side(vote, "on_global")), _words(vote, "on_global")),
                number(text.share(_side(vote, "on_local")), _words(vote, "on_local")),
                number(_entry(chained, member)),
                number(text.whole(block.contributions[member])),
                number(f"{block.strengths[member] / MILLION:.6f}"),
            )
        )
    needed = quorum(len(block.committee)) if block.committee else 0
    caption = f"votes and endorsements; {needed} of {len(block.committee)} are needed for each" if needed else ""
    return table(head, rows, caption=caption, css="by-member")
