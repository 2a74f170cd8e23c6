"""How an interrupted run goes on as if nothing had happened: with the same members, from where its ledger ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from tclearn.agents import Agent, VirtualClock
from tclearn.agents.scheduler import TICK_MS
from tclearn.directory import CHARTER
from tclearn.errors import AgentError, Code
from tclearn.files import make_folder, write_whole
from tclearn.ledger.recorded import Log
from tclearn.ledger.transaction import Transaction

CAST: Final = "cast.json"
"""In the directory: adversaries and whatever else of a run is not in its charter."""

S = TypeVar("S")


def continued(log: Log, agents: Sequence[Agent[S]], clock: VirtualClock) -> int | None:
    """Set the clock to where a ledger ends.

    Args:
        log: the ledger's.
        agents: one per member.
        clock: at its start.

    Returns:
        The place of the agent that spoke last; ``None``: nobody did.
    """
    if not len(log):
        return None
    (last,) = log.entries(len(log) - 1, len(log))
    key = Transaction.parse(last.entry.transaction).signer
    clock.wait(last.entry.time_ms + TICK_MS - clock())
    return next(place for place, agent in enumerate(agents) if agent.site.signer.public == key)


def name_of(wrapper: Callable[..., Any]) -> str:
    """What a misbehaviour is called in ``keep_cast``."""
    return getattr(wrapper, "__qualname__", str(wrapper))


def keep_cast(directory: Path, cast: Mapping[str, Any]) -> None:
    """Write down what is not part of the charter, once; a run is continued with the same only.

    Args:
        directory: the run's; made when it is not there.
        cast: JSON: adversaries and the like.

    Raises:
        AgentError: the directory holds a run with another one.
    """
    text = json.dumps(cast, sort_keys=True).encode() + b"\n"
    file = directory / CAST
    if not file.exists():
        if (directory / CHARTER).exists() or not directory.exists() or not any(directory.iterdir()):
            make_folder(directory)
        elif not (directory / "demo.json").exists():
            return  # somebody else's directory: making the coalition there will refuse it
        write_whole(file, text)
    elif file.read_bytes() != text:
        raise AgentError(
            Code.RESUME,
            f"{directory} holds a run with other adversaries, test sets or contributions",
            expected="those of that run",
            remedy="choose another directory",
        )
