"""Makes the files that later versions must still read: ``keep.py [FOLDER]``, once a version, before it is released.

They come out of two small coalitions, into ``tests/kept/vVERSION`` or the folder, where nothing may be yet: one of
level A in this process, and one of level B over TLS, in which members train, read, come, go and take other keys. All
keys come from the seed below, which is printed, and so are everybody's: they must never be used for anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.kept import material
from tests.service.conftest import Service, now, now_ms, until

from tclearn import Charter, SklearnTrainer, __version__, simulate
from tclearn.directory.changes import ask_to_admit, ask_to_expel, take_keys
from tclearn.directory.coalition import OBJECTS, CoalitionDirectory
from tclearn.directory.data_ids import open_id_journal
from tclearn.directory.founding import Secrets, found
from tclearn.directory.site import SiteFile
from tclearn.encoding import MemberId
from tclearn.errors import MessageError
from tclearn.identity.cose import sign
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.key_file import write_key_file
from tclearn.learning.data_ids import record_digests
from tclearn.learning.id_cache import IdCache
from tclearn.learning.records import materialise
from tclearn.ledger import Head, Transaction
from tclearn.ledger.evidence import Kind, of_transactions
from tclearn.ledger.receipt import write_receipt
from tclearn.protocols import terms_of
from tclearn.protocols.tclearn.calls import Delivered, call
from tclearn.protocols.tclearn.journal_file import write_journal
from tclearn.protocols.tclearn.reading_journal import journal, who_had
from tclearn.protocols.tclearn.state import State
from tclearn.records import Record
from tclearn.service.beside import beside
from tclearn.service.binding import IDS, RECEIPTS, bound_at
from tclearn.service.delivery import DELIVERY_CONTEXT
from tclearn.service.home import DRAFTS, MemberHome, Oneself
from tclearn.service.reading import read_version
from tclearn.service.refused import refused_requests
from tclearn.service.remote_ids import IdReceipts
from tclearn.service.vault_store import DELIVERIES
from tclearn.service.work import Work
from tclearn.simulation.keys import SeededKeys
from tclearn.store.vault import KeyFile, Vault
from tclearn.store.vault import backup as backups
from tclearn.store.vault.rotation import rotate

ROOT = Path(__file__).resolve().parents[1]
SEED = 20261121
PASSPHRASE = "kept for those who come later"
NAMES = ("leuven", "namur", "porto", "turin")
PATIENCE_S = 120.0
CHARTER = """\
[coalition]
name    = "kept"
level   = "B"
members = ["leuven.pem", "namur.pem", "porto.pem", "turin.pem"]
[model]
factory = "tests.kept.material:classifier"
trainer = "sklearn"
[task]
metric     = "accuracy"
local_test = 0.10
[acceptance]
lambda = 0.50
[schedule]
stop            = { blocks = 3 }
verdict_minutes = 1
turn_minutes    = 0.1
minimum_batch   = 1
[vault]
readers_of_all = ["leuven"]
reads          = 3
[data_ids]
per_day = 1000
at_once = 1000
"""


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "kept" / f"v{__version__}"
    if target.exists():
        print(f"{target} is there: what was kept is never made again")
        return 1
    print(f"keys from the printed seed {SEED}: everybody has them")
    with tempfile.TemporaryDirectory(prefix="tclearn-keep-") as name:
        made = Path(name) / "made"
        made.mkdir()
        kept = Kept(Path(name), made)
        expected = {
            "version": __version__,
            "seed": SEED,
            "made_ms": now_ms(),
            "passphrase": PASSPHRASE,
            "open": level_a(made),
            "sealed": kept.level_b(),
        }
        (made / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        shutil.copytree(made, target)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target}: {size:,} bytes")
    return 0


def level_a(made: Path) -> dict[str, Any]:
    """A coalition of level A in one process: its record."""
    charter = Charter(
        name="kept-in-the-open",
        model=material.classifier,
        metric="accuracy",
        blocks=2,
        local_test=0.1,
        minimum_batch=1,
        lambda_=0.5,
    )
    data = {name: getattr(material, f"of_{name}")() for name in NAMES}
    result = simulate(charter, members=data, global_test=material.global_test(), trainer=SklearnTrainer(), seed=SEED)
    verified = result.export(made / "open.tclearn").verify()
    head, digest = plain_head(verified.head), result.charter.digest.hex()
    return {"charter": digest, "head": head, "blocks": blocks_of(result.state)}


def plain_head(head: Head) -> dict[str, Any]:
    return {"size": head.size, "root": head.root.hex(), "results": head.results.hex(), "time_ms": head.time_ms}


def blocks_of(state: State) -> list[dict[str, Any]]:
    return [
        {"hash": chained.block.hash.hex(), "parameters": chained.block.parameters.hex()} for chained in state.blocks()
    ]


def plain(record: Record) -> dict[str, Any]:
    """A record's fields as JSON has them."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


