"""``tclearn model triggers``: a look for backdoors, which decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from tclearn.cli.imports import user_code
from tclearn.cli.options import AsJson, Directory, Site
from tclearn.cli.output import count, messages, print_json, say, table
from tclearn.directory import CoalitionDirectory
from tclearn.directory.models import stored_model
from tclearn.directory.site import SiteFile, load_source
from tclearn.directory.triggers import look_for_triggers, own_images
from tclearn.files import is_there
from tclearn.learning.datasets import NAMES, load
from tclearn.learning.records import Records, materialise
from tclearn.simulation.demo_options import SETTINGS, DemoOptions
from tclearn.simulation.tasks import TASKS

if TYPE_CHECKING:
    from tclearn.learning.trainers.torch_triggers import Triggers


def triggers(
    block: Annotated[
        int | None, typer.Argument(metavar="BLOCK", help="Index of the block; the newest one by default.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help=f"Images to look with: module:callable of a data set, or {', '.join(NAMES)} for the test set of that "
            "name. By default your data, as site.toml names them; in a demonstration its test set.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Fixes everything that is random.")] = 1,
    site: Site = Path("site.toml"),
    directory: Directory = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Look for a backdoor: for each class the smallest mark that turns images of other classes into it.

    A class that is reached by a far smaller mark than the others is suspicious. That is an indication and no proof
    either way. For PyTorch models that tell three or more classes of images apart. Nothing is written or sent.
    """
    user_code()
    with CoalitionDirectory.open(directory) as coalition:
        index = coalition.state.tip if block is None else block
        _, parameters = stored_model(coalition, index)
        records, words = _images(data, directory, site)
        with Progress(console=messages, transient=True, disable=as_json or not messages.is_terminal) as progress:
            bar = progress.add_task("looking", total=None)
            found = look_for_triggers(
                coalition,
                parameters,
                records,
                site=SiteFile.read(site) if is_there(site) else SiteFile(),
                seed=seed,
                on_class=lambda done, classes: progress.update(bar, completed=done, total=classes),
            )
    if as_json:
        print_json({"block": index, **_as_dict(found)})
    else:
        say(f"block {index}: {count(found.images, 'image')} of {words}")
        _show(found)


def _images(data: str | None, directory: Path, site: Path) -> tuple[Records, str]:
    if data is not None and data not in NAMES:
        return materialise(load_source(data, "--data"), data), data
    if data is None and not (directory / SETTINGS).is_file():
        return own_images(SiteFile.read(site))
    name = data or TASKS[DemoOptions.interrupted(directory).dataset].dataset
    return load(name).test, f"the test set of {name}"


def _show(found: Triggers) -> None:
    columns = ["class", "smallest mark", "turns", "anomaly"]
    rows = [
        (each.label, f"{each.size:.1f} pixels", f"{100 * each.success:.0f} %", f"{each.anomaly:z.2f}")
        for each in found.classes
    ]
    table(columns, rows, right=columns)
    highest, limit = found.highest, f"suspicious is more than {found.threshold:g}"
    if found.suspected is None:
        say(f"no class stands out: the highest anomaly is {highest.anomaly:.2f}; {limit}")
    else:
        say(f"class {found.suspected} stands out: its mark is small, its anomaly {highest.anomaly:.2f}; {limit}")
    say(
        "an indication, no proof: a class that is easy to reach may be suspected, and what takes a large or faint mark,"
    )
    say("works on some images only or works rarely is missed. It changes no vote; nothing was written or sent")


def _as_dict(found: Triggers) -> dict[str, object]:
    return {
        "images": found.images,
        "seed": found.seed,
        "threshold": found.threshold,
        "suspected": found.suspected,
        "anomaly": found.highest.anomaly,
        "classes": [
            {"class": each.label, "size": each.size, "success": each.success, "anomaly": each.anomaly}
            for each in found.classes
        ],
    }
