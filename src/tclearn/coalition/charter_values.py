"""The values of a charter, checked and brought into one form: ``0.98`` is the same number in Python and in TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from tclearn.coalition import quantities, words
from tclearn.coalition.arguments import argument_text, read_argument
from tclearn.coalition.charter_file import STOPS
from tclearn.coalition.charter_privacy import check_search, read_privacy
from tclearn.coalition.charter_vault import check_level, read_data_ids, read_vault
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.faults import Faults, did_you_mean, shown
from tclearn.coalition.learning_rate import read_learning_rate
from tclearn.coalition.quantities import free_quantity
from tclearn.coalition.readers import Reader, choice, name, names, number, optional, options
from tclearn.errors import Code
from tclearn.limits import MEMBERS_MAX, MEMBERS_MIN

_USUAL: Final = ("epochs", "batch_size", "learning_rate")
_MISSPELT: Final = 0.85


def settled(fields: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """The settled values of a charter's fields; mistakes are noted, and fields that have one left out.

    Args:
        fields: by name of the field; a missing one keeps its default. A field ``stop`` stands for stop conditions
            that could not be read and were noted already.
        faults: collects the mistakes.
    """
    values = {}
    for field, value in fields.items():
        if field == "stop":
            continue
        before = len(faults)
        read = _READERS[field](value, faults)
        if len(faults) == before:
            values[field] = read
    check_search(fields.get("step_search"), values.get("privacy") is not None, faults)
    check_level(values.get("level", "A"), values.get("vault"), values.get("data_ids"), faults)
    if "stop" not in fields and all(fields.get(stop) is None for stop in STOPS):
        faults.add(
            "[schedule] stop is missing",
            " or ".join(STOPS),
            "write stop = { blocks = 28 } in charter.toml, or Charter(…, blocks=28)",
        )
    return values


def until_ms(value: object) -> int | None:
    """Milliseconds since 1970 of a stop date; ``None``: it is not one, or a time without its offset.

    A date alone stands for its end, 24:00 UTC.
    """
    try:
        if isinstance(value, str):
            only_date = re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)
            value = date.fromisoformat(value) if only_date else datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time(tzinfo=UTC)) + timedelta(days=1)
        if not isinstance(value, datetime) or value.tzinfo is None:
            return None
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None


def _model(value: Any, faults: Faults) -> Any:
    if isinstance(value, str):
        if not words.is_factory(value) or "<" in value:
            remedy = "" if ":" in value else "put a colon between the module and the callable"
            faults.add(f"[model] factory is {shown(value)}", words.FACTORY_EXPECTED, remedy, Code.CHARTER_MODEL)
    elif not callable(value) or not hasattr(value, "__qualname__"):
        faults.add(
            f"[model] factory is of type {type(value).__name__}",
            f"a function or class, or {words.FACTORY_EXPECTED}",
            "write a function that makes the model; what it takes goes into arguments",
            Code.CHARTER_MODEL,
        )
    return value


def _arguments(value: Any, faults: Faults) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        faults.add(f"[model] arguments is {shown(value)}", "a table", "write arguments = { width = 16 }")
        return {}
    result = {}
    for parameter, item in value.items():
        if not isinstance(parameter, str) or not parameter.isidentifier():
            faults.add(f"[model] arguments has the key {shown(parameter)}", "names of Python parameters")
            continue
        try:
            result[parameter] = read_argument(argument_text(item))
        except ValueError as error:
            faults.add(
                f"[model] arguments.{parameter} {error}",
                "text, numbers, true or false, and lists and tables of such",
                "make such an object inside the factory",
            )
    return result


def _global_test_set(value: Any, faults: Faults) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"blake3:[0-9a-f]{64}", value):
        faults.add(
            f"[task] global_test_set is {shown(value)}",
            '"blake3:" and 64 hexadecimal digits',
            "copy what `tclearn data digest` prints",
        )
    return value


def _until(value: Any, faults: Faults) -> Any:
    moment = until_ms(value)
    if moment is None or not quantities.STOP_UNTIL.low <= moment <= quantities.STOP_UNTIL.high:
        faults.add(
            f"[schedule] stop.until is {shown(value)}",
            "an ISO 8601 date from 2020 to 2199, or a date and time with its offset",
            "write 2027-06-30 (the end of that day, UTC) or 2027-06-30T18:00:00+02:00",
        )
    return value


def _free(table: str, key: str, value: Any, faults: Faults, low: int = 0) -> Any:
    scale = MILLION if isinstance(value, float | Decimal) else 1
    return number(free_quantity(f"{table}{key}", scale=scale, low=low))(value, faults)


def _protocol(value: Any, faults: Faults) -> Any:
    if value == words.DEEPCHAIN:
        faults.add(
            "[coalition] protocol 'deepchain' is not for charter files",
            " or ".join(words.PROTOCOLS),
            "in this version `tclearn demo --protocol deepchain` and Python found such coalitions",
        )
        return value
    return choice("[coalition] protocol", words.PROTOCOLS, words.LATER_PROTOCOLS)(value, faults)


def _rule_argument(key: str, value: Any, faults: Faults) -> Any:
    return _free("[acceptance] arguments.", key, value, faults)


def _hyperparameter(key: str, value: Any, faults: Faults) -> Any:
    if key == "learning_rate":
        return read_learning_rate(value, faults)
    if key in _USUAL:
        return number(free_quantity(f"[hyperparameters] {key}"))(value, faults)
    if did_you_mean(key, _USUAL, cutoff=_MISSPELT):
        faults.add(
            f"[hyperparameters] has the unknown key {shown(key)}",
            f"{', '.join(_USUAL)}, or what the trainer knows",
            did_you_mean(key, _USUAL),
            Code.CHARTER_UNKNOWN_KEY,
        )
        return 0
    return _free("[hyperparameters] ", key, value, faults)


_READERS: Final[Mapping[str, Reader]] = {
    "name": name("[coalition] name", words.COALITION_NAME, words.NAME_EXPECTED),
    "protocol": _protocol,
    "level": choice("[coalition] level", words.LEVELS, words.LATER_LEVELS),
    "members": names("[coalition] members", "enrolment files (.pem)", MEMBERS_MIN, MEMBERS_MAX),
    "model": _model,
    "arguments": _arguments,
    "seed": number(quantities.SEED),
    "trainer": name("[model] trainer", words.EXTENSION_NAME, words.EXTENSION_EXPECTED),
    "metric": choice("[task] metric", words.METRICS),
    "global_test_set": optional(_global_test_set),
    "local_test": number(quantities.LOCAL_TEST),
    "local_results": choice("[task] local_results", words.LOCAL_RESULTS),
    "acceptance": name("[acceptance] rule", words.EXTENSION_NAME, words.EXTENSION_EXPECTED),
    "lambda_": number(quantities.LAMBDA),
    "acceptance_arguments": options("[acceptance] arguments", _rule_argument),
    "turns": choice("[schedule] turns", words.TURNS),
    "blocks": optional(number(quantities.STOP_BLOCKS)),
    "until": optional(_until),
    "performance": optional(number(quantities.STOP_PERFORMANCE)),
    "verdict_minutes": number(quantities.VERDICT_MINUTES),
    "turn_minutes": optional(number(quantities.TURN_MINUTES)),
    "seal_minutes": optional(number(quantities.SEAL_MINUTES)),
    "minimum_batch": number(quantities.MINIMUM_BATCH),
    "attempts": number(quantities.ATTEMPTS),
    "step_search": optional(choice("[schedule] step_search", words.STEP_SEARCHES)),
    "privacy": optional(read_privacy),
    "vault": read_vault,
    "data_ids": read_data_ids,
    "hyperparameters": options("[hyperparameters]", _hyperparameter),
    "may_change": names("[governance] may_change", "hyper-parameters", 1, 256),
    "may_propose_revert": names("[governance] may_propose_revert", "members", 1, MEMBERS_MAX),
}
