"""What users add of their own, found by its name in an entry-point group; what is built in takes the same route."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from tclearn.errors import CharterError, Code

GROUPS: Final = (
    "tclearn.acceptance",
    "tclearn.engines",
    "tclearn.protocols",
    "tclearn.stores",
    "tclearn.trainers",
)


@cache
def load(group: str, name: str) -> Any:
    """The object that an installed package offers under a name.

    Args:
        group: one of ``GROUPS``.
        name: the entry point's name, as a charter has it.

    Raises:
        CharterError: nothing of that name is installed, two packages offer it, or it cannot be imported.
    """
    kind = group.rpartition(".")[2]
    found = {point.value: point for point in _points(group) if point.name == name}
    if not found:
        names = installed(group)
        near = difflib.get_close_matches(name, names, n=1)
        raise CharterError(
            Code.EXTENSION_UNKNOWN,
            f"nothing named {name!r} among the {kind}",
            expected=f"one of {', '.join(names)}" if names else f"a package that offers {kind}",
            remedy=f"did you mean {near[0]!r}?" if near else "install the package that offers it",
        )
    if len(found) > 1:
        raise CharterError(
            Code.EXTENSION_UNKNOWN,
            f"{name!r} among the {kind} is offered by {' and by '.join(sorted(found))}",
            expected="one package that offers it",
            remedy="uninstall the other",
        )
    (point,) = found.values()
    try:
        return point.load()
    except Exception as error:
        raise CharterError(
            Code.EXTENSION_UNKNOWN,
            f"{name!r} among the {kind}, {point.value}, cannot be imported: {error}",
            expected="a package that is whole, with what it needs",
            remedy=_missing(error, name),
        ) from error


def installed(group: str) -> list[str]:
    """Names in a group, sorted."""
    return sorted({point.name for point in _points(group)})


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


def _missing(error: Exception, name: str) -> str:
    module = error.name if isinstance(error, ModuleNotFoundError) else None
    extra = {"torch": "torch", "sklearn": "sklearn"}.get(module or "")
    if extra:
        return f'pip install "tclearn[{extra}]"'
    return f"pip install {module}" if module else f"reinstall the package that offers {name!r}"
