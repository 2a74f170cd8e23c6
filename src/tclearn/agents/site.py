"""A member's site: all that a performer of duties may touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tclearn.agents.outbox import Outbox
from tclearn.encoding import Digest, MemberId
from tclearn.identity import Signer
from tclearn.learning.trainer import Trainer
from tclearn.store import Store


@dataclass(frozen=True)
class Site:
    """One member's means.

    Attributes:
        member: who it is.
        coalition: digest of the charter, which every signature binds.
        signer: its transaction key.
        store: where the coalition's model files are.
        drafts: its own store, for candidates that nobody may see yet.
        trainer: its model and data.
        outbox: its decisions.
        clock_ms: its own clock.
        secret: 32 bytes that only it knows, for salts and seeds.
        earlier: its transaction keys before, oldest first; seed chains that it has committed to come from them.
    """

    member: MemberId
    coalition: Digest
    signer: Signer
    store: Store
    drafts: Store
    trainer: Trainer
    outbox: Outbox
    clock_ms: Callable[[], int]
    secret: bytes = field(repr=False)
    earlier: tuple[Signer, ...] = field(default=(), repr=False)
