"""What earlier versions have written is read by today's code, all of it. See the README beside this."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from blake3 import blake3
from tests.cli.conftest import Run, tclearn  # noqa: F401 - a fixture

from tclearn.coalition.charter import read_charter
from tclearn.coalition.faults import Faults
from tclearn.directory.changes import ask_to_expel
from tclearn.directory.coalition import LEDGER, OBJECTS, CoalitionDirectory
from tclearn.directory.data_ids import id_rate, open_id_journal, open_id_key
from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, StorageError, TCLearnError, UsageError, VerificationError
from tclearn.identity.key_file import read_key_file
from tclearn.identity.oprf_key import read_oprf_key
from tclearn.learning.id_cache import IdCache
from tclearn.learning.parameters import Parameters
from tclearn.ledger.checkpoint import Note
from tclearn.ledger.contract import Head
from tclearn.ledger.evidence import check_evidence
from tclearn.ledger.export import ExportReader
from tclearn.ledger.receipt import check_receipt
from tclearn.ledger.verify import Verified, verify
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.governing import open_changes
from tclearn.protocols.tclearn.journal_file import check_journal
from tclearn.protocols.tclearn.reading_journal import journal, who_had
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record
from tclearn.service.binding import IDS, RECEIPTS
from tclearn.service.home import DRAFTS, OUTBOX, MemberHome, Oneself
from tclearn.service.refused import refused_requests
from tclearn.service.remote_ids import IdReceipts, checked_journal
from tclearn.store.vault import FolderBackend, KeyFile, Vault
from tclearn.store.vault import backup as backups

HERE = Path(__file__).parent
FILES = {"v0.1.0": "4af6b06d608f26ff51c3bdd952929c06b0b3c7f9576da9d53cd2088f1c7b08e2"}
"""BLAKE3 of all files of each version. A line is added when a version is released, and never changed."""
ADVICE = (
    "Files of {version} are not read as they were written. Their formats must stay readable: people have ledgers, "
    "vaults and keys that nobody can make again. Mend the code that reads them, or let a new version of the format "
    "stand beside the old one. Do not make these files anew."
)
OBJECT_BYTES_MAX = 1 << 20


@contextmanager
def reading(version: str) -> Iterator[None]:
    try:
        yield
    except (TCLearnError, AssertionError, KeyError, ValueError, OSError) as error:
        raise AssertionError(f"{ADVICE.format(version=version)}\n\n{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Kept:
    """A copy of a version's files.

    Attributes:
        at: the folder.
        expected: what its coalitions came to.
    """

    at: Path
    expected: Any

    @property
    def sealed(self) -> Any:
        return self.expected["sealed"]

    @property
    def passphrase(self) -> str:
        return str(self.expected["passphrase"])

    @property
    def charter(self) -> Digest:
        return Digest(bytes.fromhex(self.sealed["charter"]))

    @property
    def made(self) -> datetime:
        """When it was made: its certificates were valid then."""
        return datetime.fromtimestamp(self.expected["made_ms"] / 1000, UTC)

    @contextmanager
    def founder(self, *, unlocked: bool = False) -> Iterator[CoalitionDirectory]:
        with CoalitionDirectory.open(self.at / "founder", passphrase=self.passphrase if unlocked else None) as opened:
            yield opened

    def namur(self) -> MemberHome:
        keys = read_key_file(self.at / "namur.key", self.passphrase)
        return MemberHome.open(self.at / "namur", Oneself.read(self.at / "namur.pem", keys, self.made))


@pytest.fixture(params=sorted(folder.name for folder in HERE.glob("v*")))
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    version = request.param
    at = Path(shutil.copytree(HERE / version, tmp_path / version))
    for file in (*at.rglob("*.key"), *at.rglob("data-ids.*")):
        file.chmod(0o600)  # which a repository does not keep
    return Kept(at, json.loads((at / "expected.json").read_text()))


def plain_head(head: Head) -> dict[str, Any]:
    return {"size": head.size, "root": head.root.hex(), "results": head.results.hex(), "time_ms": head.time_ms}


def plain(record: Record) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


def state_of(verified: Verified, record: BinaryIO) -> State:
    record.seek(0)
    state = terms_of(ExportReader(record).charter).contract.view(verified.state)
    assert isinstance(state, State)
    return state


def blocks_of(state: State) -> list[dict[str, str]]:
    return [
        {"hash": chained.block.hash.hex(), "parameters": chained.block.parameters.hex()} for chained in state.blocks()
    ]


def check_state(state: State, expected: Any) -> None:
    assert blocks_of(state) == expected["blocks"]
    assert [plain(record) for record in state.member_records] == expected["members"]
    rows = [{**plain(each), "versions": list(each.versions)} for each in journal(state)]
    assert [{name: row[name] for name in was} for row, was in zip(rows, expected["journal"], strict=True)] == (
        expected["journal"]
    )
    for index, holders in expected["who_had"].items():
        assert [[each.member, each.how, list(each.readings)] for each in who_had(state, int(index))] == holders


def test_nothing_that_is_kept_was_changed() -> None:
    found = {}
    for version in sorted(HERE.glob("v*")):
        digest = blake3()
        for file in sorted(file for file in version.rglob("*") if file.is_file()):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(version).as_posix()} {len(content)}\n".encode() + content)
        found[version.name] = digest.hexdigest()
    assert found == FILES, (
        "files that are kept were changed, added or removed. They are what an earlier version wrote, and are never "
        "made again: formats must stay readable. A new version gets a folder of its own, by tools/keep.py"
    )


def test_the_record_of_level_a(kept: Kept) -> None:
    expected = kept.expected["open"]
    with reading(kept.at.name), (kept.at / "open.tclearn").open("rb") as record:
        verified = verify(record, terms_of, Digest(bytes.fromhex(expected["charter"])))
        assert plain_head(verified.head) == expected["head"]
        assert blocks_of(state_of(verified, record)) == expected["blocks"]


def test_the_record_of_level_b_and_the_journal_receipt_and_evidence_beside_it(kept: Kept) -> None:
    with reading(kept.at.name), (kept.at / "sealed.tclearn").open("rb") as record:
        verified = verify(record, terms_of, kept.charter)
        assert plain_head(verified.head) == kept.sealed["head"]
        check_state(state_of(verified, record), kept.sealed)
        record.seek(0)
        checked = check_journal((kept.at / "sealed.journal").read_bytes(), record, terms_of, kept.charter)
        assert (checked.signer, len(checked.file.readings)) == (None, len(kept.sealed["journal"]))
        received = check_receipt((kept.at / "reading.receipt").read_bytes(), terms_of, kept.charter)
        used = next(each for each in kept.sealed["journal"] if each["purpose"] == "use")
        assert (received.entry.index, received.sender) == (used["entry"], used["member"])
        proven = check_evidence((kept.at / "two-calls.evidence").read_bytes(), terms_of, kept.charter)
        assert proven.member == kept.sealed["accused"]


def test_a_changed_byte_of_the_record_is_noticed_still(kept: Kept) -> None:
    data = bytearray((kept.at / "sealed.tclearn").read_bytes())
    data[len(data) // 2] ^= 1
    (kept.at / "sealed.tclearn").write_bytes(data)
    with (kept.at / "sealed.tclearn").open("rb") as record, pytest.raises(VerificationError):
        verify(record, terms_of, kept.charter)


def test_the_founders_directory(kept: Kept) -> None:
    with reading(kept.at.name), kept.founder() as coalition:
        assert coalition.charter.digest == kept.charter
        assert plain_head(coalition.ledger.head(len(coalition.ledger))) == kept.sealed["head"]
        check_state(coalition.state, kept.sealed)
        assert coalition.log_key().public == coalition.charter.log_key
        assert set(coalition.roots(kept.made)) == {each["id"] for each in kept.sealed["members"]}
        coalition.export(kept.at / "again.tclearn")
        assert [each["member"] for each in refused_requests(coalition.path)] == kept.sealed["refused"]
    with reading(kept.at.name), (kept.at / "again.tclearn").open("rb") as record:
        assert plain_head(verify(record, terms_of, kept.charter).head) == kept.sealed["head"]


def check_objects(vault: Vault, expected: Any) -> None:
    objects = {name: vault.get(name, size_max=OBJECT_BYTES_MAX) for name in vault.names()}
    assert {name.hex(): hashlib.sha256(data).hexdigest() for name, data in objects.items()} == expected


def test_every_object_of_the_vault(kept: Kept) -> None:
    with reading(kept.at.name), kept.founder(unlocked=True) as coalition:
        assert isinstance(coalition.store, Vault)
        check_objects(coalition.store, kept.sealed["objects"])
        for chained in list(coalition.state.blocks())[1:]:
            assert chained.block.locator is not None
            data = coalition.store.get(chained.block.locator, size_max=OBJECT_BYTES_MAX)
            parameters = Parameters.from_bytes(data, layout=coalition.charter.model.layout)
            assert parameters.digest == chained.block.parameters
        assert coalition.store.put(b"something new") in set(coalition.store.names())


def test_another_passphrase_opens_nothing(kept: Kept) -> None:
    founder = kept.at / "founder"
    with pytest.raises(UsageError) as vault:
        CoalitionDirectory.open(founder, passphrase=kept.passphrase + " ")
    with pytest.raises(UsageError) as ids:
        read_oprf_key(founder / "data-ids.key", kept.passphrase + " ")
    with pytest.raises(UsageError) as member:
        read_key_file(kept.at / "namur.key", kept.passphrase + " ")
    assert {vault.value.code, ids.value.code, member.value.code} == {Code.KEY_FILE}


def test_the_backup_opens_by_itself_and_is_restored(kept: Kept) -> None:
    """It was made before the vault's keys were rotated."""
    with reading(kept.at.name):
        held = KeyFile.open(kept.at / "backup" / "vault.key", kept.passphrase)
        check_objects(Vault(FolderBackend(kept.at / "backup"), held), kept.sealed["objects"])
        restored = backups.restore(
            kept.at / "backup",
            FolderBackend(kept.at / "restored"),
            held,
            key_file=kept.at / "restored.key",
            expected=Digest(bytes.fromhex(kept.sealed["backup"])),
        )
        check_objects(restored, kept.sealed["objects"])


