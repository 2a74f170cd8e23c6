"""The public audit: every proof, every sum and every opened sum of a record, with public keys and the files alone.

What the contract has judged is judged again by whoever replays it. What only members have looked at (proofs that nobody
disputed, sums that a quorum approved, what parties say that they have opened) is looked at here. The ledger is the
measure: what is wrong must have been shown to be wrong there, or not be relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import BinaryIO

from blake3 import blake3

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, StorageError
from tclearn.ledger.replaying import replayed
from tclearn.ledger.verify import Verified
from tclearn.paillier.arithmetic import Run, one_by_one
from tclearn.protocols.deepchain import terms_of
from tclearn.protocols.deepchain.agent.ciphering import summed
from tclearn.protocols.deepchain.agent.cores import Processes
from tclearn.protocols.deepchain.agent.fetching import File, Objects, fetched, why_not
from tclearn.protocols.deepchain.agent.files import (
    Batch,
    batches_bytes_max,
    opened_bytes_max,
    root_of,
    write_opened,
)
from tclearn.protocols.deepchain.agent.pieces import Judging, Opening, Piece
from tclearn.protocols.deepchain.dossiers import Dossier, Dossiers, Summed
from tclearn.protocols.deepchain.findings import GRADIENT, OPENED, SHARES, SUM, Audit, Kind, Remark
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import DISSOLVED, Handed

Progress = Callable[[int, int], None]
"""Is told how many batches with proofs have been looked at, and how many there are."""


def audit(
    record: BinaryIO,
    verified: Verified,
    objects: Objects,
    *,
    run: Run | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Audit:
    """Look at everything that was handed in according to a record of this protocol.

    Args:
        record: the export, from its first byte.
        verified: what ``tclearn.ledger.verify`` has said about it.
        objects: the files.
        run: cores. It may use processes: what it is given can be pickled. ``None``: as many as the work is worth.
        progress: see ``Progress``.

    Returns:
        What was found; whether the record can be relied on says ``Audit.fault``.

    Raises:
        VerificationError: the record is another one now than it was.
        StorageError: ``TOO_LARGE``, the files of an iteration do not fit into memory.
    """
    dossiers, judge, last = None, None, None
    for applied, last in replayed(record, terms_of, verified.coalition, verified.head):
        if dossiers is None:
            dossiers, judge = Dossiers(last.terms), last.judge
        dossiers.note(applied, last)
    if dossiers is None or last is None or not isinstance(judge, PaillierJudge):
        return Audit()
    found = dossiers.all()
    with Processes(batches(found)) if run is None else nullcontext(run) as cores:
        made = audit_dossiers(found, judge, objects, run=cores, progress=progress)
    made.iterations, made.running = last.group.iterations, last.iteration is not None
    made.dissolved = last.group.status == DISSOLVED
    return made


def audit_dossiers(
    dossiers: Sequence[Dossier],
    judge: PaillierJudge,
    objects: Objects,
    *,
    run: Run = one_by_one,
    progress: Progress = lambda _done, _all: None,
) -> Audit:
    """Look at what some iterations have left; see ``audit``.

    Args:
        dossiers: the iterations, of one coalition.
        judge: the contract's.
        objects: the files.
        run: cores.
        progress: see ``Progress``.

    Raises:
        StorageError: ``TOO_LARGE``, the files of an iteration do not fit into memory.
    """
    made = Audit(unfounded=sum(dossier.unfounded for dossier in dossiers))
    done, whole = 0, batches(dossiers)
    progress(done, whole)
    for dossier in dossiers:
        made.iterations += 1
        made.rounds += dossier.result is not None
        try:
            for looked in _Iteration(dossier, judge, objects, run, made).look():
                done += looked
                progress(done, whole)
        except MemoryError:
            raise StorageError(
                Code.TOO_LARGE,
                f"the files of iteration {dossier.number} do not fit into memory",
                expected=f"room for {_files(dossier)} files of at most {batches_bytes_max(dossier.terms.key):,} bytes",
                remedy="verify on a machine with more memory",
            ) from None
    return made


def batches(dossiers: Sequence[Dossier]) -> int:
    """How many batches with proofs were handed in, if every file is there."""
    return sum((len(each.gradients) + len(each.shares)) * each.terms.key.batches for each in dossiers)


def _files(dossier: Dossier) -> int:
    return len(dossier.gradients) + len(dossier.sums) + len(dossier.shares)


# --- one iteration ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Word:
    # What the ledger made of something that was handed in.
    relied: bool
    convicted: int | None  # by which entry
    voted_down: bool


@dataclass
class _Iteration:
    dossier: Dossier
    judge: PaillierJudge
    objects: Objects
    run: Run
    audit: Audit

    def look(self) -> Generator[int]:
        # Yields the number of batches looked at, each time that there are some more.
        dossier = self.dossier
        gradients = {party: self._fetched(handed) for party, handed in dossier.gradients.items()}
        wrong = yield from self._proofs(gradients, None)
        for party, file in gradients.items():
            convicted = dossier.convicted.get(party)
            word = _Word(dossier.approves(party) and convicted is None, convicted, dossier.refuses(party))
            self.audit.gradients += file.batches is not None
            self._compare(GRADIENT, party, file, wrong.get(party), word)
        total = None
        for each in dossier.sums:
            total = self._sum(each, gradients)
        shares = {party: self._fetched(handed) for party, handed in dossier.shares.items()}
        if total is None:  # then that has been said, and of shares only which files are not to be had
            wrong = {}
            yield len(shares) * dossier.terms.key.batches
        else:
            wrong = yield from self._proofs(shares, total)
        for party, file in shares.items():
            if total is None and file.batches is not None:
                continue
            word = _Word(dossier.sound(party), dossier.unshared.get(party), dossier.withheld(party))
            self.audit.shares += file.batches is not None
            self._compare(SHARES, party, file, wrong.get(party), word)
        right = {party: file.batches for party, file in shares.items() if file.batches and party not in wrong}
        self._opened({} if total is None else right)

    def _fetched(self, handed: Handed) -> File:
        return fetched(self.objects, handed, self.dossier.terms.key)

    # --- proofs -------------------------------------------------------------------------------------------------------

    def _proofs(
        self, files: Mapping[MemberId, File], total: Sequence[Batch] | None
    ) -> Generator[int, None, dict[MemberId, int]]:
        # The first wrong batch of each party that has one; of shares with the sum that they are of.
        terms, wrong = self.dossier.terms, dict[MemberId, int]()
        asked = []
        for party, file in files.items():
            for number, batch in enumerate(file.batches or ()):
                place = Place(terms.digest, self.dossier.number, terms.number(party), number)
                if self._formed(number, batch):
                    asked.append((party, Piece(place, batch, None if total is None else total[number])))
                else:
                    wrong.setdefault(party, number)
        yield len(files) * terms.key.batches - len(asked)
        verdicts = self.run(Judging(self.judge), [each for _, each in asked])
        for (party, each), holds in zip(asked, verdicts, strict=True):
            if not holds:
                wrong[party] = min(each.place.batch, wrong.get(party, each.place.batch))
            self.audit.proofs += 1
            self.audit.ciphertexts += len(each.batch.items)
            yield 1
        return wrong

    def _formed(self, number: int, batch: Batch) -> bool:
        key = self.dossier.terms.key  # ciphertexts and shares have one length: the judge has compared it with the terms
        return len(batch.items) == key.batch_length(number) and all(
            len(item) == key.ciphertext_bytes for item in batch.items
        )

    def _compare(self, what: str, member: MemberId, file: File, wrong: int | None, word: _Word) -> None:
        number = self.dossier.number
        whose = f"the {what} of {member} in iteration {number}"
        shown = f"file {file.name.hex()}, {whose}, {file.why}"
        batch = f"batch {wrong} of {whose} is wrong"

        def remark(kind: Kind, text: str) -> None:
            name = file.name if file.batches is None else None
            self.audit.remarks.append(Remark(kind, number, member, what, wrong, text, name))

        if file.batches is None and word.convicted is not None:  # the entry has shown it without the file
            by = f"{whose} was convicted by what entry {word.convicted} carries"
            remark(Kind.CONVICTED, f"{by}; its file, {file.name.hex()}, {file.why}")
        elif file.damaged or (file.batches is None and word.relied):
            remark(Kind.MISSING, shown)
        elif file.batches is None:
            remark(Kind.REFUSED, f"{shown}, and nothing was made of it")
        elif wrong is not None and word.convicted is not None:
            remark(Kind.CONVICTED, f"{batch}, and was shown to be")
        elif wrong is not None and word.relied:
            remark(Kind.WRONG, f"{batch}, and was taken as right")
        elif wrong is not None:
            remark(Kind.REFUSED, f"{batch}, and nothing was made of it")
        elif word.convicted is not None:
            remark(Kind.WRONG, f"nothing is wrong with {whose}, and {member} was convicted")
        elif word.voted_down:
            remark(Kind.DOUBTFUL, f"nothing is wrong with {whose}, but a quorum voted it down")

    # --- sums ---------------------------------------------------------------------------------------------------------

    def _sum(self, total: Summed, gradients: Mapping[MemberId, File]) -> Sequence[Batch] | None:
        # The sum as it was handed in; None: it is not known any more.
        dossier, wrong = self.dossier, None
        file, own = self._fetched(total.handed), self._own(total, gradients)
        if file.batches is not None:
            if own is None:
                return file.batches  # which nobody can compare now: what is missing has been said
            self.audit.sums += 1
            self.audit.added += dossier.terms.key.ciphertexts
            pairs = enumerate(zip(own, file.batches, strict=True))
            wrong = next((number for number, (one, other) in pairs if one != other), None)
        voided = dossier.voided(total)
        # What a quorum of the parties did not find need not be there; but if it is, the workers have answered for it.
        relied = dossier.accepts(total) and total.disputed is None and not (voided and file.batches is None)
        word = _Word(relied, total.disputed, dossier.rejects(total) or voided)
        self._compare(SUM, total.leader, file, wrong, word)
        if file.batches is None and own is not None and root_of(own) == total.handed.root:
            return own
        return file.batches

    def _own(self, total: Summed, gradients: Mapping[MemberId, File]) -> Sequence[Batch] | None:
        added = {}
        for party in total.counted:
            batches = gradients[party].batches
            if batches is None or not all(self._formed(number, batch) for number, batch in enumerate(batches)):
                return None  # what was counted is not to be had: that has been said
            added[self.dossier.terms.number(party)] = batches
        return summed(self.judge.key, self.judge.layout, added)

    # --- what was opened ----------------------------------------------------------------------------------------------

    def _opened(self, shares: Mapping[MemberId, Sequence[Batch]]) -> None:
        dossier, terms = self.dossier, self.dossier.terms
        result = dossier.result
        if len(shares) < terms.key.threshold or not (result or dossier.reports):
            if result is not None:  # too few shares of it are faults already
                self._check_opened_file(result.opened)
            return
        self.audit.opened += 1
        opened = self._opened_name(shares)
        if result is not None and opened != result.opened:
            reporting = ", ".join(sorted(party for party, said in dossier.reports.items() if said == result.opened))
            right = "cannot be opened" if opened is None else f"is {opened.hex()}"
            text = f"the opened sum of iteration {dossier.number} {right}, and not {result.opened.hex()}"
            self._remark(Kind.WRONG, None, f"{text} as {reporting} reported")
            return
        if result is not None:
            self._check_opened_file(result.opened)
        for party, said in dossier.reports.items():
            if said != opened:
                self._remark(Kind.REFUSED, party, f"{party} reported another opened sum of iteration {dossier.number}")

    def _opened_name(self, shares: Mapping[MemberId, Sequence[Batch]]) -> Digest | None:
        # Under what the opened sum must lie in the store; None: it shows values that nobody should have encrypted.
        terms, layout = self.dossier.terms, self.judge.layout
        openers = sorted((terms.number(party), batches) for party, batches in shares.items())[: terms.key.threshold]
        rows = [{party: batches[number] for party, batches in openers} for number in range(terms.key.batches)]
        present = [terms.number(party) for party in self.dossier.sums[-1].counted]
        try:
            plaintexts = [each for batch in self.run(Opening(self.judge), rows) for each in batch]
            sums = layout.unpack(plaintexts, terms.values, present)
        except MessageError:
            return None
        return Digest(blake3(write_opened(self.dossier.number, sums, layout.slot_bits)).digest())

    def _check_opened_file(self, name: Digest) -> None:
        why = why_not(self.objects, name, opened_bytes_max(self.dossier.terms.values))
        if why:
            text = f"file {name.hex()}, the opened sum of iteration {self.dossier.number}, {why}"
            self._remark(Kind.MISSING, None, text, name)

    def _remark(self, kind: Kind, party: MemberId | None, text: str, file: Digest | None = None) -> None:
        self.audit.remarks.append(Remark(kind, self.dossier.number, party, OPENED, None, text, file))
