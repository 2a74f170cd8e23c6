"""The pages on DeepChain name what exists, and their tables are the contract's."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from tests.protocols.deepchain.world import terms

from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.batches import batches_tree, items_root
from tclearn.protocols.deepchain.flow import _SPOKEN
from tclearn.protocols.deepchain.records import Block
from tclearn.protocols.deepchain.refusals import Refusal
from tclearn.protocols.deepchain.times import PHASES

DOCS = Path(__file__).resolve().parents[2] / "docs"
FORMAT = (DOCS / "formats" / "deepchain.md").read_text(encoding="utf-8")
PAPER = (DOCS / "papers" / "deepchain.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return FORMAT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(heading: str) -> list[str]:
    rows = re.findall(r"^\| ([^|]+) \|", section(heading), re.MULTILINE)
    return [cell.strip() for cell in rows[1:]]  # without the head


def test_code_beside_the_paper_exists():
    references = re.findall(r"`([a-z_.]+:[A-Za-z_.]+)`", PAPER)
    assert len(references) > 30
    for reference in references:
        module, _, path = reference.partition(":")
        found: Any = import_module(f"tclearn.{module}")
        for part in path.split("."):
            found = getattr(found, part)


def test_every_refusal_is_explained_and_no_other():
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", section("Refusals"), re.MULTILINE)
    assert [(int(number), name) for number, name in listed] == [(each.value, each.name) for each in Refusal]


def test_every_method_is_listed_with_its_arguments_and_no_other():
    listed = {name for cell in first_cells("Calls") for name in re.findall(r"`(\w+)`", cell)}
    assert listed == set(calls.METHODS)
    for row in re.findall(r"^\| (`.+)$", section("Calls"), re.MULTILINE):
        methods, arguments = row.split(" | ", 1)
        for method in re.findall(r"`(\w+)`", methods):
            named = set(re.findall(r"\b[a-z_]+\b", arguments))
            assert {field.name for field in fields(cast(Any, calls.METHODS[method]))} <= named, method


def test_the_architecture_has_every_file_of_the_protocol():
    text = (DOCS.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paragraph = text.partition("Inside `protocols/deepchain`")[2].partition("\n\n")[0]
    files = {path.stem for path in (DOCS.parent / "src" / "tclearn" / "protocols" / "deepchain").glob("[a-z]*.py")}
    assert files <= set(re.findall(r"`(\w+)`", paragraph))


def test_every_phase_is_listed_in_its_order():
    assert [cell.strip("`") for cell in first_cells("An iteration")] == list(PHASES) == list(_SPOKEN)


def test_every_field_of_terms_and_block_is_listed():
    made = terms()
    assert [cell.strip("`") for cell in first_cells("Terms")] == list(type(made).__dataclass_fields__)
    text = section("Terms")
    for part in (made.key, made.times, made.money):
        for name in type(part).__dataclass_fields__:
            assert f"`{name}`" in text or re.fullmatch("t[2-8]", name), name
    blocks = section("Blocks")
    assert all(re.search(rf"\b{name}\b", blocks) for name in Block.__dataclass_fields__)


def test_the_vectors_are_right():
    roots = re.findall(r"`([0-9a-f]{64})`", section("Batches"))
    first = [b"a", b"b", b"c"]
    tree = batches_tree([(first, b"proof 0"), ([b"d"], b"proof 1")])
    assert roots == [items_root(first).hex(), tree.root(2).hex()]