@dataclass
class Kept:
    """The coalition of level B while it is made.

    Attributes:
        folder: where its directories are.
        made: where what is kept goes.
    """

    folder: Path
    made: Path

    def level_b(self) -> dict[str, Any]:
        """Train, change the members, train, read; then everything is closed, and copied."""
        seeded = SeededKeys(SEED)
        self.keys = {name: seeded.member_keys(MemberId(name)) for name in (*NAMES, "ghent")}
        self.pem = {name: write_enrolment(MemberId(name), keys, now()) for name, keys in self.keys.items()}
        directory, ids_key = self.founded(seeded), seeded.ids().public
        service = Service(directory, passphrase=PASSPHRASE)
        service.start()
        try:
            with CoalitionDirectory.open(directory) as coalition:
                self.digest = coalition.charter.digest
            self.homes = {name: self.joined(service, name) for name in NAMES}
            self.until(lambda state: state.tip >= 1, *NAMES)
            self.members_change(service)
            members = ("ghent", "leuven", "namur", "porto")
            self.until(lambda state: state.tip == 3 and state.pending is None, *members)
            self.read(members)
            self.refused()
        finally:
            service.end()
        return self.copied(directory, seeded, ids_key)

    def founded(self, seeded: SeededKeys) -> Path:
        for name in NAMES:
            (self.folder / f"{name}.pem").write_bytes(self.pem[name])
        (self.folder / "charter.toml").write_text(CHARTER)
        site = SiteFile(global_test="tests.kept.material:global_test")
        log, ids = seeded.log().seed(), seeded.data()
        found(
            self.folder / "charter.toml",
            site,
            self.folder / "founder",
            secrets=Secrets(log=log, data=ids),
            now=now(),
            passphrase=lambda: PASSPHRASE,
        ).close()
        return self.folder / "founder"

    def oneself(self, name: str) -> Oneself:
        return Oneself(MemberId(name), self.keys[name], read_enrolment(self.pem[name], now()).root)

    def joined(self, service: Service, name: str) -> MemberHome:
        return MemberHome.join(self.folder / name, service.url, self.digest, self.oneself(name), now())

    @contextmanager
    def working(self, *names: str) -> Iterator[list[Work]]:
        with ExitStack() as running:
            yield [running.enter_context(self.agent(name)) for name in names]

    @contextmanager
    def agent(self, name: str) -> Iterator[Work]:
        """A member's agent in a thread, until the end of the block."""
        home = self.homes[name]
        site = SiteFile(data=f"tests.kept.material:of_{name}", global_test="tests.kept.material:global_test")
        with ExitStack() as running:
            connection = running.enter_context(home.connection(now()))
            trainer = bound_at(home, site, connection, clock=now_ms, say=print)
            work = running.enter_context(home.work(trainer, now(), clock=now_ms, say=print))
            thread = threading.Thread(target=work.run)
            thread.start()
            try:
                yield work
            finally:
                work.end()
                thread.join(PATIENCE_S)

    def until(self, reached: Callable[[State], bool], *names: str) -> None:
        """Their agents work until all have seen it, and until all that was granted is confirmed."""
        with self.working(*names) as works:
            until(lambda: all(reached(work.ledger.state()) for work in works), PATIENCE_S)
            seen = works[0].ledger
            until(lambda: not any(seen.state().undelivered(each) for each in seen.state().members), PATIENCE_S)

    def members_change(self, service: Service) -> None:
        """Ghent is admitted, namur takes other keys, turin has to go."""
        for name in NAMES[:3]:
            with beside(self.homes[name], now(), now_ms) as at:
                ask_to_admit(at.ledger, self.digest, self.keys[name].signer, self.pem["ghent"], now())
        self.settled(lambda state: "ghent" in state.members)
        self.homes["ghent"] = self.joined(service, "ghent")
        fresh = self.keys["namur"].rotated(hashlib.sha512(f"{SEED} namur again".encode()).digest())
        enrolment = write_enrolment(MemberId("namur"), fresh, now())
        with beside(self.homes["namur"], now(), now_ms) as at:
            take_keys(at.ledger, self.digest, self.keys["namur"].signer, enrolment, now())
        self.settled(lambda state: state.member_of(fresh.signer.public) is not None)
        self.keys["namur"], self.pem["namur"] = fresh, enrolment
        self.homes["namur"] = replace(self.homes["namur"], oneself=self.oneself("namur"))
        for name in ("ghent", "leuven", "namur", "porto"):
            with beside(self.homes[name], now(), now_ms) as at:
                ask_to_expel(at.ledger, self.digest, self.keys[name].signer, MemberId("turin"))
        self.settled(lambda state: "turin" not in state.members)

    def settled(self, reached: Callable[[State], bool]) -> None:
        """A change is in force when no candidate is open: whoever works brings it to that."""
        with beside(self.homes["leuven"], now(), now_ms) as at:
            in_force = reached(at.ledger.state())
        if not in_force:
            self.until(reached, *NAMES)

    def read(self, members: tuple[str, ...]) -> None:
        """Readings for their own use, one of an older version, and one that nobody has witnessed yet."""
        with self.working(*members), beside(self.homes["leuven"], now(), now_ms) as at:
            read_version(at, 3)
            read_version(at, 2)

        class Enough(Exception):
            pass

        def stop(_: float) -> None:
            raise Enough

        with beside(self.homes["porto"], now(), now_ms) as at:
            try:
                read_version(at, 3, pause=stop)
            except Enough:
                return
        raise AssertionError("a reading was handed out that nobody has witnessed")

    def refused(self) -> None:
        """Something for the journal of refused requests."""
        unread = sign(self.keys["porto"].signer, b"nonsense", DELIVERY_CONTEXT)
        with self.homes["porto"].connection(now()) as connection:
            try:
                list(connection.pieces(DELIVERIES, unread, "application/cose"))
            except MessageError:
                return
        raise AssertionError("nonsense was not refused")

    def evidence(self, charter: bytes) -> bytes:
        """Two calls of porto under one number; neither was handed in."""
        signed = [
            Transaction.signed(self.keys["porto"].signer, self.digest, call(said), sequence=1, expires_ms=now_ms())
            for said in (Delivered(0), Delivered(1))
        ]
        return of_transactions(Kind.TWO_TRANSACTIONS, charter, signed[0].raw, signed[1].raw)

    def copied(self, directory: Path, seeded: SeededKeys, ids_key: bytes) -> dict[str, Any]:
        made = self.made
        shutil.copyfile(self.folder / "charter.toml", made / "charter.toml")
        with CoalitionDirectory.open(directory, writing=True, passphrase=PASSPHRASE) as coalition:
            ledger, state, vault = coalition.ledger, coalition.state, coalition.store
            assert isinstance(vault, Vault)
            expected = {
                "charter": coalition.charter.digest.hex(),
                "head": plain_head(ledger.head(len(ledger))),
                "blocks": blocks_of(state),
                "members": [plain(record) for record in state.member_records],
                "journal": [{**plain(each), "versions": list(each.versions)} for each in journal(state)],
                "who_had": {
                    index: [[each.member, each.how, list(each.readings)] for each in who_had(state, index)]
                    for index in range(1, state.tip + 1)
                },
            }
            coalition.export(made / "sealed.tclearn")
            charter = coalition.charter
            head, log = ledger.head(len(ledger)), coalition.log_key()
            (made / "sealed.journal").write_bytes(write_journal(state, charter.digest, head, log))
            accesses = [state.access(number) for number in range(state.accesses)]
            entry = next(each.entry for each in accesses if each.purpose == "use")
            (made / "reading.receipt").write_bytes(write_receipt(ledger, charter.encode(), terms_of, log, entry))
            expected["backup"] = backups.backup(vault, made / "backup").hex()
            assert isinstance(vault.keys, KeyFile)
            vault.keys.add()  # the key file holds an older key, too; the backup is sealed under that
            rotate(vault)
            names = sorted(vault.names())
            objects = {name.hex(): vault.get(name, size_max=1 << 20) for name in names}
            expected["objects"] = {name: hashlib.sha256(data).hexdigest() for name, data in objects.items()}
        with open_id_journal(directory, charter, read_only=True) as ids:
            entries = ids.entries()
            expected["data_ids"] = {"entries": len(entries), "last": entries[-1].digest.hex()}
        digests = record_digests(materialise(material.of_leuven(), "leuven"))[:3]
        expected["ids"] = {digest.hex(): seeded.ids().value(digest)[:16].hex() for digest in digests}
        copy_files(directory, made / "founder")
        expected["refused"] = [each["member"] for each in refused_requests(directory)]
        (made / "two-calls.evidence").write_bytes(self.evidence(charter.encode()))
        expected["accused"] = "porto"
        for name, passphrase in (("leuven", None), ("namur", PASSPHRASE)):
            salt = b"" if passphrase is None else secrets.token_bytes(self.keys[name].salt_bytes)
            write_key_file(made / f"{name}.key", self.keys[name], passphrase, salt=salt)
            (made / f"{name}.pem").write_bytes(self.pem[name])
        home = self.homes["namur"]
        copy_files(home.path, made / "namur")
        expected["namur"] = {
            "kept": sorted(each.hex() for each in _vault(home, OBJECTS).names()),
            "drafts": sorted(each.hex() for each in _vault(home, DRAFTS).names()),
            "ids": len(IdCache(home.path / IDS, self.keys["namur"].derive("data-id cache")).load(ids_key)),
            "id_receipts": len(IdReceipts(home.path / RECEIPTS).load()),
        }
        return expected


def _vault(home: MemberHome, folder: str) -> Vault:
    vault = home.kept(folder)
    assert isinstance(vault, Vault)
    return vault


def copy_files(source: Path, target: Path) -> None:
    """Files only, as whoever keeps them has no empty folders; no locks and no logs of a database that is closed."""
    assert not any(file.stat().st_size for file in source.rglob("*-wal")), "a database was not closed cleanly"
    for file in sorted(source.rglob("*")):
        if file.is_file() and not file.name.endswith(("-lock", "-shm", "-wal")):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)


if __name__ == "__main__":
    sys.exit(main())
