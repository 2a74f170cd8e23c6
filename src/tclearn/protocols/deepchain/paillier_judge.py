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
from tclearn.encoding import Digest, digest
from tclearn.errors import TCLearnError
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
        key: the public key that the terms name.
        layout: how values lie in a plaintext, with every party's weight.
    """

    key: PublicKey
    layout: Layout

    @classmethod
    def of(cls, terms: DeepChainTerms, key: PublicKey, layout: Layout) -> Self:
        """The judge of a coalition.

        Raises:
            CharterError: the key or the layout is not the one that the terms name, or does not fit them.
        """
        faults = Faults()
        size = key.group.element_bytes
        for what, found, expected in (
            ("key", key.digest.hex(), terms.key.key.hex()),
            ("packing", packing_digest(layout).hex(), terms.key.packing.hex()),
            ("threshold", key.threshold, terms.key.threshold),
            ("parties", key.parties, len(terms.parties)),
            ("ciphertext_bytes", size, terms.key.ciphertext_bytes),
            ("share_bytes", size, terms.key.share_bytes),
            ("weights", layout.weights, terms.key.weights),
            ("size", layout.modulus_bits, key.bits),
        ):
            if found != expected:
                faults.add(f"a threshold key with {what} {found}", f"{expected}, as in the terms")
        faults.check()
        return cls(key, layout)

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


def packing_digest(layout: Layout) -> Digest:
    """Names a layout, as terms do."""
    return digest("tclearn/deepchain/packing/1", layout.to_value())


def _context(place: Place) -> Context:
    return Context(place.coalition, round=place.iteration, party=place.party, batch=place.batch)
