"""Many storms: ``python tools/storms.py --seeds 10000``. A seed that breaks an invariant is printed, and shrunk."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tclearn.simulation.storm import Broken, Plan, broken, check, shrunk, weather

Blown = tuple[int, bool, str, str, int, int, int]
"""Seed, whether two histories were shown, the broken invariant, how, members, entries, honest members that know."""


def blow(task: tuple[int, bool]) -> Blown:
    seed, forks = task
    storm = weather(Plan.drawn(seed, forks=forks))
    storm.run()
    name = what = ""
    try:
        check(storm)
    except Broken as error:
        name, what = error.name, str(error)
    entries = sum(len(each.ledger) for each in storm.sequencers)
    return seed, forks, name, what, storm.plan.members, entries, sum(bool(node.forks) for node in storm.honest)


def tasks(first: int, seeds: int, forked: int) -> Iterator[tuple[int, bool]]:
    for seed in range(first, first + seeds):
        yield seed, forked > 0 and seed % forked == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many storms (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--forked", type=int, default=10, help="every so many storms with two histories; 0: none (10)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    began = time.monotonic()
    failed: list[Blown] = []
    members: Counter[int] = Counter()
    entries = apart = number = 0
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for number, result in enumerate(
            pool.imap_unordered(blow, tasks(given.first, given.seeds, given.forked), chunksize=8), 1
        ):
            members[result[4]] += 1
            entries += result[5]
            apart += result[1] and result[6] > 0
            if result[2]:
                failed.append(result)
                print(f"\nseed {result[0]}{' with two histories' if result[1] else ''}: {result[3]}")
            if sys.stderr.isatty():
                rate = 60 * number / (time.monotonic() - began)
                print(f"\r{number} storms, {rate:.0f} a minute, {len(failed)} broken ", end="", file=sys.stderr)
    minutes = (time.monotonic() - began) / 60
    print(f"{number} storms in {minutes:.1f} minutes ({number / minutes:.0f} a minute), {entries} entries")
    print("members: " + ", ".join(f"{size}: {count}" for size, count in sorted(members.items())))
    print(f"two histories noticed in {apart} storms; broken: {len(failed)}")
    for seed, forks, name, _, *_ in failed[:3]:
        small = shrunk(Plan.drawn(seed, forks=forks), name)
        print(f"seed {seed}, shrunk: {small}\n  {broken(small)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
