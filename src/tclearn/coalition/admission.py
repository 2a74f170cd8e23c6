"""From an enrolment to the member that a charter admits."""

from __future__ import annotations

from tclearn.coalition.terms import MemberRecord
from tclearn.identity.enrolment import Enrolment


def admitted(enrolment: Enrolment) -> MemberRecord:
    """The member as the charter has it; its keys came from its operating system."""
    return MemberRecord(enrolment.member, enrolment.key, enrolment.seed_tip, "os", enrolment.certificate)
