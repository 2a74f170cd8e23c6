"""Markup that is safe by default: whatever is not ``Html`` already is escaped, in text and in attributes."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable
from typing import Final, Union

Child = Union[str, int, None, Iterable["Child"]]  # noqa: UP007 # a recursive alias needs the quotes

_VOID: Final = frozenset({"br", "col", "meta"})
_SHOWN: Final = frozenset("\n\t")


class Html(str):
    """Text that is markup, made by this module and never from outside."""

    __slots__ = ()


def escape(text: str) -> Html:
    """Text as markup that shows it.

    Control characters and those that turn the direction of writing are shown by their number: what a name looks like
    is what it is.
    """
    escaped = html.escape(text)
    return Html(escaped if escaped.isprintable() else "".join(map(_visible, escaped)))


def el(name: str, /, *children: Child, **attributes: str | int | None) -> Html:
    """An element.

    Args:
        name: its tag.
        children: text, numbers, elements, or iterables of such; ``None`` is left out.
        attributes: by name; a trailing underscore is dropped, others become hyphens (``class_``, ``aria_label``).
            ``None`` leaves the attribute out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Child, between: str = "") -> Html:
    """Several pieces in a row, text between them escaped like all other."""
    return Html(escape(between).join(_pieces(children)))


def _pieces(child: Child) -> Iterable[str]:
    if isinstance(child, Html):
        yield child
    elif isinstance(child, str):
        yield escape(child)
    elif isinstance(child, int):
        yield str(child)
    elif child is not None:
        for one in child:
            yield "".join(_pieces(one))


def _visible(character: str) -> str:
    if character.isprintable() or character in _SHOWN:
        return character
    # Cc: control; Cf: invisible, among them the marks that reverse text; Cs: lone surrogates, which UTF-8 cannot hold.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs"):
        return f"⟨U+{ord(character):04X}⟩"
    return character
