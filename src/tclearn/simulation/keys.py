"""Keys from a printed seed, so that a simulation can be repeated. Anybody who knows the seed can sign with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from tclearn.coalition.terms import MemberRecord
from tclearn.encoding import MemberId, encode
from tclearn.identity import Signer
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.oprf import OprfKey
from tclearn.identity.oprf_key import oprf_key
from tclearn.identity.seed_chain import tip

LOG = "log"
DATA = "data"
VAULT = "vault"


@dataclass(frozen=True)
class SeededKeys:
    """Every key of a simulated coalition.

    Attributes:
        seed: the printed seed.
    """

    seed: int
    _domain: str = field(default="tclearn/simulated-keys/1", repr=False)

    def signer(self, member: MemberId) -> Signer:
        """A member's transaction key."""
        return Signer(self._secret("transaction", member))

    def secret(self, member: MemberId) -> bytes:
        """A member's secret for salts and seeds."""
        return self.signer(member).derive("site")

    def log(self) -> Signer:
        """The sequencer's key."""
        return Signer(self._secret(LOG, ""))

    def data(self) -> bytes:
        """The key of the data IDs; at level B the seed of the supervisor's."""
        return self._secret(DATA, "")

    def ids(self) -> OprfKey:
        """The supervisor's key of the data IDs, for level B."""
        return oprf_key(self.data())

    def passphrase(self) -> str:
        """The passphrase of the vault, for level B."""
        return self._secret(VAULT, "").hex()

    def own_vault(self, member: MemberId) -> bytes:
        """A member's secret for what it keeps sealed on its own disk."""
        return self.signer(member).derive("vault")

    def member(self, member: MemberId) -> MemberRecord:
        """The member as the charter admits it, marked as having seeded keys."""
        signer = self.signer(member)
        return MemberRecord(member, signer.public, tip(signer.derive("seed chain")), "seed")

    def member_keys(self, member: MemberId) -> MemberKeys:
        """A member's keys with the root of its certificates; ``signer`` is among them."""
        return MemberKeys.from_entropy(self._secret("transaction", member) + self._secret("root", member))

    def _secret(self, purpose: str, name: str) -> bytes:
        return hashlib.sha256(encode([self._domain, self.seed, purpose, name])).digest()
