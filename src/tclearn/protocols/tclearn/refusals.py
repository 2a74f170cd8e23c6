"""Why the TCLearn contract refuses a call. The numbers are part of the ledger: never change or reuse one."""

from __future__ import annotations

from enum import IntEnum

from tclearn.ledger import Rejected


class Refusal(IntEnum):
    """Rejection codes; ``docs/reference/errors.md`` explains each."""

    UNKNOWN_METHOD = 10
    HEIGHT_LOCKED = 11
    COMPLETE = 12
    STALE_PARENT = 13
    NOT_YOUR_TURN = 14
    CANDIDATE_OPEN = 15
    TOO_MANY_TRIES = 16
    BAD_DATA_IDS = 17
    BAD_SAMPLES = 18
    UNKNOWN_CANDIDATE = 20
    WRONG_PHASE = 21
    WRONG_ATTEMPT = 22
    NOT_DRAWN = 23
    ALREADY_DONE = 24
    NOT_PROPOSER = 25
    NO_COMMITMENT = 26
    COMMITMENT_MISMATCH = 27
    BAD_VERDICT = 28
    TOO_EARLY = 30
    NO_DEADLINE = 31
    NOTHING_PENDING = 40
    NOT_GENERAL = 41
    BAD_SEED_REVEAL = 42
    UNKNOWN_BLOCK = 43
    WRONG_HEAD = 44
    GENERALS_LEFT = 45
    UNKNOWN_CHANGE = 50
    BAD_CHANGE = 51
    NOT_ALLOWED = 52
    MEMBERS_CHANGING = 53
    BAD_ENROLMENT = 54
    NOT_HIDDEN = 60
    BAD_PARTS = 61
    NOT_KEEPER = 62
    BAD_ACCESS = 70
    NOT_GRANTED = 71
    NO_READINGS_LEFT = 72
    UNKNOWN_ACCESS = 73
    NOTHING_TO_WITNESS = 74
    LOCATOR_TAKEN = 75
    PARAMETERS_TAKEN = 76


def refuse(code: Refusal, reason: str) -> Rejected:
    """The exception that carries a refusal."""
    return Rejected(int(code), reason)
