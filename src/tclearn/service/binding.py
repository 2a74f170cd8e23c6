"""A member's trainer, with the data IDs of its coalition's level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tclearn.directory.founding import bound
from tclearn.directory.site import SiteFile
from tclearn.learning.id_cache import IdCache
from tclearn.learning.id_source import IdSource, KeyedIds, ObliviousIds
from tclearn.learning.trainer import Trainer
from tclearn.limits import OPRF_BATCH_MAX
from tclearn.service.home import MemberHome
from tclearn.service.remote import Connection
from tclearn.service.remote_ids import IdReceipts, IdTransport, PatientIds, progress_lines

IDS: Final = "data-ids.cache"
"""In a member's directory: the IDs that it has asked for, sealed."""
RECEIPTS: Final = "data-ids.receipts"
"""In a member's directory: what it was told of the supervisor's journal."""
_BATCH: Final = 1024
_PURPOSE: Final = "data-id cache"


def bound_at(
    home: MemberHome,
    site: SiteFile,
    connection: Connection,
    *,
    clock: Callable[[], int],
    say: Callable[[str], None],
) -> Trainer:
    """A member's trainer: its data and its model code, held against the charter.

    At level B the service is asked for the IDs of all records, those of the test sets too, that it was not asked for
    before: this takes some milliseconds each, and waits where the member's allowance is used up. The trainer itself
    does not wait: records that it cannot have IDs for yet are left for later.

    Args:
        home: the member's directory.
        site: where its data are.
        connection: to the service, open for as long as the trainer is used.
        clock: milliseconds since 1970.
        say: told in a line how far it is, and what it waits for.

    Raises:
        CharterError: the model code here is not what the charter says.
        UsageError: ``site.toml`` is not usable.
        DataError: the data are not usable, or the global test set is another one.
        MessageError: the service refuses requests for data IDs, or another key than the charter's answers them.
        StorageError: a file of the member cannot be written.
    """
    return made_with_ids(lambda ids: bound(home.charter, site, ids), home, connection, clock=clock, say=say)


def made_with_ids(
    make: Callable[[IdSource], Trainer],
    home: MemberHome,
    connection: Connection,
    *,
    clock: Callable[[], int],
    say: Callable[[str], None],
) -> Trainer:
    """A trainer made with a member's data IDs; it waits for them while it is made, and not any more when it works.

    Args:
        make: makes it.
        home: the member's directory.
        connection: to the service, open for as long as the trainer is used.
        clock: milliseconds since 1970.
        say: told in a line how far it is, and what it waits for.
    """
    source = id_source(home, connection, clock=clock, say=say)
    trainer = make(source)
    if isinstance(source, PatientIds):
        source.patient = False
    return trainer


def id_source(
    home: MemberHome, connection: Connection, *, clock: Callable[[], int], say: Callable[[str], None]
) -> IdSource:
    """Where a member's data IDs come from; at level B a ``PatientIds``. Arguments as of ``bound_at``.

    Raises:
        UnreachableError: at level A, the key is not here.
        MessageError: at level A, the key is damaged.
    """
    terms, oneself = home.charter.data_ids, home.oneself
    if terms is None:
        return KeyedIds(home.data_key())
    transport = IdTransport(
        connection,
        oneself.member,
        oneself.keys.signer,
        home.charter.digest,
        IdReceipts(home.path / RECEIPTS),
        clock,
    )
    cache = IdCache(home.path / IDS, oneself.keys.derive(_PURPOSE))
    batch = min(_BATCH, terms.at_once, OPRF_BATCH_MAX)
    return PatientIds(ObliviousIds(terms.public_key, transport, cache, batch, progress_lines(say)), say, clock)
