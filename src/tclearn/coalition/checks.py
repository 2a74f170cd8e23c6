"""What every resolved charter must satisfy, wherever it comes from: each check names the key that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tclearn.coalition import quantities, words
from tclearn.coalition.arguments import read_argument
from tclearn.coalition.faults import Faults, shown
from tclearn.coalition.quantities import free_quantity
from tclearn.coalition.readers import PPM
from tclearn.coalition.terms import (
    AcceptanceTerms,
    GovernanceTerms,
    LearningRateTerms,
    MemberRecord,
    ModelTerms,
    ScheduleTerms,
    TaskTerms,
    TensorRecord,
)
from tclearn.errors import Code, MessageError
from tclearn.identity import public_key
from tclearn.limits import MEMBERS_MAX, MEMBERS_MIN, PARAMETERS_BYTES_MAX, PARAMETERS_TENSORS_MAX

_RANK_MAX: Final = 16
_OPTIONS_MAX: Final = 256
_GLOBAL_N: Final = quantities.Quantity("[task] global_test_set", 1, 1 << 40, of="records")
_AT_LEAST_ONE: Final = ("epochs", "steps", "batch_size")


def check_members(members: Sequence[MemberRecord], log_key: bytes, faults: Faults) -> None:
    """The number of members, their order, and that no key, hash chain or certificate stands for two of them."""
    if not MEMBERS_MIN <= len(members) <= MEMBERS_MAX:
        _member_fault(faults, f"{len(members)} members", f"{MEMBERS_MIN} to {MEMBERS_MAX}")
    ids = [member.id for member in members]
    if twice := _repeated(ids):
        _member_fault(faults, f"two members named {shown(twice)}", "a name for each of them")
    elif ids != sorted(ids):
        _member_fault(faults, "members that are not sorted", "ascending names")
    for member in members:
        place = f"member {shown(member.id)}"
        if not words.MEMBER_NAME.fullmatch(member.id):
            _member_fault(faults, place, "lower-case letters, digits, dots and hyphens, at most 63")
        if member.origin not in words.ORIGINS:
            _member_fault(faults, f"{place}: origin {shown(member.origin)}", " or ".join(words.ORIGINS))
        _check_key(member.key, f"{place}: its transaction key", faults)
        if len(member.seed_tip) != 32 or (member.certificate is not None and len(member.certificate) != 32):
            _member_fault(faults, f"{place}: a digest that is not 32 bytes", "32 bytes")
    _check_key(log_key, "the key of the log", faults)
    for what, values in (
        ("a key", [(member.id, member.key) for member in members] + [("the log", log_key)]),
        ("a seed chain", [(member.id, member.seed_tip) for member in members]),
        ("a certificate", [(member.id, member.certificate) for member in members if member.certificate is not None]),
    ):
        # A copied chain tip would let one member foretell another's part in the draws.
        shared = _repeated([value for _, value in values])
        if shared is not None:
            owners = [owner for owner, value in values if value == shared]
            more = f" and {len(owners) - 3} more" if len(owners) > 3 else ""
            _member_fault(faults, f"{what} that is shared by {' and '.join(owners[:3])}{more}", "each its own")


def check_model(model: ModelTerms, faults: Faults) -> None:
    """The factory's name, its arguments, the layout of the tensors."""
    if not words.is_factory(model.factory):
        faults.add(f"[model] factory is {shown(model.factory)}", words.FACTORY_EXPECTED, code=Code.CHARTER_MODEL)
    quantities.SEED.check(model.seed, faults)
    if len(model.arguments) > _OPTIONS_MAX:
        faults.add(f"[model] arguments has {len(model.arguments)} entries", f"at most {_OPTIONS_MAX}")
    for name, text in model.arguments.items():
        if not name.isidentifier():
            faults.add(f"[model] arguments has the name {shown(name)}", "names of Python parameters")
        try:
            read_argument(text)
        except ValueError as error:
            reason = str(error) if str(error).startswith("is ") else "is not JSON"
            faults.add(f"[model] arguments.{shown(name)} {reason}", "canonical JSON text")
    _check_layout(model.layout, faults)
    _check_digests((("source", model.source), ("initial", model.initial)), faults)


def check_task(task: TaskTerms, local_results: str, faults: Faults) -> None:
    """The metric, the global test set, the share put aside, what of the local tests is published."""
    faults.choice("[task] metric", task.metric, words.METRICS)
    faults.choice("[task] local_results", local_results, words.LOCAL_RESULTS)
    _GLOBAL_N.check(task.global_n, faults)
    quantities.LOCAL_TEST.check(task.local_share_ppm, faults)
    _check_digests((("global_test", task.global_test),), faults)


def check_acceptance(acceptance: AcceptanceTerms, faults: Faults) -> None:
    """The rule's name, λ, and the rule's further numbers."""
    if not words.EXTENSION_NAME.fullmatch(acceptance.rule):
        faults.add(f"[acceptance] rule is {shown(acceptance.rule)}", words.EXTENSION_EXPECTED)
    quantities.LAMBDA.check(acceptance.lambda_ppm, faults)
    _check_options("[acceptance] arguments.", acceptance.arguments, faults)


