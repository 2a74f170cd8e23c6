"""Reading a version of the model for one's own use: at level B as an entry of the ledger before it is a transfer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tclearn.directory.changes import submitted
from tclearn.directory.models import WrittenModel
from tclearn.encoding import Digest, MemberId
from tclearn.errors import AgentError, Code, ParametersError, UnreachableError, UsageError
from tclearn.learning.model_file import write_model
from tclearn.learning.parameters import Parameters
from tclearn.ledger.contract import allows
from tclearn.ledger.cosigning import cosign, quorum
from tclearn.limits import HEAD_CLOCK_SKEW_MS_MAX
from tclearn.protocols.tclearn.accessing import check_delivered, check_witness
from tclearn.protocols.tclearn.agent import file_bytes_max
from tclearn.protocols.tclearn.calls import USE, Access, Delivered, Witness, call
from tclearn.protocols.tclearn.records import AccessState
from tclearn.service.beside import Beside
from tclearn.service.fetching import FetchingStore

_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a reading waits for.

    Attributes:
        reading: its number.
        needed: how many members must have cosigned a head of the ledger with it.
        missing: those that have not.
    """

    reading: int
    needed: int
    missing: tuple[MemberId, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the model that is here.

    Attributes:
        block: index of the block.
        data: the model file's bytes, safetensors.
        parameters: what it holds, checked against the ledger.
        reading: number of the reading that brought it; ``None``: at level A, where nobody notes any.
    """

    block: int
    data: bytes
    parameters: Parameters
    reading: int | None


def read_version(
    at: Beside,
    block: int | None = None,
    *,
    waiting: Callable[[Waiting], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Version:
    """The model of a block, from the service, or from what was kept of it here.

    At level B this asks for a reading, unless the member has been granted one of this model; waits until a quorum knows
    of it, where the charter wants that; and confirms to the ledger that the model is here. Interrupted, it goes on with
    the same reading when it is asked again.

    Args:
        at: the member, connected.
        block: index of the block; ``None``: the newest.
        waiting: is told now and then for whom a reading waits.
        pause: waits for so many seconds.

    Raises:
        UsageError: there is no such block, or it has M_0, which is kept nowhere.
        AgentError: the coalition's rules refuse the reading; the message says why.
        UnreachableError: the service does not answer.
        StorageError: the model is not there, or damaged.
        ParametersError: it is another one than the ledger says.
    """
    with _reading(at, block, waiting, pause) as found:
        charter = at.home.charter
        data = found.store.get(found.locator, size_max=file_bytes_max(charter.model))
        parameters = Parameters.from_bytes(data, layout=charter.model.layout)
        if parameters.digest != found.parameters:
            raise ParametersError(
                Code.PARAMETERS_DIGEST, f"the model of block {found.block} is not the one of the ledger"
            )
    return Version(found.block, data, parameters, found.reading)


def write_version(
    at: Beside,
    block: int | None,
    to: Callable[[int], Path],
    *,
    waiting: Callable[[Waiting], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> WrittenModel:
    """Write the model of a block into a file; otherwise as ``read_version``. It is nowhere in memory as a whole.

    Args:
        at: the member, connected.
        block: index of the block; ``None``: the newest.
        to: the file for the block of an index.
        waiting: is told now and then for whom a reading waits.
        pause: waits for so many seconds.

    Raises:
        StorageError: as ``read_version``, or the file cannot be written.
        TCLearnError: as ``read_version``.
    """
    with _reading(at, block, waiting, pause) as found:
        model, path = at.home.charter.model, to(found.block)
        with found.store.opened(found.locator, size_max=file_bytes_max(model)) as stream:
            size = write_model(
                stream,
                path,
                name=found.locator,
                parameters=found.parameters,
                layout=model.layout,
                block=found.block,
            )
    return WrittenModel(found.block, path, size, found.parameters, found.reading)


@dataclass(frozen=True, slots=True)
class _Found:
    block: int
    locator: Digest
    parameters: Digest
    reading: int | None
    store: FetchingStore


@contextmanager
def _reading(
    at: Beside, block: int | None, waiting: Callable[[Waiting], None], pause: Callable[[float], None]
) -> Iterator[_Found]:
    """A version that may be read; when the block ends without an error, that it is here is confirmed."""
    state = at.ledger.state()
    index = state.tip if block is None else block
    if not 0 <= index <= state.tip:
        raise UsageError(
            Code.USAGE,
            f"there is no block {index}",
            expected=f"0 to {state.tip}",
            remedy="`tclearn model list` shows them",
        )
    chained = state.block(index)
    charter = state.charter
    if chained.locator is None:
        raise UsageError(
            Code.USAGE,
            f"block {index} has the untrained model M_0, which is kept nowhere",
            expected="a block that somebody trained",
            remedy=f"draw it: {charter.model.factory} with seed {charter.model.seed}",
        )
    reading = None
    if charter.vault is not None:
        reading = _granted(at, Access(chained.locator, USE, block=index))
        _wait(at, reading, waiting, pause)
    store = at.home.store(at.connection, at.ledger, at.clock)
    number = None if reading is None else reading.number
    yield _Found(index, chained.locator, chained.parameters, number, store)
    if reading is not None:
        _confirm(at, reading)


def _granted(at: Beside, wanted: Access) -> AccessState:
    member = at.home.oneself.member
    before = at.ledger.state().granted(member, wanted.object, USE)
    if before is not None:
        return before
    refused = _said(at, wanted)
    granted = at.ledger.state().granted(member, wanted.object, USE)
    if granted is None:
        raise AgentError(
            Code.REFUSED,
            f"the coalition's rules refuse {member} the model of block {wanted.block}: {refused}",
            remedy="`tclearn coalition show`: which versions may be read, and readers_of_all: who may read older ones; "
            "`tclearn vault statistics`: who has how many readings left",
        )
    return granted


def _wait(at: Beside, reading: AccessState, waiting: Callable[[Waiting], None], pause: Callable[[float], None]) -> None:
    while not (state := at.ledger.state()).witnessed(state.access(reading.number)):
        if _witnessed(at):
            continue
        missing = tuple(each for each in state.members if state.cosigned(each) <= reading.entry)
        waiting(Waiting(reading.number, quorum(len(state.members)), missing))
        pause(_PAUSE_S)
        try:
            at.ledger.pull()
        except UnreachableError:
            continue  # a reading that is granted stays granted: the service may be started again meanwhile


def _witnessed(at: Beside) -> bool:
    """Give the member's own cosignature, which counts too: its agent may not be running. Whether it was given now."""
    state, member, now_ms = at.ledger.state(), at.home.oneself.member, at.clock()
    apart_ms = abs(at.ledger.time_ms() - now_ms)
    if member not in state.members or not allows(check_witness, state, member) or apart_ms > HEAD_CLOCK_SKEW_MS_MAX:
        return False
    head = at.ledger.head(check_witness(state, member) + 1)
    signer = at.home.oneself.keys.signer
    return not _said(at, Witness(cosign(signer, at.ledger.coalition, head, now_ms // 1000)))


def _confirm(at: Beside, reading: AccessState) -> None:
    member = at.home.oneself.member
    if allows(check_delivered, at.ledger.state(), reading.number, member):
        _said(at, Delivered(reading.number))  # refused where the agent was first


def _said(at: Beside, arguments: Access | Delivered | Witness) -> str:
    """Say something on the ledger; why the contract refuses it, empty when it does not."""
    return submitted(at.ledger, at.ledger.coalition, at.home.oneself.keys.signer, call(arguments))