def test_the_data_ids(kept: Kept) -> None:
    with reading(kept.at.name), kept.founder() as coalition:
        key = open_id_key(coalition.path, coalition.charter, kept.passphrase)
        used = coalition.state.used_ids()
        for digest, wanted in kept.sealed["ids"].items():
            value = key.value(Digest(bytes.fromhex(digest)))[:16]
            assert value.hex() == wanted
        assert any(bytes.fromhex(wanted) in used for wanted in kept.sealed["ids"].values())
        with open_id_journal(coalition.path, coalition.charter, read_only=True) as ids:
            entries = ids.entries()
        assert {"entries": len(entries), "last": entries[-1].digest.hex()} == kept.sealed["data_ids"]
        receipts = IdReceipts(kept.at / "namur" / RECEIPTS).load()
        assert len(receipts) == kept.sealed["namur"]["id_receipts"]
        checked_journal(id_rate(coalition.charter), iter(entries), receipts)


def test_a_members_keys_and_directory(kept: Kept) -> None:
    with reading(kept.at.name):
        leuven = Oneself.read(kept.at / "leuven.pem", read_key_file(kept.at / "leuven.key"), kept.made)
        assert leuven.member == "leuven"
        home = kept.namur()
        assert home.oneself.member == "namur"
        assert len(home.oneself.keys.earlier) == 1, "it has rotated its keys"
        for folder, wanted in ((OBJECTS, "kept"), (DRAFTS, "drafts")):
            vault = home.kept(folder)
            assert isinstance(vault, Vault)
            objects = {name.hex(): vault.get(name, size_max=OBJECT_BYTES_MAX) for name in vault.names()}
            assert sorted(objects) == kept.sealed["namur"][wanted]
            assert all(blake3(data).hexdigest() == name for name, data in objects.items())
        data_ids = home.charter.data_ids
        assert data_ids is not None
        cache = IdCache(home.path / IDS, home.oneself.keys.derive("data-id cache"))
        assert len(cache.load(data_ids.public_key)) == kept.sealed["namur"]["ids"] > 0
        with home.copy() as copy:
            assert copy.remembered is not None
            note = Note.parse(copy.remembered)
            note.check(home.charter_log_key)
            assert note.head.size == len(copy.replica)
            check_prefix(home, kept)


