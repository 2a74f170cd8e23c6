"""``tclearn demo``: a whole coalition on this computer, on public data."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from textwrap import fill
from typing import Annotated, Final

import typer
from rich.status import Status

from tclearn.cli.demo_deepchain import demo_deepchain
from tclearn.cli.demoing import attacks_of, given, progress_line, refuse_others, stopped, update
from tclearn.cli.output import messages, print_json, say
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.errors import Code, UsageError
from tclearn.protocols.tclearn.state import State
from tclearn.simulation.attacks import KINDS, Attack
from tclearn.simulation.deepchain.attacks import KINDS as DEEPCHAIN_KINDS
from tclearn.simulation.deepchain.attacks import Attack as DeepChainAttack
from tclearn.simulation.deepchain.options import DeepChainOptions
from tclearn.simulation.demo import Demo, DemoOptions, DemoResult
from tclearn.simulation.demo_options import kept_protocol
from tclearn.simulation.demo_result import EXPORT, MODEL
from tclearn.simulation.progress import doing
from tclearn.simulation.rows import header, row
from tclearn.simulation.simulate import MEMBERS

_DEEPCHAIN: Final = "deepchain"
_PROTOCOLS: Final = ("tclearn", _DEEPCHAIN)
_OF_TCLEARN: Final = ("rule", "lambda_", "level", "network")
_OF_DEEPCHAIN: Final = ("key_bits",)

EPILOG: Final = "\n\n".join(
    "\b\n" + fill(text, 76, break_on_hyphens=False)
    for text in (
        f"KIND is one of {', '.join(KINDS)}.",
        f"With --protocol {_DEEPCHAIN}: {', '.join(DEEPCHAIN_KINDS)}.",
    )
)
"""Below the options: names of attacks, none of them broken at its hyphen."""


def demo(  # noqa: PLR0913, PLR0917 - each is an option of the command
    context: typer.Context,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="tclearn: increments one by one, tested by the others; deepchain: encrypted gradients, added up.",
        ),
    ] = "tclearn",
    dataset: Annotated[str, typer.Option(metavar="NAME", help="digits, breast-cancer or mnist.")] = "digits",
    members: Annotated[
        int, typer.Option(metavar="N", help="How many members, 2 to 50; with deepchain parties, from 4 on.")
    ] = 7,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND@MEMBER",
            help="Who misbehaves, and how; repeat for each. `--attack none`: nobody. By default hospital-3 flips "
            "labels and hospital-4 submits used records; with deepchain hospital-3 hands in a wrong proof, hospital-5 "
            "withholds shares, and worker-2 a wrong sum.",
        ),
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many blocks, or iterations of deepchain; by default the data set's own."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Fixes everything that is random.")] = 1,
    rule: Annotated[
        str, typer.Option(metavar="NAME", help="Acceptance rule: anchored, paper, strict, or one that is installed.")
    ] = "anchored",
    lambda_: Annotated[str, typer.Option("--lambda", metavar="NUMBER", help="λ of the rule, 0 to 1.")] = "0.98",
    level: Annotated[
        str,
        typer.Option(metavar="A|B", help="A: the model is public; B: it lies in a vault, readings are on the ledger."),
    ] = "A",
    key_bits: Annotated[
        int, typer.Option(metavar="N", help="deepchain: of the threshold key, 2048 or 3072; 512 is a toy.")
    ] = 2048,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The directory to make; an earlier demonstration there is replaced.")
    ] = Path("demo"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted demonstration in --out stopped.")
    ] = False,
    network: Annotated[
        bool,
        typer.Option("--network", help="Each member and the service a process of its own, over TLS on this computer."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train one model among members of whom some misbehave; write report, model and record."""
    if _runs(protocol, context, out, resume=resume) == _DEEPCHAIN:
        refuse_others(context, _DEEPCHAIN, _OF_TCLEARN)
        asked = DeepChainOptions(dataset, members, attacks_of(attack, DeepChainAttack.parse), blocks, seed, key_bits)
        demo_deepchain(asked, out, resume=resume, given=given(context), as_json=as_json)
        return
    refuse_others(context, "tclearn", _OF_DEEPCHAIN)
    options = DemoOptions(
        dataset=dataset,
        members=members,
        attacks=attacks_of(attack, Attack.parse),
        blocks=blocks,
        seed=seed,
        rule=rule,
        lambda_=_lambda(lambda_),
        level=level,
    )
    if network:
        _over_network(options, out, resume=resume, as_json=as_json)
        return
    with progress_line(as_json) as progress:
        made = Demo.prepare(options, out, resume=resume, given=given(context))
        try:
            if not as_json:
                say(_headline(made.options, made.simulation.charter))
                say(header())
            result = made.run(
                on_step=lambda step: None if as_json else say(row(step)),
                on_entry=lambda state: _tell(progress, state),
                on_phase=lambda what: update(progress, what),
            )
        except KeyboardInterrupt:
            raise stopped(out) from None
        finally:
            made.close()
    if as_json:
        print_json(result.as_json())
    else:
        _summarise(result)


