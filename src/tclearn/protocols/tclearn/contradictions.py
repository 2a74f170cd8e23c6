"""Words of one member that contradict each other: what an honest one never says, whether or not it was accepted.

An honest agent decides once for each duty, keeps the decision, and may say it any number of times. So it commits once
to a verdict on a candidate in an attempt, shows that very verdict, hides its parts once and shows each as it was
hidden, seals a height once, and endorses a block under one head. It may well endorse two blocks of one height, when the
first of them was not endorsed in time; and show one link of its seed chain for two heights, when the first seal came
too late.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from tclearn.coalition.hidden import part_commitment
from tclearn.coalition.verdict import commitment
from tclearn.encoding import Digest, MemberId
from tclearn.errors import MessageError
from tclearn.ledger import Call
from tclearn.protocols.tclearn.calls import METHODS, Commit, Endorse, Hide, Reveal, Seal, Show, Witness
from tclearn.records import Record

R = TypeVar("R", bound=Record)
_ANY: Final = Digest(bytes(32))


def topic(call: Call) -> str | None:
    """See ``tclearn.ledger.evidence.Contradicting.topic``."""
    said = _read(call)
    if isinstance(said, Commit | Reveal):
        return f"verdict/{said.candidate.hex()}/{said.attempt}"
    if isinstance(said, Hide | Show):
        return f"hidden/{said.first}"
    if isinstance(said, Seal):
        return f"seal/{said.height}"
    if isinstance(said, Endorse):
        return f"endorse/{said.block.hex()}"
    if isinstance(said, Witness):
        return f"witness/{said.cosignature.size}"
    return None


def contradiction(coalition: Digest, first: Call, second: Call, member: MemberId) -> str | None:
    """See ``tclearn.ledger.evidence.Contradicting.contradiction``.

    Args:
        coalition: digest of the charter.
        first: one call.
        second: another, of the same topic.
        member: who said both.
    """
    said = _read(first), _read(second)
    commits, reveals = _of(Commit, said), _of(Reveal, said)
    if len({commit.commitment for commit in commits}) > 1:
        return f"two commitments to one verdict, on candidate {_short(commits[0].candidate)}"
    if len({reveal.encode() for reveal in reveals}) > 1:
        return f"two verdicts on one candidate, {_short(reveals[0].candidate)}"
    if commits and reveals and not _opens(coalition, reveals[0], commits[0], member):
        return f"a verdict on candidate {_short(reveals[0].candidate)} that is not the one committed to"
    hides, shows = _of(Hide, said), _of(Show, said)
    if len({hide.parts for hide in hides}) > 1:
        return f"two commitments to hidden parts {hides[0].first} and following"
    if len({replace(show, candidate=_ANY).encode() for show in shows}) > len({show.number for show in shows}):
        return f"two files shown as hidden part {shows[0].number}"
    if hides and shows and not _is_of(coalition, shows[0], hides[0], member):
        return f"a hidden part {shows[0].number} that is not the one committed to"
    seals, endorsements = _of(Seal, said), _of(Endorse, said)
    if len({seal.reveal for seal in seals}) > 1:
        return f"two seals of block {seals[0].height}"
    if len({endorsement.cosignature.head for endorsement in endorsements}) > 1:
        return f"two heads endorsed for one block, {_short(endorsements[0].block)}"
    witnessed = _of(Witness, said)
    if len({each.cosignature.head for each in witnessed}) > 1:
        return f"two heads of {witnessed[0].cosignature.size} entries cosigned"
    return None


def _opens(coalition: Digest, reveal: Reveal, commit: Commit, member: MemberId) -> bool:
    shown = commitment(coalition, reveal.candidate, reveal.attempt, member, reveal.verdict, reveal.salt)
    return shown == commit.commitment


def _is_of(coalition: Digest, show: Show, hide: Hide, member: MemberId) -> bool:
    opened = part_commitment(coalition, member, show.number, show.records, show.n, show.salt)
    place = show.number - hide.first
    return 0 <= place < len(hide.parts) and hide.parts[place] == opened


def _of(kind: type[R], said: tuple[Record | None, ...]) -> list[R]:
    return [each for each in said if isinstance(each, kind)]


def _read(call: Call) -> Record | None:
    kind = METHODS.get(call.method)
    if kind not in (Commit, Reveal, Hide, Show, Seal, Endorse, Witness):
        return None
    try:
        return kind.from_value(call.arguments, call.method)
    except MessageError:
        return None


def _short(name: Digest) -> str:
    return f"{name.hex()[:16]}…"
