"""What is made with randomness is made once for a duty, however often its member dies."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from tclearn.agents import Site
from tclearn.errors import Code, StorageError
from tclearn.ledger import Call, Duty
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.agent.files import Batch, batches_bytes_max, root_of, write_batches
from tclearn.protocols.deepchain.records import Iteration
from tclearn.protocols.deepchain.terms import KeyTerms


def made_once(
    duty: Duty,
    kind: type[calls.Contribute] | type[calls.Share],
    iteration: Iteration,
    site: Site,
    key: KeyTerms,
    made: Callable[[], Sequence[Batch] | None],
) -> Call | None:
    """Make batches for a duty, keep them, then let others see them.

    Args:
        duty: what is asked.
        kind: the call that says it.
        iteration: the one that runs.
        site: the member's; files are kept in its drafts, which one it is in its outbox.
        key: how many batches there are.
        made: makes them; ``None``: there is nothing to say.

    Returns:
        The call, whose file is in the store; ``None``: nothing was made, or what was made is lost. A second one is
        never made then, as somebody may have seen the first.
    """
    kept = Duty(f"{duty.kind} kept", duty.subject, site.member, None).id
    decided = site.outbox.get(kept)
    if decided is None:
        batches = made()
        if batches is None:
            return None
        # Whatever dies before this is in the outbox has shown nothing: other randomness may follow it.
        locator = site.drafts.put(write_batches(batches))
        decided = calls.call(kind(iteration.number, root_of(batches), locator))
        site.outbox.put(kept, decided)
    locator = kind.from_value(decided.arguments, "outbox").locator
    if not site.store.has(locator):
        try:
            data = site.drafts.get(locator, size_max=batches_bytes_max(key))
        except StorageError as error:
            if error.code is Code.OBJECT_MISSING:
                return None
            raise
        site.store.put(data)
    return decided


def keyed(site: Site, purpose: bytes, subject: bytes) -> bytes:
    """32 bytes that only this member knows, fixed by purpose and subject."""
    return hmac.new(site.secret, purpose + b"/" + subject, hashlib.sha256).digest()
