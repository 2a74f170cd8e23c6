"""What is wrong with a charter, collected so that one attempt shows every mistake."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tclearn.errors import CharterError, Code

_LISTED_MAX: Final = 20
_SHOWN_CHARACTERS_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake.

    Attributes:
        what: the key with its place in the file, and the value that was found.
        expected: what would have been right.
        remedy: what to do, where ``expected`` does not say it already.
        code: the stable case number.
    """

    what: str
    expected: str = ""
    remedy: str = ""
    code: Code = Code.CHARTER_VALUE

    @property
    def sentence(self) -> str:
        """The mistake in one line, for a list of several."""
        expected = f", expected {self.expected}" if self.expected else ""
        return self.what + expected + (f" ({self.remedy})" if self.remedy else "")


class Faults:
    """The mistakes found so far."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, what: str, expected: str = "", remedy: str = "", code: Code = Code.CHARTER_VALUE) -> None:
        """Note a mistake; see ``Fault`` for the arguments."""
        self._found.append(Fault(what, expected, remedy, code))

    def choice(self, key: str, value: object, known: Iterable[str]) -> None:
        """Note a value that is not one of a few words."""
        words = tuple(known)
        if not (isinstance(value, str) and value in words):
            self.add(f"{key} is {shown(value)}", " or ".join(words), did_you_mean(value, words))

    def check(self) -> None:
        """Raise what was found; returns nothing when nothing was.

        Raises:
            CharterError: the first mistake, with the others listed in its remedy.
        """
        if not self._found:
            return
        first, *others = self._found
        remedies = [first.remedy] if first.remedy else []
        listed = [fault.sentence for fault in others]
        if len(listed) > _LISTED_MAX:
            listed[_LISTED_MAX:] = [f"and {len(listed) - _LISTED_MAX} more"]
        if listed:
            remedies.append("also: " + "; ".join(listed))
        raise CharterError(first.code, first.what, expected=first.expected, remedy=" · ".join(remedies))


def did_you_mean(word: object, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """A remedy that names the nearest known word; empty when none is at least as near as ``cutoff`` (0 to 1)."""
    if not isinstance(word, str):
        return ""
    near = difflib.get_close_matches(word[:_SHOWN_CHARACTERS_MAX], list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}?" if near else ""


def shown(value: object) -> str:
    """A value as messages show it: on one line, short whatever came in."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 256 else f"an integer of {value.bit_length()} bits"
    text = _SHORT.repr(value) if isinstance(value, str | bytes | list | tuple | dict) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[: _SHOWN_CHARACTERS_MAX - 1] + "…"


_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHOWN_CHARACTERS_MAX
_SHORT.maxlevel = 2
