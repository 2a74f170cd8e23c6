"""The name by which a charter can ask for a trainer."""

from __future__ import annotations

from importlib.metadata import entry_points

from tclearn.learning.trainer import Recipe


def installed_name(recipe: Recipe) -> str | None:
    """Entry-point name of a recipe; ``None``: it has none.

    A charter that was not told otherwise says "torch"; the record must say what has trained.
    """
    kind = f"{type(recipe).__module__}:{type(recipe).__qualname__}"
    return next((point.name for point in entry_points(group="tclearn.trainers") if point.value == kind), None)
