"""Extensions: found through entry points, whoever offers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tclearn import extensions
from tclearn.errors import CharterError, Code

GROUP = "tclearn.acceptance"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a package that offers things, for the time of a test."""

    def install(name: str, **offered: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{each} = {value}" for each, value in offered.items()]
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n" + "\n".join(lines) + "\n")
        forget()

    def forget() -> None:
        extensions.load.cache_clear()
        extensions._points.cache_clear()

    (tmp_path / "extension_under_test.py").write_text("RULE = object()\n")
    (tmp_path / "extension_that_breaks.py").write_text("raise RuntimeError('no licence')\n")
    (tmp_path / "extension_that_needs.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield install
    forget()


def refusal(name: str) -> CharterError:
    with pytest.raises(CharterError) as caught:
        extensions.load(GROUP, name)
    assert caught.value.code is Code.EXTENSION_UNKNOWN
    assert repr(name) in caught.value.what
    assert "acceptance" in caught.value.what
    assert caught.value.remedy
    return caught.value


def test_found_by_its_name(package: Callable[..., None]) -> None:
    package("ours", generous="extension_under_test:RULE")
    import extension_under_test  # type: ignore[import-not-found]

    assert extensions.load(GROUP, "generous") is extension_under_test.RULE
    assert "generous" in extensions.installed(GROUP)


def test_an_unknown_name_lists_what_there_is(package: Callable[..., None]) -> None:
    package("ours", generous="extension_under_test:RULE", stern="extension_under_test:RULE")
    error = refusal("generos")
    assert "generous" in error.expected
    assert "stern" in error.expected
    assert error.remedy == "did you mean 'generous'?"
    assert refusal("xyz").remedy == "install the package that offers it"


def test_two_packages_of_one_name_are_both_named(package: Callable[..., None]) -> None:
    package("ours", generous="extension_under_test:RULE")
    package("theirs", generous="extension_that_breaks:RULE")
    error = refusal("generous")
    assert "extension_under_test:RULE and by extension_that_breaks:RULE" in error.what or (
        "extension_that_breaks:RULE and by extension_under_test:RULE" in error.what
    )


def test_one_package_seen_twice_is_one(package: Callable[..., None]) -> None:
    package("ours", generous="extension_under_test:RULE")
    package("ours_again", generous="extension_under_test:RULE")
    assert extensions.load(GROUP, "generous")


@pytest.mark.parametrize(
    ("value", "message", "remedy"),
    [
        ("extension_that_breaks:RULE", "cannot be imported: no licence", "reinstall the package"),
        ("extension_under_test:ROLE", "cannot be imported", "reinstall the package"),
        ("extension_that_needs:RULE", "No module named 'surely_not_installed'", "pip install surely_not_installed"),
    ],
)
def test_what_cannot_be_imported_says_why(package: Callable[..., None], value: str, message: str, remedy: str) -> None:
    package("ours", generous=value)
    error = refusal("generous")
    assert message in error.what
    assert remedy in error.remedy


@pytest.mark.parametrize("module", ["torch", "sklearn"])
def test_a_missing_framework_is_an_extra(module: str) -> None:
    error = ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert extensions._missing(error, "x") == f'pip install "tclearn[{module}]"'
