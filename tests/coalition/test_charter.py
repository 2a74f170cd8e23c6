"""The charter as users write it in Python, and its completion by ``resolve``."""

from __future__ import annotations

import decimal
import functools
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.coalition.charters import G, charter, facts, network

from tclearn.coalition.arguments import argument_text, read_argument
from tclearn.coalition.charter import Charter, LearningRate
from tclearn.coalition.charter_values import until_ms
from tclearn.coalition.charter_vault import data_key_digest
from tclearn.coalition.faults import Faults
from tclearn.coalition.resolve import check_parts, resolve
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import LearningRateTerms
from tclearn.encoding import digest
from tclearn.errors import CharterError, Code


def refusal(**changes: object) -> str:
    with pytest.raises(CharterError) as caught:
        charter(**changes)
    return str(caught.value)


def test_the_call_of_the_readme_is_all_that_is_needed() -> None:
    written = Charter(name="tumours", model=network, metric="accuracy", acceptance="anchored", lambda_=0.98, blocks=8)
    complete = resolve(written, **facts())
    assert complete.acceptance.rule == "anchored"
    assert complete.acceptance.lambda_ppm == 980_000
    assert complete.schedule.stop_blocks == 8
    assert (complete.protocol, complete.level, complete.contracts) == ("tclearn", "A", ("tclearn/1",))
    assert complete.model.factory == "tests.coalition.charters:network"
    assert complete.task.local_share_ppm == 100_000
    assert complete.step_search == "own"
    assert complete.learning_rate is None
    assert complete.local_results == "counts"
    assert (complete.schedule.turns, complete.schedule.attempts, complete.schedule.minimum_batch) == ("lease", 3, 64)
    assert {complete.schedule.verdict_ms, complete.schedule.turn_ms, complete.schedule.seal_ms} == {1_800_000}
    assert complete.hyperparameters == facts()["hyperparameters"]


def test_one_number_written_in_three_ways_is_one_charter() -> None:
    assert charter(lambda_=0.98) == charter(lambda_=Decimal("0.98")) == charter(lambda_=Decimal("0.9800"))
    assert charter(lambda_=1) == charter(lambda_=1.0)
    assert resolve(charter(lambda_=1), **facts()).digest == resolve(charter(lambda_=1.0), **facts()).digest


@given(st.integers(0, 1_000_000))
def test_every_millionth_survives_as_a_float(ppm: int) -> None:
    assert resolve(charter(lambda_=ppm / 1_000_000), **facts()).acceptance.lambda_ppm == ppm


