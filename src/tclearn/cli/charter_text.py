"""A charter in its final form, every field of it: for people grouped as in ``charter.toml``, for programs as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tclearn.cli.output import count, natural
from tclearn.coalition.digest_text import format_digest
from tclearn.coalition.privacy import delta_text
from tclearn.coalition.quantities import decimal_text
from tclearn.coalition.readers import PPM
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import (
    DataIdTerms,
    LearningRateTerms,
    MemberRecord,
    PrivacyTerms,
    TensorRecord,
    VaultTerms,
)

_MILLION: Final = 1_000_000
_MINUTE_MS: Final = 60_000
_WIDTH: Final = 18
_ORIGINS: Final = {"os": "its own computer", "seed": "a printed seed: a simulation"}

Rows = Iterator[tuple[str, str]]


def as_text(charter: ResolvedCharter) -> Iterator[str]:
    """The charter for people, line by line."""
    sections = {
        "coalition": _coalition(charter),
        "model": _model(charter),
        "task": _task(charter),
        "acceptance": _acceptance(charter),
        "schedule": _schedule(charter),
        "hyperparameters": _hyperparameters(charter),
        **({} if charter.privacy is None else {"privacy": _privacy(charter.privacy)}),
        **({} if charter.vault is None else {"vault": _vault(charter.vault)}),
        **({} if charter.data_ids is None else {"data_ids": _data_ids(charter.data_ids)}),
        "governance": _governance(charter),
    }
    for table, rows in sections.items():
        yield f"[{table}]"
        listed = list(rows)
        width = max((len(key) for key, _ in listed), default=0)
        for key, value in listed:
            yield f"{key:<{max(width, _WIDTH)}} {value}"
        yield ""
    yield f"charter {format_digest(charter.digest)}"


def as_json(charter: ResolvedCharter) -> dict[str, Any]:
    """The charter for programs: its digest, and its canonical form with byte strings in hexadecimal digits."""
    return {"digest": charter.digest.hex(), **_plain(charter.to_value())}


def setting(name: str, value: int) -> str:
    """A hyper-parameter or an argument of a rule as ``charter.toml`` has it: ``momentum 0.9``."""
    if name.endswith(PPM):
        return f"{name.removesuffix(PPM)} {decimal_text(value, _MILLION)}"
    return f"{name} {decimal_text(value, _MILLION) if name == 'learning_rate' else value}"


def _coalition(charter: ResolvedCharter) -> Rows:
    yield "name", charter.name
    yield "protocol", charter.protocol
    yield "contracts", ", ".join(charter.contracts)
    yield "level", charter.level
    yield "key of the log", charter.log_key.hex()
    yield "digest of data key", charter.data_key.hex()
    yield "members", f"{len(charter.members)}"
    for member in sorted(charter.members, key=lambda member: natural(member.id)):
        yield from _member(member)


def _member(member: MemberRecord) -> Rows:
    yield f"  {member.id}", f"keys from {_ORIGINS[member.origin]}"
    yield "    key", member.key.hex()
    yield "    seed chain", member.seed_tip.hex()
    yield "    certificate", "none" if member.certificate is None else member.certificate.hex()


def _model(charter: ResolvedCharter) -> Rows:
    model = charter.model
    numbers = sum(math.prod(tensor.shape) for tensor in model.layout)
    yield "factory", model.factory
    yield "source", f"sha256:{model.source.hex()}"
    yield "arguments", ", ".join(f"{name} = {text}" for name, text in model.arguments.items()) or "none"
    yield "seed", str(model.seed)
    yield "M_0", model.initial.hex()
    yield "tensors", f"{len(model.layout):,}, {count(numbers, 'number')}"
    for tensor in model.layout:
        yield f"  {tensor.name}", _shape(tensor)
    yield "trainer", charter.trainer


def _shape(tensor: TensorRecord) -> str:
    return f"{tensor.dtype} {' × '.join(map(str, tensor.shape)) or 'a single number'}"


def _task(charter: ResolvedCharter) -> Rows:
    task = charter.task
    yield "metric", task.metric
    yield "global_test_set", f"blake3:{task.global_test.hex()}"
    yield "", count(task.global_n, "record")
    yield "local_test", decimal_text(task.local_share_ppm, _MILLION)
    yield "local_results", charter.local_results


def _acceptance(charter: ResolvedCharter) -> Rows:
    terms = charter.acceptance
    yield "rule", terms.rule
    yield "lambda", decimal_text(terms.lambda_ppm, _MILLION)
    yield "arguments", _settings(terms.arguments)


def _schedule(charter: ResolvedCharter) -> Rows:
    schedule = charter.schedule
    stops = []
    if schedule.stop_blocks is not None:
        stops.append(count(schedule.stop_blocks, "block"))
    if schedule.stop_until_ms is not None:
        stops.append(f"{datetime.fromtimestamp(schedule.stop_until_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC")
    if schedule.stop_performance_ppm is not None:
        stops.append(f"performance {decimal_text(schedule.stop_performance_ppm, _MILLION)}")
    yield "turns", schedule.turns
    yield "stop", ", or ".join(stops)
    yield "verdict_minutes", decimal_text(schedule.verdict_ms, _MINUTE_MS)
    yield "turn_minutes", decimal_text(schedule.turn_ms, _MINUTE_MS)
    yield "seal_minutes", decimal_text(schedule.seal_ms, _MINUTE_MS)
    yield "minimum_batch", str(schedule.minimum_batch)
    yield "attempts", str(schedule.attempts)
    yield "step_search", charter.step_search


def _hyperparameters(charter: ResolvedCharter) -> Rows:
    for name, value in charter.hyperparameters.items():
        key, _, text = setting(name, value).partition(" ")
        follows = charter.learning_rate if name == "learning_rate" else None
        yield key, text if follows is None else f"{text}, {_rate(follows)}"


def _rate(rate: LearningRateTerms) -> str:
    factor, minimum = decimal_text(rate.factor_ppm, _MILLION), decimal_text(rate.minimum_ppm, _MILLION)
    return f"{rate.rule}: × {factor}, patience {count(rate.patience, 'block')}, minimum {minimum}"


def _privacy(terms: PrivacyTerms) -> Rows:
    yield "mechanism", terms.mechanism
    for key, value in (("noise", terms.noise_ppm), ("clip", terms.clip_ppm)):
        if value is not None:
            yield key, decimal_text(value, _MILLION)
    if terms.delta_ppt is not None:
        yield "delta", delta_text(terms.delta_ppt)
    if terms.share_ppm is not None:
        yield "share", decimal_text(terms.share_ppm, _MILLION)
    if terms.selection is not None:
        yield "selection", terms.selection
    limits = {"threshold": terms.threshold_ppm, "epsilon": terms.epsilon_ppm, "epsilon_max": terms.epsilon_max_ppm}
    for key, value in limits.items():
        if value is not None:
            yield key, decimal_text(value, _MILLION)


def _vault(terms: VaultTerms) -> Rows:
    yield "versions", terms.versions
    yield "readers_of_all", ", ".join(sorted(terms.readers_of_all, key=natural)) or "nobody"
    yield "reads", str(terms.reads)
    yield "reads_per_1000_samples", str(terms.reads_per_1000_samples)
    yield "witnessed", "true" if terms.witnessed else "false"


def _data_ids(terms: DataIdTerms) -> Rows:
    yield "public key", terms.public_key.hex()
    yield "per_day", str(terms.per_day)
    yield "at_once", str(terms.at_once)


def _governance(charter: ResolvedCharter) -> Rows:
    rights = charter.governance
    yield "may_change", ", ".join(name.removesuffix(PPM) for name in rights.may_change) or "nothing"
    yield "may_propose_revert", ", ".join(sorted(rights.may_propose_revert, key=natural)) or "every member"


def _settings(values: Mapping[str, int]) -> str:
    return ", ".join(setting(name, value) for name, value in values.items()) or "none"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
