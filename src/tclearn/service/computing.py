"""Training and testing beside the loop that asks for them.

A member that trains for an hour still has to endorse, reveal and say which deadlines have passed. What is computed
comes back as the answer to the same duty, asked again, whatever else was asked meanwhile. Of each kind one duty is
computed at a time; one that has come to nothing makes room for the next, and waits longer each time: whoever announces
a model and withholds it keeps nobody from testing others. Trainers compute one after the other in a process
(``learning.member.COMPUTING``): a test waits for a training that has begun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tclearn.agents.loop import Role
from tclearn.agents.site import Site
from tclearn.encoding import Digest
from tclearn.ledger import Call, Contract, Duty, Ledger
from tclearn.protocols.tclearn.agent import pass_on
from tclearn.protocols.tclearn.calls import TRAIN, Access
from tclearn.protocols.tclearn.state import State

_PAUSE_S: Final = {"propose": (60.0, 60.0), "test": (1.0, 8.0), "delivered": (1.0, 60.0)}
"""Kinds of duties that take long, and when each is tried again that has come to nothing (no new data, no model yet):
the first time, and at the latest. Tests end by a deadline, and what is missing has to be said before it."""
_REMEMBERED_MAX: Final = 1024


@dataclass
class _Idle:
    pause_s: float
    until_s: float


@dataclass
class _Computation:
    kind: str
    call: Call | None = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Computing:
    """A role whose long duties are performed in threads of their own, one for each kind; see ``agents.loop.Role``.

    Args:
        make: makes the role. Proposing has one of its own, since what a role remembers is not made for two threads;
            of the other duties only testing uses the models that it remembers. Fetching (``delivered``) takes as long
            as the network does.
        woken: called from a thread when it is done.
        clock: seconds, from any beginning.
        offers: whether to train at all; else the member passes its turns on, and reads no model to train from it.
    """

    def __init__(
        self,
        make: Callable[[], Role[State]],
        woken: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        offers: bool = True,
    ) -> None:
        self._offers = offers
        self._make = make
        self._woken = woken
        self._role = make()
        self._proposer = (-1, self._role)
        self._running: dict[Digest, _Computation] = {}
        self._idle: dict[Digest, _Idle] = {}
        self._clock = clock

    @property
    def contract(self) -> Contract[State]:
        """The rules."""
        return self._role.contract

    @property
    def busy(self) -> bool:
        """Whether something is being computed."""
        return any(not each.done.is_set() for each in self._running.values())

    def perform(self, duty: Duty, ledger: Ledger[State], site: Site) -> Call | None:
        """See ``agents.loop.Role.perform``; ``None`` while it is being computed.

        Raises:
            TCLearnError: what the computation raised.
        """
        if duty.kind == "propose" and not self._offers:
            return pass_on(ledger.state(), site.member)
        if duty.kind not in _PAUSE_S:
            call = self._role.perform(duty, ledger, site)
            return pass_on(ledger.state(), site.member) if self._unwanted(call) else call
        computed = self._running.get(duty.id)
        if computed is not None:
            if not computed.done.is_set():
                return None
            del self._running[duty.id]
            return self._outcome(duty, computed)
        idle = self._idle.get(duty.id)
        if idle is not None and self._clock() < idle.until_s:
            return None
        if any(each.kind == duty.kind and not each.done.is_set() for each in self._running.values()):
            return None
        begun = self._running[duty.id] = _Computation(duty.kind)
        self._forget()
        role = self._for_proposing(ledger.state().tip) if duty.kind == "propose" else self._role
        threading.Thread(
            target=self._compute, args=(begun, role, duty, ledger, site), name=duty.kind, daemon=True
        ).start()
        return None

    def rest(self, seconds: float) -> None:
        """Wait for what is being computed, but not longer than that."""
        end = time.monotonic() + seconds
        for each in list(self._running.values()):
            each.done.wait(max(0.0, end - time.monotonic()))

    def _unwanted(self, call: Call | None) -> bool:
        """Whether a call asks for a model to train from it, and the member does not train."""
        return (
            not self._offers
            and call is not None
            and call.method == "access"
            and Access.from_value(call.arguments).purpose == TRAIN
        )

    def _outcome(self, duty: Duty, computed: _Computation) -> Call | None:
        if computed.error is None and computed.call is not None:
            self._idle.pop(duty.id, None)
            return computed.call
        first_s, last_s = _PAUSE_S[duty.kind] if computed.error is None else _PAUSE_S["test"]
        before = self._idle.pop(duty.id, None)
        pause_s = first_s if before is None else min(last_s, 2 * before.pause_s)
        self._idle[duty.id] = _Idle(pause_s, self._clock() + pause_s)
        if computed.error is not None:
            raise computed.error
        return None

    def _forget(self) -> None:
        # Of duties that are over nobody says so: what has lain there longest goes first.
        done = [duty for duty, each in self._running.items() if each.done.is_set()]
        for duty in done[: max(0, len(done) - _REMEMBERED_MAX)]:
            del self._running[duty]
        while len(self._idle) > _REMEMBERED_MAX:
            del self._idle[next(iter(self._idle))]

    def _for_proposing(self, tip: int) -> Role[State]:
        # A new one for each block, so that models which nobody needs any more are not kept twice.
        if self._proposer[0] != tip:
            self._proposer = tip, self._make()
        return self._proposer[1]

    def _compute(self, begun: _Computation, role: Role[State], duty: Duty, ledger: Ledger[State], site: Site) -> None:
        try:
            begun.call = role.perform(duty, ledger, site)
        except BaseException as error:  # noqa: BLE001 - raised again in the loop
            begun.error = error
        begun.done.set()
        self._woken()