def test_the_decimal_context_of_the_caller_does_not_matter() -> None:
    values = {"lambda_": 0.123456, "hyperparameters": {"momentum": Decimal("0.987654"), "learning_rate": 12.345678}}
    usual = resolve(charter(**values), **facts())
    with decimal.localcontext() as context:
        context.prec = 2
        assert resolve(charter(**values), **facts()).digest == usual.digest
    assert usual.hyperparameters["momentum_ppm"] == 987_654
    assert usual.hyperparameters["learning_rate"] == 12_345_678


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"name": "two words"}, "[coalition] name is 'two words'", "letters, digits"),
        ({"name": 3}, "[coalition] name is 3", "letters, digits"),
        ({"protocol": "deepchain"}, "[coalition] protocol 'deepchain' is not for charter files", "tclearn"),
        ({"protocol": "seccl"}, "[coalition] protocol 'seccl' is not in this version", "tclearn"),
        ({"protocol": "tclern"}, "[coalition] protocol is 'tclern'", "did you mean 'tclearn'?"),
        ({"level": "C"}, "[coalition] level 'C' is not in this version", "expected A or B"),
        ({"level": "D"}, "[coalition] level is 'D'", "expected A or B"),
        ({"members": ["a.pem", "a.pem"]}, "[coalition] members has 'a.pem' twice", "each once"),
        ({"members": ["a.pem"]}, "[coalition] members has 1 entries", "2 to 256"),
        ({"members": "a.pem"}, "[coalition] members is 'a.pem'", "a list"),
        ({"model": "bladder"}, "[model] factory is 'bladder'", "put a colon"),
        ({"model": "bladder:"}, "[model] factory is 'bladder:'", '"module:callable"'),
        ({"model": 3}, "[model] factory is of type int", "a function or class"),
        ({"model": functools.partial(network)}, "[model] factory is of type partial", "goes into arguments"),
        ({"arguments": [1]}, "[model] arguments is [1]", "a table"),
        ({"arguments": {"a b": 1}}, "[model] arguments has the key 'a b'", "names of Python parameters"),
        ({"arguments": {"f": network}}, "[model] arguments.f is of type function", "inside the factory"),
        ({"arguments": {"f": float("nan")}}, "[model] arguments.f is not a finite number", "numbers"),
        ({"arguments": {"f": 1 << 64}}, "[model] arguments.f is an integer of more than 64 bits", "numbers"),
        ({"arguments": {"f": {1: 2}}}, "[model] arguments.f has a key that is not text", "text"),
        ({"arguments": {"f": "x" * 70_000}}, "[model] arguments.f is longer than 65536 characters", "text"),
        ({"seed": -1}, "[model] seed is -1", "0 to 9223372036854775807"),
        ({"seed": True}, "[model] seed is true", "a whole number"),
        ({"trainer": "No Trainer"}, "[model] trainer is 'No Trainer'", "lower-case"),
        ({"metric": "acuracy"}, "[task] metric is 'acuracy'", "did you mean 'accuracy'?"),
        ({"metric": None}, "[task] metric is None", "accuracy or macro_f1 or auc or dice"),
        ({"global_test_set": "blake3:9f2c…"}, "[task] global_test_set is 'blake3:9f2c…'", "`tclearn data digest`"),
        ({"local_test": 0.95}, "[task] local_test is 0.95", "a number from 0 to 0.9"),
        ({"local_results": "none"}, "[task] local_results is 'none'", "counts or vote"),
        ({"acceptance": ""}, "[acceptance] rule is ''", "lower-case"),
        ({"lambda_": 1.2}, "[acceptance] lambda is 1.2", "a number from 0 to 1"),
        ({"lambda_": -0.1}, "[acceptance] lambda is -0.1", "a number from 0 to 1"),
        ({"lambda_": 1 / 3}, "[acceptance] lambda is 0.3333333333333333", "round it to six decimals"),
        ({"lambda_": "0.98"}, "[acceptance] lambda is '0.98'", "leave out the quotation marks"),
        ({"lambda_": Decimal("1e999999")}, "[acceptance] lambda is 1E+999999", "a number from 0 to 1"),
        ({"lambda_": float("inf")}, "[acceptance] lambda is inf", "a number from 0 to 1"),
        ({"lambda_": 10**5000}, "[acceptance] lambda is an integer of 16610 bits", "a number from 0 to 1"),
        ({"acceptance_arguments": 3}, "[acceptance] arguments is 3", "a table of numbers"),
        ({"acceptance_arguments": {"x_ppm": 1}}, "[acceptance] arguments has the key x_ppm", "write x = 0.5"),
        ({"acceptance_arguments": {"X": 1}}, "[acceptance] arguments has the key 'X'", "lower-case"),
        ({"acceptance_arguments": {"x": "1"}}, "[acceptance] arguments.x is '1'", "leave out the quotation marks"),
        ({"turns": "round"}, "[schedule] turns is 'round'", "lease or free"),
        ({"blocks": None}, "[schedule] stop is missing", "Charter(…, blocks=28)"),
        ({"blocks": 0}, "[schedule] stop.blocks is 0", "a whole number of blocks from 1"),
        ({"blocks": 2.5}, "[schedule] stop.blocks is 2.5", "round it to no decimals"),
        ({"performance": 1.1}, "[schedule] stop.performance is 1.1", "to 1"),
        ({"until": "tomorrow"}, "[schedule] stop.until is 'tomorrow'", "ISO 8601"),
        ({"until": "2030-06-30T10:00:00"}, "[schedule] stop.until is '2030-06-30T10:00:00'", "with its offset"),
        ({"until": "1999-01-01"}, "[schedule] stop.until is '1999-01-01'", "from 2020 to 2199"),
        ({"until": 7}, "[schedule] stop.until is 7", "ISO 8601"),
        ({"verdict_minutes": 0}, "[schedule] verdict_minutes is 0", "minutes from 0.001 to 525600"),
        ({"verdict_minutes": 0.0012345}, "[schedule] verdict_minutes is 0.0012345", "whole milliseconds"),
        ({"turn_minutes": -1}, "[schedule] turn_minutes is -1", "minutes from 0.001"),
        ({"seal_minutes": "5"}, "[schedule] seal_minutes is '5'", "leave out the quotation marks"),
        ({"minimum_batch": 0}, "[schedule] minimum_batch is 0", "records from 1"),
        ({"attempts": 101}, "[schedule] attempts is 101", "committees from 1 to 100"),
        ({"step_search": True}, "[schedule] step_search is true", "own or global or none"),
        ({"hyperparameters": []}, "[hyperparameters] is []", "a table of numbers"),
        ({"hyperparameters": {"epochs": 0}}, "[hyperparameters] epochs is 0", "a whole number from 1"),
        ({"hyperparameters": {"epochs": 1.5}}, "[hyperparameters] epochs is 1.5", "round it to no decimals"),
        ({"hyperparameters": {"epoch": 1}}, "[hyperparameters] has the unknown key 'epoch'", "did you mean 'epochs'?"),
        ({"hyperparameters": {"momentum": -0.5}}, "[hyperparameters] momentum is -0.5", "a number from 0"),
        ({"hyperparameters": {"momentum": True}}, "[hyperparameters] momentum is true", "a whole number"),
        ({"hyperparameters": {"learning_rate": 0}}, "[hyperparameters] learning_rate is 0", "0.000001 to 1000000"),
        ({"hyperparameters": {"learning_rate": "1"}}, "[hyperparameters] learning_rate is '1'", "quotation marks"),
        ({"hyperparameters": {"learning_rate": {}}}, "learning_rate.start is missing", "write { start = 1.0"),
        ({"hyperparameters": {"learning_rate": {"begin": 1}}}, "learning_rate has the unknown key 'begin'", "start"),
        (
            {"hyperparameters": {"learning_rate": LearningRate(start=1, rule="platau")}},
            "[hyperparameters] learning_rate.rule is 'platau'",
            "did you mean 'plateau'?",
        ),
        (
            {"hyperparameters": {"learning_rate": LearningRate(start=1, factor=0.5)}},
            "[hyperparameters] learning_rate.factor of a constant rate",
            'rule = "plateau"',
        ),
        (
            {"hyperparameters": {"learning_rate": LearningRate(start=1, rule="plateau", factor=1)}},
            "[hyperparameters] learning_rate.factor is 1",
            "0.000001 to 0.999999",
        ),
        (
            {"hyperparameters": {"learning_rate": LearningRate(start=0.1, rule="plateau", minimum=0.2)}},
            "[hyperparameters] learning_rate.minimum is 0.2",
            "at most the start, 0.1",
        ),
        ({"may_change": "epochs"}, "[governance] may_change is 'epochs'", 'write ["one", "two"]'),
        ({"may_propose_revert": ["a", "a"]}, "[governance] may_propose_revert has 'a' twice", "each once"),
    ],
)
def test_every_mistake_names_its_key_and_what_would_be_right(
    changes: dict[str, object], key: str, expected: str
) -> None:
    message = refusal(**changes)
    assert key in message
    assert expected in message


