"""The examples of ``docs/formats/receipt.md`` and ``evidence.md``, byte for byte, and vectors of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import cbor2
import pytest
from tests.ledger.notes import Add, Endorse, Notes
from tests.ledger.test_formats import FORMATS, LEUVEN, LOG, MEMBER, NOW_MS

from tclearn.encoding import Digest
from tclearn.ledger import Call, Transaction
from tclearn.ledger.checkpoint import Note, sign
from tclearn.ledger.contract import Head
from tclearn.ledger.cose_receipt import CoseReceipt
from tclearn.ledger.cosigning import cosign, cosigned_note
from tclearn.ledger.engines.memory import MemoryLedger
from tclearn.ledger.evidence import Kind, Statement, check_evidence, of_heads, of_transactions, write_evidence
from tclearn.ledger.merkle import MerkleLog, leaf_hash
from tclearn.ledger.receipt import check_receipt, write_receipt
from tclearn.ledger.verify import Terms

VECTORS = Path(__file__).with_name("proofs.json")
CHARTER = b"example"
COALITION = Digest(bytes.fromhex("50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c"))


def terms(charter: bytes) -> Terms[object]:
    return Terms(Notes({LEUVEN: MEMBER.public}), LOG.public)  # type: ignore[arg-type]


def said(text: str, sequence: int) -> Transaction:
    call = Call("notes/1", "add", Add(text, ("a",)).to_value())
    return Transaction.signed(MEMBER, COALITION, call, sequence=sequence, expires_ms=NOW_MS + 3_600_000)


def ledger(*texts: str) -> MemoryLedger[object]:
    made = MemoryLedger(terms(CHARTER).contract, COALITION, clock=lambda: NOW_MS)
    for number, text in enumerate(texts):
        made.submit(said(text, number))
    return made


def statement(shown: MemoryLedger[object], index: int, *, cosigned: bool) -> Statement:
    tree = MerkleLog()
    entries = [item.entry.encode() for item in shown.entries(0, len(shown))]
    for entry in entries:
        tree.append(leaf_hash(entry))
    head = shown.head(len(shown))
    note = by_leuven(head) if cosigned else sign(LOG, COALITION, head).encode()
    return Statement(note, entries[index], path=tuple(tree.inclusion_proof(index, len(shown))))


def by_leuven(head: Head) -> bytes:
    signature = cosign(MEMBER, COALITION, head, NOW_MS // 1000 + 60)
    return cosigned_note(Note(COALITION, head, ()), LEUVEN, MEMBER.public, signature).encode()


def example() -> dict[str, str]:
    honest = ledger("hello", "again")
    signature = cosign(MEMBER, COALITION, honest.head(2), NOW_MS // 1000 + 60)
    endorse = Call("notes/1", "endorse", Endorse(signature).to_value())
    honest.submit(Transaction.signed(MEMBER, COALITION, endorse, sequence=2, expires_ms=NOW_MS + 3_600_000))
    receipt = write_receipt(honest, CHARTER, terms, LOG, 0)
    received = check_receipt(receipt, terms, COALITION)
    assert (received.head, received.by_quorum) == (honest.head(2), True)
    shown, other = ledger("hello", "again"), ledger("hello", "against", "more")
    tree = MerkleLog()
    for item in other.entries(0, 3):
        tree.append(leaf_hash(item.entry.encode()))
    heads = [sign(LOG, COALITION, each.head(len(each))).encode() for each in (shown, other)]
    evidence = {
        "two-heads": of_heads(CHARTER, heads[0], sign(LOG, COALITION, other.head(2)).encode()),
        "two-heads of two sizes": of_heads(
            CHARTER, heads[0], heads[1], prefix=tree.root(2), path=tuple(tree.consistency_proof(2, 3))
        ),
        "two-entries": write_evidence(
            Kind.TWO_ENTRIES,
            CHARTER,
            statement(shown, 1, cosigned=False),
            statement(other, 1, cosigned=False),
            index=1,
        ),
        "two-cosignatures": write_evidence(
            Kind.TWO_COSIGNATURES,
            CHARTER,
            statement(shown, 1, cosigned=True),
            statement(other, 1, cosigned=True),
            key=MEMBER.public,
            index=1,
        ),
        "two-transactions": of_transactions(Kind.TWO_TRANSACTIONS, CHARTER, said("hello", 0).raw, said("hullo", 0).raw),
    }
    for name, data in evidence.items():
        assert check_evidence(data, terms, COALITION).kind == name.removesuffix(" of two sizes")
    cose = _cose(receipt)
    return {
        "charter": CHARTER.hex(),
        "coalition": COALITION.hex(),
        "log_key": LOG.public.hex(),
        "member": LEUVEN,
        "member_key": MEMBER.public.hex(),
        "cose_receipt": cose.encode().hex(),
        "root": received.head.root.hex(),
        "receipt": receipt.hex(),
        **{name: data.hex() for name, data in evidence.items()},
    }


def _cose(receipt: bytes) -> CoseReceipt:
    return CoseReceipt.parse(cbor2.loads(receipt)["receipt"])


def test_vectors() -> None:
    assert json.loads(VECTORS.read_text(encoding="utf-8")) == example()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("receipt.md", {"coalition", "receipt", "cose_receipt", "root"}),
        ("evidence.md", {"two-transactions"}),
    ],
)
def test_the_documents_show_these_bytes(name: str, wanted: set[str]) -> None:
    packed = "".join((FORMATS / name).read_text(encoding="utf-8").split())
    assert wanted <= {key for key, value in example().items() if value in packed}


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(example(), indent=1) + "\n", encoding="utf-8")
