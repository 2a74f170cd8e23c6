"""The model factory: found by name, recognised by its source."""

from __future__ import annotations

import hashlib
import linecache
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tclearn.encoding import Digest
from tclearn.errors import CharterError, Code
from tclearn.learning.source import check_source, load_factory, source_digest, source_file

MODULE = """
SIZE = 3
class UNet:
    def __init__(self, width): self.width = width
    @classmethod
    def small(cls): return cls(1)
def network(): return UNet(2)
"""


@pytest.fixture
def bladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("bladder", "broken", "needs", "package", "package.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "bladder.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("raise RuntimeError('no licence')")
    (tmp_path / "needs.py").write_text("import surely_not_installed")
    return tmp_path / "bladder.py"


def refusal(reference: str) -> str:
    with pytest.raises(CharterError) as caught:
        load_factory(reference)
    assert caught.value.code is Code.CHARTER_MODEL
    assert reference in caught.value.what
    assert caught.value.expected
    return str(caught.value)


def test_found_by_name(bladder: Path) -> None:
    assert load_factory("bladder:UNet")(width=4).width == 4
    assert load_factory("bladder:network")().width == 2
    assert load_factory("bladder:UNet.small")().width == 1


def test_a_callable_is_itself() -> None:
    assert load_factory(refusal) is refusal


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("bladdr:UNet", "no module named 'bladdr' is installed"),
        ("blad.models:UNet", "no module named 'blad' is installed"),
        ("bladder:Unet", "did you mean 'UNet'?"),
        ("bladder:UNet.smal", "did you mean 'small'?"),
        ("bladder:SIZE", "is of type int"),
        ("bladder", '"module:callable"'),
        ("bladder:f.<locals>.g", '"module:callable"'),
        ("broken:UNet", "importing broken failed with RuntimeError: no licence"),
        ("needs:UNet", "importing needs failed with ModuleNotFoundError: No module named 'surely_not_installed'"),
    ],
)
def test_what_is_wrong_is_said(bladder: Path, reference: str, message: str) -> None:
    assert message in refusal(reference)


def test_a_missing_module_says_how_to_install_it(bladder: Path) -> None:
    assert "PYTHONPATH if bladdr.py lies there" in refusal("bladdr:UNet")


def test_the_digest_is_that_of_the_file(bladder: Path) -> None:
    network = load_factory("bladder:network")
    assert source_file(network) == bladder
    assert source_digest(network) == hashlib.sha256(MODULE.encode()).digest()
    assert source_digest(load_factory("bladder:UNet")) == source_digest(network)
    bladder.write_bytes(MODULE.replace("\n", "\r\n").encode())
    assert source_digest(network) == hashlib.sha256(MODULE.encode()).digest()


def test_another_version_is_named(bladder: Path) -> None:
    network = load_factory("bladder:network")
    agreed = source_digest(network)
    check_source(network, agreed)
    bladder.write_text(MODULE + "# one more line\n")
    with pytest.raises(CharterError) as caught:
        check_source(network, agreed)
    assert caught.value.code is Code.CHARTER_MISMATCH
    assert str(bladder) in caught.value.what
    assert agreed.hex()[:16] in caught.value.expected


def typed(code: str, name: str, known_source: bool = False) -> Any:
    """What an interactive session would define."""
    file = "<input-7>"
    if known_source:
        linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    scope: dict[str, Any] = {"__name__": "typed"}
    exec(compile(code, file, "exec"), scope)
    return scope[name]


def test_a_notebook_has_lines_without_a_file() -> None:
    code = "def network():\n    return 1\n"
    assert source_digest(typed(code, "network", known_source=True)) == hashlib.sha256(code.encode()).digest()
    linecache.cache.pop("<input-7>")


@pytest.mark.parametrize("name", ["network", "Net"])
def test_what_was_typed_at_a_prompt_is_told_apart_by_its_code(name: str) -> None:
    code = "def network():\n    return 1\nclass Net:\n    def f(self): return 1\n"
    first = source_digest(typed(code, name))
    assert first == source_digest(typed("\n\n" + code, name))
    assert first != source_digest(typed(code.replace("1", "2"), name))
    inner = code.replace("return 1", "return (lambda: 1)()")
    assert source_digest(typed(inner, name)) != source_digest(typed(inner.replace("1", "2"), name))


def test_no_hash_seed_changes_the_digest_of_code() -> None:
    program = (
        "from tclearn.learning.source import source_digest\n"
        "def network(x): return x in {'a', 'b', 'c', 'd'}\n"
        "print(source_digest(network).hex())\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


def test_what_is_built_in_has_no_source() -> None:
    with pytest.raises(CharterError, match="dict has no source"):
        source_digest(dict)


def test_a_digest_is_32_bytes() -> None:
    assert len(source_digest(typed("def f(): pass", "f"))) == len(Digest(bytes(32)))
