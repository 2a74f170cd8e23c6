"""Figures 4 and 5: how large ciphertexts of many gradients are, and how fast they are made (Weng et al. 2019, §6.2).

The paper has one ciphertext of 1024 bytes for 4,000 gradients and for 20,000. Nobody could open it to what was
encrypted: see ``fits``. What is measured here are ciphertexts that are opened again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tclearn.learning.drawing import derived
from tclearn.paillier.keys import FAST_BITS
from tclearn.paillier.packing import SLOT_BITS, VALUE_BITS
from tclearn.reproduce.deepchain import published
from tclearn.reproduce.deepchain.circle import Circle
from tclearn.reproduce.deepchain.plots import HERE, PAPER, PROVED, draw_ciphers
from tclearn.reproduce.outcome import Outcome
from tclearn.reproduce.plan import Finding, Options, Outcomes, Plan, Tell
from tclearn.reproduce.versions import cryptography

PARTIES: Final = 4
SIZES: Final = "deepchain-fig4"
CIPHERTEXTS: Final = "ciphertexts of {} gradients"
BYTES: Final = "bytes of the ciphertexts of {} gradients"
PROOF_BYTES: Final = "bytes of the proofs for {} gradients"
ENCRYPTING: Final = "CPU seconds of encrypting {} gradients"
PROVING: Final = "CPU seconds of packing and proving {} gradients"
OPENED: Final = "values opened to the unit"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Sizes of both experiments.

    Attributes:
        gradients: how many at a time.
        bits: of the key.
        rounds: how often each is timed; the median counts.
        opened: so many gradients of each party are summed and opened again.
    """

    gradients: Sequence[int] = published.GRADIENTS
    bits: int = FAST_BITS
    rounds: int = 5
    opened: int = published.GRADIENTS[-1]


def plan(name: str, options: Options) -> Plan:
    """See ``Experiment.plan``."""
    scene = Scene(rounds=1, opened=published.GRADIENTS[0]) if options.quick else Scene()
    return plan_of(name, scene, options)


def plan_of(name: str, scene: Scene, options: Options) -> Plan:
    """The plan of one of the figures.

    Args:
        name: of the experiment.
        scene: its sizes.
        options: how much of it.
    """
    settings = {
        "experiment": name,
        "quick": options.quick,
        "seed": options.seed,
        "gradients": list(scene.gradients),
        "key_bits": scene.bits,
        "parties": PARTIES,
        "value_bits": VALUE_BITS,
        "slot_bits": SLOT_BITS,
        "rounds": scene.rounds,
        "opened": scene.opened,
        "versions": cryptography(),
    }
    return Plan(
        settings=settings,
        words=(
            f"{', '.join(f'{count:,}' for count in scene.gradients)} gradients of {VALUE_BITS} bits · "
            f"a threshold key of {scene.bits} bits · seed {options.seed}"
        ),
        runs=[CipherRun(name="ciphers", seed=options.seed, scene=scene, opens=name == SIZES)],
        find=partial(find_sizes if name == SIZES else find_throughput, scene=scene),
        draw=partial(_draw, name, scene),
    )


@dataclass(frozen=True, kw_only=True)
class CipherRun:
    """Encrypts, and opens some of it again; see ``Run``.

    Attributes:
        name: names its files.
        seed: draws the gradients; keys and ciphertexts are the operating system's.
        scene: sizes.
        opens: whether something is opened again.
    """

    name: str
    seed: int
    scene: Scene
    opens: bool

    @property
    def work(self) -> int:
        """See ``Run``: gradients encrypted."""
        return sum(self.scene.gradients) * self.scene.rounds

    def __call__(self, working: Path, record: Path, tell: Tell) -> Outcome:
        """See ``Run``."""
        began, scene = time.monotonic(), self.scene
        circle = Circle(PARTIES, scene.bits)
        levels = circle.layout.levels
        random = np.random.default_rng(derived(self.seed, "gradients"))

        def drawn(count: int) -> NDArray[np.int64]:
            return random.integers(-levels, levels, count, endpoint=True)

        numbers: dict[str, float] = {}
        for count in scene.gradients:
            made = []
            for _ in range(scene.rounds):
                made.append(circle.encrypted(drawn(count)))
                tell(count)
            numbers |= {
                CIPHERTEXTS.format(count): made[0].ciphertexts,
                BYTES.format(count): made[0].ciphertext_bytes,
                PROOF_BYTES.format(count): made[0].proof_bytes,
                ENCRYPTING.format(count): float(np.median([each.encrypt_s for each in made])),
                PROVING.format(count): float(np.median([each.prove_s for each in made])),
            }
        if self.opens:
            opened = circle.sum_of({party: drawn(scene.opened) for party in range(1, PARTIES + 1)})
            numbers[OPENED] = len(opened.sums)
        return Outcome(
            name=self.name,
            seed=self.seed,
            coalition="",
            start={},
            increments=(),
            seconds=round(time.monotonic() - began, 1),
            numbers=numbers,
        )


def fits(bits: int, parties: int, largest: int) -> int:
    """How many gradients the paper's packing has room for in one plaintext, at most.

    Its weights α_i must outgrow what comes before, Σ_{l<i} α_l·N·d < α_i (condition 1), so the smallest are powers of
    1 + N·d; and their sum must stay below the modulus, Σ α_i·N·d < n (condition 2): (1 + N·d)^l - 1 < n.

    Args:
        bits: of the modulus n.
        parties: N.
        largest: d, the largest gradient; 1 if it is a bit.
    """
    count, power = 0, 1 + parties * largest
    while power - 1 < (1 << bits) - 1:
        count, power = count + 1, power * (1 + parties * largest)
    return count


