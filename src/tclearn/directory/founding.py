"""Founding a coalition from a ``charter.toml``, and checking a member's data against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from tclearn.coalition.acceptance import wanted
from tclearn.coalition.admission import admitted
from tclearn.coalition.charter import Charter, read_charter
from tclearn.coalition.evidence import Evidence
from tclearn.coalition.faults import Faults
from tclearn.coalition.resolve import check_global_test, check_parts, resolve, terms_of_privacy
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import MemberRecord
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.reading import read_file
from tclearn.directory.site import SiteFile
from tclearn.errors import CharterError, Code, DataError, MessageError, TCLearnError, UsageError
from tclearn.extensions import load
from tclearn.files import is_folder, is_there
from tclearn.identity import Signer
from tclearn.identity.enrolment import read_enrolment
from tclearn.identity.oprf_key import oprf_key
from tclearn.learning.data_ids import data_set_digest, digest_text
from tclearn.learning.id_source import IdSource, KeyedIds
from tclearn.learning.member import Inventory, MemberTrainer
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records, materialise
from tclearn.learning.source import Factory, check_source, load_factory, source_digest
from tclearn.learning.trainer import LocalData, Recipe, Task, Trainer
from tclearn.limits import CHARTER_BYTES_MAX, KEY_FILE_BYTES_MAX, PARAMETERS_BYTES_MAX
from tclearn.store import Store

T = TypeVar("T")
GLOBAL_TEST = "the global test set"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Random bytes for a new coalition, from the operating system: 32 each, for the log's key and for the data IDs."""

    log: bytes
    data: bytes


def found(
    charter_file: Path,
    site: SiteFile,
    target: Path,
    *,
    secrets: Secrets,
    now: datetime,
    passphrase: Callable[[], str] | None = None,
) -> CoalitionDirectory:
    """Resolve a charter and make the coalition's directory.

    All mistakes are looked for before one is reported: those in the file; then in the files, the code and the rule that
    it names; and, when the file itself has none, those that show only when the parts are put together.

    Args:
        charter_file: the ``charter.toml``; the members' ``.pem`` files are looked for beside it.
        site: names the global test set, and on what to compute.
        target: the directory to make.
        secrets: for the log's key and the key of the data IDs.
        now: the time, with its zone.
        passphrase: asked for that of the vault, at level B, when all else is right.

    Raises:
        CharterError: the charter, the model or a member's file is not usable; all mistakes are listed.
        UsageError: ``site.toml`` is not usable, or something is in the directory already.
        DataError: the global test set is not usable.
        UnreachableError: there is no such charter.
        StorageError: the charter cannot be read, or the directory cannot be made.
    """
    log_key = Signer(secrets.log)
    mistakes = _Mistakes()
    written = read_charter(_text(charter_file), str(charter_file), mistakes)
    sound = not mistakes
    mistakes.tried(lambda: _check_new(target))
    paths = [charter_file.parent / name for name in written.get("members", ())]
    members = _members(paths, now, mistakes)
    recipe = mistakes.tried(lambda: recipe_of(written.get("trainer", Charter.trainer), site))
    rule = written.get("acceptance", Charter.acceptance)
    mistakes.tried(lambda: _extension("tclearn.acceptance", "[acceptance] rule", rule))
    factory = mistakes.tried(lambda: load_factory(written["model"])) if "model" in written else None
    if not sound:
        mistakes.check()
    charter = Charter(**written)
    defaults = None if recipe is None else mistakes.tried(recipe.hyperparameters)
    check_parts(charter, mistakes, members=members, log_key=log_key.public, hyperparameters=defaults)
    records = mistakes.tried(lambda: _global_test(site))
    if records is not None:
        check_global_test(charter, data_set_digest(records), mistakes)
    initial = None
    if recipe is not None and factory is not None and records is not None:
        initial = mistakes.tried(lambda: _initial(charter, recipe, factory, records, secrets.data))
    mistakes.check()
    if members is None or recipe is None or factory is None or records is None or initial is None:
        raise TypeError("a mistake that was not noted")
    resolved = resolve(
        charter,
        members=members,
        log_key=log_key.public,
        layout=initial.layout,
        initial=initial.digest,
        source=source_digest(factory),
        global_test=data_set_digest(records),
        global_n=len(records),
        hyperparameters=recipe.hyperparameters(),
        data_key=secrets.data,
        id_key=oprf_key(secrets.data).public,
    )
    return CoalitionDirectory.make(
        target,
        resolved,
        log_key=log_key,
        data_key=secrets.data,
        clock=lambda: int(now.timestamp() * 1000),
        enrolments={
            member.id: read_file(path, KEY_FILE_BYTES_MAX, "") for member, path in zip(members, paths, strict=True)
        },
        passphrase=passphrase() if passphrase is not None and resolved.vault is not None else None,
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


def bound(charter: ResolvedCharter, site: SiteFile, ids: bytes | IdSource) -> Trainer:
    """A member's trainer: its data and its model code, held against the charter.

    Args:
        charter: what the members agreed on.
        site: where the member's data are.
        ids: where data IDs come from; at level A the key, 32 bytes, may stand for it.

    Raises:
        CharterError: the model code here is not what the charter says.
        UsageError: ``site.toml`` is not usable.
        DataError: the data are not usable, or the global test set is another one.
    """
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
        minimum_batch=charter.schedule.minimum_batch,
        step_search=charter.step_search,
        wants=wanted(_extension("tclearn.acceptance", "[acceptance] rule", charter.acceptance.rule)),
        privacy=charter.privacy,
    )
    return recipe_of(charter.trainer, site).bind(
        task, replace(site.local_data(), ids=KeyedIds(ids) if isinstance(ids, bytes) else ids)
    )