def check_schedule(schedule: ScheduleTerms, faults: Faults) -> None:
    """Turns, deadlines, and that training ends."""
    faults.choice("[schedule] turns", schedule.turns, words.TURNS)
    quantities.TURN_MINUTES.check(schedule.turn_ms, faults)
    quantities.VERDICT_MINUTES.check(schedule.verdict_ms, faults)
    quantities.SEAL_MINUTES.check(schedule.seal_ms, faults)
    quantities.MINIMUM_BATCH.check(schedule.minimum_batch, faults)
    quantities.ATTEMPTS.check(schedule.attempts, faults)
    stops = (
        (quantities.STOP_BLOCKS, schedule.stop_blocks),
        (quantities.STOP_UNTIL, schedule.stop_until_ms),
        (quantities.STOP_PERFORMANCE, schedule.stop_performance_ppm),
    )
    for quantity, value in stops:
        if value is not None:
            quantity.check(value, faults)
    if all(value is None for _, value in stops):
        faults.add("[schedule] stop is missing", "blocks, until or performance", "write stop = { blocks = 28 }")


def check_hyperparameters(values: Mapping[str, int], rate: LearningRateTerms | None, faults: Faults) -> None:
    """The numbers of training and the rule of the learning rate."""
    _check_options("[hyperparameters] ", values, faults)
    if "learning_rate" in values:
        quantities.LEARNING_RATE.check(values["learning_rate"], faults)
    elif rate is not None:
        faults.add("[hyperparameters] learning_rate is missing", "a start for its rule")
    if rate is None:
        return
    if rate.rule != "plateau":
        faults.add(f"[hyperparameters] learning_rate.rule is {shown(rate.rule)}", "plateau")
    quantities.RATE_FACTOR.check(rate.factor_ppm, faults)
    quantities.RATE_PATIENCE.check(rate.patience, faults)
    quantities.RATE_MINIMUM.check(rate.minimum_ppm, faults)
    if rate.minimum_ppm > values.get("learning_rate", rate.minimum_ppm):
        faults.add("[hyperparameters] learning_rate.minimum is above the start", "a minimum below the start")


def check_governance(
    governance: GovernanceTerms, hyperparameters: Iterable[str], members: Iterable[str], faults: Faults
) -> None:
    """That rights are about hyper-parameters that exist, and given to members."""
    lists = (
        ("[governance] may_change", governance.may_change, set(hyperparameters), "hyper-parameters of this charter"),
        ("[governance] may_propose_revert", governance.may_propose_revert, set(members), "members"),
    )
    for key, names, known, expected in lists:
        unknown = [name for name in names if name not in known]
        if unknown:
            faults.add(f"{key} names {shown(unknown[0])}", expected)
        elif list(names) != sorted(set(names)):
            faults.add(f"{key} is not sorted, or names one twice", "ascending names")


def _check_layout(layout: Sequence[TensorRecord], faults: Faults) -> None:
    if not 1 <= len(layout) <= PARAMETERS_TENSORS_MAX:
        faults.add(f"a model of {len(layout)} tensors", f"1 to {PARAMETERS_TENSORS_MAX}", code=Code.CHARTER_MODEL)
    names = [tensor.name for tensor in layout]
    if names != sorted(set(names)):
        faults.add("tensors that are not sorted, or named twice", "ascending names", code=Code.CHARTER_MODEL)
    elements = 0
    for tensor in layout:
        if not tensor.name or not words.DTYPE_NAME.fullmatch(tensor.dtype) or len(tensor.shape) > _RANK_MAX:
            faults.add(
                f"tensor {shown(tensor.name)} of type {shown(tensor.dtype)} with {len(tensor.shape)} axes",
                f"a name, a type and at most {_RANK_MAX} axes",
                code=Code.CHARTER_MODEL,
            )
        size = 1
        for extent in tensor.shape[:_RANK_MAX]:
            size *= extent
        elements += size
    if elements > PARAMETERS_BYTES_MAX:
        faults.add("a model too large", f"at most {PARAMETERS_BYTES_MAX} bytes", code=Code.CHARTER_MODEL)


def _check_options(place: str, values: Mapping[str, int], faults: Faults) -> None:
    if len(values) > _OPTIONS_MAX:
        faults.add(f"{place.strip(' .')} has {len(values)} entries", f"at most {_OPTIONS_MAX}")
    for name, value in values.items():
        if not words.OPTION_NAME.fullmatch(name):
            faults.add(f"{place}{shown(name)}", words.OPTION_EXPECTED)
        free_quantity(place + name, low=1 if name in _AT_LEAST_ONE else 0).check(value, faults)
        if name + PPM in values:
            faults.add(f"{place}{name} is there as a count and in millionths", "one of them")


def _check_digests(digests: Iterable[tuple[str, bytes]], faults: Faults) -> None:
    for name, value in digests:
        if len(value) != 32:
            faults.add(f"{name} is {len(value)} bytes", "a digest of 32 bytes")


def _check_key(key: bytes, place: str, faults: Faults) -> None:
    try:
        public_key(key)
    except MessageError as error:
        _member_fault(faults, place, error.expected)


def _member_fault(faults: Faults, what: str, expected: str) -> None:
    faults.add(f"[coalition] members: {what}", expected, code=Code.CHARTER_MEMBER)


def _repeated(values: Sequence[bytes] | Sequence[str]) -> bytes | str | None:
    seen: set[bytes | str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
