"""Parts found by name through entry points: acceptance rules, trainers, stores, engines, protocols.

The built-in ones take the same route as anybody else's.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from tclearn.errors import CharterError, Code


@cache
def load(group: str, name: str) -> Any:
    """The object that an installed package offers under a name.

    Args:
        group: the entry-point group, such as ``tclearn.acceptance``.
        name: the name in that group.

    Raises:
        CharterError: nothing is installed under this name, or it cannot be imported.
    """
    found = entry_points(group=group)
    chosen = [entry for entry in found if entry.name == name]
    if not chosen:
        close = difflib.get_close_matches(name, found.names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise CharterError(
            Code.EXTENSION_UNKNOWN,
            f"no {group} named {name!r} is installed",
            expected=" or ".join(sorted(found.names)) or "an installed package that offers one",
            remedy=f"{hint}Install the package that offers it",
        )
    try:
        return chosen[0].load()
    except (ImportError, AttributeError) as error:
        raise CharterError(
            Code.EXTENSION_UNKNOWN,
            f"{chosen[0].value}, which offers {name!r}, cannot be imported: {error}",
            remedy=f"install what it needs; for built-in trainers: pip install 'tclearn[{name}]'",
        ) from error
