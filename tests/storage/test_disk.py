"""What a power loss may leave, in cases that can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence

from tests.storage import disk
from tests.storage.disk import Effort, State
from tests.storage.trace import FOLDER, Bound, Cut, Event, FolderSynced, Mapped, Said, Synced, Trace, Wrote

A, B, NONE = b"a" * 512, b"b" * 512, bytes(512)
WHOLE = Effort(whole_max=64, samples=0)
TORN = Effort(whole_max=64, samples=60)


def states(*events: Event, effort: Effort = WHOLE, **base: bytes) -> list[State]:
    return list(disk.states(Trace(events, base), 1, effort))


def contents(found: Sequence[State], name: str = "f") -> set[bytes | None]:
    return {state.files.get(name) for state in found}


def test_each_write_is_there_or_not_whatever_came_before() -> None:
    found = states(Wrote(0, 0, A), Wrote(0, 512, B), f=b"")
    assert contents(found) == {b"", A, NONE + B, A + B}
    assert len(found) == 4


def test_what_was_synced_is_there() -> None:
    found = states(Wrote(0, 0, A), Synced(0), Wrote(0, 512, B), f=b"")
    assert contents([state for state in found if state.point >= 2]) == {A, A + B}


def test_a_sync_is_of_one_file_only() -> None:
    found = states(Wrote(0, 0, A), Wrote(1, 0, B), Synced(1), f=b"", g=b"")
    last = [state for state in found if state.point == 3]
    assert {(state.files["f"], state.files["g"]) for state in last} == {(b"", B), (A, B)}


def test_a_write_is_torn_between_sectors_and_the_size_is_one_of_those_it_had() -> None:
    old, new = b"o" * 1024, b"n" * 1536
    found = contents(states(Wrote(0, 0, new), f=old, effort=TORN))
    assert {old, new, new[:512] + old[512:], old[:512] + new[512:], new[:512] + old[512:] + NONE} <= found
    assert {len(data or b"") for data in found} == {1024, 1536}


def test_what_is_torn_is_some_version_of_each_sector() -> None:
    found = contents(
        states(Wrote(0, 0, A + A), Wrote(0, 0, B + B), f=NONE + NONE, effort=Effort(whole_max=0, samples=400))
    )
    whole = {first + second for first in (NONE, A, B) for second in (NONE, A, B)}
    assert whole <= found
    assert found - whole  # noise


def test_a_cut_may_not_be_there_and_comes_without_what_follows() -> None:
    assert contents(states(Cut(0, 512), Wrote(0, 512, B), f=A + A)) == {A + A, A, A + B}
    assert A + NONE in contents(states(Cut(0, 512), Wrote(0, 512, B), f=A + A, effort=TORN))


def test_an_entry_is_durable_with_its_folder_only() -> None:
    made = (Bound("f", 0), Wrote(0, 0, A), Synced(0))
    assert contents([state for state in states(*made) if state.point == 3]) == {None, A}
    assert contents([state for state in states(*made, FolderSynced(".")) if state.point == 4]) == {A}


def test_an_entry_that_was_given_to_another_file_names_either_or_none() -> None:
    again = (Bound("f", None), Bound("f", 1), Wrote(1, 0, B), Synced(1))
    assert contents([state for state in states(*again, f=A) if state.point >= 4]) == {None, A, B}
    assert contents([state for state in states(*again, FolderSynced("."), f=A) if state.point == 5]) == {B}


def test_a_folder_that_is_not_there_has_nothing_in_it() -> None:
    inside = (Bound("d", FOLDER), Bound("d/f", 0), Wrote(0, 0, A), Synced(0), FolderSynced("d"))
    last = [state for state in states(*inside) if state.point == 5]
    assert {(state.folders, state.files.get("d/f")) for state in last} == {(frozenset(), None), (frozenset({"d"}), A)}


def test_a_state_has_all_that_was_said_at_the_last_moment_it_fits() -> None:
    found = states(Wrote(0, 0, A), Said("one"), Synced(0), Said("two"), f=b"")
    assert {(state.files["f"], tuple(state.said)) for state in found} == {(b"", ("one",)), (A, ("one", "two"))}


def test_maps_and_files_that_nobody_writes_to_do_not_count() -> None:
    lock = (Bound("lock", 1), Mapped("f-shm", A), Mapped("f-shm", B))
    writes = [Wrote(0, number * 512, A) for number in range(6)]
    found = states(*lock, *writes, f=b"")
    assert len(found) == 64
    assert contents(found, "lock") == {None, b""}
    assert {None, A, B} < contents(found, "f-shm")


def test_the_same_seed_gives_the_same_states() -> None:
    events = [Wrote(0, number * 300, bytes([number]) * 700) for number in range(9)]
    first, second = states(*events, f=b"", effort=TORN), states(*events, f=b"", effort=TORN)
    assert first == second
    assert len({state.files["f"] for state in first}) == len(first) > 50
