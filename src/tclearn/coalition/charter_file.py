"""The TOML form of a charter: which table and key is which field."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tclearn.coalition.faults import Faults, did_you_mean, shown
from tclearn.errors import CharterError, Code
from tclearn.limits import CHARTER_BYTES_MAX

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "coalition": {"name": "name", "protocol": "protocol", "level": "level", "members": "members"},
    "model": {"factory": "model", "arguments": "arguments", "seed": "seed", "trainer": "trainer"},
    "task": {
        "metric": "metric",
        "global_test_set": "global_test_set",
        "local_test": "local_test",
        "local_results": "local_results",
    },
    "acceptance": {"rule": "acceptance", "lambda": "lambda_", "arguments": "acceptance_arguments"},
    "schedule": {
        "turns": "turns",
        "stop": "stop",
        "verdict_minutes": "verdict_minutes",
        "turn_minutes": "turn_minutes",
        "seal_minutes": "seal_minutes",
        "minimum_batch": "minimum_batch",
        "attempts": "attempts",
        "step_search": "step_search",
    },
    "governance": {"may_change": "may_change", "may_propose_revert": "may_propose_revert"},
}
"""Table, key, and the field of ``Charter`` it sets. ``stop`` sets three; ``[hyperparameters]``,
``[privacy]``, ``[vault]`` and ``[data_ids]`` are one each, as a whole."""

STOPS: Final = ("blocks", "until", "performance")
_NEEDED: Final = (("coalition", "name"), ("coalition", "members"), ("model", "factory"), ("task", "metric"))
_HYPERPARAMETERS: Final = "hyperparameters"
_WHOLE: Final = (_HYPERPARAMETERS, "privacy", "vault", "data_ids")

# What a TOML text is made of, as far as a dotted key goes: its dots, its parts, and whatever ends it. No token begins
# within another, and a string that is not closed is one token, so that no text is looked at twice.
_TOKENS: Final = re.compile(
    r"""
    (?P<dot>\.)
    | (?P<end>
        [^\w."'# \t-]++ | \#[^\n]*+
        | \"{3} (?:[^"\\] | \\. | "(?!""))*+ (?:"{3,5}+)?+
        | '{3} (?:[^'] | '(?!''))*+ (?:'{3,5}+)?+
    )
    | " (?:[^"\\\n] | \\.)*+ "?+ | ' [^'\n]*+ '?+ | [\w-]++ | [ \t]++
    """,
    re.DOTALL | re.VERBOSE,
)
_DOTS_MAX: Final = 63


def read_tables(text: str, file: str, faults: Faults) -> dict[str, Any]:
    """The fields that a file sets. Unknown and missing keys are noted; values are not looked at yet.

    Raises:
        CharterError: too large, or not TOML.
    """
    tables = _parse(text, file)
    values: dict[str, Any] = {}
    for table, content in tables.items():
        known = TABLES.get(table)
        if table in _WHOLE and isinstance(content, dict):
            values[table] = content
        elif known is None and table not in _WHOLE:
            _unknown(faults, table, content)
        elif not isinstance(content, dict):
            faults.add(f"{table} is {shown(content)}", f"a table [{table}]")
        else:
            _read_table(table, content, values, faults)
    for table, key in _NEEDED:
        content = tables.get(table, {})
        if isinstance(content, dict) and key not in content:
            faults.add(f"[{table}] {key} is missing", f"{key} in the table [{table}]")
    return values


def _read_table(table: str, content: dict[str, Any], values: dict[str, Any], faults: Faults) -> None:
    known = TABLES[table]
    for key, value in content.items():
        if key not in known:
            remedy = did_you_mean(key, known) or _elsewhere(key)
            expected = ", ".join(known)
            faults.add(f"[{table}] has the unknown key {shown(key)}", expected, remedy, Code.CHARTER_UNKNOWN_KEY)
        elif key == "stop":
            _read_stop(value, values, faults)
        else:
            values[known[key]] = value


def _read_stop(value: object, values: dict[str, Any], faults: Faults) -> None:
    if not isinstance(value, dict):
        faults.add(f"[schedule] stop is {shown(value)}", " or ".join(STOPS), "write stop = { blocks = 28 }")
        values["stop"] = None
        return
    for key, item in value.items():
        if key in STOPS:
            values[key] = item
        else:
            place = f"[schedule] stop has the unknown key {shown(key)}"
            faults.add(place, ", ".join(STOPS), did_you_mean(key, STOPS), Code.CHARTER_UNKNOWN_KEY)
            values["stop"] = None


def _unknown(faults: Faults, table: str, content: object) -> None:
    tables = (*TABLES, *_WHOLE)
    if isinstance(content, dict):
        what = f"the unknown table [{shown(table)[1:-1]}]"
        faults.add(what, ", ".join(tables), did_you_mean(table, tables), Code.CHARTER_UNKNOWN_KEY)
    else:
        what = f"the key {shown(table)} outside any table"
        faults.add(what, "keys in their tables", _elsewhere(table), Code.CHARTER_UNKNOWN_KEY)


def _elsewhere(key: str) -> str:
    place = next((table for table, known in TABLES.items() if key in known), None)
    return f"it belongs to the table [{place}]" if place else ""


def _parse(text: str, file: str) -> dict[str, Any]:
    size = len(text.encode(errors="surrogatepass"))
    if size > CHARTER_BYTES_MAX:
        raise CharterError(Code.TOO_LARGE, f"{file} has {size} bytes", expected=f"at most {CHARTER_BYTES_MAX}")
    line = endless_key(text)
    if line is not None:
        raise CharterError(
            Code.CHARTER_SYNTAX, f"{file}: a dotted key without end (at line {line})", expected="table.key"
        )
    try:
        return tomllib.loads(text, parse_float=_exact)
    except (ValueError, RecursionError) as error:
        if isinstance(error, tomllib.TOMLDecodeError):
            reason = str(error).replace("at end of document", f"at the end, line {text.count(chr(10)) + 1}")
        else:
            reason = "lists nested without end" if isinstance(error, RecursionError) else "a number of too many digits"
        raise CharterError(
            Code.CHARTER_SYNTAX,
            f"{file} is not TOML: {reason}",
            expected='lines of the form key = "text" or key = 1',
            remedy="the format is described at https://toml.io",
        ) from None


def endless_key(text: str) -> int | None:
    """The line with a dotted key of very many parts; ``None``: there is none.

    The time and the memory that ``tomllib`` takes grow with the square of the number of parts.
    """
    dots = 0
    for token in _TOKENS.finditer(text):
        if token.lastgroup == "end":
            dots = 0
        elif token.lastgroup == "dot":
            dots += 1
            if dots > _DOTS_MAX:
                return text.count("\n", 0, token.start()) + 1
    return None


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("nan")  # refused later, by the name of its key
