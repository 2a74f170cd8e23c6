"""DeepChain coalitions with something to tell: driven through the contract, with ciphertexts that are numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.page.reading import Element
from tests.protocols.deepchain.people import (
    Lie,
    People,
    check_wrongly,
    silent,
    wrong_gradient,
    wrong_sum,
)
from tests.protocols.deepchain.world import World, record, terms

from tclearn.encoding import MemberId, digest
from tclearn.ledger import Head
from tclearn.ledger.cosigning import Cosigned
from tclearn.page.deepchain import Summary, render
from tclearn.protocols.deepchain import DeepChainTerms, MoneyTerms, calls
from tclearn.protocols.deepchain.history import History
from tclearn.records import Record

PARTIES, WORKERS = 6, 4


def named_terms(**changes: object) -> DeepChainTerms:
    """Six hospitals, four auditors."""
    parties = tuple(MemberId(f"hospital-{i}") for i in range(1, PARTIES + 1))
    workers = tuple(MemberId(f"auditor-{i}") for i in range(1, WORKERS + 1))
    members = tuple(sorted((*parties, *workers)))
    base = terms(PARTIES, WORKERS)
    first = {
        "members": tuple(replace(record(member), origin="seed") for member in members),
        "parties": parties,
        "workers": workers,
        "key": replace(base.key, threshold=4),
        "money": MoneyTerms(dict.fromkeys(members, 2000), 300, 300, 700, 120, 60, 900_000, 500_000),
        "iterations": 5,
    }
    return replace(base, **{**first, **changes})  # type: ignore[arg-type]


class DeepStory(World):
    """A world whose history is told."""

    def __init__(self, **changes: object) -> None:
        super().__init__(named_terms(**changes))
        self.history = History(self.state)

    def say(self, member: str, arguments: Record) -> None:
        super().say(member, arguments)
        self.history.tell(self.state, calls.call(arguments), MemberId(member))

    def page(self, **changes: object) -> str:
        return render(self.terms, self.history, self.summary(**changes))

    def summary(self, **changes: object) -> Summary:
        opened = sum(course.round is not None for course in self.history.courses)
        head = Head(self.index, digest("root"), digest("results"), self.now)
        first = Summary(
            coalition=self.terms.digest.hex(),
            entries=self.index,
            cosigned=Cosigned(head, tuple(self.members[:-1])),
            seed=1,
            export="coalition.tclearn",
            note="tclearn demo, version 0.1.0",
            accuracies=tuple(0.9 - 0.5 / (i + 1) for i in range(opened)),
            averaged=0.81,
            weights_equal=True,
            proofs="objects",
        )
        return replace(first, **changes)  # type: ignore[arg-type]


def told(lies: Mapping[str, Mapping[str, tuple[Lie, ...]]], seed: int = 3, **changes: object) -> DeepStory:
    """A story in which some members lie, from beginning to end."""
    story = DeepStory(**changes)
    People(story, lies, seed).run()
    return story


def troubled() -> DeepStory:
    """A liar among the parties, a party that is silent when sums are opened, a worker that adds up wrongly."""
    return told(
        {
            "hospital-3": {"contribute": (wrong_gradient,)},
            "hospital-5": {"share": (silent,)},
            "auditor-2": {"update": (wrong_sum,), "check": (check_wrongly,)},
        }
    )


def sign(page: Element, member: str, iteration: int) -> str:
    (cell,) = [
        cell
        for cell in page.named("iterations").one("table", "grid").all("td", "vote")
        if cell.attributes.get("title", "").startswith(f"{member}, iteration {iteration}: ")
    ]
    return cell.text


def course_row(page: Element, number: int) -> list[str]:
    return [cell.text for cell in page.named(f"iteration-{number}").children if isinstance(cell, Element)]
