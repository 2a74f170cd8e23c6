"""The judge of threshold Paillier: the proofs of ``tclearn.paillier``, in the form in which batches carry them.

A batch's strings are ciphertexts or shares, each in the key's fixed length; its proof is the message that
``tclearn.paillier.messages`` has for it, with the ciphertexts or shares left out, since they lie beside it.

Needs the extra ``deepchain`` (gmpy2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from tclearn.coalition.faults import Faults
from tclearn.errors import CharterError, Code, MessageError, TCLearnError
from tclearn.paillier.arithmetic import from_bytes, to_bytes
from tclearn.paillier.encryption import weighted_sum
from tclearn.paillier.keys import PublicKey
from tclearn.paillier.messages import EncryptedBatch, ShareBatch
from tclearn.paillier.packing import Layout
from tclearn.paillier.statements import Context
from tclearn.protocols.deepchain.judging import Place
from tclearn.protocols.deepchain.terms import DeepChainTerms


@dataclass(frozen=True, slots=True)
class PaillierJudge:
    """See ``judging.Judge``.

    Attributes:
        key: the public key in the terms.
        layout: how values lie in a plaintext, with every party's weight.
    """

    key: PublicKey
    layout: Layout

    @classmethod
    def of(cls, terms: DeepChainTerms) -> Self:
        """The judge of a coalition. A toy key is taken without a warning: whoever makes one gets it.

        Raises:
            CharterError: the key or the packing is none, or does not fit the rest of the terms.
        """
        faults, named = Faults(), terms.key
        try:
            key = PublicKey.read(named.key, allow_toy=True, warn=False)
            layout = Layout(key.bits, named.weights, named.slot_bits, named.value_bits)
        except MessageError as error:
            raise CharterError(Code.CHARTER_VALUE, f"[key] {error.what}", expected=error.expected) from error
        size = key.group.element_bytes
        for what, found, expected in (
            ("threshold", named.threshold, key.threshold),
            ("parties", len(terms.parties), key.parties),
            ("ciphertext_bytes", named.ciphertext_bytes, size),
            ("share_bytes", named.share_bytes, size),
            ("ciphertexts", named.ciphertexts, layout.count(terms.values)),
        ):
            if found != expected:
                faults.add(f"[key] {what} is {found}", f"{expected}, for this key and model")
        faults.check()
        return cls(key, layout)

    @property
    def facts(self) -> dict[str, int | bool]:
        """What programs are told about the key; see ``tclearn.ledger.verify.Terms.facts``."""
        return {"key_bits": self.key.bits, "toy": self.key.is_toy}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people must be told about the key: nothing, unless it is a toy."""
        bits = self.key.bits
        return (f"a toy key of {bits} bits: anybody can read every gradient",) if self.key.is_toy else ()

    def encryption(self, place: Place, ciphertexts: Sequence[bytes], proof: bytes) -> bool:
        """See ``Judge.encryption``."""
        try:
            batch = EncryptedBatch.read(proof)
            if batch.ciphertexts:
                return False
            replace(batch, ciphertexts=b"".join(ciphertexts)).verify(self.key, self.layout, _context(place))
        except TCLearnError:
            return False
        return True

    def share(self, place: Place, ciphertexts: Sequence[bytes], shares: Sequence[bytes], proof: bytes) -> bool:
        """See ``Judge.share``."""
        numbers = self._numbers(ciphertexts)
        if not all(map(self.key.group.holds, numbers)):
            return True  # of what is no ciphertext nobody has a share: that is the sum's fault, not the party's
        try:
            batch = ShareBatch.read(proof)
            if batch.shares:
                return False
            replace(batch, shares=b"".join(shares)).verify(self.key, _context(place), numbers)
        except TCLearnError:
            return False
        return True

    def sum(self, addends: Mapping[int, bytes], total: bytes) -> bool:
        """See ``Judge.sum``."""
        ciphertexts = {party: self._numbers([each]) for party, each in addends.items()}
        return to_bytes(weighted_sum(self.key, self.layout, ciphertexts), self.key.group.element_bytes) == total

    def _numbers(self, items: Sequence[bytes]) -> list[int]:
        return [number for item in items for number in from_bytes(item, self.key.group.element_bytes)]


def _context(place: Place) -> Context:
    return Context(place.coalition, round=place.iteration, party=place.party, batch=place.batch)
