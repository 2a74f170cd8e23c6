"""What a single signed file is checked with: its charter, and nothing that came after it.

A record shows how members and keys have changed; a receipt or a piece of evidence cannot. Whoever is named in such a
file is who the contract names before the first entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, TCLearnError, VerificationError
from tclearn.identity import PublicKey
from tclearn.ledger.contract import Contract, S, View
from tclearn.ledger.cosigning import Cosigning
from tclearn.ledger.replica import Replica
from tclearn.ledger.verify import Terms, charter_remedy


@dataclass(frozen=True, slots=True)
class Founding(Generic[S]):
    """A coalition as its charter founds it.

    Attributes:
        coalition: digest of the charter.
        contract: the rules.
        log_key: the key that signs the log's heads.
        state: the state before the first entry.
    """

    coalition: Digest
    contract: Contract[S]
    log_key: PublicKey
    state: View

    def member_of(self, key: PublicKey) -> MemberId | None:
        """Whose transaction key this is by the charter; ``None``: nobody's."""
        return self.contract.member_of(self.state, key)

    def cosigners(self) -> Collection[MemberId]:
        """The members whose cosignatures count by the charter; empty where the contract knows none."""
        return self.contract.cosigners(self.state) if isinstance(self.contract, Cosigning) else ()


def founding(charter: bytes, coalition: Digest, terms_of: Callable[[bytes], Terms[S]]) -> Founding[S]:
    """The coalition that a charter founds.

    Args:
        charter: the charter's bytes, as a file has them.
        coalition: SHA-256 of the charter that is meant, known from elsewhere.
        terms_of: makes the contract and the log's key from the charter's bytes, after their digest was compared.

    Raises:
        VerificationError: it is another charter, or what it names is not installed here.
    """
    found = hashlib.sha256(charter).digest()
    if found != coalition:
        raise VerificationError(
            Code.RECORD_CHARTER,
            f"the file is of the charter {found.hex()}",
            expected=coalition.hex(),
            remedy="compare the charter's digest with the other members",
        )
    try:
        terms = terms_of(charter)
        state = Replica(terms.contract, coalition).state()
    except Exception as error:
        said = error.what if isinstance(error, TCLearnError) else f"{type(error).__name__}: {error}"
        raise VerificationError(
            Code.RECORD_CHARTER,
            f"the file's charter cannot be used here: {said}",
            remedy=charter_remedy(error),
        ) from error
    return Founding(coalition, terms.contract, terms.log_key, state)
