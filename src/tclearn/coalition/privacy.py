"""Differential privacy between a charter and a ledger: what a member says it did, whether it fits, what it costs.

Two mechanisms. ``example`` is DP-SGD (Abadi et al. 2016): each step clips the gradient of every record and adds
Gaussian noise; what is spent are Rényi divergences (``tclearn.coalition.accountant``). ``shokri`` is the selective
sharing of Shokri & Shmatikov 2015: a fraction of the changes is uploaded, each clipped, with Laplace noise; what is
spent is the ε of the parameters that may be uploaded, added up.

What is spent is kept as a tuple of integers that add up entry by entry; the empty one is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Final

from tclearn.coalition import accountant
from tclearn.coalition.evidence import MILLION
from tclearn.coalition.quantities import decimal_text
from tclearn.coalition.terms import PrivacyTerms, TensorRecord
from tclearn.records import Record

EXAMPLE: Final = "example"
SHOKRI: Final = "shokri"
NONE: Final = "none"
MECHANISMS: Final = (NONE, EXAMPLE, SHOKRI)
LARGEST: Final = "largest"
RANDOM: Final = "random"
SELECTIONS: Final = (LARGEST, RANDOM)

_STEPS_MAX: Final = 1 << 40
_FLOATS: Final = ("F", "BF")

Spent = tuple[int, ...]
"""What a member has spent: with ``example`` divergences as ``accountant.cost`` gives them, with ``shokri`` an ε."""


@dataclass(frozen=True, slots=True)
class PrivacyEvent(Record):
    """What was done to one increment, as its proposer says. Nobody else can see that it is so.

    Attributes:
        mechanism: ``"example"`` or ``"shokri"``.
        clip_ppm: the clipping bound, millionths: of a record's gradient (``example``), of a parameter's change.
        noise_ppm: ``example``: standard deviation of the noise in units of the bound, millionths.
        delta_ppt: ``example``: δ, trillionths.
        records: ``example``: records trained on, each of which was in a step with probability ``batch`` / ``records``.
        batch: ``example``: the expected number of records in a step.
        steps: ``example``: their number.
        released: ``shokri``: parameters uploaded.
        epsilon_ppm: ``shokri``: ε per parameter, millionths.
    """

    mechanism: str
    clip_ppm: int
    noise_ppm: int | None = None
    delta_ppt: int | None = None
    records: int | None = None
    batch: int | None = None
    steps: int | None = None
    released: int | None = None
    epsilon_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class BlockPrivacy(Record):
    """Privacy in a block.

    Attributes:
        epsilons: ε in millionths that each member has spent when the block was made: composed over all candidates
            that it has offered, accepted or not.
        event: what was done to the block's increment; absent for genesis and reverts.
    """

    epsilons: dict[str, int]
    event: PrivacyEvent | None = None


def fault(terms: PrivacyTerms | None, event: PrivacyEvent | None, trained: int, layout: Iterable[TensorRecord]) -> str:
    """In what an event does not fit the charter, in words; empty: it fits.

    Args:
        terms: the charter's.
        event: what the proposer says it did.
        trained: records of the contribution that were not put aside.
        layout: the model's tensors.
    """
    if terms is None:
        return "" if event is None else "privacy that the charter does not ask for"
    if event is None:
        return f"no privacy: {_asked(terms)}"
    if event.mechanism != terms.mechanism:
        return f"privacy of another kind: {_asked(terms)}"
    if event.clip_ppm != terms.clip_ppm:
        return f"clipped to {_decimal(event.clip_ppm)}, the charter asks for {_decimal(terms.clip_ppm)}"
    if terms.mechanism == EXAMPLE:
        return _example_fault(terms, event, trained)
    return _shokri_fault(terms, event, upload_limit(terms, layout))


def cost(terms: PrivacyTerms, event: PrivacyEvent, layout: Iterable[TensorRecord]) -> Spent:
    """What an event without fault costs.

    With ``shokri`` all that may be uploaded is paid for, also what was not: how much is uploaded depends on the data.
    """
    if terms.mechanism == SHOKRI:
        return (min(accountant.MOST, upload_limit(terms, layout) * (event.epsilon_ppm or 0)),)
    return accountant.cost(event.noise_ppm or 1, event.batch or 1, event.records or 1, event.steps or 0)


def together(first: Spent, second: Spent) -> Spent:
    """What two members' worth of releases, or one member's before and after, come to."""
    if not first or not second:
        return first or second
    return accountant.composed(first, second)


def epsilon_ppm(terms: PrivacyTerms, spent: Spent) -> int:
    """The composed ε, in millionths, rounded up: with ``example`` at the charter's δ, with ``shokri`` at δ = 0."""
    if not spent:
        return 0
    return spent[0] if terms.mechanism == SHOKRI else accountant.epsilon_ppm(spent, terms.delta_ppt or 1)


