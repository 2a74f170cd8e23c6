"""Why the DeepChain contract refuses a call. The numbers are part of the ledger: never change or reuse one."""

from __future__ import annotations

from enum import IntEnum

from tclearn.ledger import Rejected


class Refusal(IntEnum):
    """Rejection codes; ``docs/formats/deepchain.md`` explains each."""

    UNKNOWN_METHOD = 10
    CLOSED = 11
    BAD_ASSET = 12
    UNKNOWN_ASSET = 13
    WRONG_TERMS = 14
    NOT_JOINED = 15
    TOO_FEW_COINS = 16
    ALREADY_DONE = 20
    WRONG_ITERATION = 21
    WRONG_PHASE = 22
    TOO_LATE = 23
    NOT_ASKED = 24
    WRONG_ATTEMPT = 25
    BAD_ARGUMENT = 26
    BAD_SEED_LINK = 27
    UNKNOWN_BLOCK = 28
    WRONG_HEAD = 29
    NOTHING_ACCUSED = 30
    WRONG_PATH = 31
    TOO_MANY_UNFOUNDED = 32
    TOO_EARLY = 40
    NO_DEADLINE = 41


def refuse(code: Refusal, reason: str) -> Rejected:
    """The exception that carries a refusal."""
    return Rejected(int(code), reason)
