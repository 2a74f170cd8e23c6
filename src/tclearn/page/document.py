"""The frame of a report: one HTML file that fetches nothing and can send nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from tclearn.page.markup import Child, Html, el


def document(title: str, header: Html, parts: Mapping[str, str], main: Child, note: str) -> str:
    """The text of an HTML file.

    Its own security policy allows no address at all, and only the one style sheet and script that are in it.

    Args:
        title: for the browser's tab.
        header: the top of the page.
        parts: anchors of the sections that can be gone to, and what they are called.
        main: the sections.
        note: the last line; empty for the usual one.
    """
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
        el("title", title),
        el("style", style),
    )
    body = el(
        "body",
        header,
        el("nav", [el("a", words, href=f"#{name}") for name, words in parts.items()], aria_label="Parts"),
        el("main", main),
        el("footer", el("p", note or "Made by TCLearn.")),
        el("script", script),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


@cache
def _asset(name: str) -> Html:
    return Html(files("tclearn.page").joinpath(name).read_text(encoding="utf-8").strip())


def _source(asset: Html) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(asset.encode()).digest()).decode()}'"
