"""What a faulty member says when it says anything at all."""

from __future__ import annotations

import random

from tclearn.encoding import Digest
from tclearn.ledger import Call, Ledger
from tclearn.ledger.cosigning import Cosignature
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.duties import running_deadline
from tclearn.protocols.deepchain.state import State


def garbage(chance: random.Random, ledger: Ledger[State], size: int) -> Call:
    """Well-formed calls whose arguments fit or not, and some that are not even well-formed.

    Args:
        chance: draws it.
        ledger: what is talked about.
        size: entries of it.
    """
    state, now_ms = ledger.state(), ledger.time_ms()
    made, iteration = state.terms, state.iteration
    number, attempt = (iteration.number, iteration.attempt) if iteration else (0, 0)
    some = Digest(chance.randbytes(32))
    party = chance.choice(made.parties)
    locators = [handed.locator for handed in iteration.gradients.values()] if iteration else []
    roots = [handed.root for handed in iteration.gradients.values()] if iteration else []
    handed = chance.choice([some, *roots]), chance.choice([some, *locators])
    deadline = running_deadline(state)
    block = iteration.block.hash if iteration and iteration.block else some
    head = Cosignature(chance.randint(0, size), some, some, now_ms, now_ms // 1000, bytes(64))
    opened = calls.Opened(chance.randbytes(128), (), some, some, ())
    if chance.random() < 0.1:
        return Call(
            calls.CONTRACT,
            chance.choice(sorted(calls.METHODS)),
            chance.choice([{}, {"iteration": number}, {"iteration": "x", "right": []}]),
        )
    said = [
        calls.Join(made.digest, some, some),
        calls.Stake(chance.randrange(3)),
        calls.Contribute(number, *handed),
        calls.Verify(number, chance.choice([(), (party,), made.parties])),
        calls.Attach(number),
        calls.Update(number, attempt, *handed, some),
        calls.Check(number, attempt, chance.randrange(2)),
        calls.Append(block, head),
        calls.Take(number, chance.randrange(3)),
        calls.Share(number, *handed),
        calls.Report(number, chance.choice([(), (party,)]), chance.choice([None, some])),
        calls.Accuse(number, party, chance.randrange(2), (chance.randbytes(128),) * 2, chance.randbytes(40), ()),
        calls.Dispute(number, attempt, 0, chance.randrange(2), (opened,) * made.minimum, opened),
        calls.Challenge(number, party, 0, (some,), (), (some,), b"", ()),
        calls.Timeout(deadline.subject if deadline and chance.random() < 0.7 else some),
    ]
    return calls.call(chance.choice(said))
