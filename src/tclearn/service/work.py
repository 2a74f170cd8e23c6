"""A member's agent over a network: it goes on through whatever breaks off, and says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tclearn.agents.loop import Agent
from tclearn.errors import Code, MessageError, StorageError, TCLearnError, UnreachableError
from tclearn.ledger.engines.follower import Follower
from tclearn.protocols.tclearn.state import State
from tclearn.service.computing import Computing
from tclearn.service.remote import Connection

_TICK_S: Final = 1.0
_ASK_S: Final = 10.0
_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_QUIET_S: Final = 45.0
_REST_S: Final = 2.0
_OVERTAKEN_MAX: Final = 5
_NEWS: Final = "data:"


@dataclass
class Work:
    """A member's duties, performed until somebody says that it is enough.

    Attributes:
        agent: performs them.
        computing: the agent's role, which trains and tests beside the loop.
        ledger: the member's copy of the log, which ``agent`` reads.
        connection: tells when the log has grown.
        news: set when there may be something to do.
        say: is told, in a line, when the service cannot be reached or refuses something, and when it answers again.
        on_state: is given the state whenever it has changed.
        finished: whether nothing more is to come; asked when there is nothing to do.
        stop: set by others to end the work.
    """

    agent: Agent[State]
    computing: Computing
    ledger: Follower[State]
    connection: Connection
    news: threading.Event
    say: Callable[[str], None]
    on_state: Callable[[State], None] = lambda _: None
    finished: Callable[[State], bool] = lambda _: False
    stop: threading.Event = field(default_factory=threading.Event)
    _listening: bool = field(default=False, repr=False)
    _told: int = field(default=0, repr=False)
    _asked_s: float = field(default=float("-inf"), repr=False)

    def run(self) -> None:
        """Work until told to stop. What is being computed then is left to its end, or to the end of the process.

        Raises:
            VerificationError: the log has shown two histories, or something that does not verify.
            DataError: the member's own data or model code failed.
            StorageError: the member's own disk failed.
        MessageError: it is a member no longer, or has other keys now.
        """
        listener = threading.Thread(target=self._listen, name="events", daemon=True)
        listener.start()
        try:
            self._perform()
        finally:
            self.stop.set()
            self.computing.rest(_REST_S)

    def end(self) -> None:
        """Ask it to stop."""
        self.stop.set()
        self.news.set()

    def _perform(self) -> None:
        failures, overtaken, size = 0, 0, -1
        last: Code | None = None
        while not self.stop.is_set():
            self.news.clear()
            try:
                self._catch_up()
                if len(self.ledger) != size:
                    size = len(self.ledger)
                    self.on_state(self.ledger.state())
                spoke = self.agent.step()
            except (UnreachableError, MessageError, StorageError) as error:
                if not _passing(error):
                    raise
                if error.code is Code.SEQUENCE and overtaken < _OVERTAKEN_MAX:
                    # A command of the same member was faster: the log says which number is free now.
                    overtaken += 1
                    self._asked_s = float("-inf")
                    continue
                if error.code is not last:
                    again = " · it is asked again" if isinstance(error, UnreachableError) else ""
                    self.say(f"{error}{again}")
                last = error.code
                self._asked_s = float("-inf")
                self.stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
                continue
            if failures:
                self.say(f"{self.connection.url} answers again")
                failures, last = 0, None
            overtaken = 0
            if not spoke:
                if self.finished(self.ledger.state()):
                    return
                self.news.wait(_TICK_S)  # deadlines pass without news

    def _catch_up(self) -> None:
        # While the service tells what the size of its log is, it need not be asked for what there is not.
        now_s = time.monotonic()
        if self._listening and len(self.ledger) >= self._told and now_s - self._asked_s < _ASK_S:
            return
        self._asked_s = now_s
        while self.ledger.pull():
            if self._listening and len(self.ledger) >= self._told:
                return

    def _listen(self) -> None:
        failures = 0
        while not self.stop.is_set():
            with suppress(UnreachableError, MessageError, StorageError):
                for line in self.connection.lines(f"/v1/ledger/events?size={len(self.ledger)}", quiet_s=_QUIET_S):
                    failures = 0
                    self._heard(line)
                    if self.stop.is_set():
                        return
            self._listening = False
            self.stop.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1

    def _heard(self, line: str) -> None:
        if line.startswith(_NEWS):
            with suppress(ValueError, TypeError, KeyError):
                self._told = int(json.loads(line.removeprefix(_NEWS))["entries"])
            self.news.set()
        self._listening = True


def _passing(error: TCLearnError) -> bool:
    # What the world has to mend; of the disk errors only a model that is not at the service, not as it
    # should be, or not granted to this member yet.
    if isinstance(error, StorageError):
        return error.code in (Code.OBJECT_MISSING, Code.OBJECT_CORRUPT, Code.VAULT)
    if error.code is Code.FORMER_MEMBER:  # it will not be one again without new keys
        return False
    return isinstance(error, UnreachableError | MessageError)
