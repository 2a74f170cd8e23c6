"""The documentation names what exists: codes, files, functions, tests, commands, options."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import tclearn
from tclearn import extensions
from tclearn.cli.main import app
from tclearn.coalition.block import Block, strengths_ppm
from tclearn.errors import Code
from tclearn.ledger import replica
from tclearn.protocols.tclearn.refusals import Refusal

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", text_of(name))


def rows(name: str) -> list[list[str]]:
    """The cells of every table row of a page."""
    lines = [line for line in prose(name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# --- links -----------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown page has, as GitHub makes them from its headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("name", NAMES)
def test_internal_links_resolve(name: str) -> None:
    page = ROOT / name
    for match in LINK.finditer(prose(name)):
        target = match["target"]
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{name} links to {target}"


def test_the_index_has_every_page() -> None:
    linked = {(ROOT / "docs" / match["target"]).resolve() for match in LINK.finditer(text_of("docs/index.md"))}
    decisions = ROOT / "docs" / "decisions"
    left_out = [page for page in PAGES if page not in linked and page.parent != decisions and page.name != "index.md"]
    assert left_out == []


# --- errors ----------------------------------------------------------------------------------------------------------


def test_every_error_is_explained_and_no_other() -> None:
    listed = [(int(row[0][5:8]), row[1].strip("`")) for row in rows("docs/reference/errors.md") if "`TCL-" in row[0]]
    assert listed == [(code.value, code.name) for code in Code]


def test_every_refusal_is_explained_and_no_other() -> None:
    listed = [(int(row[0]), row[1].strip("`")) for row in rows("docs/reference/errors.md") if row[0].isdigit()]
    listed = [each for each in listed if each[1].isupper()]
    of_the_ledger = [(value, name) for name, value in vars(replica).items() if name.startswith("REJECTED_")]
    assert listed == sorted(of_the_ledger) + [(refusal.value, refusal.name) for refusal in Refusal]


@pytest.mark.parametrize("name", NAMES)
def test_codes_that_are_mentioned_exist(name: str) -> None:
    for number in re.findall(r"TCL-(\d{3})", text_of(name)):
        assert int(number) in {code.value for code in Code}, f"{name} mentions TCL-{number}"


# --- code and tests --------------------------------------------------------------------------------------------------


def resolve(reference: str) -> Any:
    """What ``module:object.attribute`` below ``tclearn`` names."""
    module, _, path = reference.partition(":")
    found: Any = importlib.import_module(f"tclearn.{module}")
    for part in path.split("."):
        found = getattr(found, part)
    return found


def test_code_beside_the_papers_exists() -> None:
    references = re.findall(r"`([a-z_.]+:[A-Za-z_.]+)`", prose("docs/papers/tclearn.md"))
    assert len(references) > 40
    for reference in references:
        assert resolve(reference) is not None


def test_fields_beside_the_papers_are_the_blocks() -> None:
    section = text_of("docs/papers/tclearn.md").partition("## Block")[2].partition("\n## ")[0]
    named = {name for row in section.splitlines() if row.startswith("|") for name in re.findall(r"`([a-z_]+)`", row)}
    assert named == set(Block.__dataclass_fields__)


@cache
def functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMES)
def test_tests_that_are_named_exist(name: str) -> None:
    for path, function in re.findall(r"`(?:tests/)?([\w/]+\.py)::(\w+)`", text_of(name)):
        assert function in functions(ROOT / "tests" / path), f"{name} names {path}::{function}"


def test_the_architecture_has_every_room() -> None:
    cells = [row[0] for row in rows("ARCHITECTURE.md")]
    named = {name for cell in cells for name in re.findall(r"`([a-z]+)`", cell)}
    rooms = {path.stem for path in (ROOT / "src" / "tclearn").iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert rooms <= named


def test_the_architecture_has_every_file_of_the_protocol() -> None:
    paragraph = text_of("ARCHITECTURE.md").partition("Inside `protocols/tclearn`")[2].partition("\n\n")[0]
    files = {path.stem for path in (ROOT / "src" / "tclearn" / "protocols" / "tclearn").glob("[a-z]*.py")}
    assert files <= set(re.findall(r"`(\w+)`", paragraph))


def test_the_architecture_fits_a_sitting() -> None:
    assert len(text_of("ARCHITECTURE.md").splitlines()) <= 150


# --- Python ----------------------------------------------------------------------------------------------------------


def test_the_public_names_are_listed() -> None:
    listed = [row[0].strip("`") for row in rows("docs/reference/python.md")]
    assert sorted(name for name in listed if name in tclearn.__all__) == sorted(tclearn.__all__)


def test_the_entry_point_groups_are_listed_with_what_is_built_in() -> None:
    table = {row[0].strip("`"): set(re.findall(r"`([a-z]+)`", row[1])) for row in rows("docs/reference/python.md")}
    for group in extensions.GROUPS:
        own = {point.name for point in extensions._points(group) if point.value.startswith("tclearn.")}
        assert table[group] == own


def python_blocks() -> Iterator[tuple[str, str]]:
    for name in NAMES:
        for match in FENCE.finditer(text_of(name)):
            if match["info"].split(" ")[0] == "python":
                yield name, match["body"]


@pytest.mark.parametrize(("name", "body"), list(python_blocks()))
def test_examples_are_python_and_import_what_exists(name: str, body: str) -> None:
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tclearn":
            module: ModuleType = importlib.import_module(node.module or "")
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


# --- commands --------------------------------------------------------------------------------------------------------


def commands() -> dict[str, list[Any]]:
    """The parameters of every command, by its words."""

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, list[Any]]]:
        if isinstance(command, typer.core.TyperGroup):
            for word, each in command.commands.items():
                yield from below(each, (*words, word))
        else:
            yield " ".join(words), command.params

    return dict(below(typer.main.get_command(app), ("tclearn",)))


def options_of(parameters: list[Any]) -> set[str]:
    return {word for each in parameters for word in (*each.opts, *each.secondary_opts) if word.startswith("-")}


def said(name: str) -> Iterator[list[str]]:
    """The words of every ``tclearn`` command in the consoles of a page."""
    for match in FENCE.finditer(text_of(name)):
        if match["info"].split(" ")[0] == "console":
            for line in match["body"].splitlines():
                prompt, dollar, command = line.partition("$ ")
                if dollar and " " not in prompt and command.startswith("tclearn "):
                    yield shlex.split(command, comments=True)


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_consoles_exist(name: str) -> None:
    known = commands()
    for words in said(name):
        length = next((size for size in (3, 2) if " ".join(words[:size]) in known), 0)
        assert length, f"{name}: {' '.join(words)}"
        given = {word.partition("=")[0] for word in words[length:] if word.startswith("-")}
        assert given <= options_of(known[" ".join(words[:length])]) | {"--help"}, f"{name}: {' '.join(words)}"


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_prose_exist(name: str) -> None:
    known = {" ".join(words.split(" ")[:size]) for words in commands() for size in (2, 3)}
    for command in re.findall(r"`(tclearn [a-z]+(?: [a-z]+)?)[^`]*`", prose(name)):
        assert command in known or command.rpartition(" ")[0] in known, f"{name}: {command}"


def test_the_reference_has_every_command_with_its_options_and_no_other() -> None:
    page = text_of("docs/reference/cli.md")
    sections = {part.partition("`\n")[0]: part for part in page.split("\n## `")[1:]}
    assert set(sections) == set(commands())
    for words, parameters in commands().items():
        table = "\n".join(line for line in sections[words].splitlines() if line.startswith("|"))
        listed = set(re.findall(r"(?<!\w)(--?[a-zA-Z][a-z-]*)`", table))
        assert listed == options_of(parameters) - {"--help"}, words
        arguments = {each.name.upper() for each in parameters if each.param_type_name == "argument"}
        assert set(re.findall(r"^\| `([A-Z]+)` \|", table, re.MULTILINE)) == arguments, words


# --- formats ---------------------------------------------------------------------------------------------------------


def test_the_block_that_is_shown_has_the_hash_that_is_shown() -> None:
    example, shown = (match["body"] for match in list(FENCE.finditer(text_of("docs/formats/block.md")))[:2])

    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(item) for item in value]
        if not isinstance(value, dict):
            return value
        return bytes.fromhex(value["h"]) if set(value) == {"h"} else {key: read(value[key]) for key in value}

    block = Block.from_value(read(json.loads(re.sub(r"h'([0-9a-f]*)'", r'{"h": "\1"}', example))))
    assert block.hash.hex() == shown.strip()
    assert strengths_ppm(block.contributions) == block.strengths


def test_the_fields_of_a_block_are_specified_in_their_order() -> None:
    section = text_of("docs/formats/block.md").partition("## Fields")[2].partition("\n### ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE) == list(Block.__dataclass_fields__)
