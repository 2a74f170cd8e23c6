"""One block in full: every field, every vote, every endorsement, and how to check them."""

from __future__ import annotations

import base64
import shlex

from tclearn.coalition.block import DOMAIN, REVERT, Block
from tclearn.coalition.evidence import MILLION, Paired
from tclearn.coalition.hidden import Hidden
from tclearn.coalition.privacy import epsilon_text, event_text
from tclearn.coalition.quorum import quorum
from tclearn.encoding import encode
from tclearn.page import text
from tclearn.page.facts import Facts
from tclearn.page.markup import Child, Html, el, join
from tclearn.page.summary import Summary
from tclearn.page.tables import facts as listed
from tclearn.page.tables import fold, heading, link, number, row, table
from tclearn.page.votes import total, vote_glyph
from tclearn.protocols.tclearn.history import why_back
from tclearn.protocols.tclearn.records import ChainedBlock


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
    said = [block.contributor or block.kind]
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
        ("Time", f"{text.moment(block.time_ms)} ({block.time_ms} ms)" if block.index else "0: before the first entry"),
        ("Parameters digest", text.hexadecimal(block.parameters)),
        ("Locator", text.hexadecimal(block.locator) if block.locator else "none: M₀, which every member draws itself"),
        ("Asked for by" if block.kind == REVERT else "Contributor", block.contributor or _nobody(block)),
        ("Samples", f"{text.whole(block.samples)}, of which {text.whole(block.set_aside)} put aside for its L"),
        ("Root of data IDs", text.hexadecimal(block.data_ids)),
        ("Hyper-parameters", text.hyperparameters(block.hyperparameters)),
        ("Performance on G", _performance(block)),
        ("Best so far", link(f"block {block.best}", f"#block-{block.best}")),
    ]
    if block.privacy is not None:
        if block.privacy.event is not None:
            fields.append(("Privacy", event_text(block.privacy.event)))
        epsilons = block.privacy.epsilons
        spent = (f"{member} {epsilon_text(epsilons[member])}" for member in facts.everybody if member in epsilons)
        fields.append(("ε spent so far", ", ".join(spent)))
    if block.hidden is not None:
        fields += _hidden(block.hidden)
    if block.reverts is not None:
        fields.append(("Restores", link(f"block {block.reverts}", f"#block-{block.reverts}")))
    fields += [
        ("Committee", join(block.committee, ", ") or text.NONE),
        ("General", block.general or ("none: after f + 1 failed, anybody may finalize" if block.index else text.NONE)),
        ("Digest of members", text.hexadecimal(block.members)),
        ("Ledger entries", _entries(facts, chained)),
    ]
    return fields


def _nobody(block: Block) -> str:
    return f"nobody: {why_back(block)}" if block.kind == REVERT else text.NONE


def _hidden(hidden: Hidden) -> list[tuple[Child, Child]]:
    fields: list[tuple[Child, Child]] = []
    if hidden.part is not None:
        part = hidden.part
        words = (
            f"part {part.number} of {part.keeper}, {text.plural(part.n, 'record')}: {text.paired(hidden.performance)}"
        )
        fields += [("Hidden part", words), ("Its records", text.hexadecimal(part.records))]
    if hidden.drift is not None:
        drift = f"{text.paired(hidden.drift)}, the best model {text.paired(hidden.drift, 'reference')}"
        fields.append(("Model before, on hidden parts", drift))
    if hidden.missing:
        fields.append(("Showed no hidden part", ", ".join(hidden.missing)))
    return fields


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
    proposed = f"proposed in {candidate.entry}, " if candidate else ""
    endorsed = ", ".join(map(str, sorted(chained.endorsements.values()))) or "none"
    return f"{proposed}sealed in {chained.entry}, endorsed in {endorsed}"


def _by_member(facts: Facts, chained: ChainedBlock) -> Html:
    block = chained.block
    step = facts.step_of_block(block.index)
    votes = {vote.member: vote for vote in block.votes}
    ballots = {ballot.member: ballot for ballot in step.ballots} if step else {}
    head: list[Child] = ["member", "vote", heading("on G", "num"), heading("on its L", "num")]
    head += [heading("endorsed in entry", "num"), heading("records D", "num"), heading("strength S", "num")]
    rows = []
    for member in facts.everybody:
        if member not in block.contributions:
            continue  # it was no member then
        vote, ballot = votes.get(member), ballots.get(member)
        said: list[Child] = ["proposer" if member == block.contributor and block.kind != REVERT else text.NONE]
        if ballot is not None and step is not None:
            said = [vote_glyph(step, ballot), el("small", ballot.reason) if ballot.reason else None]
            said.append(el("small", "deviates from the agreed result on G") if ballot.deviating else None)
        rows.append(
            row(
                member,
                el("td", said),
                _measured(vote.on_global if vote else None),
                _measured(vote.on_local if vote else None),
                number(chained.endorsements.get(member, text.NONE)),
                number(text.whole(block.contributions[member])),
                number(f"{block.strengths[member] / MILLION:.6f}" if member in block.strengths else text.NONE),
            )
        )
    size, what = len(block.committee), "Approvals" if block.kind == REVERT else "Votes"
    caption = f"{what} and endorsements: each needs {quorum(size)} of the committee’s {size}" if size else "Members"
    return table(head, rows, caption=caption, css="by-member")


def _measured(result: Paired | None) -> Html:
    if result is None:
        return number(text.NONE)
    if result.scale == result.n:
        value = f"{result.candidate / result.scale:.4f}"
        words = f"{text.whole(result.candidate)} of {text.whole(result.n)}, was {text.whole(result.reference)}"
        change = el("small", f"gained {text.whole(result.gained)}, lost {text.whole(result.lost)}")
    else:
        value = f"{result.candidate / result.scale:.6f}"
        words = f"was {result.reference / result.scale:.6f}"
        change = el("small", f"on {text.plural(result.n, 'record')}")
    return number([value, el("small", words), change])


def _check(block: Block, summary: Summary) -> Html:
    hashed = base64.b64encode(encode([DOMAIN, block.to_value()])).decode()
    record = shlex.quote(summary.export) if summary.export else "RECORD"
    steps: list[list[Child]] = [
        [
            "The whole record: ",
            el("code", f"tclearn ledger verify {record}", class_="command"),
            " replays every entry with public keys only, and names the first that is wrong.",
        ],
        [
            "This block’s hash: SHA-256 of the bytes below, which are all its fields. Give them to ",
            el("code", "base64 -d | sha256sum", class_="command"),
            " and compare.",
            fold(f"{text.plural(len(hashed), 'character')} of Base64", el("pre", hashed, class_="bytes"), css="inline"),
        ],
    ]
    if block.index:
        before = link(f"block {block.index - 1}", f"#block-{block.index - 1}")
        steps.append(["Its place: the previous hash must be the block hash of ", before, "."])
    else:
        steps.append(["Its place: the previous hash of the first block is all zeros."])
    steps.append(
        ["The model: its digest is BLAKE3-256 over the tensors in the order of their names, whatever the file."]
    )
    return el("div", el("h4", "How to check it"), el("ol", [el("li", step) for step in steps]), class_="check")
