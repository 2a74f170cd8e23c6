"""The supervisor's files for the data IDs of level B: its key, and the journal of who asked."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tclearn.coalition.allowance import Rate
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import DataIdTerms
from tclearn.directory.id_journal import IdJournal, make_id_journal
from tclearn.errors import Code, StorageError, UsageError
from tclearn.identity.oprf import OprfKey
from tclearn.identity.oprf_key import read_oprf_key, write_oprf_key

ID_KEY: Final = "data-ids.key"
ID_JOURNAL: Final = "data-ids.sqlite"


def make_id_files(folder: Path, seed: bytes, passphrase: str | None) -> None:
    """Make key and journal where a coalition is founded; what is there stays as it is.

    Args:
        folder: the coalition's directory.
        seed: of the key, 32 bytes.
        passphrase: encrypts the key; ``None``: its file's mode is its only protection.

    Raises:
        StorageError: a file cannot be written.
        UsageError: the passphrase is empty.
    """
    if (folder / ID_KEY).exists():
        return  # the journal was made before it: where there is none any more, it was lost, and is not begun again
    make_id_journal(folder / ID_JOURNAL)
    write_oprf_key(folder / ID_KEY, seed, passphrase)


def open_id_key(folder: Path, charter: ResolvedCharter, passphrase: str | None) -> OprfKey:
    """The supervisor's key.

    Args:
        folder: the coalition's directory.
        charter: names the key's public half.
        passphrase: that the file was made with.

    Raises:
        UsageError: the file is not here or damaged, the passphrase does not open it, or the charter has no such key.
        StorageError: it is not the charter's key.
    """
    expected = id_terms(charter).public_key
    key = read_oprf_key(folder / ID_KEY, passphrase)
    if key.public != expected:
        raise StorageError(
            Code.KEY_FILE,
            f"{folder / ID_KEY} is not the key that the charter names",
            remedy="restore it from your backup; under another key nothing that was used before is recognised",
        )
    return key


def open_id_journal(folder: Path, charter: ResolvedCharter, *, read_only: bool = False) -> IdJournal:
    """The journal of who asked.

    Raises:
        UsageError: the charter knows no such thing.
        UnreachableError: it is not here.
        StorageError: it is damaged.
    """
    return IdJournal(folder / ID_JOURNAL, id_rate(charter), read_only=read_only)


def id_rate(charter: ResolvedCharter) -> Rate:
    """For how many records each member may ask.

    Raises:
        UsageError: the charter does not say it.
    """
    terms = id_terms(charter)
    return Rate(terms.per_day, terms.at_once)


def id_terms(charter: ResolvedCharter) -> DataIdTerms:
    """How data IDs are made in a coalition whose members have no key of their own.

    Raises:
        UsageError: they have one.
    """
    if charter.data_ids is None:
        raise UsageError(
            Code.USAGE,
            f"{charter.name} is of level {charter.level}: every member has the key of the data IDs, and nobody asks",
            expected="a coalition of level B",
        )
    return charter.data_ids
