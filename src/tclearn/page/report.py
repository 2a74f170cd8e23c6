"""The report of a coalition: one HTML file with everything in it, for any browser, offline."""

from __future__ import annotations

from tclearn.page.chain import chain
from tclearn.page.charter import charter
from tclearn.page.document import document
from tclearn.page.facts import Facts
from tclearn.page.members import members
from tclearn.page.overview import overview
from tclearn.page.performance import performance
from tclearn.page.readings import readings
from tclearn.page.rejections import rejections
from tclearn.page.strength import strength
from tclearn.page.summary import Summary
from tclearn.page.votes import votes
from tclearn.protocols.tclearn.state import State

__all__ = ["Summary", "render"]

_PARTS = {
    "performance": "Performance",
    "votes": "Votes",
    "strength": "Strengths",
    "rejections": "Not accepted",
    "members": "Members",
    "readings": "Readings",
    "chain": "Chain",
    "charter": "Charter",
}


def render(state: State, summary: Summary) -> str:
    """The report as the text of an HTML file.

    It fetches nothing and can send nothing, see ``document``.

    Args:
        state: the coalition's state, at any moment.
        summary: what the state does not know.
    """
    facts = Facts(state)
    read = readings(facts)
    parts = {name: title for name, title in _PARTS.items() if name != "readings" or read is not None}
    sections = [
        performance(facts),
        votes(facts),
        strength(facts),
        rejections(facts),
        members(facts),
        read,
        chain(facts, summary),
        charter(facts),
    ]
    title = f"{state.charter.name}: report of a coalition"
    return document(title, overview(facts, summary), parts, sections, summary.note)