def test_all_mistakes_come_at_once() -> None:
    message = refusal(metric="acc", lambda_=2, blocks=0, turns="x")
    for key in ("[task] metric", "[acceptance] lambda", "[schedule] stop.blocks", "[schedule] turns"):
        assert key in message
    assert message.count("error[") == 1


def test_a_message_stays_short_whatever_was_written() -> None:
    message = refusal(name="x" * 100_000, metric=["y" * 100_000] * 50, arguments={f"a{n}": network for n in range(100)})
    assert len(message) < 6_000
    assert "and 81 more" in message


def test_what_was_typed_may_be_changed_afterwards_without_effect() -> None:
    options: dict[str, object] = {"epochs": 3}
    arguments = {"sizes": [1, 2]}
    written = charter(hyperparameters=options, arguments=arguments)
    options["epochs"] = 0
    arguments["sizes"].append(3)
    assert written.hyperparameters == {"epochs": 3}
    assert written.arguments == {"sizes": [1, 2]}


def test_step_search_is_off_with_the_papers_rule() -> None:
    assert charter().steps_searched_on == "own"
    assert charter(acceptance="paper").steps_searched_on == "none"
    assert charter(acceptance="paper", step_search="global").steps_searched_on == "global"
    assert charter(step_search="none").steps_searched_on == "none"


