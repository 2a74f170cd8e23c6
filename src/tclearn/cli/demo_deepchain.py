"""``tclearn demo --protocol deepchain``: gradients under a threshold key, and what lying costs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from tclearn.cli.demoing import progress_line, stopped, update
from tclearn.cli.output import messages, print_json, say
from tclearn.directory.coalition import OBJECTS
from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.state import State
from tclearn.simulation.deepchain.options import DeepChainOptions
from tclearn.simulation.deepchain.rows import coin_rows, header, rows
from tclearn.simulation.demo_result import MODEL, REPORT

if TYPE_CHECKING:
    from tclearn.simulation.deepchain.demo import DeepChainResult


def demo_deepchain(options: DeepChainOptions, out: Path, *, resume: bool, as_json: bool) -> None:
    """Train among members of whom some lie; show each iteration, everybody's coins, and that the sums were right.

    Args:
        options: what to show.
        out: the directory.
        resume: go on with what was interrupted there.
        as_json: print one JSON object.
    """
    from tclearn.paillier.keys import ToyKeyWarning  # these need gmpy2, which says so where it is not installed
    from tclearn.simulation.deepchain.demo import DeepChainDemo

    with progress_line(as_json) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", ToyKeyWarning)  # said below, in a line of its own
        update(progress, "dealing the threshold key")
        made = DeepChainDemo.prepare(options, out, resume=resume)
        if made.options.is_toy:
            messages.print("warning: a toy key of 512 bits: anybody can read every gradient", markup=False)
        of = len(made.simulation.terms.parties)

        def show(course: Course, performance: float | None) -> None:
            if not as_json:
                for line in rows(course, performance, of=of):
                    say(line)

        try:
            if not as_json:
                say(_headline(made.options, made.simulation.terms.key.threshold))
                say(header())
            result = made.run(show, lambda state: update(progress, _doing(state)), lambda what: update(progress, what))
        except KeyboardInterrupt:
            raise stopped(out) from None
        finally:
            made.close()
    if as_json:
        print_json(result.as_json())
    else:
        _summarise(result)


def _headline(options: DeepChainOptions, threshold: int) -> str:
    attacks = "".join(f" · {attack}" for attack in options.misbehaving)
    return (
        f"{options.members} parties, {threshold} of them open · {len(options.workers)} workers · {options.dataset}"
        f" · key of {options.key_bits} bits · seed {options.seed}{attacks}"
    )


def _summarise(result: DeepChainResult) -> None:
    outcome, directory = result.result, result.directory
    accounts = outcome.state.accounts
    if outcome.ended_early:
        say(outcome.ended_early)
    say()
    for line in coin_rows(outcome.balances, accounts.pot):
        say(line)
    say()
    say("weights equal to plain quantised averaging: yes, bit for bit")
    say(f"averaged without quantising: {result.unquantised:.3f}")
    say(f"\nreport  {directory / REPORT}     model  {directory / MODEL}     ciphertexts  {directory / OBJECTS}")
    verify = f"tclearn ledger verify {result.export.path} --proofs {directory / OBJECTS}"
    say(f"record  {result.export.path}     check it:  {verify}")


def _doing(state: State) -> str:
    iteration = state.iteration
    if iteration is None:
        return f"the group is {state.group.status}"
    wanted = state.terms.iterations
    return f"iteration {iteration.number}, {state.group.rounds} of {wanted} done: {iteration.phase}"
