"""``charter.toml``: every table and key, and what is said when one is wrong."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.coalition.charters import EVERY_KEY, TOML, G, facts

from tclearn.coalition.charter import Charter, DataIdPolicy, LearningRate, Privacy, VaultPolicy, read_charter
from tclearn.coalition.charter_file import TABLES
from tclearn.coalition.faults import Faults
from tclearn.coalition.resolve import resolve
from tclearn.errors import CharterError, Code
from tclearn.limits import CHARTER_BYTES_MAX


def refusal(text: str) -> CharterError:
    with pytest.raises(CharterError) as caught:
        Charter.from_toml(text)
    return caught.value


def test_the_charter_of_the_documentation() -> None:
    charter = Charter.from_toml(TOML)
    assert charter == Charter(
        name="bladder-ct",
        members=["leuven.pem", "namur.pem", "porto.pem", "turin.pem"],
        model="bladder:UNet",
        arguments={"width": 16},
        seed=7,
        metric="dice",
        global_test_set=f"blake3:{G.hex()}",
        local_test=0.10,
        acceptance="anchored",
        lambda_=0.98,
        blocks=28,
        verdict_minutes=30,
        minimum_batch=64,
        hyperparameters={
            "epochs": 50,
            "batch_size": 16,
            "learning_rate": LearningRate(start=1.0, rule="plateau", factor=0.5, patience=3),
        },
        may_change=["epochs", "batch_size", "learning_rate"],
        may_propose_revert=["leuven"],
    )
    assert charter.hyperparameters["learning_rate"] == LearningRate(
        start=Decimal(1), rule="plateau", factor=Decimal("0.5"), patience=3, minimum=Decimal("0.000001")
    )


def test_every_key_arrives_in_the_resolved_charter() -> None:
    complete = resolve(Charter.from_toml(EVERY_KEY), **facts())
    assert complete.name == "all"
    assert complete.model.factory == "bladder.models:UNet"
    assert complete.model.keyword_arguments() == {
        "width": 16,
        "dropout": 0.1,
        "norm": "batch",
        "residual": True,
        "levels": [1, 2],
    }
    assert complete.model.seed == 7
    assert complete.trainer == "torch"
    assert (complete.task.metric, complete.task.local_share_ppm, complete.local_results) == ("auc", 125_000, "vote")
    assert complete.acceptance.to_value() == {
        "rule": "strict",
        "lambda_ppm": 975_000,
        "arguments": {"groups": 4, "harm_ppm": 50_000},
    }
    assert complete.schedule.to_value() == {
        "turns": "free",
        "turn_ms": 3_600_000,
        "verdict_ms": 30_000,
        "seal_ms": 75_000,
        "minimum_batch": 64,
        "attempts": 2,
        "stop_blocks": 28,
        "stop_until_ms": 1_909_094_400_000,
        "stop_performance_ppm": 970_000,
    }
    assert complete.step_search == "none"
    assert complete.hyperparameters == {
        "epochs": 50,
        "batch_size": 16,
        "learning_rate": 500_000,
        "momentum_ppm": 900_000,
        "warmup": 3,
    }
    assert complete.learning_rate is not None
    assert complete.learning_rate.to_value() == {
        "rule": "plateau",
        "factor_ppm": 250_000,
        "patience": 2,
        "minimum_ppm": 1_000,
    }
    assert complete.governance.may_change == ("epochs", "momentum_ppm")
    assert complete.governance.may_propose_revert == ("leuven", "turin")


def test_the_sample_has_every_key_there_is() -> None:
    for table, keys in TABLES.items():
        _, _, rest = EVERY_KEY.partition(f"\n[{table}]\n")
        written = {line.partition("=")[0].strip() for line in rest.partition("\n[")[0].splitlines()}
        assert written == set(keys)


def test_a_table_may_be_written_in_either_way() -> None:
    turned = TOML.replace("stop            = { blocks = 28 }    #", "#") + "\n[schedule.stop]\nblocks = 28\n"
    assert Charter.from_toml(turned) == Charter.from_toml(TOML)
    assert Charter.from_toml(TOML.replace("\n", "\r\n")) == Charter.from_toml(TOML)


def test_dates_may_be_written_as_dates() -> None:
    quoted = Charter.from_toml(TOML.replace("blocks = 28", 'until = "2030-06-30"'))
    plain = Charter.from_toml(TOML.replace("blocks = 28", "until = 2030-06-30"))
    assert resolve(quoted, **facts()).digest == resolve(plain, **facts()).digest


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("metric ", "metrik ", "[task] has the unknown key 'metrik'", "did you mean 'metric'?"),
        ("[task]", "[tasks]", "the unknown table [tasks]", "did you mean 'task'?"),
        ("[coalition]", "speed = 1\n[coalition]", "the key 'speed' outside any table", "keys in their tables"),
        ("[coalition]", "lambda = 1\n[coalition]", "the key 'lambda' outside any table", "the table [acceptance]"),
        ("lambda =", "turns = 'free'\nlambda =", "[acceptance] has the unknown key 'turns'", "the table [schedule]"),
        ("blocks = 28", "block = 28", "stop has the unknown key 'block'", "did you mean 'blocks'?"),
        ("{ blocks = 28 }", "28", "[schedule] stop is 28", "write stop = { blocks = 28 }"),
        ("stop  ", "# ", "[schedule] stop is missing", "write stop = { blocks = 28 }"),
        ("name     =", "# ", "[coalition] name is missing", "name in the table [coalition]"),
        ("factory  ", "# ", "[model] factory is missing", "factory in the table [model]"),
        ("metric  ", "# ", "[task] metric is missing", "metric in the table [task]"),
        ("members  =", "# ", "[coalition] members is missing", "members in the table [coalition]"),
        ("0.98", "nan", "[acceptance] lambda is NaN", "a number from 0 to 1"),
        ("0.98", "-inf", "[acceptance] lambda is -Infinity", "a number from 0 to 1"),
        ("0.98", "1e99999999999999999999", "[acceptance] lambda is NaN", "a number from 0 to 1"),
        ("0.98", "1e999999999", "[acceptance] lambda is 1E+999999999", "a number from 0 to 1"),
        ("= 7 ", "= 0x" + "f" * 10_000, "[model] seed is an integer of 40000 bits", "a whole number"),
        ("{ width = 16 }", "{ day = 2030-01-01 }", "[model] arguments.day is of type date", "text, numbers"),
        ("epochs        = 50", "epochs = true", "[hyperparameters] epochs is true", "a whole number"),
        ("patience = 3", "patients = 3", "learning_rate has the unknown key 'patients'", "did you mean 'patience'?"),
    ],
)
def test_every_mistake_names_its_place(old: str, new: str, key: str, expected: str) -> None:
    assert old in TOML
    message = str(refusal(TOML.replace(old, new)))
    assert key in message
    assert expected in message


def test_a_table_that_is_none_is_refused() -> None:
    for table in (*TABLES, "hyperparameters", "privacy", "vault", "data_ids"):
        error = refusal(f"{table} = 1")
        assert error.what == f"{table} is 1"
        assert error.expected == f"a table [{table}]"


def test_unknown_keys_have_a_code_of_their_own() -> None:
    assert refusal(TOML.replace("metric ", "metrik ")).code is Code.CHARTER_UNKNOWN_KEY
    assert refusal(TOML.replace("0.98", "2")).code is Code.CHARTER_VALUE
    assert refusal(TOML.replace("bladder:UNet", "UNet")).code is Code.CHARTER_MODEL


def test_mistakes_of_all_kinds_come_at_once() -> None:
    message = str(refusal(TOML.replace("metric ", "metrik ").replace("0.98", "2").replace("28", "0")))
    for key in ("'metrik'", "[task] metric is missing", "[acceptance] lambda is 2", "[schedule] stop.blocks is 0"):
        assert key in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[coalition]\nname = 'x'\nname = 'y'\n", "line 3"),
        ("[coalition]\nname : 'x'\n", "line 2"),
        ("[coalition]\nname = \n", "line 2"),
        ("\n\n[coalition\n", "line 3"),
        ("[coalition]\nname = 'x", "line 2"),
        ("x = " + "9" * 5000, "a number of too many digits"),
        ("x = " + "[" * 5000, "nested without end"),
        ("\n\n" + "a." * 100 + "a = 1", "line 3"),
        ('\n"a" . ' * 100 + "a = 1", "line"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(text: str, line: str) -> None:
    error = refusal(text)
    assert error.code is Code.CHARTER_SYNTAX
    assert error.what.startswith("charter.toml")
    assert line in error.what


def test_the_file_is_named() -> None:
    with pytest.raises(CharterError, match=r"other\.toml is not TOML"):
        Charter.from_toml("x", file="other.toml")


def test_a_file_too_large_is_not_read() -> None:
    error = refusal("#" * CHARTER_BYTES_MAX + "\n")
    assert error.code is Code.TOO_LARGE


def test_no_dotted_key_takes_long() -> None:
    assert refusal("a." * (CHARTER_BYTES_MAX // 2 - 2) + "a=1").code is Code.CHARTER_SYNTAX
    assert refusal("a" * (CHARTER_BYTES_MAX - 3)).code is Code.CHARTER_SYNTAX


@given(st.data())
def test_a_damaged_file_is_read_or_refused_by_code(data: st.DataObject) -> None:
    text = EVERY_KEY
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        put = data.draw(st.text(st.sampled_from("ab1.=\"'[]{}\n ,-_"), max_size=6))
        text = text[:at] + put + text[at + cut :]
    try:
        Charter.from_toml(text)
    except CharterError as error:
        assert error.what


def test_the_specification_has_every_key() -> None:
    text = Path(__file__).parents[2].joinpath("docs/formats/charter.md").read_text()
    _, _, rest = text.partition("## Keys")
    table = ""
    documented: dict[str, set[str]] = {}
    for line in rest.partition("## Canonical")[0].splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3 and cells[2].startswith("`"):
            table = cells[1].strip("`[]") or table
            documented.setdefault(table, set()).add(cells[2].strip("`"))
    usual = documented.pop("hyperparameters")
    assert usual == {"epochs", "batch_size", "learning_rate"}
    assert documented.pop("privacy") == {each.name for each in fields(Privacy)}
    assert documented.pop("vault") == {each.name for each in fields(VaultPolicy)}
    assert documented.pop("data_ids") == {each.name for each in fields(DataIdPolicy)}
    assert documented == {name: set(keys) for name, keys in TABLES.items()}
    example = text.partition("```toml")[2].partition("```")[0]
    assert Charter.from_toml(example).name == "bladder-ct"


def test_fields_with_a_mistake_are_left_out() -> None:
    faults = Faults()
    assert read_charter(EVERY_KEY, "charter.toml", faults) and not faults
    sound = read_charter(EVERY_KEY.replace("0.975", "98").replace('"auc"', '"acu"'), "charter.toml", faults)
    assert len(faults) == 2
    whole = read_charter(EVERY_KEY, "charter.toml", Faults())
    assert sound == {field: value for field, value in whole.items() if field not in ("lambda_", "metric")}
