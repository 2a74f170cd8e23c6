"""DeepChain (Weng et al.): parallel parties, gradients under a threshold key, deposits, workers that lead by lot.

These are its rules: what is accepted, who is asked, whose coins go where; the cryptography is behind ``judging.Judge``.
``agent`` performs them, ``adversaries`` break them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tclearn.identity import PublicKey
from tclearn.ledger.verify import Terms
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.judging import Judge, Place
from tclearn.protocols.deepchain.state import State
from tclearn.protocols.deepchain.terms import DeepChainTerms, KeyTerms, MoneyTerms
from tclearn.protocols.deepchain.times import Times

if TYPE_CHECKING:
    from tclearn.protocols.deepchain.paillier_judge import PaillierJudge

__all__ = [
    "DeepChain",
    "DeepChainTerms",
    "Judge",
    "KeyTerms",
    "MoneyTerms",
    "Place",
    "Times",
    "contract",
    "terms_of",
]


def contract(terms: DeepChainTerms) -> DeepChain:
    """The contract of a charter, with threshold Paillier as its judge.

    Raises:
        CharterError: its key or its packing is not usable.
        UsageError: gmpy2, of the extra ``deepchain``, is not installed.
    """
    return DeepChain(terms, _judge(terms))


def terms_of(charter: bytes) -> Terms[State]:
    """What the canonical bytes of a charter of this protocol fix for its ledger; see ``contract`` for further errors.

    Raises:
        MessageError: they are not such a charter's.
    """
    terms = DeepChainTerms.from_bytes(charter)
    judge = _judge(terms)
    return Terms(DeepChain(terms, judge), PublicKey(terms.log_key), judge.facts, judge.warnings)


def _judge(terms: DeepChainTerms) -> PaillierJudge:
    from tclearn.protocols.deepchain.paillier_judge import PaillierJudge

    return PaillierJudge.of(terms)
