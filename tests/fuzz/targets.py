"""All targets by name."""

from __future__ import annotations

from typing import Final

from tests.fuzz import (
    deepchain,
    documents,
    files,
    inputs,
    journals,
    messages,
    oblivious,
    paillier,
    proofs,
    service,
    vaults,
)
from tests.fuzz.harness import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        *messages.TARGETS,
        *deepchain.TARGETS,
        *documents.TARGETS,
        *files.TARGETS,
        *proofs.TARGETS,
        *oblivious.TARGETS,
        *paillier.TARGETS,
        *vaults.TARGETS,
        *journals.TARGETS,
        *inputs.TARGETS,
        *service.TARGETS,
    )
}
