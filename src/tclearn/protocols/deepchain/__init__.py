"""DeepChain (Weng et al.): parallel parties, gradients under a threshold key, deposits, workers that lead by lot.

These are its rules: what is accepted, who is asked, whose coins go where; the cryptography is behind ``judging.Judge``.
``agent`` performs them. No command founds such a coalition yet.
"""

from __future__ import annotations

from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.protocols.deepchain.judging import Judge, Place
from tclearn.protocols.deepchain.terms import DeepChainTerms, KeyTerms, MoneyTerms
from tclearn.protocols.deepchain.times import Times

__all__ = ["DeepChain", "DeepChainTerms", "Judge", "KeyTerms", "MoneyTerms", "Place", "Times"]
