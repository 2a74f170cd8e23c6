"""From the charter that users write to the one that members agree on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from tclearn.coalition import quantities
from tclearn.coalition.arguments import argument_text
from tclearn.coalition.charter import Charter, Privacy
from tclearn.coalition.charter_privacy import privacy_terms
from tclearn.coalition.charter_values import until_ms
from tclearn.coalition.charter_vault import (
    DataIdPolicy,
    VaultPolicy,
    check_readers,
    data_id_terms,
    data_key_digest,
    vault_terms,
)
from tclearn.coalition.checks import check_governance, check_members
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.faults import Faults, did_you_mean, shown
from tclearn.coalition.learning_rate import LearningRate
from tclearn.coalition.quantities import Quantity, free_quantity
from tclearn.coalition.readers import PPM
from tclearn.coalition.resolved import FORMAT, ResolvedCharter
from tclearn.coalition.terms import (
    AcceptanceTerms,
    GovernanceTerms,
    LearningRateTerms,
    MemberRecord,
    ModelTerms,
    PrivacyTerms,
    ScheduleTerms,
    TaskTerms,
    TensorRecord,
    VaultTerms,
)
from tclearn.encoding import Digest, MemberId
from tclearn.errors import CharterError, Code
from tclearn.limits import CHARTER_BYTES_MAX

P = TypeVar("P", VaultPolicy, DataIdPolicy)

CONTRACTS: Final[Mapping[str, tuple[str, ...]]] = {"tclearn": ("tclearn/1",)}
"""Contracts of each protocol, as new charters name them."""


def resolve(  # noqa: PLR0913 - each is a fact from elsewhere, and each is named by the caller
    charter: Charter,
    *,
    members: Iterable[MemberRecord],
    log_key: bytes,
    layout: Iterable[TensorRecord],
    initial: Digest,
    source: Digest,
    global_test: Digest,
    global_n: int,
    hyperparameters: Mapping[str, int],
    data_key: bytes,
    id_key: bytes | None = None,
) -> ResolvedCharter:
    """Make a charter complete.

    Args:
        charter: what users wrote.
        members: the founding members, in any order.
        log_key: Ed25519 public key (32 bytes) that will sign the heads of the log.
        layout: the model's tensors, in any order.
        initial: digest of the parameters of M_0.
        source: digest of the factory's source file.
        global_test: digest of the global test set that is at hand.
        global_n: its number of records.
        hyperparameters: the trainer's defaults, in canonical form: counts, ``learning_rate`` in millionths, other
            decimals in millionths under a name ending in ``_ppm``.
        data_key: the secret key of the data IDs (32 bytes); the charter gets its digest only, at level B nothing.
        id_key: public key of the oblivious data IDs (32 bytes), which level B needs.

    Raises:
        CharterError: the parts do not fit together, or give a charter that is not usable; mistakes are named by key.
    """
    members = sorted(members, key=lambda member: member.id)
    faults = Faults()
    check_global_test(charter, global_test, faults)
    check_parts(charter, faults, members=members, log_key=log_key, hyperparameters=hyperparameters)
    faults.check()
    options = _hyperparameters(charter, hyperparameters, faults)
    data_ids = data_id_terms(charter.level, _policy(charter.data_ids, DataIdPolicy), id_key)
    resolved = ResolvedCharter(
        format=FORMAT,
        name=charter.name,
        protocol=charter.protocol,
        level=charter.level,
        contracts=CONTRACTS[charter.protocol],
        members=tuple(members),
        log_key=log_key,
        model=ModelTerms(
            factory=factory_name(charter.model),
            arguments={name: argument_text(value) for name, value in charter.arguments.items()},
            seed=charter.seed,
            source=source,
            layout=tuple(sorted(layout, key=lambda tensor: tensor.name)),
            initial=initial,
        ),
        task=TaskTerms(charter.metric, global_test, global_n, charter.local_share_ppm),
        local_results=charter.local_results,
        acceptance=AcceptanceTerms(
            charter.acceptance,
            _units(quantities.LAMBDA, charter.lambda_),
            dict(_option(name, value) for name, value in charter.acceptance_arguments.items()),
        ),
        schedule=_schedule(charter),
        trainer=charter.trainer,
        step_search=charter.steps_searched_on,
        hyperparameters=options,
        governance=_governance(charter, options),
        data_key=data_key_digest(data_key if data_ids is None else data_ids.public_key),
        learning_rate=_learning_rate(charter),
        privacy=terms_of_privacy(charter),
        vault=_vault(charter),
        data_ids=data_ids,
    )
    size = len(resolved.encode())
    if size > CHARTER_BYTES_MAX:
        raise CharterError(Code.TOO_LARGE, f"a charter of {size} bytes", expected=f"at most {CHARTER_BYTES_MAX}")
    return resolved


def check_parts(
    charter: Charter,
    faults: Faults,
    *,
    members: Iterable[MemberRecord] | None,
    log_key: bytes,
    hyperparameters: Mapping[str, int] | None,
) -> None:
    """Note where a charter does not fit its members and its trainer, all at once; see ``resolve`` for the arguments.

    ``None`` stands for what could not be had: nothing is said about it.
    """
    options = None if hyperparameters is None else _hyperparameters(charter, hyperparameters, faults)
    rights = _governance(charter, options or {})
    names: Iterable[str] = rights.may_propose_revert
    if members is not None:
        members = sorted(members, key=lambda member: member.id)
        names = [member.id for member in members]
        check_members(members, log_key, faults)
        vault = _vault(charter)
        if vault is not None:
            check_readers(vault, names, faults)
    check_governance(rights, rights.may_change if options is None else options, names, faults)


def check_global_test(charter: Charter, found: Digest, faults: Faults) -> None:
    """Note that the global test set at hand is not the one that the charter names."""
    if charter.global_test_set not in (None, f"blake3:{found.hex()}"):
        faults.add(
            f"[task] global_test_set is {charter.global_test_set}, the set at hand is blake3:{found.hex()}",
            "the same set at every member",
            "compare the files with whoever made the set; `tclearn data digest` prints the digest",
            Code.CHARTER_MISMATCH,
        )


def terms_of_privacy(charter: Charter) -> PrivacyTerms | None:
    """The privacy mechanism of a charter, in canonical form."""
    return privacy_terms(charter.privacy if isinstance(charter.privacy, Privacy) else None)


def _vault(charter: Charter) -> VaultTerms | None:
    return vault_terms(charter.level, _policy(charter.vault, VaultPolicy))


def _policy(value: object, kind: type[P]) -> P | None:
    return value if isinstance(value, kind) else None


def factory_name(model: str | Callable[..., Any]) -> str:
    """``"module:callable"`` of a model factory."""
    return model if isinstance(model, str) else f"{model.__module__}:{model.__qualname__}"


def _schedule(charter: Charter) -> ScheduleTerms:
    stop_until = None if charter.until is None else until_ms(charter.until)
    turn = charter.verdict_minutes if charter.turn_minutes is None else charter.turn_minutes
    seal = charter.verdict_minutes if charter.seal_minutes is None else charter.seal_minutes
    performance = charter.performance
    return ScheduleTerms(
        turns=charter.turns,
        turn_ms=_units(quantities.TURN_MINUTES, turn),
        verdict_ms=_units(quantities.VERDICT_MINUTES, charter.verdict_minutes),
        seal_ms=_units(quantities.SEAL_MINUTES, seal),
        minimum_batch=charter.minimum_batch,
        attempts=charter.attempts,
        stop_blocks=charter.blocks,
        stop_until_ms=stop_until,
        stop_performance_ppm=None if performance is None else _units(quantities.STOP_PERFORMANCE, performance),
    )


def _hyperparameters(charter: Charter, defaults: Mapping[str, int], faults: Faults) -> dict[str, int]:
    result = dict(defaults)
    for key, value in charter.hyperparameters.items():
        place = f"[hyperparameters] {key}"
        if isinstance(value, LearningRate):
            result[key] = _units(quantities.LEARNING_RATE, value.start)
        elif key + PPM in defaults:
            # The trainer says that this is a decimal: momentum = 1 means 1.0.
            result[key + PPM] = free_quantity(place, scale=MILLION, low=0).read(value, faults)
        elif key in defaults:
            result[key] = free_quantity(place, low=0).read(value, faults)
        else:
            names = [name.removesuffix(PPM) for name in defaults]
            if near := did_you_mean(key, [name for name in names if name not in charter.hyperparameters], cutoff=0.85):
                what = f"[hyperparameters] has the unknown key {shown(key)}"
                faults.add(what, f"what the trainer knows: {', '.join(sorted(names))}", near, Code.CHARTER_UNKNOWN_KEY)
            name, units = _option(key, value)
            result[name] = units
    return result


def _learning_rate(charter: Charter) -> LearningRateTerms | None:
    rate = charter.hyperparameters.get("learning_rate")
    if not isinstance(rate, LearningRate) or rate.rule == "constant":
        return None
    if rate.factor is None or rate.patience is None or rate.minimum is None:
        raise TypeError("a learning rate that was not settled")
    return LearningRateTerms(
        rate.rule,
        _units(quantities.RATE_FACTOR, rate.factor),
        rate.patience,
        _units(quantities.RATE_MINIMUM, rate.minimum),
    )


def _governance(charter: Charter, hyperparameters: Mapping[str, int]) -> GovernanceTerms:
    may_change = (name + PPM if name + PPM in hyperparameters else name for name in charter.may_change)
    may_revert = (MemberId(name) for name in charter.may_propose_revert)
    return GovernanceTerms(tuple(sorted(may_change)), tuple(sorted(may_revert)))


def _option(name: str, value: object) -> tuple[str, int]:
    if isinstance(value, Decimal):
        return name + PPM, _units(free_quantity(name, scale=MILLION, low=0), value)
    return name, _units(free_quantity(name, low=0), value)


def _units(quantity: Quantity, value: object) -> int:
    faults = Faults()
    units = quantity.read(value, faults)
    faults.check()
    return units
