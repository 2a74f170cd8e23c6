"""DeepChain: terms as they come from anybody, and calls in every moment of a coalition."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from tests.fuzz.harness import Target
from tests.fuzz.mutators import cbor
from tests.protocols.deepchain import people
from tests.protocols.deepchain.people import People
from tests.protocols.deepchain.world import World, terms

from tclearn.encoding import Value, decode, encode
from tclearn.errors import TCLearnError
from tclearn.ledger import Call, Context, Rejected
from tclearn.protocols.deepchain import DeepChainTerms, calls
from tclearn.protocols.deepchain.agent.files import (
    Batch,
    read_batches,
    read_opened,
    root_of,
    write_batches,
    write_opened,
)
from tclearn.records import Record


def _terms(data: bytes) -> object:
    read = DeepChainTerms.from_bytes(data)
    assert read.encode() == data
    return None


def _some_terms() -> list[bytes]:
    return [terms(n, workers, both=both).encode() for n, workers, both in ((4, 4, False), (4, 4, True), (7, 4, False))]


class _Told(World):
    """Remembers its state before every word."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.views: list[dict[str, Value]] = []

    def say(self, member: str, arguments: Record) -> None:
        self.views.append(dict(self.view))
        super().say(member, arguments)


@dataclass(frozen=True)
class _Story:
    world: _Told
    views: list[dict[str, Value]]


@cache
def _story() -> _Story:
    lies: dict[str, dict[str, tuple[people.Lie, ...]]] = {
        "p01": {"contribute": (people.wrong_gradient,)},
        "p02": {"share": (people.wrong_shares,)},
        "p03": {"take": (people.silent,)},
        "w01": {"update": (people.wrong_sum,)},
    }
    world = _Told(terms(iterations=4))
    People(world, lies, seed=5).run()
    said = {calls.call(arguments).method for _, arguments, _ in world.log}
    assert said == set(calls.METHODS), set(calls.METHODS) - said
    return _Story(world, world.views)


def _call(data: bytes) -> object:
    """A call in one of the moments: ``[moment, member, milliseconds later, method, arguments]``."""
    found = decode(data)
    match found:
        case [int(at), int(who), int(later), str(method), dict(arguments)] if 0 <= later < 1 << 60:
            pass
        case _:
            return None
    story = _story()
    world, moment = story.world, at % len(story.views)
    sender = world.members[who % len(world.members)]
    now = world.log[moment][2] + later
    view = story.views[moment]
    writes = world.contract.apply(view, Call(calls.CONTRACT, method, arguments), Context(moment, now, sender))
    after = {key: value for key, value in {**view, **writes}.items() if value is not None}
    encode(after)
    state = world.contract.view(after)
    assert state.accounts.fault() is None
    for member in world.members:
        world.contract.duties(state, member, now)
    return method


def _calls() -> list[bytes]:
    world = _story().world
    members = world.members
    return [
        encode([at, members.index(sender), 0, calls.call(said).method, said.to_value()])
        for at, (sender, said, _) in enumerate(world.log)
    ]


def _files() -> list[bytes]:
    return [write_batches(_BATCHES), write_opened(1, [-3, 0, 1 << 22], _SLOT_BITS)]


def _file(data: bytes) -> object:
    """A file of the store, as batches and as an opened sum: what is taken is what was written."""
    with suppress(TCLearnError):
        found = read_batches(data, root_of(_BATCHES), _KEY)
        assert write_batches(found) == data
    sums = read_opened(data, 1, 3, _SLOT_BITS)
    assert write_opened(1, [int(each) for each in sums], _SLOT_BITS) == data
    return None


_SLOT_BITS: Final = 24
_KEY: Final = replace(terms().key, ciphertexts=2)
_BATCHES: Final = (Batch((b"12345678", b"abcdefgh"), b"proof"),)

TARGETS: Final = (
    Target("deepchain-file", _files, _file, cbor(plain=0.02), 300),
    Target("deepchain-terms", _some_terms, _terms, cbor(plain=0.02), 300),
    Target("deepchain-call", _calls, _call, cbor(plain=0.02), 600, (TCLearnError, Rejected)),
)
