"""The charter of a confidential model: its two tables, what they become, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.coalition.charters import EVERY_KEY, charter, facts, resolved

from tclearn.coalition.charter import Charter, DataIdPolicy, VaultPolicy
from tclearn.coalition.charter_vault import data_key_digest
from tclearn.coalition.resolve import resolve
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import DataIdTerms, VaultTerms
from tclearn.encoding import MemberId
from tclearn.errors import CharterError
from tclearn.identity.oprf_key import oprf_key

KEY = oprf_key(bytes(32)).public
LEVEL_B = EVERY_KEY.replace('level = "A"', 'level = "B"')
TABLES = """
[vault]
versions = "all"
readers_of_all = ["turin", "leuven"]
reads = 7
reads_per_1000_samples = 0
witnessed = false
[data_ids]
per_day = 5
at_once = 9
"""


def test_both_tables_may_be_left_out() -> None:
    complete = resolved(LEVEL_B, id_key=KEY)
    assert complete.vault == VaultTerms("newest", (), 4, 2, 1)
    assert complete.data_ids == DataIdTerms(KEY, 100_000, 200_000)
    assert complete.data_key == data_key_digest(KEY)


def test_every_key_is_agreed_on_and_the_form_in_python_is_the_same() -> None:
    complete = resolved(LEVEL_B + TABLES, id_key=KEY)
    assert complete.vault == VaultTerms("all", (MemberId("leuven"), MemberId("turin")), 7, 0, 0)
    assert complete.data_ids == DataIdTerms(KEY, 5, 9)
    assert ResolvedCharter.from_bytes(complete.encode()) == complete
    policy = VaultPolicy(
        versions="all", readers_of_all=["turin", "leuven"], reads=7, reads_per_1000_samples=0, witnessed=False
    )
    written = replace(Charter.from_toml(LEVEL_B), vault=policy, data_ids=DataIdPolicy(per_day=5, at_once=9))
    assert resolve(written, **facts(id_key=KEY)).digest == complete.digest


def test_a_charter_of_level_a_has_the_bytes_that_it_had() -> None:
    """Charters that were agreed on before there was a vault keep their digest."""
    complete = resolve(charter(), **facts(id_key=KEY))
    assert not {"vault", "data_ids"} & complete.to_value().keys()
    assert complete.digest == resolve(charter(), **facts()).digest


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("[vault]\nversions = 'old'", "[vault] versions is 'old' · expected newest or all"),
        ("[vault]\nreads = -1", "[vault] reads is -1 · expected a whole number of readings from 0 to 1000000"),
        ("[vault]\nreads = true", "[vault] reads is true"),
        ("[vault]\nreads_per_1000_samples = 0.5", "[vault] reads_per_1000_samples is 0.5"),
        ("[vault]\nwitnessed = 1", "[vault] witnessed is 1 · expected true or false"),
        ("[vault]\nreaders_of_all = 'leuven'", "[vault] readers_of_all is 'leuven'"),
        ("[vault]\nreaders_of_all = ['rome']", "[vault] readers_of_all names 'rome' · expected members"),
        ("[vault]\nreader = 1", "[vault] has the unknown key 'reader'"),
        ("[data_ids]\nper_day = 0", "[data_ids] per_day is 0"),
        ("[data_ids]\nat_once = 99999999", "[data_ids] at_once is 99999999"),
        ("[data_ids]\npublic_key = 'x'", "[data_ids] has the unknown key 'public_key'"),
    ],
)
def test_every_mistake_names_its_place(tables: str, message: str) -> None:
    with pytest.raises(CharterError) as refused:
        resolved(f"{LEVEL_B}\n{tables}\n", id_key=KEY)
    assert message in str(refused.value)


@pytest.mark.parametrize("table", ["vault", "data_ids"])
def test_at_level_a_there_is_no_such_table(table: str) -> None:
    with pytest.raises(CharterError, match="at level 'A'"):
        Charter.from_toml(f"{EVERY_KEY}\n[{table}]\n")


@pytest.mark.parametrize("value", [3, "newest", [], DataIdPolicy()])
def test_what_is_no_policy_is_refused(value: Any) -> None:
    with pytest.raises(CharterError, match="expected a table"):
        charter(level="B", vault=value)


B = resolved(LEVEL_B, id_key=KEY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vault": None}, "level B without [vault] and [data_ids]"),
        ({"data_ids": None}, "level B without [vault] and [data_ids]"),
        ({"level": "A"}, "[vault] at level 'A'"),
        ({"vault": VaultTerms("none", (), 4, 2, 1)}, "[vault] versions is 'none'"),
        ({"vault": VaultTerms("all", (), 1 << 40, 2, 1)}, "[vault] reads is"),
        ({"vault": VaultTerms("all", (), 4, 2, 2)}, "[vault] witnessed is 2"),
        (
            {"vault": VaultTerms("all", (MemberId("turin"), MemberId("leuven")), 4, 2, 1)},
            "readers_of_all is not sorted",
        ),
        ({"vault": VaultTerms("all", (MemberId("rome"),), 4, 2, 1)}, "readers_of_all names 'rome'"),
        ({"data_ids": DataIdTerms(KEY, 0, 5)}, "[data_ids] per_day is 0"),
        ({"data_ids": DataIdTerms(bytes(32), 5, 5)}, "[data_ids] public_key"),
        ({"data_ids": DataIdTerms(b"", 5, 5)}, "[data_ids] public_key"),
        ({"data_ids": DataIdTerms(oprf_key(bytes([1] * 32)).public, 5, 5)}, "data_key is not the digest"),
    ],
)
def test_an_unsound_charter_cannot_exist(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CharterError) as refused:
        replace(B, **changes)
    assert message in str(refused.value)


def test_without_the_supervisors_key_nothing_is_resolved() -> None:
    with pytest.raises(TypeError):
        resolve(charter(level="B"), **facts())