def check_data(
    coalition: CoalitionDirectory, site: SiteFile, ids: IdSource | None = None, store: Store | None = None
) -> DataCheck:
    """Load a member's data and measure a model on them: the newest one; of a member's own store, the newest there.

    Args:
        coalition: its files.
        site: where the member's data are.
        ids: where data IDs come from; ``None``: from the key in the coalition's directory.
        store: the member's own; ``None``: the coalition's, from which nothing is missing.

    Raises:
        CharterError: the model code here is not what the charter says.
        UsageError: ``site.toml`` is not usable.
        DataError: the data are not usable, or the global test set is another one.
        StorageError: the newest model is not here.
    """
    charter, state = coalition.charter, coalition.state
    trainer = bound(charter, site, ids or coalition.data_key())
    newest = next(
        block
        for block in map(state.block, range(state.tip, -1, -1))
        if store is None or block.locator is None or store.has(block.locator)
    )
    if newest.locator is None:
        model = trainer.initial(charter.model.seed)
    else:
        model = Parameters.from_bytes(
            (store or coalition.store).get(newest.locator, size_max=PARAMETERS_BYTES_MAX), layout=charter.model.layout
        )
    used = state.used_ids()
    inventory = trainer.inventory(used) if isinstance(trainer, MemberTrainer) else Inventory(0, 0, 0, 0, 0, 0)
    return DataCheck(inventory, trainer.measure(model, model, used), newest.index)


class _Mistakes(Faults):
    """Mistakes of a charter and of what it names; one that stays alone is raised as it was found."""

    def __init__(self) -> None:
        super().__init__()
        self._raised: list[TCLearnError] = []

    def tried(self, attempt: Callable[[], T]) -> T | None:
        """What an attempt gives; ``None`` when it fails, which is noted."""
        try:
            return attempt()
        except TCLearnError as error:
            self._raised.append(error)
            self.add(error.what, error.expected, error.remedy, error.code)
            return None

    def check(self) -> None:
        """Raise what was found; returns nothing when nothing was."""
        if self._raised and len(self) == 1:
            raise self._raised[0]
        super().check()


def _text(path: Path) -> str:
    try:
        return read_file(path, CHARTER_BYTES_MAX, "name the charter.toml").decode()
    except UnicodeDecodeError as error:
        raise CharterError(Code.CHARTER_SYNTAX, f"{path} is not text", expected="TOML in UTF-8") from error


def _check_new(target: Path) -> None:
    if not is_there(target):
        return
    if not is_folder(target) or any(target.iterdir()):
        what = "is not empty" if is_folder(target) else "is a file"
        raise UsageError(Code.USAGE, f"{target} {what}", expected="a new directory", remedy="name another with --dir")


def _members(paths: Iterable[Path], now: datetime, mistakes: _Mistakes) -> list[MemberRecord] | None:
    tried = [mistakes.tried(partial(_member, path, now)) for path in paths]
    members = [member for member in tried if member is not None]
    return members if len(members) == len(tried) else None


def _member(path: Path, now: datetime) -> MemberRecord:
    try:
        return admitted(read_enrolment(read_file(path, KEY_FILE_BYTES_MAX, ""), now, place=str(path)))
    except TCLearnError as error:
        damaged = isinstance(error, MessageError)
        raise CharterError(
            error.code if damaged else Code.CHARTER_MEMBER,
            f"[coalition] members: {error.what}",
            expected=error.expected if damaged else "the .pem file that `tclearn member new` made at the member",
            remedy=error.remedy if damaged else "",
        ) from error


def _initial(charter: Charter, recipe: Recipe, factory: Factory, records: Records, data_key: bytes) -> Parameters:
    task = Task(
        model=factory,
        arguments=charter.arguments,
        metric=charter.metric,
        global_test=records,
        local_share=charter.local_share_ppm,
        data_key=data_key,
        step_search=charter.steps_searched_on,
        privacy=terms_of_privacy(charter),
    )
    return recipe.bind(task, LocalData(None)).initial(charter.seed)


def recipe_of(trainer: str, site: SiteFile) -> Recipe:
    """The recipe that a charter names, for a member's computer.

    Raises:
        CharterError: no trainer of that name is installed.
        UsageError: ``site.toml`` has an option that it does not take.
    """
    make: Callable[..., Recipe] = _extension("tclearn.trainers", "[model] trainer", trainer)
    options: Mapping[str, Any] = site.options()
    unknown = [name for name in options if name not in signature(make).parameters]
    if unknown:
        raise UsageError(
            Code.USAGE, f"{site.path}: the trainer {trainer!r} takes no {unknown[0]}", remedy=f"leave {unknown[0]} out"
        )
    try:
        return make(**options)
    except UsageError as error:
        raise UsageError(error.code, f"{site.path}: {error.what}", expected=error.expected) from error


def _extension(group: str, key: str, name: str) -> Any:
    try:
        return load(group, name)
    except CharterError as error:
        raise CharterError(error.code, f"{key}: {error.what}", expected=error.expected, remedy=error.remedy) from error


def _global_test(site: SiteFile) -> Records:
    source = site.source("global_test")
    if source is None:
        raise UsageError(
            Code.USAGE,
            f"{site.path} names no global test set",
            expected='global_test = "module:callable"',
            remedy="add it; every member needs the same set",
        )
    return materialise(source, GLOBAL_TEST)
