"""Founding a coalition from a ``charter.toml``, and checking a member's data against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from pathlib import Path
from typing import Any

from tclearn.coalition.admission import admitted
from tclearn.coalition.charter import Charter
from tclearn.coalition.evidence import Evidence
from tclearn.coalition.resolve import resolve
from tclearn.coalition.terms import MemberRecord
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.site import SiteFile
from tclearn.errors import CharterError, Code, DataError, UnreachableError, UsageError
from tclearn.extensions import load
from tclearn.identity import Signer
from tclearn.identity.enrolment import read_enrolment
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.member import Inventory, MemberTrainer
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records, materialise
from tclearn.learning.source import check_source, load_factory, source_digest
from tclearn.learning.trainer import LocalData, Recipe, Task
from tclearn.limits import CHARTER_BYTES_MAX, KEY_FILE_BYTES_MAX, PARAMETERS_BYTES_MAX

GLOBAL_TEST = "the global test set"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Random bytes for a new coalition, from the operating system: 32 each."""

    log: bytes
    data: bytes


def found(charter_file: Path, site: SiteFile, target: Path, *, secrets: Secrets, now: datetime) -> CoalitionDirectory:
    """Resolve a charter and make the coalition's directory.

    Args:
        charter_file: the ``charter.toml``; the members' ``.pem`` files are looked for beside it.
        site: names the global test set, and on what to compute.
        target: the directory to make.
        secrets: for the log's key and the key of the data IDs.
        now: the time, with its zone.

    Raises:
        CharterError: the charter, the model or a member's file is not usable.
        DataError: the global test set is not usable.
    """
    charter = Charter.from_toml(_text(charter_file), file=str(charter_file))
    members = [_member(charter_file.parent / name, now) for name in charter.members]
    recipe = _recipe(charter.trainer, site)
    records = _global_test(site)
    task = Task(
        model=load_factory(charter.model),
        arguments=charter.arguments,
        metric=charter.metric,
        global_test=records,
        local_share=charter.local_share_ppm,
        data_key=secrets.data,
        step_search=charter.searches_steps,
    )
    initial = recipe.bind(task, LocalData(None)).initial(charter.seed)
    log_key = Signer(secrets.log)
    resolved = resolve(
        charter,
        members=members,
        log_key=log_key.public,
        layout=initial.layout,
        initial=initial.digest,
        source=source_digest(task.model),
        global_test=data_set_digest(records),
        global_n=len(records),
        hyperparameters=recipe.hyperparameters(),
        data_key=secrets.data,
    )
    if target.exists() and any(target.iterdir()):
        raise CharterError(
            Code.CHARTER_VALUE, f"{target} is not empty", expected="a new directory", remedy="name another with --dir"
        )
    return CoalitionDirectory.make(
        target, resolved, log_key=log_key, data_key=secrets.data, clock=lambda: int(now.timestamp() * 1000)
    )


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What a member has, held against the coalition; nothing was sent.

    Attributes:
        inventory: records, copies, used ones, and the next contribution.
        evidence: the newest model against itself: its performance on G and on this member's L.
        block: index of the newest block.
    """

    inventory: Inventory
    evidence: Evidence
    block: int


def check_data(coalition: CoalitionDirectory, site: SiteFile) -> DataCheck:
    """Load a member's data and measure the newest model on them.

    Raises:
        CharterError: the model code here is not what the charter says.
        DataError: the data are not usable, or the global test set is another one.
        StorageError: the newest model is not here.
    """
    charter, state = coalition.charter, coalition.state
    factory = load_factory(charter.model.factory)
    check_source(factory, charter.model.source)
    records = _global_test(site)
    if data_set_digest(records) != charter.task.global_test:
        raise DataError(
            Code.DATA_CHANGED,
            f"the global test set here is {digest_text(data_set_digest(records))}",
            expected=digest_text(charter.task.global_test),
            remedy="use the same set as the other members",
        )
    task = Task(
        model=factory,
        arguments=charter.model.keyword_arguments(),
        metric=charter.task.metric,
        global_test=records,
        local_share=charter.task.local_share_ppm,
        data_key=coalition.data_key(),
        step_search=bool(charter.step_search),
    )
    data = LocalData(site.source("data"), site.source("local_test"))
    trainer = _recipe(charter.trainer, site).bind(task, data)
    newest = state.block(state.tip)
    if newest.locator is None:
        model = trainer.initial(charter.model.seed)
    else:
        model = Parameters.from_bytes(
            coalition.store.get(newest.locator, size_max=PARAMETERS_BYTES_MAX), layout=charter.model.layout
        )
    used = state.used_ids()
    inventory = trainer.inventory(used) if isinstance(trainer, MemberTrainer) else Inventory(0, 0, 0, 0, 0, 0)
    return DataCheck(inventory, trainer.measure(model, model, used), newest.index)


def _text(path: Path) -> str:
    if not path.is_file():
        raise UnreachableError(Code.CHARTER_SYNTAX, f"no file {path}", remedy="name the charter.toml")
    if path.stat().st_size > CHARTER_BYTES_MAX:
        raise CharterError(Code.TOO_LARGE, f"{path} is too large", expected=f"at most {CHARTER_BYTES_MAX} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CharterError(Code.CHARTER_SYNTAX, f"{path} is not text: {error}", expected="TOML in UTF-8") from error


def _member(path: Path, now: datetime) -> MemberRecord:
    if not path.is_file():
        raise CharterError(
            Code.CHARTER_MEMBER,
            f"[coalition] members: no file {path}",
            expected="the .pem file that `tclearn member new` made at the member",
        )
    with path.open("rb") as stream:
        enrolment = read_enrolment(stream.read(KEY_FILE_BYTES_MAX + 1), now, place=str(path))
    return admitted(enrolment)


def _recipe(trainer: str, site: SiteFile) -> Recipe:
    make: Callable[..., Recipe] = load("tclearn.trainers", trainer)
    options: Mapping[str, Any] = site.options()
    unknown = [name for name in options if name not in signature(make).parameters]
    if unknown:
        raise UsageError(
            Code.USAGE, f"site.toml: the trainer {trainer!r} takes no {unknown[0]}", remedy=f"leave {unknown[0]} out"
        )
    return make(**options)


def _global_test(site: SiteFile) -> Records:
    source = site.source("global_test")
    if source is None:
        raise DataError(
            Code.DATA_MISSING,
            "site.toml names no global test set",
            expected='global_test = "module:callable"',
            remedy="add it; every member needs the same set",
        )
    return materialise(source, GLOBAL_TEST)