def upload_limit(terms: PrivacyTerms, layout: Iterable[TensorRecord]) -> int:
    """``shokri``: how many parameters an increment may change: the charter's share of them, at least one."""
    numbers = sum(prod(tensor.shape) for tensor in layout if is_real(tensor))
    return max(1, (terms.share_ppm or 0) * numbers // MILLION)


def is_real(tensor: TensorRecord) -> bool:
    """Whether a tensor holds real numbers; no others are uploaded."""
    return tensor.dtype.startswith(_FLOATS)


def delta_text(delta_ppt: int) -> str:
    """δ as users write it."""
    return decimal_text(delta_ppt, accountant.TRILLION)


def epsilon_text(value_ppm: int) -> str:
    """An ε for people: four significant digits at least, rounded up."""
    if value_ppm >= accountant.MOST:
        return "beyond measure"
    unit = 1000 if value_ppm >= MILLION else 1
    return decimal_text(-(-value_ppm // unit) * unit, MILLION)


def event_text(event: PrivacyEvent) -> str:
    """What was done to an increment, in words."""
    clip = _decimal(event.clip_ppm)
    if event.mechanism == EXAMPLE:
        noise = f"noise {_decimal(event.noise_ppm or 0)} × {clip}"
        return f"{noise}, {event.steps} steps of {event.batch} in {event.records} records"
    return f"{event.released} parameters, clipped to {clip}, ε {_decimal(event.epsilon_ppm or 0)} for each"


def _example_fault(terms: PrivacyTerms, event: PrivacyEvent, trained: int) -> str:
    noise, batch, steps = event.noise_ppm, event.batch, event.steps
    if noise is None or batch is None or steps is None or event.released is not None or event.epsilon_ppm is not None:
        return "an account of its privacy that is not one of DP-SGD"
    if noise < (terms.noise_ppm or 0):
        return f"noise {_decimal(noise)}, the charter asks for {_decimal(terms.noise_ppm or 0)} at least"
    if event.delta_ppt != terms.delta_ppt:
        return f"another δ than the charter's {delta_text(terms.delta_ppt or 0)}"
    if event.records != trained:
        return f"noise over {event.records} records, the contribution trains on {trained}"
    if not 1 <= batch <= trained:
        return f"steps of {batch} records of {trained}"
    if not 1 <= steps <= _STEPS_MAX:
        return f"{steps} noisy steps"
    return ""


def _shokri_fault(terms: PrivacyTerms, event: PrivacyEvent, limit: int) -> str:
    strange = (event.noise_ppm, event.delta_ppt, event.records, event.batch, event.steps)
    if event.released is None or any(each is not None for each in strange):
        return "an account of its privacy that is not one of selective sharing"
    if event.epsilon_ppm != terms.epsilon_ppm:
        return f"another ε per parameter than the charter's {_decimal(terms.epsilon_ppm or 0)}"
    if event.released > limit:
        return f"{event.released} parameters uploaded, {limit} are allowed"
    return ""


def _asked(terms: PrivacyTerms) -> str:
    return f"the charter asks for the mechanism {terms.mechanism}"


def _decimal(units: int) -> str:
    return decimal_text(units, MILLION)
