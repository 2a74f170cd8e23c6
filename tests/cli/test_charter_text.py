"""``tclearn coalition show``: every field of the charter, in the words of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.coalition.charters import EVERY_KEY, resolved

from tclearn.cli.charter_text import as_json, as_text
from tclearn.coalition.charter_file import TABLES
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.encoding import MemberId

CHARTER = resolved(EVERY_KEY)


def sections(charter: ResolvedCharter) -> dict[str, dict[str, str]]:
    """What is shown, by table and key."""
    found: dict[str, dict[str, str]] = {}
    rows: dict[str, str] = {}
    for line in as_text(charter):
        if line.startswith("["):
            rows = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("charter "):
            rows[line[:19].strip()] = line[19:]
    return found


def test_every_key_of_the_file_is_shown_in_its_table() -> None:
    shown = sections(CHARTER)
    assert {table: set(keys) - set(shown[table]) for table, keys in TABLES.items()} == {
        table: set() for table in TABLES
    }
    assert list(shown) == ["coalition", "model", "task", "acceptance", "schedule", "hyperparameters", "governance"]


def test_values_are_shown_as_they_are_written() -> None:
    shown = sections(CHARTER)
    assert shown["coalition"]["members"] == "4"
    assert shown["model"]["arguments"].startswith('width = 16, dropout = 0.1, norm = "batch", residual = true, levels')
    assert shown["model"]["tensors"] == "2, 7 numbers"
    assert (shown["model"]["w"], shown["model"]["b"]) == ("F32 3 × 2", "F32 a single number")
    assert shown["task"]["local_test"] == "0.125" and shown["task"]["local_results"] == "vote"
    assert shown["acceptance"] == {"rule": "strict", "lambda": "0.975", "arguments": "groups 4, harm 0.05"}
    assert shown["schedule"] == {
        "turns": "free",
        "stop": "28 blocks, or 2030-07-01 00:00:00 UTC, or performance 0.97",
        "verdict_minutes": "0.5",
        "turn_minutes": "60",
        "seal_minutes": "1.25",
        "minimum_batch": "64",
        "attempts": "2",
        "step_search": "none",
    }
    assert shown["hyperparameters"] == {
        "epochs": "50",
        "batch_size": "16",
        "learning_rate": "0.5, plateau: × 0.25, patience 2 blocks, minimum 0.001",
        "momentum": "0.9",
        "warmup": "3",
    }
    assert shown["governance"] == {"may_change": "epochs, momentum", "may_propose_revert": "leuven, turin"}


def digests(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from digests(item)


def test_every_key_and_digest_is_shown_in_full() -> None:
    text = "\n".join(as_text(CHARTER))
    found = list(digests(CHARTER.to_value()))
    assert len(found) == 4 * 3 + 5
    assert all(each.hex() in text for each in found)


def test_members_are_shown_in_the_order_of_their_numbers() -> None:
    names = ["hospital-1", "hospital-10", "hospital-2", "hospital-3"]
    members = tuple(replace(each, id=MemberId(name)) for each, name in zip(CHARTER.members, names, strict=True))
    rights = replace(CHARTER.governance, may_propose_revert=tuple(map(MemberId, names[1:3])))
    shown = sections(replace(CHARTER, members=members, governance=rights))
    listed = [key for key in shown["coalition"] if key.startswith("hospital")]
    assert listed == ["hospital-1", "hospital-2", "hospital-3", "hospital-10"]
    assert shown["governance"]["may_propose_revert"] == "hospital-2, hospital-10"


def test_json_is_the_canonical_form() -> None:
    def read(shape: Any, value: Any) -> Any:
        if isinstance(shape, dict):
            assert set(shape) == set(value)
            return {key: read(shape[key], value[key]) for key in shape}
        if isinstance(shape, list):
            return [read(part, item) for part, item in zip(shape, value, strict=True)]
        return bytes.fromhex(value) if isinstance(shape, bytes) else value

    told = json.loads(json.dumps(as_json(CHARTER)))
    assert told.pop("digest") == CHARTER.digest.hex()
    assert ResolvedCharter.from_value(read(CHARTER.to_value(), told)) == CHARTER
