"""The members of DeepChain: parties that train, encrypt and open; workers that verify and lead. Needs ``deepchain``.

==================  ===================================================================================
``performer``       the role: each duty, what is fetched for it, and what is said
``joining``         assets, deposits, and the check of the key before any are locked
``keeping``         what is made with randomness is made once
``watching``        accusations, as invitations to look
``examining``       gradients, sums and shares of others, fetched and checked once
``fraud_proofs``    what is shown of what is wrong
``ciphering``       packing, encryption, sums, shares and opening, batch by batch
``quantising``      gradients as steps, and back: the only floats
``files``           what lies in the store
``streaming``       read a string at a time
``auditing``        anybody's look at all of it afterwards, with public keys alone
``fetching``        the files for it, from a folder that nobody trusts
``remaking``        the model from what was opened
``pieces``          of that, for any process
``cores``           as many processes as that is worth
``randomness``      the operating system's; a seed's in simulations
==================  ===================================================================================
"""

from __future__ import annotations

from tclearn.protocols.deepchain.agent.joining import Membership, Offer
from tclearn.protocols.deepchain.agent.performer import Performer
from tclearn.protocols.deepchain.agent.quantising import CLIP_UNIT, dequantise, quantise
from tclearn.protocols.deepchain.agent.randomness import OperatingSystem, Randomness, SeededForSimulation

__all__ = [
    "CLIP_UNIT",
    "Membership",
    "Offer",
    "OperatingSystem",
    "Performer",
    "Randomness",
    "SeededForSimulation",
    "dequantise",
    "quantise",
]
