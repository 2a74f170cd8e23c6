"""All members in one process: the very agents of a deployment, one after the other, under a real or a virtual clock.

What happens next is a function of the ledger alone: the member after the one that spoke last is asked first, and a
virtual clock restarts where the last entry left it. A run that is killed and resumed therefore says what it would have
said, entry for entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tclearn.agents.clock import Clock
from tclearn.agents.loop import Agent

S = TypeVar("S")

TICK_MS = 1_000
"""Virtual time between two entries."""
IDLE_MS = 60_000
"""How long nobody having anything to do lets time pass, at most, before all are asked again."""


def run(
    agents: Sequence[Agent[S]],
    clock: Clock,
    *,
    last_speaker: int | None = None,
    on_entry: Callable[[], bool] = lambda: True,
) -> None:
    """Let agents perform their duties until nobody has any left.

    Args:
        agents: one per member, in a fixed order.
        clock: the clock that the ledger and the sites read, too.
        last_speaker: position in ``agents`` of the one whose entry is the ledger's last; ``None``: no entry yet.
        on_entry: called after every entry; ``False`` stops the run.

    Raises:
        TCLearnError: what an agent raised.
    """
    place = 0 if last_speaker is None else last_speaker + 1
    while True:
        order = [(place + offset) % len(agents) for offset in range(len(agents))]
        spoke = next((index for index in order if agents[index].step()), None)
        if spoke is not None:
            clock.wait(TICK_MS)
            place = spoke + 1
            if not on_entry():
                return
            continue
        if not any(agent.awaits() for agent in agents):
            return
        now_ms = clock()
        dues = [due - now_ms for agent in agents if (due := agent.due_ms()) is not None and due > now_ms]
        clock.wait(min([IDLE_MS, *dues]))
