"""``tclearn demo --protocol deepchain``: gradients under a threshold key, and what lying costs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tclearn.cli.demoing import progress_line, stopped, update
from tclearn.cli.output import messages, print_json, say
from tclearn.directory.coalition import OBJECTS
from tclearn.protocols.deepchain.history import Course
from tclearn.simulation.deepchain.options import DeepChainOptions
from tclearn.simulation.deepchain.progress import doing
from tclearn.simulation.deepchain.rows import coin_rows, deposits_row, header, rows
from tclearn.simulation.demo_result import MODEL, REPORT

if TYPE_CHECKING:
    from tclearn.simulation.deepchain.demo import DeepChainResult


def demo_deepchain(
    options: DeepChainOptions, out: Path, *, resume: bool, given: Collection[str], as_json: bool
) -> None:
    """Train among members of whom some lie; show each iteration, everybody's coins, and that the sums were right.

    Args:
        options: what to show.
        out: the directory.
        resume: go on with what was interrupted there.
        given: names of options that somebody has typed, be it their defaults.
        as_json: print one JSON object.

    Raises:
        Exit: no iteration has succeeded, or it was interrupted.
    """
    from tclearn.paillier.keys import ToyKeyWarning  # these need gmpy2, which says so where it is not installed
    from tclearn.simulation.deepchain.demo import DeepChainDemo

    with progress_line(as_json) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", ToyKeyWarning)  # said below, in a line of its own
        quiet = progress is not None or as_json  # otherwise what takes minutes gets lines that stay

        def slow(what: str) -> None:
            update(progress, what)
            _say_once(what, quiet=quiet or options.is_toy)

        made = DeepChainDemo.prepare(options, out, resume=resume, given=given, on_phase=slow)
        options = made.options
        if options.is_toy:
            messages.print("warning: a toy key of 512 bits: anybody can read every gradient", markup=False)
        for said in options.too_many:
            messages.print(f"warning: {said}", markup=False)
        terms, began = made.simulation.terms, time.monotonic()

        def show(course: Course, performance: float | None) -> None:
            for line in [] if as_json else rows(course, performance, of=len(terms.parties)):
                say(line)
            first, left = course.number == 1 and not resume, terms.iterations - (course.round or 0)
            pace = f"iteration 1 took {time.monotonic() - began:.0f} s; {left} more to succeed"
            _say_once(pace, quiet=quiet or options.is_toy or not first)

        try:
            if not as_json:
                say(_headline(options, terms.key.threshold))
                say(header())
            result = made.run(show, lambda state: update(progress, doing(state)), slow)
        except KeyboardInterrupt:
            raise stopped(out) from None
        finally:
            made.close()
    if as_json:
        print_json(result.as_json())
    else:
        _summarise(result)
    if not result.has_model:
        raise typer.Exit(1)


def _say_once(what: str, *, quiet: bool) -> None:
    if not quiet:
        messages.print(what, markup=False)


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
    say(deposits_row(outcome.terms.money))
    remarks = [*result.idle, *filter(None, [outcome.clipping])]
    if remarks or result.has_model:
        say()
    for remark in remarks:
        say(remark)
    if result.unquantised is not None:
        say("weights equal to plain quantised averaging: yes, bit for bit")
        say(f"averaged without quantising: {result.unquantised:.3f}")
    model = f"     model  {directory / MODEL}" if result.has_model else ""
    say(f"\nreport  {directory / REPORT}{model}     ciphertexts  {directory / OBJECTS}")
    verify = f"tclearn ledger verify {result.export.path} --proofs {directory / OBJECTS}"
    say(f"record  {result.export.path}     check it:  {verify}")
