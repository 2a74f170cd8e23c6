"""The ledger: durable appends beside bare SQLite inserts, replay beside bare signature checks."""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from nacl.signing import VerifyKey

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Figure, in_turn, show
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity import PublicKey, Signer, cose, open_signed
from tclearn.ledger import Call, Context, Duty, Transaction, View, Writes
from tclearn.ledger.engines.embedded import EmbeddedLedger
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.verify import Terms, verify

MEMBERS = 8
BLOCK = 100
ROUNDS = 15
REPLAYED = 4000
CHARTER = b"benchmark"
COALITION = Digest(hashlib.sha256(CHARTER).digest())
NOW_MS = 1_700_000_000_000
SIGNERS = [Signer(digest("benchmark", number)) for number in range(MEMBERS + 1)]


class Posts:
    """The least that a contract of use does: it keeps the newest digest of each member, and counts."""

    name = "posts/1"

    def genesis(self) -> Writes:
        return {f"member/{key.public.hex()}": f"m{number}" for number, key in enumerate(SIGNERS)} | {"count": 0}

    def view(self, state: View) -> View:
        return state

    def member_of(self, state: View, key: PublicKey) -> MemberId | None:
        member = state.get("member/" + key.hex())
        return MemberId(member) if isinstance(member, str) else None

    def apply(self, state: View, call: Call, context: Context) -> Writes:
        number = state["count"]
        subject = call.arguments["digest"]
        return {"count": number + 1 if isinstance(number, int) else 0, f"post/{context.sender}": subject}

    def duties(self, state: View, member: MemberId, time_ms: int) -> Sequence[Duty]:
        return []


def clock() -> int:
    return time.time_ns() // 1_000_000


def transactions(member: int) -> Iterator[Transaction]:
    for sequence in count():
        call = Call("posts/1", "post", {"digest": digest("object", member, sequence), "samples": 640, "note": "a note"})
        yield Transaction.signed(SIGNERS[member], COALITION, call, sequence=sequence, expires_ms=NOW_MS * 2)


class Bare:
    """One table of blobs, committed as durably as the ledger: WAL, ``synchronous=FULL``."""

    def __init__(self, path: Path, row: bytes) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("CREATE TABLE rows (position INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        self.row = row

    def insert(self, rows: int, batch: int) -> float:
        run = self.connection.execute
        began = time.perf_counter()
        for _ in range(rows // batch):
            run("BEGIN IMMEDIATE")
            for _ in range(batch):
                run("INSERT INTO rows (data) VALUES (?)", (self.row,))
            run("COMMIT")
        return (time.perf_counter() - began) / rows


def flush(path: Path) -> float:
    """What the disk takes for one small durable write. Far below 0.1 ms it keeps its promise with a battery, or not."""
    with path.open("ab", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(BLOCK):
            file.write(bytes(4096))
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / BLOCK


def alone(ledger: EmbeddedLedger[View], source: Iterator[Transaction]) -> float:
    block = [next(source) for _ in range(BLOCK)]
    began = time.perf_counter()
    for transaction in block:
        ledger.submit(transaction)
    return (time.perf_counter() - began) / BLOCK


def together(ledger: EmbeddedLedger[View], sources: Sequence[Iterator[Transaction]]) -> float:
    blocks = [[next(source) for _ in range(BLOCK)] for source in sources]
    start = threading.Barrier(len(sources) + 1, timeout=60)

    def work(block: list[Transaction]) -> None:
        start.wait()
        for transaction in block:
            ledger.submit(transaction)

    threads = [threading.Thread(target=work, args=(block,)) for block in blocks]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - began) / (BLOCK * len(sources))


def appends(folder: Path) -> list[Figure]:
    sources = [transactions(member) for member in range(MEMBERS + 1)]
    row = bytes(len(next(sources[0]).raw) + 2 * 32)  # as the ledger's: transaction, leaf hash, results head
    with EmbeddedLedger(folder / "ledger.sqlite", Posts(), COALITION, clock=clock) as ledger:
        bare = Bare(folder / "bare.sqlite", row)
        checks = [signature_check(next(sources[0])) for _ in range(BLOCK)]
        one, eight, bare_one, bare_eight, check, disk = in_turn(
            ROUNDS,
            lambda: alone(ledger, sources[MEMBERS]),
            lambda: together(ledger, sources[:MEMBERS]),
            lambda: bare.insert(BLOCK, 1),
            lambda: bare.insert(BLOCK * MEMBERS, MEMBERS),
            lambda: check_all(checks),
            lambda: flush(folder / "flushed"),
        )
        bare.connection.close()
    return [
        Figure("write and flush of 4 KiB", disk * 1e6, "us"),
        Figure("append, one submitter", 1 / one, "1/s"),
        Figure("append, eight submitters", 1 / eight, "1/s"),
        Figure("bare insert, one row a commit", 1 / bare_one, "1/s"),
        Figure("bare insert, eight rows a commit", 1 / bare_eight, "1/s"),
        Figure("append, one submitter, ratio", bare_one / one, "x", 0.5, "bare insert, one row a commit"),
        Figure("append, eight submitters, ratio", bare_one / eight, "x", 0.5, "bare insert, one row a commit"),
        Figure(
            "append, eight submitters, ratio to eight", bare_eight / eight, "x", None, "bare insert, eight a commit"
        ),
        Figure(
            "append, one submitter, ratio to check and insert",
            (bare_one + check) / one,
            "x",
            None,
            "bare signature check, then bare insert",
        ),
    ]


Check = tuple[PublicKey, bytes, bytes]


def signature_check(transaction: Transaction) -> Check:
    signed = open_signed(transaction.raw)
    return (
        signed.signer,
        cose._to_be_signed(signed.signer, b"TCLearn/tx/v1" + COALITION, signed.payload),
        signed.signature,
    )


def check_all(checks: Sequence[Check]) -> float:
    began = time.perf_counter()
    for key, message, signature in checks:
        VerifyKey(key).verify(message, signature)
    return (time.perf_counter() - began) / len(checks)


def replay() -> list[Figure]:
    sources = [transactions(member) for member in range(MEMBERS)]
    ledger = MemoryLedger(Posts(), COALITION, clock=clock)
    log = SIGNERS[0]
    for number in range(REPLAYED):
        ledger.submit(next(sources[number % MEMBERS]))
    stream = io.BytesIO()
    write_export(stream, CHARTER, ledger, log)
    data = stream.getvalue()
    checks = [signature_check(Transaction.parse(item.entry.transaction)) for item in ledger.entries(0, REPLAYED)]

    def verified() -> float:
        began = time.perf_counter()
        verify(io.BytesIO(data), lambda _: Terms(Posts(), log.public), COALITION)
        return (time.perf_counter() - began) / REPLAYED

    whole, bare = in_turn(ROUNDS, verified, lambda: check_all(checks))
    return [
        Figure("replay", 1 / whole, "entries/s"),
        Figure("bare signature check", 1 / bare, "1/s"),
        Figure("replay, ratio", bare / whole, "x", 0.6, "PyNaCl alone, the same signatures"),
    ]


def main() -> None:
    # Some systems keep /tmp in memory, where a durable write costs nothing.
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as folder:
        show([*appends(Path(folder)), *replay()])


if __name__ == "__main__":
    main()
