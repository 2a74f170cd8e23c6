"""A report read back as a browser would: nothing left open, what it links to, what its tables say."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"br", "col", "meta"})


@dataclass
class Element:
    """An element with its attributes, its children, and the text inside of it."""

    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def all(self, name: str = "", css: str = "") -> list[Element]:
        """Elements inside of this one, by name and class."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if name in ("", child.name) and (not css or css in child.classes):
                    found.append(child)
                found += child.all(name, css)
        return found

    def one(self, name: str = "", css: str = "") -> Element:
        (found,) = self.all(name, css)
        return found

    def named(self, anchor: str) -> Element:
        """The element with an id."""
        (found,) = [element for element in self.all() if element.attributes.get("id") == anchor]
        return found

    def rows(self) -> list[list[str]]:
        """The cells of a table, row by row, without its head."""
        return [
            [cell.text for cell in row.children if isinstance(cell, Element)]
            for row in self.one("tbody").children
            if isinstance(row, Element)
        ]

    def facts(self) -> dict[str, str]:
        """Names and values of the definition list directly in this element."""
        (listed,) = [child for child in self.children if isinstance(child, Element) and child.name == "dl"]
        return {pair.one("dt").text: pair.one("dd").text for pair in listed.children if isinstance(pair, Element)}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(f"<{tag}/>: not HTML")

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def read(page: str) -> Element:
    """The page as a tree; refuses one that is not well formed."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert [element.name for element in reader.open] == ["document"], "something was left open"
    return reader.open[0]