def _runs(protocol: str, context: typer.Context, out: Path, *, resume: bool) -> str:
    # What is resumed says itself what it is.
    if protocol not in _PROTOCOLS:
        raise UsageError(Code.USAGE, f"--protocol is {protocol!r}", expected=" or ".join(_PROTOCOLS))
    if not resume:
        return protocol
    kept = kept_protocol(out)
    if "protocol" in given(context) and protocol != kept:
        raise UsageError(
            Code.USAGE,
            f"the interrupted demonstration has --protocol {kept}, not --protocol {protocol}",
            expected="--resume without other options",
            remedy="start another one with another --out",
        )
    return kept


def _lambda(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not 0 <= value <= 1:
        raise UsageError(Code.USAGE, f"--lambda is {text!r}", expected="a number from 0 to 1")
    return value


def _over_network(options: DemoOptions, out: Path, *, resume: bool, as_json: bool) -> None:
    from tclearn.simulation.network import NetworkDemo

    if resume:
        raise UsageError(Code.USAGE, "--resume with --network", remedy="start the demonstration anew without --resume")
    with progress_line(as_json) as progress:
        made = NetworkDemo.prepare(options, out)
        try:
            if not as_json:
                say(_headline(made.options, made.charter))
                say(header())
            state = made.run(
                on_step=lambda step: None if as_json else say(row(step)),
                on_phase=lambda what: update(progress, what),
            )
        except KeyboardInterrupt:
            messages.print("stopped", markup=False)
            raise typer.Exit(130) from None
        finally:
            made.close()
    record = made.directory / EXPORT
    if as_json:
        print_json(
            {
                "coalition": made.charter.digest.hex(),
                "seed": options.seed,
                "blocks": [
                    {"index": c.block.index, "hash": c.block.hash.hex(), "parameters": c.block.parameters.hex()}
                    for c in state.blocks()
                    if c.block.index
                ],
                "export": str(record),
            }
        )
        return
    say(f"\nmodel   {made.directory / MODEL}     members' own copies  {made.directory / MEMBERS}")
    say(f"record  {record}     check it:  tclearn ledger verify {record}")


def _headline(options: DemoOptions, charter: ResolvedCharter) -> str:
    acceptance = charter.acceptance
    attacks = "".join(f" · {attack}" for attack in options.misbehaving)
    return (
        f"{options.members} members · {options.dataset} · rule {acceptance.rule}, λ {acceptance.lambda_ppm / 1e6:g}"
        f" · seed {options.seed}{attacks}"
    )


def _summarise(result: DemoResult) -> None:
    directory = result.directory
    final = result.result.performance
    if final:
        say(f"       {'all data in one place:':<24}{result.centralised:>6.3f}")
    else:
        say("no increment was accepted")
    if result.result.ended_early:
        say(result.result.ended_early)
    say(f"\nreport  {directory / 'report.html'}     model  {directory / 'model.safetensors'}")
    say(f"record  {result.export.path}     check it:  tclearn ledger verify {result.export.path}")


def _tell(progress: Status | None, state: State) -> None:
    if progress is not None:
        progress.update(doing(state))
