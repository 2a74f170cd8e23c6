"""The chain: a line a block, and a certificate for each."""

from __future__ import annotations

from typing import Final

from tclearn.coalition.block import GENESIS, INCREMENT, REVERT
from tclearn.page import text
from tclearn.page.certificate import certificate
from tclearn.page.facts import Facts
from tclearn.page.markup import Child, Html, el
from tclearn.page.summary import Summary
from tclearn.page.tables import heading, link, number, row, section, table
from tclearn.page.votes import total
from tclearn.protocols.tclearn.records import ChainedBlock

_KINDS: Final = {GENESIS: "genesis", INCREMENT: "increment", REVERT: "revert"}


def chain(facts: Facts, summary: Summary) -> Html:
    """The section."""
    head: list[Child] = ["block", "time (UTC)", "kind", "from", heading("records", "num"), heading("on G", "num")]
    head += [heading("change", "num"), heading("yes", "num"), "general", heading("endorsed", "num"), "hash"]
    before: float | None = None
    rows = []
    for chained in facts.blocks:
        rows.append(_row(facts, chained, before))
        result = chained.block.performance
        before = result.candidate / result.scale if result else before
    return section(
        "chain",
        "The chain",
        table(head, rows, caption="blocks", css="chain"),
        el("h3", "Certificates", id="certificates"),
        el(
            "p",
            "Everything that a block says, and how to check it. Click one to open it; open ones are printed in full.",
        ),
        [certificate(facts, chained, summary) for chained in facts.blocks],
    )


def _row(facts: Facts, chained: ChainedBlock, before: float | None) -> Html:
    block = chained.block
    step = facts.step_of_block(block.index)
    result = block.performance
    value = result.candidate / result.scale if result else None
    change = f"{value - before:+.4f}".replace("-", "−") if value is not None and before is not None else text.NONE
    undone = block.kind == INCREMENT and block.index not in facts.present
    kind = f"back to {block.reverts}" if block.kind == REVERT else "undone" if undone else _KINDS[block.kind]
    anybody = "" if block.kind == GENESIS else "(nobody)"
    return row(
        link(block.index, f"#block-{block.index}"),
        text.moment(block.time_ms).removesuffix(" UTC") if block.kind != GENESIS else text.NONE,
        kind,
        text.short(block.contributor or text.NONE, 24),
        number(text.whole(block.samples)),
        number(text.share(value), text.paired(result)),
        number(change),
        number(total(step) if step else text.NONE),
        text.short(block.general or anybody or text.NONE, 24),
        number(len(chained.endorsements)),
        text.brief_hash(block.hash),
        css="undone" if undone else None,
    )
