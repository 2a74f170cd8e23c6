"""``tclearn predict``: a model of the coalition, asked about records of one's own."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from numpy.typing import NDArray

from tclearn.cli.imports import user_code
from tclearn.cli.keys import Key
from tclearn.cli.options import AsJson, Site
from tclearn.cli.output import count, messages, print_json, say
from tclearn.cli.versions import Version, fetched
from tclearn.directory.coalition import check_protocol
from tclearn.directory.predicting import predict_with
from tclearn.directory.reading import read_file
from tclearn.directory.site import SiteFile, load_source
from tclearn.errors import Code, UsageError
from tclearn.files import is_there, write_whole
from tclearn.learning.datasets import NAMES, load
from tclearn.learning.inputs import SUFFIXES, inputs_in, inputs_of
from tclearn.learning.prediction import Predictions
from tclearn.learning.prediction_files import as_csv, for_json, rows, writer_for
from tclearn.limits import CSV_BYTES_MAX, DATA_SET_BYTES_MAX

_OF_SITE: Final = ("data", "global_test", "local_test", "hidden_test")


def predict(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help=f"A file ({', '.join(SUFFIXES)}), module:callable of inputs or of a data set, "
            f"{', '.join(_OF_SITE)} for that of site.toml, or {', '.join(NAMES)} for the test set of that name.",
        ),
    ],
    version: Version = "newest",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write: .csv, .json or .npz. By default CSV is printed."),
    ] = None,
    key: Key = None,
    site: Site = Path("site.toml"),
    directory: Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The coalition's directory.")] = Path(
        "coalition"
    ),
    as_json: AsJson = False,
) -> None:
    """Ask a model of the coalition about records of your own; their targets, if there are some, are not looked at.

    Nothing of the records is sent. In a member's directory the model comes from the service; at level B this is a
    reading for your own use, which is in the journal.
    """
    user_code()
    check_protocol(directory)
    write = None if out is None else writer_for(out)  # before a reading is asked for
    given = SiteFile.read(site) if is_there(site) or data in _OF_SITE else SiteFile()
    inputs = _inputs(data, given)
    model = fetched(directory, version, key, as_json=as_json)
    predictions = predict_with(model.charter, model.parameters, inputs, given)
    if out is not None and write is not None:
        write_whole(out, write(predictions))
    elif not as_json:
        rows(predictions)  # masks need a file: said before anything is printed
    words = f"block {model.block}: {_summary(predictions)}"
    if as_json:
        answers: dict[str, Any] = {"file": str(out)} if out is not None else {"predictions": for_json(predictions)}
        print_json({"block": model.block, "records": len(predictions), **answers})
    elif out is not None:
        say(f"{out}: {words}")
    else:
        sys.stdout.write(as_csv(predictions).decode())
        messages.print(words, markup=False, soft_wrap=True)


def _inputs(data: str, site: SiteFile) -> NDArray[Any]:
    if data in _OF_SITE:
        source = site.source(data)
        if source is None:
            raise UsageError(Code.USAGE, f"{site.path} names no {data}", expected=f'{data} = "module:callable"')
        return inputs_of(source, f"{data} of {site.path}")
    if data in NAMES:
        return load(data).test.inputs
    path = Path(data)
    if path.suffix in SUFFIXES:
        size_max = CSV_BYTES_MAX if path.suffix == ".csv" else DATA_SET_BYTES_MAX
        return inputs_in(path, read_file(path, size_max, "name a file of inputs"))
    if not re.fullmatch(r"[^\s/\\]+:[^\s/\\]+", data):
        raise UsageError(
            Code.USAGE,
            f"{data!r} is no data",
            expected=f"a file that ends in {', '.join(SUFFIXES)}, module:callable, or {', '.join(_OF_SITE)}",
        )
    return inputs_of(load_source(data, "DATA"), data)


def _summary(predictions: Predictions) -> str:
    records = count(len(predictions), "record")
    without = int((~predictions.answered).sum())
    if predictions.masks is not None:
        found = f"{records}, masks of {' × '.join(map(str, predictions.masks.shape[1:]))}"
    else:
        classes = Counter(row[0] for row in rows(predictions) if row is not None)
        listed = ", ".join(f"class {one}: {many:,}" for one, many in sorted(classes.items()))
        found = f"{records}; {listed}" if listed else records
    return f"{found}; no answer for {without:,}" if without else found
