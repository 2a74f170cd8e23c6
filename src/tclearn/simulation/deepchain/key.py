"""The threshold key of a simulated coalition: dealt in this process, each share kept with its party's files.

Whoever deals knows everything. In a simulation that is this process, which has all members' signing keys as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tclearn.directory.reading import read_file
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import AgentError, Code, MessageError
from tclearn.files import make_folder, write_whole
from tclearn.limits import PAILLIER_SHARE_BYTES_MAX
from tclearn.paillier.keys import TOY_BITS, PublicKey, SecretShare, deal
from tclearn.paillier.primes import safe_primes
from tclearn.protocols.deepchain import KeyTerms
from tclearn.protocols.deepchain.agent import OperatingSystem, Randomness, SeededForSimulation

SHARE: Final = "share.cbor"
"""In a party's folder: its share of the threshold key, not sealed."""
_REMEDY: Final = "restore it from a copy, or start anew in another directory"


@dataclass(frozen=True)
class Dealt:
    """A threshold key with all shares.

    Attributes:
        key: the public key.
        shares: by party.
    """

    key: PublicKey
    shares: Mapping[MemberId, SecretShare] = field(repr=False)

    @classmethod
    def new(cls, bits: int, parties: Sequence[MemberId], threshold: int, seed: int) -> Dealt:
        """Deal a key.

        Args:
            bits: of N; a toy key, of 512 bits, comes from the seed, and a ``ToyKeyWarning`` with it.
            parties: in the order of their shares.
            threshold: so many open.
            seed: the simulation's.
        """
        entropy = randomness(bits, seed).source("threshold key", bits, len(parties), threshold)
        primes = safe_primes(bits, entropy)
        dealing = deal(primes, len(parties), threshold, entropy, allow_toy=bits == TOY_BITS)
        return cls(dealing.key, dict(zip(parties, dealing.shares, strict=True)))

    @classmethod
    def kept(cls, terms: KeyTerms, parties: Sequence[MemberId], members: Path) -> Dealt:
        """The key of an interrupted run.

        Args:
            terms: of its charter.
            parties: in the order of their shares.
            members: the folder of their folders.

        Raises:
            UnreachableError: a share is not there: nobody can make it again.
            AgentError: it is damaged.
        """
        key = PublicKey.read(terms.key, allow_toy=True)
        shares = {}
        for party in parties:
            file = members / party / SHARE
            try:
                shares[party] = SecretShare.read(read_file(file, PAILLIER_SHARE_BYTES_MAX, _REMEDY), key)
            except MessageError as error:
                raise AgentError(Code.RESUME, f"{file} is {error.what}", remedy=_REMEDY) from error
        return cls(key, shares)

    def keep(self, members: Path) -> None:
        """Write each party's share into its folder, where only its owner can read it."""
        for party, share in self.shares.items():
            make_folder(members / party)
            write_whole(members / party / SHARE, share.encode(self.key), mode=0o600)

    def sealed(self, party: MemberId) -> Digest:
        """What a party says on the ledger of the share it was dealt; here it came unsealed."""
        return digest("tclearn/deepchain/dealt-in-simulation/1", self.shares[party].encode(self.key))


def randomness(bits: int, seed: int) -> Randomness:
    """Where ciphertexts and proofs come from: the seed under a toy key, else the operating system."""
    return SeededForSimulation(seed) if bits == TOY_BITS else OperatingSystem()
