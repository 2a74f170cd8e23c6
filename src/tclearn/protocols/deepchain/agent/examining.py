"""What a member has looked at: others' gradients, sums and shares, fetched, checked, and kept for an iteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from blake3 import blake3

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError, StorageError
from tclearn.paillier.arithmetic import Run, one_by_one
from tclearn.protocols.deepchain.agent.ciphering import summed
from tclearn.protocols.deepchain.agent.files import Batch, batches_bytes_max, read_batches, root_of, write_batches
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.paillier_judge import PaillierJudge
from tclearn.protocols.deepchain.records import Handed, Iteration
from tclearn.protocols.deepchain.terms import DeepChainTerms
from tclearn.store import Store


@dataclass(frozen=True, slots=True)
class Found:
    """A gradient or shares as a member has found them in the store.

    Attributes:
        batches: the file; its root is the ledger's.
        wrong: the first batch that the judge would convict; ``None``: all are right.
    """

    batches: tuple[Batch, ...] = field(repr=False)
    wrong: int | None

    @property
    def right(self) -> bool:
        """Whether every batch is."""
        return self.wrong is None


@dataclass(slots=True)
class Examiner:
    """Looks at what others have handed in, each thing once.

    Attributes:
        terms: what the members have agreed on.
        judge: the contract's own: what this finds wrong, the contract convicts.
        run: cores.
    """

    terms: DeepChainTerms
    judge: PaillierJudge
    run: Run = one_by_one
    _number: int = 0
    _files: dict[tuple[Digest, Digest], tuple[Batch, ...]] = field(default_factory=dict, repr=False)
    _found: dict[tuple[str, MemberId, Digest], Found] = field(default_factory=dict, repr=False)
    _sums: tuple[Batch, ...] | None = field(default=None, repr=False)

    def gradient(self, iteration: Iteration, party: MemberId, store: Store) -> Found | None:
        """A party's gradient, its proofs verified; ``None``: it is not in the store, or not what the ledger names."""
        key, handed = self.terms.key, iteration.gradients[party]

        def right(number: int, batch: Batch) -> bool:
            return _formed(batch.items, key.batch_length(number), key.ciphertext_bytes) and self.judge.encryption(
                self._place(iteration, party, number), batch.items, batch.proof
            )

        return self._look("gradient", iteration, party, handed, right, store)

    def shares(self, iteration: Iteration, party: MemberId, store: Store) -> Found | None:
        """A party's decryption shares, likewise; ``None`` also when the sum is not there."""
        key, handed = self.terms.key, iteration.shares[party]
        total = self.total(iteration, store)
        if total is None:
            return None

        def right(number: int, batch: Batch) -> bool:
            return _formed(batch.items, key.batch_length(number), key.share_bytes) and self.judge.share(
                self._place(iteration, party, number), total[number].items, batch.items, batch.proof
            )

        return self._look("shares", iteration, party, handed, right, store)

    def total(self, iteration: Iteration, store: Store) -> tuple[Batch, ...] | None:
        """The leader's sum; ``None``: it is not in the store, and what is computed here is another one.

        A sum that the store has lost is put back by whoever has computed it: its bytes follow from what is counted.
        """
        self._turn(iteration)
        if iteration.sum is None:
            return None
        return self._fetch(iteration.sum, store) or self._put_back(iteration.sum, iteration, store)

    def sums(self, iteration: Iteration, store: Store) -> tuple[Batch, ...] | None:
        """The sum of what is counted, computed here; ``None``: a gradient is not to be had, or not in its form."""
        self._turn(iteration)
        if self._sums is None:
            gradients = {}
            for party in iteration.counted:
                found = self.gradient(iteration, party, store)
                if found is None or not found.right:
                    return None
                gradients[self.terms.number(party)] = found.batches
            self._sums = tuple(summed(self.judge.key, self.judge.layout, gradients))
        return self._sums

    def sum_is_right(self, iteration: Iteration, store: Store) -> bool | None:
        """Whether the leader's sum is that of what is counted; ``None``: the store does not tell."""
        total, own = self.total(iteration, store), self.sums(iteration, store)
        return None if total is None or own is None else total == own

    def _look(
        self,
        kind: str,
        iteration: Iteration,
        party: MemberId,
        handed: Handed,
        right: Callable[[int, Batch], bool],
        store: Store,
    ) -> Found | None:
        self._turn(iteration)
        name = (kind, party, handed.root)
        if name not in self._found:
            batches = self._fetch(handed, store)
            if batches is None:
                return None
            judged = self.run(lambda each: right(*each), enumerate(batches))
            wrong = next((number for number, holds in enumerate(judged) if not holds), None)
            self._found[name] = Found(batches, wrong)
        return self._found[name]

    def _fetch(self, handed: Handed, store: Store) -> tuple[Batch, ...] | None:
        name = (handed.locator, handed.root)
        if name not in self._files:
            try:
                data = store.get(handed.locator, size_max=batches_bytes_max(self.terms.key))
                self._files[name] = read_batches(data, handed.root, self.terms.key)
            except StorageError as error:
                if error.code in (Code.OBJECT_MISSING, Code.TOO_LARGE, Code.OBJECT_CORRUPT):
                    return None
                raise
            except MessageError:
                return None  # whatever lies there, it is not what was handed in
        return self._files[name]

    def _put_back(self, handed: Handed, iteration: Iteration, store: Store) -> tuple[Batch, ...] | None:
        own = self.sums(iteration, store)
        if own is None or root_of(own) != handed.root:
            return None
        data = write_batches(own)
        if blake3(data).digest() != handed.locator:
            return None  # the ledger names a file that nobody can make: others, and auditors, would miss it for ever
        store.put(data)
        self._files[handed.locator, handed.root] = own
        return own

    def _place(self, iteration: Iteration, party: MemberId, batch: int) -> Place:
        return Place(self.terms.digest, iteration.number, self.terms.number(party), batch)

    def _turn(self, iteration: Iteration) -> None:
        # What is counted is fixed before anything is summed, so that number and sum go together.
        if iteration.number != self._number:
            self._number, self._sums = iteration.number, None
            self._files.clear()
            self._found.clear()


def _formed(items: Sequence[bytes], count: int, length: int) -> bool:
    return len(items) == count and all(len(item) == length for item in items)