def check_prefix(home: MemberHome, kept: Kept) -> None:
    with kept.founder() as founder, CoalitionDirectory.open(home.path) as copy:
        size = len(copy.ledger)
        assert 0 < size <= len(founder.ledger)
        assert founder.ledger.head(size).root == copy.ledger.head(size).root


def test_what_a_member_decided_is_in_its_outbox(kept: Kept) -> None:
    from tclearn.agents.outbox import FileOutbox

    with reading(kept.at.name), FileOutbox(kept.at / "namur" / OUTBOX) as outbox:
        decided = list(outbox._database.execute("SELECT duty, call FROM decided"))
        assert len(decided) > 3
        for duty, call in decided:
            read = outbox.get(Digest(bytes(duty)))
            assert read is not None
            assert read.encode() == bytes(call)


def test_another_members_key_does_not_open_them(kept: Kept) -> None:
    leuven = Oneself.read(kept.at / "leuven.pem", read_key_file(kept.at / "leuven.key"), kept.made)
    home = kept.namur()
    other = MemberHome(home.path, home.charter, home.service, home.url, leuven)
    with pytest.raises(StorageError):
        other.kept(OBJECTS)


def test_the_charter_as_it_was_written(kept: Kept) -> None:
    with reading(kept.at.name):
        mistakes = Faults()
        read = read_charter((kept.at / "charter.toml").read_text(), "charter.toml", mistakes)
        mistakes.check()
        assert read["name"] == "kept"
        assert read["vault"].reads == 3


