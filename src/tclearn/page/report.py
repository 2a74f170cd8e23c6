"""The report of a coalition: one HTML file with everything in it, for any browser, offline."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from tclearn.page.chain import chain
from tclearn.page.charter import charter
from tclearn.page.facts import Facts
from tclearn.page.markup import Html, el
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

    It fetches nothing and can send nothing: its own security policy allows no address at all, and only the one style
    sheet and script that are in it.

    Args:
        state: the coalition's state, at any moment.
        summary: what the state does not know.
    """
    facts = Facts(state)
    read = readings(facts)
    parts = {name: title for name, title in _PARTS.items() if name != "readings" or read is not None}
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_source(style)}; script-src {_source(script)}"
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"{state.charter.name}: report of a coalition"),
        el("style", style),
    )
    body = el(
        "body",
        overview(facts, summary),
        el("nav", [el("a", title, href=f"#{name}") for name, title in parts.items()], aria_label="Parts"),
        el(
            "main",
            performance(facts),
            votes(facts),
            strength(facts),
            rejections(facts),
            members(facts),
            read,
            chain(facts, summary),
            charter(facts),
        ),
        el("footer", el("p", summary.note or "Made by TCLearn.")),
        el("script", script),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


@cache
def _asset(name: str) -> Html:
    return Html(files("tclearn.page").joinpath(name).read_text(encoding="utf-8").strip())


def _source(asset: Html) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(asset.encode()).digest()).decode()}'"