def find_sizes(outcomes: Outcomes, *, scene: Scene) -> list[Finding]:
    """Figure 4: what the paper draws, beside what was measured."""
    (outcome,) = outcomes.values()
    number = outcome.numbers
    most = fits(published.KEY_BITS, PARTIES, 1)
    return [
        *(
            Finding(
                claim=f"cipher size of {count:,} gradients",
                paper=f"{published.CIPHER_BYTES:,} bytes, one ciphertext",
                here=f"{number[BYTES.format(count)]:,.0f} bytes, {number[CIPHERTEXTS.format(count)]:,.0f} ciphertexts; "
                f"proofs {number[PROOF_BYTES.format(count)]:,.0f} bytes",
            )
            for count in scene.gradients
        ),
        Finding(
            claim=f"{published.GRADIENTS[-1]:,} gradients in one ciphertext that can be opened",
            paper=f"drawn so, with {published.KEY_BITS} bits; its published code packs 20 into one, with 2048 bits",
            here=f"cannot be: by the paper's own condition (2) at most {most} fit into {published.KEY_BITS} bits, for "
            f"{PARTIES} parties and gradients of a single bit; {fits(published.KEY_BITS, PARTIES, 1 << VALUE_BITS)} of "
            f"{VALUE_BITS} bits",
        ),
        Finding(
            claim="opened again, summed over four parties",
            paper="not shown",
            here=f"{number[OPENED]:,.0f} values, to the unit",
            expected=f"{scene.opened:,}",
            met=number[OPENED] == scene.opened,
        ),
    ]


def find_throughput(outcomes: Outcomes, *, scene: Scene) -> list[Finding]:
    """Figure 5: what the paper draws, beside what was measured."""
    (outcome,) = outcomes.values()
    rates = _rates(outcome, scene)
    said = dict(zip(published.GRADIENTS, published.THROUGHPUT, strict=True))
    found = [
        Finding(
            claim=f"throughput with {count:,} gradients, bytes of ciphertext a second",
            paper=f"about {said[count]:,}" if count in said else "not drawn",
            here=f"{rates.bytes[place]:,.0f}; with proofs {rates.proved_bytes[place]:,.0f}",
        )
        for place, count in enumerate(scene.gradients)
    ]
    implied = [count * rate / published.CIPHER_BYTES / 1000 for count, rate in said.items()]
    encrypted, proved = ([value / 1000 for value in each] for each in (rates.gradients, rates.proved_gradients))
    return [
        *found,
        Finding(
            claim="thousand gradients a second",
            paper=f"{min(implied):.0f}–{max(implied):.0f} would follow; but 20,000 cannot be opened from one "
            "ciphertext of 1024 bits (figure 4)",
            here=f"{min(encrypted):.0f}–{max(encrypted):.0f}; with proofs {min(proved):.0f}–{max(proved):.0f}; one "
            f"core, {scene.bits} bits",
        ),
        Finding(
            claim="throughput by number of gradients",
            paper="falls as one over it: a ciphertext of the same size takes longer",
            here="does not depend on it: twice the gradients are twice the ciphertexts",
        ),
    ]


@dataclass(frozen=True)
class _Rates:
    bytes: list[float]
    proved_bytes: list[float]
    gradients: list[float]
    proved_gradients: list[float]


def _rates(outcome: Outcome, scene: Scene) -> _Rates:
    """A second of one core, for each number of gradients."""
    number = outcome.numbers
    alone = [number[ENCRYPTING.format(count)] for count in scene.gradients]
    proved = [one + number[PROVING.format(count)] for one, count in zip(alone, scene.gradients, strict=True)]
    sizes = [number[BYTES.format(count)] for count in scene.gradients]

    def over(amounts: Sequence[float], times: Sequence[float]) -> list[float]:
        return [amount / seconds for amount, seconds in zip(amounts, times, strict=True)]

    return _Rates(over(sizes, alone), over(sizes, proved), over(scene.gradients, alone), over(scene.gradients, proved))


def _draw(name: str, scene: Scene, outcomes: Outcomes, file: Path) -> None:
    (outcome,) = outcomes.values()
    said: Mapping[int, float]
    lines: dict[str, tuple[Sequence[int], Sequence[float], str]]
    if name == SIZES:
        said = dict.fromkeys(published.GRADIENTS, published.CIPHER_BYTES)
        bare = [outcome.numbers[BYTES.format(count)] for count in scene.gradients]
        proofs = [outcome.numbers[PROOF_BYTES.format(count)] for count in scene.gradients]
        both = [one + other for one, other in zip(bare, proofs, strict=True)]
        what = "bytes"
    else:
        said = dict(zip(published.GRADIENTS, published.THROUGHPUT, strict=True))
        rates = _rates(outcome, scene)
        bare, both, what = rates.bytes, rates.proved_bytes, "bytes of ciphertext a second"
    lines = {
        "paper, 1024 bits: cannot be opened": (list(said), list(said.values()), PAPER),
        f"here, {scene.bits} bits": (scene.gradients, bare, HERE),
        "here, with proofs": (scene.gradients, both, PROVED),
    }
    draw_ciphers(lines, file, what=what)