def test_the_commands(kept: Kept, tclearn: Run) -> None:  # noqa: F811
    founder = kept.at / "founder"
    with reading(kept.at.name):
        assert tclearn("status", "--dir", founder, "--json").json["block"] == len(kept.sealed["blocks"]) - 1
        shown = tclearn("vault", "journal", "--dir", founder, "--json").json
        assert [each["entry"] for each in shown["readings"]] == [each["entry"] for each in kept.sealed["journal"]]
        words = ("ledger", "verify", kept.at / "sealed.tclearn", "--charter", kept.sealed["charter"])
        assert tclearn(*words).code == 0


def test_the_coalition_goes_on(kept: Kept) -> None:
    """Entries that today's code writes follow those that were kept."""
    with reading(kept.at.name):
        signer = read_key_file(kept.at / "leuven.key").signer
        with CoalitionDirectory.open(kept.at / "founder", writing=True) as coalition:
            before = len(coalition.ledger)
            asked = ask_to_expel(coalition.ledger, coalition.charter.digest, signer, MemberId("porto"))
            assert asked.approvals == ("leuven",)
            coalition.export(kept.at / "longer.tclearn")
        with CoalitionDirectory.open(kept.at / "founder") as again:
            assert len(again.ledger) == before + 1
            assert [each.change.expelled for each in open_changes(again.state)] == ["porto"]
        head = kept.sealed["head"]
        since = Head(
            head["size"],
            Digest(bytes.fromhex(head["root"])),
            Digest(bytes.fromhex(head["results"])),
            head["time_ms"],
        )
        with (kept.at / "longer.tclearn").open("rb") as record:
            assert verify(record, terms_of, kept.charter, since=since).entries == before + 1


def test_a_damaged_ledger_is_not_taken_for_a_kept_one(kept: Kept) -> None:
    file = kept.at / "founder" / LEDGER
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = bytes(4096)
    file.write_bytes(data)
    with pytest.raises(TCLearnError), kept.founder() as coalition:
        coalition.export(kept.at / "damaged.tclearn")
