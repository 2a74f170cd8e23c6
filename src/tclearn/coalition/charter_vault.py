"""The confidential model as users write it: who may read which versions, and how many data IDs a member may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from tclearn.coalition import quantities, words
from tclearn.coalition.faults import Faults, did_you_mean, shown
from tclearn.coalition.readers import Reader, choice, names, number
from tclearn.coalition.terms import DataIdTerms, VaultTerms
from tclearn.encoding import Digest, MemberId, digest
from tclearn.errors import Code, MessageError
from tclearn.identity.ristretto import read_element
from tclearn.limits import MEMBERS_MAX

CONFIDENTIAL: Final = "B"
"""The level at which the model lies in a vault."""


@dataclass(frozen=True, kw_only=True)
class VaultPolicy:
    """What members may read of the vault for their own use. To train and to test they read what that takes.

    Attributes:
        versions: ``"newest"``: the newest accepted model; ``"all"``: those before it too.
        readers_of_all: names of members who may read all versions whatever ``versions`` says.
        reads: readings for its own use that each member has from the start.
        reads_per_1000_samples: so many more for each 1,000 records of its accepted contributions that count now.
        witnessed: such readings are handed out only once a quorum has cosigned a head of the ledger with them in it.
    """

    versions: str = words.NEWEST
    readers_of_all: Sequence[str] = ()
    reads: int = 4
    reads_per_1000_samples: int = 2
    witnessed: bool = True


@dataclass(frozen=True, kw_only=True)
class DataIdPolicy:
    """For how many records a member may ask the supervisor for IDs.

    Attributes:
        per_day: records by which what it may ask for grows in a day.
        at_once: records at which it stops growing.
    """

    per_day: int = 100_000
    at_once: int = 200_000


P = TypeVar("P", VaultPolicy, DataIdPolicy)


def read_vault(value: object, faults: Faults) -> VaultPolicy | None:
    """The policy, whichever way it was written; mistakes are noted."""
    value = _from_table("vault", VaultPolicy, _VAULT, value, faults)
    return _settled(value, _VAULT, faults) if isinstance(value, VaultPolicy) else None


def read_data_ids(value: object, faults: Faults) -> DataIdPolicy | None:
    """The allowance, whichever way it was written; mistakes are noted."""
    value = _from_table("data_ids", DataIdPolicy, _DATA_IDS, value, faults)
    return _settled(value, _DATA_IDS, faults) if isinstance(value, DataIdPolicy) else None


def check_level(level: object, vault: object, data_ids: object, faults: Faults) -> None:
    """Note terms of a vault where there is none."""
    if level == CONFIDENTIAL:
        return
    for table, given in (("vault", vault), ("data_ids", data_ids)):
        if given is not None:
            faults.add(f"[{table}] at level {shown(level)}", f'level = "{CONFIDENTIAL}"', "leave the table out")


def vault_terms(level: str, policy: VaultPolicy | None) -> VaultTerms | None:
    """The policy as members agree on it; ``None``: the level has no vault."""
    if level != CONFIDENTIAL:
        return None
    policy = policy or VaultPolicy()
    return VaultTerms(
        versions=policy.versions,
        readers_of_all=tuple(sorted(MemberId(name) for name in policy.readers_of_all)),
        reads=policy.reads,
        reads_per_1000_samples=policy.reads_per_1000_samples,
        witnessed=int(policy.witnessed),
    )


def data_id_terms(level: str, policy: DataIdPolicy | None, public_key: bytes | None) -> DataIdTerms | None:
    """The allowance as members agree on it, with the key that IDs are made under; ``None``: at another level.

    Raises:
        TypeError: the level needs a key, and there is none.
    """
    if level != CONFIDENTIAL:
        return None
    if public_key is None:
        raise TypeError("a charter of level B needs the public key of the data IDs")
    policy = policy or DataIdPolicy()
    return DataIdTerms(public_key, policy.per_day, policy.at_once)


def data_key_digest(key: bytes) -> Digest:
    """What the charter shows of the key of the data IDs."""
    return digest("tclearn/data-key/1", key)


def check_vault(
    level: str, terms: tuple[VaultTerms | None, DataIdTerms | None], data_key: Digest, faults: Faults
) -> None:
    """That level B has both terms, another level none, and that they can be meant."""
    vault, data_ids = terms
    if vault is None or data_ids is None:
        if level == CONFIDENTIAL:
            faults.add("a charter of level B without [vault] and [data_ids]", "both")
        check_level(level, vault, data_ids, faults)
        return
    check_level(level, vault, data_ids, faults)
    faults.choice("[vault] versions", vault.versions, words.VERSIONS)
    quantities.READS.check(vault.reads, faults)
    quantities.READS_PER_SAMPLES.check(vault.reads_per_1000_samples, faults)
    if vault.witnessed not in (0, 1):
        faults.add(f"[vault] witnessed is {vault.witnessed}", "1 or 0")
    quantities.IDS_PER_DAY.check(data_ids.per_day, faults)
    quantities.IDS_AT_ONCE.check(data_ids.at_once, faults)
    try:
        read_element(data_ids.public_key)
    except MessageError as error:
        faults.add("[data_ids] public_key", error.expected or "an element of ristretto255")
    if data_key_digest(data_ids.public_key) != data_key:
        faults.add("data_key is not the digest of [data_ids] public_key", "the digest of that key")


def check_readers(vault: VaultTerms, members: Iterable[str], faults: Faults) -> None:
    """That the readers of all versions are members, in order."""
    known = set(members)
    unknown = [name for name in vault.readers_of_all if name not in known]
    if unknown:
        faults.add(f"[vault] readers_of_all names {shown(unknown[0])}", "members")
    elif list(vault.readers_of_all) != sorted(set(vault.readers_of_all)):
        faults.add("[vault] readers_of_all is not sorted, or names one twice", "ascending names")


def _flag(key: str) -> Reader:
    def read(value: Any, faults: Faults) -> Any:
        if not isinstance(value, bool):
            faults.add(f"{key} is {shown(value)}", "true or false")
        return value

    return read


_VAULT: Final[Mapping[str, Reader]] = {
    "versions": choice("[vault] versions", words.VERSIONS),
    "readers_of_all": names("[vault] readers_of_all", "members", 1, MEMBERS_MAX),
    "reads": number(quantities.READS),
    "reads_per_1000_samples": number(quantities.READS_PER_SAMPLES),
    "witnessed": _flag("[vault] witnessed"),
}
_DATA_IDS: Final[Mapping[str, Reader]] = {
    "per_day": number(quantities.IDS_PER_DAY),
    "at_once": number(quantities.IDS_AT_ONCE),
}


def _from_table(table: str, kind: type[Any], readers: Mapping[str, Reader], value: object, faults: Faults) -> object:
    if isinstance(value, Mapping):
        unknown = [key for key in value if key not in readers]
        if unknown:
            what = f"[{table}] has the unknown key {shown(unknown[0])}"
            faults.add(what, ", ".join(readers), did_you_mean(unknown[0], readers), Code.CHARTER_UNKNOWN_KEY)
            return None
        value = kind(**value)
    if value is not None and not isinstance(value, kind):
        faults.add(f"[{table}] is {shown(value)}", "a table", f"write [{table}] and its keys below it")
    return value


def _settled(value: P, readers: Mapping[str, Reader], faults: Faults) -> P:
    return replace(value, **{name: read(getattr(value, name), faults) for name, read in readers.items()})
