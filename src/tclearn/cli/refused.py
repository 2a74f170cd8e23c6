"""``tclearn vault journal --refused``: signed requests that the service has refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tclearn.cli.output import count, print_json, say, table, when
from tclearn.directory import LOG_KEY, CoalitionDirectory
from tclearn.errors import Code, UnreachableError, visible
from tclearn.service.refused import refused_requests


def show_refused(directory: Path, member: str | None, *, as_json: bool) -> None:
    """Show the service's journal of refused requests.

    Raises:
        UnreachableError: there is no coalition, or its service runs elsewhere.
    """
    CoalitionDirectory.open(directory).close()
    if not (directory / LOG_KEY).exists():
        raise UnreachableError(
            Code.FILE_MISSING,
            f"no service runs from {directory}",
            expected="the founder's directory: what was refused is noted there and nowhere else",
            remedy="refused calls are entries of the ledger: `tclearn ledger show`",
        )
    found = [each for each in refused_requests(directory) if member is None or each.get("member") == member]
    if as_json:
        print_json({"refused": found})
        return
    table(
        ["time (UTC)", "member", "asked", "code", "why"],
        [(_time(each.get("time_ms")), *map(_text, _parts(each))) for each in found],
    )
    omitted = sum(many for each in found if type(many := each.get("omitted")) is int)
    more = f", and {omitted:,} more that were only counted" if omitted else ""
    say(f"{count(len(found), 'refused request')}{more}; refused calls are entries of the ledger: `tclearn ledger show`")


def _parts(line: dict[str, Any]) -> tuple[object, ...]:
    return tuple(line.get(name, "") for name in ("member", "path", "code", "reason"))


def _time(value: object) -> str:
    return when(value) if type(value) is int else ""


def _text(value: object) -> str:
    return visible(str(value))