def test_a_date_means_the_end_of_that_day() -> None:
    midnight = datetime(2030, 7, 1, tzinfo=UTC).timestamp() * 1000
    assert until_ms("2030-06-30") == until_ms(date(2030, 6, 30)) == midnight
    assert until_ms("2030-07-01T00:00:00Z") == until_ms("2030-07-01T02:00:00+02:00") == midnight
    assert until_ms(datetime(2030, 7, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == midnight
    assert until_ms("9999-12-31") is None
    assert resolve(charter(until="2030-06-30"), **facts()).schedule.stop_until_ms == midnight


def test_a_plateau_has_usual_constants() -> None:
    rate = LearningRate(start=1.0, rule="plateau")
    complete = resolve(charter(hyperparameters={"learning_rate": rate}), **facts())
    assert complete.learning_rate == LearningRateTerms("plateau", 500_000, 3, 1)
    assert complete.hyperparameters["learning_rate"] == 1_000_000


def test_a_constant_rate_has_no_rule() -> None:
    for rate in (0.5, LearningRate(start=0.5), {"start": 0.5}, {"start": 0.5, "rule": "constant"}):
        complete = resolve(charter(hyperparameters={"learning_rate": rate}), **facts())
        assert complete.learning_rate is None
        assert complete.hyperparameters["learning_rate"] == 500_000


def test_the_trainers_defaults_say_what_is_a_decimal() -> None:
    for written in (1, 1.0, Decimal(1)):
        complete = resolve(charter(hyperparameters={"momentum": written}), **facts())
        assert complete.hyperparameters["momentum_ppm"] == 1_000_000
        assert "momentum" not in complete.hyperparameters
    trainer = {"warmup": 3}
    complete = resolve(charter(hyperparameters={"warmup": 4, "own": 2, "share": 0.5}), **facts(hyperparameters=trainer))
    assert complete.hyperparameters == {"warmup": 4, "own": 2, "share_ppm": 500_000}
    with pytest.raises(CharterError, match=r"\[hyperparameters\] warmup is 0.5"):
        resolve(charter(hyperparameters={"warmup": 0.5}), **facts(hyperparameters=trainer))
    with pytest.raises(CharterError) as caught:
        resolve(charter(hyperparameters={"momentun": 0.5}), **facts())
    assert "did you mean 'momentum'?" in str(caught.value)


def test_rights_are_about_what_exists() -> None:
    complete = resolve(charter(may_change=["momentum", "epochs"], may_propose_revert=["turin"]), **facts())
    assert complete.governance.may_change == ("epochs", "momentum_ppm")
    for changes, message in (
        ({"may_change": ["epoch"]}, "[governance] may_change names 'epoch'"),
        ({"may_propose_revert": ["nobody"]}, "[governance] may_propose_revert names 'nobody'"),
    ):
        with pytest.raises(CharterError) as caught:
            resolve(charter(**changes), **facts())
        assert message in str(caught.value)


def test_parts_that_do_not_fit_are_all_named() -> None:
    wrong = charter(hyperparameters={"momentun": 0.5}, may_change=["epoch"], may_propose_revert=["nobody"])
    twice = facts()["members"][:1] * 2
    with pytest.raises(CharterError) as caught:
        resolve(wrong, **facts(members=twice))
    for part in ("unknown key 'momentun'", "two members named 'leuven'", "names 'epoch'", "names 'nobody'"):
        assert str(caught.value).count(part) == 1


def test_nothing_is_said_about_parts_that_could_not_be_had() -> None:
    wrong = charter(hyperparameters={"momentun": 0.5}, may_change=["epoch"], may_propose_revert=["nobody"])
    faults = Faults()
    check_parts(wrong, faults, members=None, log_key=facts()["log_key"], hyperparameters=None)
    assert not faults


def test_the_order_of_members_and_tensors_does_not_matter() -> None:
    known = facts()
    turned = known | {"members": known["members"][::-1], "layout": known["layout"][::-1]}
    assert resolve(charter(), **known).digest == resolve(charter(), **turned).digest


def test_another_test_set_is_named() -> None:
    assert resolve(charter(global_test_set=f"blake3:{G.hex()}"), **facts()).task.global_test == G
    with pytest.raises(CharterError) as caught:
        resolve(charter(global_test_set=f"blake3:{G.hex()}"), **facts(global_test=digest("other")))
    assert caught.value.code is Code.CHARTER_MISMATCH
    assert digest("other").hex() in str(caught.value)


def test_the_charter_shows_only_the_digest_of_the_data_key() -> None:
    key = bytes(range(32))
    complete = resolve(charter(), **facts(data_key=key))
    assert complete.data_key == data_key_digest(key)
    assert key not in complete.encode()


def test_a_resolved_charter_too_large_to_be_read_is_refused() -> None:
    with pytest.raises(CharterError) as caught:
        resolve(charter(arguments={f"a{n}": "x" * 60_000 for n in range(20)}), **facts())
    assert caught.value.code is Code.TOO_LARGE


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_arguments_reach_every_member_as_they_were_written(value: object) -> None:
    text = argument_text(value)
    assert text.isascii()
    assert argument_text(read_argument(text)) == text
    assert read_argument(text) == value


@pytest.mark.parametrize(
    "text", ["", "1.0e0", " 1", "1 ", "NaN", "Infinity", "1e999", '{"b":1,"a":2}', '{"a":1,"a":1}', "[" * 5000, '"é"']
)
def test_an_argument_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_argument(text)


def test_arguments_of_the_resolved_charter_call_the_factory() -> None:
    arguments = {"width": 16, "dropout": 0.1, "norm": "batch", "flag": True, "nothing": None, "kernel": (3, 3)}
    complete = resolve(charter(arguments=arguments), **facts())
    read = ResolvedCharter.from_bytes(complete.encode()).model.keyword_arguments()
    assert read == arguments | {"kernel": [3, 3]}
    assert type(read["flag"]) is bool
    assert type(read["dropout"]) is float
