"""Differential privacy as users write it: the mechanism, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from tclearn.coalition import privacy, quantities
from tclearn.coalition.faults import Faults, did_you_mean, shown
from tclearn.coalition.privacy import EXAMPLE, MECHANISMS, NONE, RANDOM, SELECTIONS, SHOKRI
from tclearn.coalition.quantities import Number, Quantity
from tclearn.coalition.readers import number
from tclearn.coalition.terms import PrivacyTerms
from tclearn.errors import Code

_NUMBERS: Final[Mapping[str, Quantity]] = {
    "noise": quantities.NOISE,
    "clip": quantities.CLIP,
    "delta": quantities.DELTA,
    "epsilon_max": quantities.EPSILON_MAX,
    "share": quantities.SHARE,
    "threshold": quantities.THRESHOLD,
    "epsilon": quantities.EPSILON,
}
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    NONE: (),
    EXAMPLE: ("noise", "clip", "delta", "epsilon_max"),
    SHOKRI: ("share", "clip", "epsilon"),
}
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    NONE: (),
    EXAMPLE: (),
    SHOKRI: ("selection", "threshold", "epsilon_max"),
}
_SEARCH: Final = '[schedule] step_search is "own" with a [privacy] mechanism'
_OTHERS: Final = '"global" or "none": what is found on the hold-out would show in the increment'


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """How an increment is kept from telling too much about the records behind it.

    Attributes:
        mechanism: ``"example"``: DP-SGD, for trainers that can; ``"shokri"``: selective sharing with Laplace noise.
        clip: ``example``: bound of a record's gradient, Euclidean norm; ``shokri``: bound γ of a parameter's change.
        noise: ``example``: standard deviation of the noise, in units of ``clip``.
        delta: ``example``: δ.
        epsilon_max: the composed ε that no member may exceed; ``None`` with ``shokri``: there is no such budget.
        share: ``shokri``: θ, the fraction of the parameters that an increment may change.
        selection: ``shokri``: ``"random"`` (changes in random order, those above ``threshold``) or ``"largest"``;
            ``None``: ``"random"``.
        threshold: ``shokri`` and ``random``: τ, the size that a change must have; ``None``: 0.
        epsilon: ``shokri``: ε for each parameter.
    """

    mechanism: str
    clip: Number | None = None
    noise: Number | None = None
    delta: Number | None = None
    epsilon_max: Number | None = None
    share: Number | None = None
    selection: str | None = None
    threshold: Number | None = None
    epsilon: Number | None = None


def read_privacy(value: object, faults: Faults) -> Privacy | None:
    """The mechanism, whichever way it was written; ``None``: there is none. Mistakes are noted."""
    if isinstance(value, Mapping):
        value = _from_table(value, faults)
    if value is None:
        return None
    if not isinstance(value, Privacy):
        faults.add(f"[privacy] is {shown(value)}", "a table", 'write [privacy] and mechanism = "example"')
        return None
    before = len(faults)
    faults.choice("[privacy] mechanism", value.mechanism, MECHANISMS)
    if len(faults) > before:
        return None
    needed, allowed = _NEEDED[value.mechanism], _ALLOWED[value.mechanism]
    given = [each.name for each in fields(value) if each.name != "mechanism" and getattr(value, each.name) is not None]
    for name in given:
        if name not in (*needed, *allowed):
            faults.add(f"[privacy] {name} with the mechanism {value.mechanism}", _takes(value.mechanism))
    for name in needed:
        if name not in given:
            faults.add(f"[privacy] {name} is missing", _takes(value.mechanism))
    read = {name: number(_NUMBERS[name])(getattr(value, name), faults) for name in given if name in _NUMBERS}
    if value.mechanism == SHOKRI:
        read |= {"selection": _selection(value, faults)}
    return None if value.mechanism == NONE else replace(value, **read)


def privacy_terms(value: Privacy | None) -> PrivacyTerms | None:
    """The mechanism as members agree on it."""
    if value is None:
        return None
    units: dict[str, int | None] = {}
    for name, quantity in _NUMBERS.items():
        written = getattr(value, name)
        units[name] = None if written is None else quantity.read(written, Faults())
    random = value.mechanism == SHOKRI and value.selection == RANDOM
    return PrivacyTerms(
        mechanism=value.mechanism,
        clip_ppm=units["clip"] or 0,
        noise_ppm=units["noise"],
        delta_ppt=units["delta"],
        epsilon_max_ppm=units["epsilon_max"],
        share_ppm=units["share"],
        selection=value.selection,
        threshold_ppm=units["threshold"] or 0 if random else None,
        epsilon_ppm=units["epsilon"],
    )


def check_search(step_search: object, private: bool, faults: Faults) -> None:
    """Note a step search on private records: its outcome is not noisy, and would show what they are like."""
    if private and step_search == "own":
        faults.add(_SEARCH, _OTHERS)


def check_privacy(terms: PrivacyTerms | None, step_search: str, faults: Faults) -> None:
    """That a mechanism has its numbers and no others, and that nothing goes around it."""
    if terms is None:
        return
    check_search(step_search, True, faults)
    if terms.mechanism not in (EXAMPLE, SHOKRI):
        faults.add(f"[privacy] mechanism is {shown(terms.mechanism)}", f"{EXAMPLE} or {SHOKRI}")
        return
    units = {
        "noise": terms.noise_ppm,
        "clip": terms.clip_ppm,
        "delta": terms.delta_ppt,
        "epsilon_max": terms.epsilon_max_ppm,
        "share": terms.share_ppm,
        "threshold": terms.threshold_ppm,
        "epsilon": terms.epsilon_ppm,
        "selection": terms.selection,
    }
    needed, allowed = _NEEDED[terms.mechanism], _ALLOWED[terms.mechanism]
    for name, value in units.items():
        if value is None and name in needed:
            faults.add(f"[privacy] {name} is missing", _takes(terms.mechanism))
        elif value is not None and name not in (*needed, *allowed):
            faults.add(f"[privacy] {name} with the mechanism {terms.mechanism}", _takes(terms.mechanism))
        elif isinstance(value, int):
            _NUMBERS[name].check(value, faults)
    if terms.mechanism == SHOKRI:
        faults.choice("[privacy] selection", terms.selection, SELECTIONS)
        if (terms.threshold_ppm is None) == (terms.selection == RANDOM):
            faults.add("[privacy] threshold", "with the selection random, and no other")


def _selection(value: Privacy, faults: Faults) -> str:
    selection = RANDOM if value.selection is None else value.selection
    faults.choice("[privacy] selection", selection, SELECTIONS)
    if value.threshold is not None and selection == privacy.LARGEST:
        faults.add("[privacy] threshold with the selection largest", 'selection = "random", or no threshold')
    return selection


def _takes(mechanism: str) -> str:
    names = ", ".join(_NEEDED[mechanism])
    further = ", ".join(_ALLOWED[mechanism])
    return f"{names or 'nothing else'}{f'; perhaps {further}' if further else ''}"


def _from_table(table: Mapping[Any, Any], faults: Faults) -> Privacy | None:
    known = [each.name for each in fields(Privacy)]
    unknown = [key for key in table if key not in known]
    if unknown:
        what = f"[privacy] has the unknown key {shown(unknown[0])}"
        faults.add(what, ", ".join(known), did_you_mean(unknown[0], known), Code.CHARTER_UNKNOWN_KEY)
        return None
    if "mechanism" not in table:
        faults.add("[privacy] mechanism is missing", " or ".join(MECHANISMS))
        return None
    return Privacy(**table)
