"""What is protected and what is not, and what the members have agreed on."""

from __future__ import annotations

from typing import Final

from tclearn.coalition.quorum import faulty_max, quorum
from tclearn.page import text
from tclearn.page.agreed import keys_table, model_facts
from tclearn.page.deepchain.facts import Facts
from tclearn.page.markup import Child, Html, el, join
from tclearn.page.tables import facts as listed
from tclearn.page.tables import section

_DOCS: Final = ("docs/papers/deepchain.md", "docs/threat-model.md")
_CLIP_UNIT: Final = 2**40
"""See ``KeyTerms.clip``."""

_OPENED: Final = (
    "The sums: they are opened, whoever has the files and enough shares can open them too, and what sums of several "
    "iterations tell of one party is not limited; nor does a key protect from the dealer who made it, unless it has "
    "forgotten the primes."
)
_UNTESTED: Final = (
    "Whether a gradient is any good: proofs show that it was encrypted and added up by the rules, but a party may "
    "train on anything, and a wrong value up to 256 times too large passes."
)


def protection(facts: Facts) -> Html:
    """The section: three sentences, and where more is said."""
    sentences = [("Protected", _protected(facts)), ("Not protected", _OPENED), ("Not tested", _UNTESTED)]
    more = el("p", "More in ", join((el("code", name) for name in _DOCS), " and "), " of TCLearn.", class_="quiet")
    return section("protection", "What is protected, and what is not", listed(sentences), more)


def _protected(facts: Facts) -> str:
    few = f"fewer than {facts.terms.key.threshold} of the {len(facts.terms.parties)} parties together"
    if facts.toy:
        return (
            f"Nothing: under a toy key anybody reads every gradient; under one of 2,048 bits or more, {few} could not."
        )
    return (
        f"Gradients: honest parties open only sums of at least {facts.terms.minimum} of them, and {few} open nothing."
    )


def agreement(facts: Facts) -> Html:
    """The section."""
    terms = facts.terms
    task = terms.task
    pairs: list[tuple[Child, Child]] = [
        ("Contracts", ", ".join(terms.contracts)),
        *model_facts(terms.model, "W₀"),
        ("Trainer", terms.trainer),
        ("Hyper-parameters", text.hyperparameters(terms.hyperparameters)),
        ("Measured", f"{text.metric(task.metric)}, 0 to 1"),
        ("Global test set", [f"{text.plural(task.global_n, 'record')}, digest ", text.hexadecimal(task.global_test)]),
        *_key(facts),
        *_money(facts),
        *_ends(facts),
        ("Log key", text.hexadecimal(terms.log_key)),
    ]
    return section(
        "charter",
        "The charter",
        el(
            "p",
            "What the members have agreed on. Its digest names the coalition, and every signature binds it. Members "
            "compare it by telephone:",
        ),
        text.telephone(terms.digest),
        listed(pairs),
        el("h3", "Members and keys"),
        keys_table(terms.members),
    )


def _key(facts: Facts) -> list[tuple[Child, Child]]:
    key, parties = facts.terms.key, len(facts.terms.parties)
    size = f"threshold Paillier, N of {text.whole(facts.bits)} bits{': a toy, for tests' if facts.toy else ''}"
    shares = f"{key.threshold} of {parties}; up to {faulty_max(parties)} may be faulty"
    packed = f"{text.plural(facts.terms.values, 'value')} in {text.plural(key.ciphertexts, 'ciphertext')}, "
    packed += f"clipped to ±{key.clip / _CLIP_UNIT:g} and rounded"
    weights = "all 1" if set(key.weights) == {1} else ", ".join(map(text.whole, key.weights))
    return [
        ("Threshold key", size),
        ("Shares that open", shares),
        ("A gradient", packed),
        ("Weights in the sum", weights),
        ("A sum", f"of at least {facts.terms.minimum} gradients"),
    ]


def _money(facts: Facts) -> list[tuple[Child, Child]]:
    money = facts.terms.money
    deposits = (
        f"{text.whole(money.gradient_deposit)} for a gradient, {text.whole(money.decryption_deposit)} for opening, "
    )
    deposits += f"{text.whole(money.work_deposit)} for work; a fine takes a whole one"
    rewards = (
        f"{text.whole(money.party_reward)} for all parties and {text.whole(money.worker_reward)} for all workers, "
    )
    return [("Deposits", deposits), ("Rewards", f"{rewards}in each iteration that succeeds")]


def _ends(facts: Facts) -> list[tuple[Child, Child]]:
    terms = facts.terms
    workers = len(terms.workers)
    quorate = f"approved by {quorum(workers)} of the {workers} workers, unless one shows a wrong batch"
    ends = f"after {text.plural(terms.iterations, 'iteration')} that succeeded; "
    ends += f"{text.plural(terms.voids, 'failure')} in a row dissolve the group"
    return [
        ("Gradients and sums", quorate),
        ("An iteration", f"at most {text.duration(terms.times.t6)}"),
        ("End", ends),
    ]
