"""The example of ``docs/formats/entry.md``, byte for byte, and the same as vectors for other implementations."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.ledger.notes import Add, Notes, World

from tclearn.encoding import MemberId, digest
from tclearn.identity import Signer
from tclearn.ledger import Call, Transaction
from tclearn.ledger.checkpoint import sign
from tclearn.ledger.cosigning import cosign, cosigned_note
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.export import write_export
from tclearn.ledger.merkle import leaf_hash
from tclearn.ledger.replica import Replica

HERE = Path(__file__).parent
FORMATS = HERE.parents[1] / "docs" / "formats"
MEMBER, LOG = Signer(bytes(range(32))), Signer(bytes(range(32, 64)))
LEUVEN = MemberId("leuven")
NOW_MS = 1_700_000_000_000


def example() -> dict[str, str]:
    world = World(0, charter=b"example")
    contract = Notes({LEUVEN: MEMBER.public})
    call = Call("notes/1", "add", Add("hello", ("a",)).to_value())
    transaction = Transaction.signed(MEMBER, world.coalition, call, sequence=0, expires_ms=NOW_MS + 3_600_000)
    replica = Replica(contract, world.coalition)
    state_root = replica._state.root()
    applied = replica.append(transaction.raw, NOW_MS)
    head = replica.head(1)
    note = sign(LOG, world.coalition, head)
    note = cosigned_note(note, LEUVEN, MEMBER.public, cosign(MEMBER, world.coalition, head, NOW_MS // 1000 + 60))
    ledger = MemoryLedger(contract, world.coalition, clock=lambda: NOW_MS)
    ledger.submit(transaction)
    stream = io.BytesIO()
    write_export(stream, world.charter, ledger, LOG)
    assert replica.genesis == digest("tclearn/genesis/1", world.coalition, "notes/1", state_root)
    assert applied.leaf == leaf_hash(applied.entry.encode()) == head.root
    return {
        "charter": world.charter.hex(),
        "coalition": world.coalition.hex(),
        "member_seed": MEMBER.seed().hex(),
        "member_key": MEMBER.public.hex(),
        "log_seed": LOG.seed().hex(),
        "log_key": LOG.public.hex(),
        "transaction": transaction.raw.hex(),
        "transaction_id": transaction.id.hex(),
        "entry": applied.entry.encode().hex(),
        "leaf": applied.leaf.hex(),
        "genesis_state_root": state_root.hex(),
        "genesis_results": replica.genesis.hex(),
        "results": applied.results.hex(),
        "note": note.encode().decode(),
        "export": stream.getvalue().hex(),
    }


def test_vectors() -> None:
    assert json.loads((HERE / "vectors.json").read_text(encoding="utf-8")) == example()


@pytest.mark.parametrize("name", ["entry.md", "export.md"])
def test_the_documents_show_these_bytes(name: str) -> None:
    text = (FORMATS / name).read_text(encoding="utf-8")
    packed = "".join(text.split())
    shown = [key for key, value in example().items() if "".join(value.split()) in packed]
    wanted = {
        "entry.md": {"coalition", "member_key", "transaction", "transaction_id", "entry", "leaf", "results", "note"},
        "export.md": {"export"},
    }
    assert wanted[name] <= set(shown)


if __name__ == "__main__":
    (HERE / "vectors.json").write_text(json.dumps(example(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
