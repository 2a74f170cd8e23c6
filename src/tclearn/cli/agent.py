"""``tclearn agent`` and ``propose``: a member's part, over a network."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tclearn.agents.clock import RealClock
from tclearn.cli.ballots import say_ballots, step_json
from tclearn.cli.imports import user_code
from tclearn.cli.keys import Key, oneself
from tclearn.cli.options import AsJson, Home, Site
from tclearn.cli.output import count, messages, print_json, say
from tclearn.directory.coalition import check_protocol
from tclearn.directory.site import SiteFile
from tclearn.errors import AgentError, Code
from tclearn.learning.member import MemberTrainer
from tclearn.simulation.progress import doing

if TYPE_CHECKING:
    from tclearn.protocols.tclearn.history import Step
    from tclearn.protocols.tclearn.state import State
    from tclearn.service.work import Work


def agent(
    key: Key = None,
    site: Site = Path("site.toml"),
    directory: Home = Path("coalition"),
    until_complete: Annotated[
        bool, typer.Option("--until-complete", help="End when the charter's stop condition is met.")
    ] = False,
    offers: Annotated[
        bool, typer.Option("--offers/--no-offers", help="Train in one's turn, or pass it on and test only.")
    ] = True,
) -> None:
    """Do a member's part: train in its turn, test the others' increments, sign. End it with Ctrl-C."""
    from tclearn.protocols.tclearn.proposing import finished

    clock = RealClock()
    work = _take_part(
        key,
        site,
        directory,
        lambda _, state: until_complete and finished(state, clock()),
        offers=offers,
        tell=_say_now,
    )
    say("ended")
    _leave(work)


def propose(
    key: Key = None, site: Site = Path("site.toml"), directory: Home = Path("coalition"), as_json: AsJson = False
) -> None:
    """Offer one increment, wait until it is decided, and say how each validator has voted.

    Until then it does all of the member's part. Where an agent runs, that one offers increments.
    """
    watch = _Offer()
    work = _take_part(key, site, directory, watch.ends, tell=_note if as_json else _say_now)
    step = watch.step
    if step is None and not watch.why:
        messages.print("stopped; what was offered before is decided without waiting for you")
        _leave(work, 130)
    if step is None:
        raise AgentError(Code.REFUSED, f"no increment was offered: {watch.why}", remedy=watch.remedy)
    if as_json:
        print_json({**step_json(step), "block": step.block})
    else:
        votes = f"{step.yes} of {count(len(step.ballots), 'validator')}"
        say(f"block {step.block}: accepted by {votes}" if step.block is not None else f"{step.status}: {step.reason}")
        say_ballots(step)
    _leave(work, 0 if step.block is not None else 1)


class _Offer:
    """Watches for the end of the next increment that a member offers.

    Attributes:
        step: what became of it; ``None``: none was offered.
        why: why not; empty: the user has ended it.
        remedy: what to do about it.
    """

    def __init__(self) -> None:
        self.step: Step | None = None
        self.why = self.remedy = ""
        self._first = -1
        self._asked = -1
        self._clock = RealClock()

    def ends(self, work: Work, state: State) -> bool:
        """Whether there is nothing more to wait for; asked when the member has nothing to do."""
        from tclearn.protocols.tclearn.history import step_of
        from tclearn.protocols.tclearn.proposing import complete

        member, trainer = work.agent.site.member, work.agent.site.trainer
        if self._first < 0:  # what was on its way before is this offer too: the command was interrupted
            self._first = min((each.number for each in state.open_candidates()), default=state.candidates)
        mine = next((n for n in range(self._first, state.candidates) if state.candidate(n).proposer == member), None)
        if mine is not None:
            step = step_of(state, mine)
            self.step = step if step.closed else None
            return step.closed
        if complete(state, self._clock()):
            self.why, self.remedy = "training is complete", "`tclearn status` shows what there is"
            return True
        if state.tip != self._asked and not work.computing.busy and isinstance(trainer, MemberTrainer):
            self._asked = state.tip
            if not trainer.inventory(state.used_ids()).next_trained:
                self.why, self.remedy = "there are no records left to train on", "see `tclearn data check`"
                return True
        return False


def _take_part(
    key: Path | None,
    site: Path,
    directory: Path,
    ends: Callable[[Work, State], bool],
    *,
    offers: bool = True,
    tell: Callable[[str], None],
) -> Work:

    from tclearn.service.binding import bound_at
    from tclearn.service.home import MemberHome

    user_code()
    check_protocol(directory)
    now = datetime.now(UTC)
    given = SiteFile.read(site)  # before anybody is asked for a passphrase
    home = MemberHome.open(directory, oneself(key, now))
    clock, told = RealClock(), ""

    def on_state(state: State) -> None:
        nonlocal told
        line = f"block {state.tip}: {doing(state) or 'nobody has anything left to do'}"
        if line != told:
            told = line
            tell(line)

    with home.connection(now) as connection:
        trainer = bound_at(home, given, connection, clock=clock, say=tell)
        with home.work(trainer, now, clock=clock, say=tell, on_state=on_state, offers=offers) as work:
            work.finished = lambda state: ends(work, state)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: work.end())
            work.run()
    return work


def _leave(work: Work, code: int = 0) -> None:
    sys.stdout.flush()
    if work.computing.busy:
        # A training that nobody waits for any more. All that lasts is on the disk; a framework whose thread is
        # stopped in the middle may crash the interpreter on its way out.
        os._exit(code)
    if code:
        raise typer.Exit(code)


def _say_now(line: str) -> None:
    say(_dated(line))
    sys.stdout.flush()


def _note(line: str) -> None:
    messages.print(_dated(line), markup=False, soft_wrap=True)


def _dated(line: str) -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}"
