"""All targets by name."""

from __future__ import annotations

from typing import Final

from tests.fuzz import documents, files, messages, oblivious, proofs, service, vaults
from tests.fuzz.harness import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        *messages.TARGETS,
        *documents.TARGETS,
        *files.TARGETS,
        *proofs.TARGETS,
        *oblivious.TARGETS,
        *vaults.TARGETS,
        *service.TARGETS,
    )
}
