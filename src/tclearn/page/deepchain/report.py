"""The report of a DeepChain coalition as one HTML file, for any browser, offline."""

from __future__ import annotations

from typing import Final

from tclearn.page.deepchain.agreed import agreement, protection
from tclearn.page.deepchain.coins import coins
from tclearn.page.deepchain.facts import Facts
from tclearn.page.deepchain.iterations import iterations
from tclearn.page.deepchain.overview import overview
from tclearn.page.deepchain.performance import performance
from tclearn.page.deepchain.summary import Summary
from tclearn.page.document import document
from tclearn.protocols.deepchain.history import History
from tclearn.protocols.deepchain.terms import DeepChainTerms

__all__ = ["Summary", "render"]

_PARTS: Final = {
    "performance": "Performance",
    "coins": "Coins",
    "iterations": "Iterations",
    "protection": "Protection",
    "charter": "Charter",
}


def render(terms: DeepChainTerms, history: History, summary: Summary) -> str:
    """The report as the text of an HTML file; it fetches nothing and can send nothing, see ``document``.

    Args:
        terms: the charter.
        history: what has happened, at any moment.
        summary: what the history does not know.

    Raises:
        ValueError: the summary has another number of accuracies than iterations have succeeded.
    """
    facts = Facts(terms, history, summary)
    sections = [performance(facts), coins(facts), iterations(facts), protection(facts), agreement(facts)]
    title = f"{terms.name}: report of a DeepChain coalition"
    return document(title, overview(facts), _PARTS, sections, summary.note)
