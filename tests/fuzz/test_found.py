"""What the search has found, each as a test of its own; and headers that claim what is not there."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.coalition.charters import TOML
from tests.fuzz import samples
from tests.fuzz.forms import Element, Leaf, read_der, write_der
from tests.identity.members import keys
from tests.ledger.notes import World
from tests.protocols.world import START

from tclearn.agents.outbox import FileOutbox
from tclearn.coalition.charter import Charter
from tclearn.coalition.charter_file import endless_key
from tclearn.directory.site import SiteFile
from tclearn.encoding import encode
from tclearn.errors import CharterError, Code, MessageError, StorageError, UsageError, visible
from tclearn.identity.certificates import read_certificate
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.pem import Block, write_pem
from tclearn.learning.parameters import Parameters
from tclearn.ledger import Call, Transaction
from tclearn.ledger.engines.embedded import EmbeddedLedger

# --- certificates and keys: kinds of exceptions that the library keeps for itself ------------------------------------


def _with(at: int, element: Leaf | Element) -> bytes:
    """A certificate with another element in the part that is signed."""
    (certificate,) = read_der(samples.certificates()[0])
    certificate[1][at] = element
    return write_der(certificate)


@pytest.mark.parametrize(
    "element",
    [
        Element([0xA0, Leaf([2, b"\x01"])]),  # version 2
        Element([0xA0, Leaf([2, b"\x07"])]),  # there is none
    ],
)
def test_certificates_of_other_versions_are_refused(element: Element) -> None:
    with pytest.raises(MessageError) as refused:
        read_certificate(_with(1, element))
    assert refused.value.code is Code.CERTIFICATE


@pytest.mark.parametrize("serial", [b"\x00", b"\xff", b"\x80" + bytes(15)])
def test_serial_numbers_that_are_not_positive_are_refused_without_a_warning(serial: bytes) -> None:
    with pytest.raises(MessageError) as refused:
        read_certificate(_with(2, Leaf([2, serial])))
    assert refused.value.code is Code.CERTIFICATE


def test_a_key_that_openssl_has_no_word_for_is_refused() -> None:
    short = bytes.fromhex("302d0201003005" + "06032b6570" + "0421041f") + bytes(31)  # Ed25519 with one byte too few
    root = keys().to_pem().partition(b"-----END PRIVATE KEY-----\n")[0] + b"-----END PRIVATE KEY-----\n"
    with pytest.raises(UsageError) as refused:
        MemberKeys.from_pem(root + write_pem(Block("PRIVATE KEY", short)))
    assert refused.value.code is Code.KEY_FILE


# --- TOML: keys that take without end --------------------------------------------------------------------------------

PARTS = ["a.", '"!".', "'!'.", '"a b" . ', "a.'b'.", "a." * 63 + '"' + "x" * 300 + '".', '"\\"".', '"."."."."']


@pytest.mark.parametrize("part", PARTS)
def test_dotted_keys_without_end_are_refused_at_once(part: str, tmp_path: Path) -> None:
    began = time.process_time()
    for text in ("# don't\n" + part * (900_000 // len(part)) + "a = 1", "[" + part * (900_000 // len(part)) + "a]"):
        with pytest.raises(CharterError, match="dotted key without end"):
            Charter.from_toml(text)
        path = tmp_path / "site.toml"
        path.write_text(text)
        with pytest.raises(UsageError, match="dotted key without end"):
            SiteFile.read(path)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "text",
    [
        '"' * 1_000_000,
        '"\\' * 500_000,
        'a = "' + '\\"' * 500_000,
        'a = """' + '""\\' * 300_000,
        "a = '''" + "''a" * 300_000,
        " " * 1_000_000,
        "a" * 1_000_000,
        "a\n" * 500_000,
        "#" * 1_000_000,
    ],
)
def test_keys_are_looked_for_once_over_the_text(text: str) -> None:
    began = time.process_time()
    assert endless_key(text) is None
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        TOML,
        'name = "' + "a." * 100 + '"',
        "name = '" + "a." * 100 + "'",
        '"""\n' + "a." * 100 + '"""""',
        "'''\n" + "a.b" * 100 + "''''",
        "# " + "a." * 100,
        "a = [" + "0.5, " * 100 + "]",
        "a.b.c = 1\n" * 100,
    ],
)
def test_many_dots_that_are_no_key_are_let_through(text: str) -> None:
    assert endless_key(text) is None


def test_the_line_of_the_key_is_named() -> None:
    assert endless_key('a = """\n\n""" # it\'s\n' + "b." * 64 + "c = 1") == 4


# --- SQLite: values of other types, and text that is none ------------------------------------------------------------


def _changed(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


@pytest.mark.parametrize("kind", ["BLOB", "TEXT", "INTEGER", "REAL"])
def test_a_damaged_decision_is_said_and_not_shown(kind: str, tmp_path: Path) -> None:
    path, (_, _, transaction) = tmp_path / "outbox.sqlite", samples.said()[0]
    secret = b"salt\xe3\xff of a verdict"
    with FileOutbox(path) as outbox:
        outbox.put(transaction.id, transaction.call)
    _changed(path, f"UPDATE decided SET call = CAST(? AS {kind})", secret)
    with FileOutbox(path) as outbox, pytest.raises(StorageError) as refused:
        outbox.get(transaction.id)
    assert refused.value.code is Code.STORE_FAILED
    assert "salt" not in str(refused.value)


def test_a_schema_that_is_no_text_is_no_outbox(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(samples.outbox_file().replace(b"(duty BLOB", b"\xe3\x28\xff\x0f\x1b BLOB"))
    with pytest.raises(StorageError) as refused:
        FileOutbox(path)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = 7 WHERE name = 'contract'",
        "UPDATE meta SET value = 'text' WHERE name = 'coalition'",
        "UPDATE meta SET value = 1.5 WHERE name = 'head'",
        "DELETE FROM meta WHERE name = 'genesis'",
        "UPDATE state SET key = x'ff00' WHERE key = 'tip'",
        "UPDATE state SET value = 5 WHERE key = 'tip'",
        "UPDATE entries SET reason = CAST(x'e3281b' AS TEXT) WHERE position = 1",
        "UPDATE entries SET time_ms = 'soon' WHERE position = 1",
        "UPDATE entries SET code = -1 WHERE position = 1",
        "UPDATE entries SET bytes = 1 WHERE position = 1",
    ],
)
def test_a_ledger_with_values_of_other_types_is_refused(statement: str, tmp_path: Path) -> None:
    path, told = tmp_path / "ledger.sqlite", samples.free_story()
    path.write_bytes(samples.ledger_file())
    _changed(path, statement)
    with pytest.raises(StorageError) as refused:
        EmbeddedLedger(path, told.contract, told.charter.digest, clock=lambda: START, read_only=True)
    assert refused.value.code is Code.LEDGER_FILE
    assert str(refused.value).isprintable()


# --- messages: what is quoted of others ------------------------------------------------------------------------------


def test_quoted_text_cannot_act_on_a_terminal() -> None:
    error = UsageError(Code.USAGE, "a\x1b[2J", expected="b\u202e", remedy="c\ud800\n")
    assert str(error) == "error[TCL-901]: a\\x1b[2J · expected b\\u202e · c\\ud800\\n"
    assert visible("Größe – ∑ · “ok”") == "Größe – ∑ · “ok”"


def test_the_reason_of_a_rejection_cannot_act_on_a_terminal(world: World) -> None:
    ledger = world.memory()
    call = Call("\x1b[2J\u202e" + "x" * 5000, "add", {})
    signer = world.signers[world.members[0]]
    said = Transaction.signed(signer, world.coalition, call, sequence=0, expires_ms=1 << 62)
    outcome = ledger.outcome(ledger.submit(said))
    assert outcome is not None and outcome.code
    assert outcome.reason.isprintable() and len(outcome.reason) <= 1000


@pytest.fixture
def world() -> World:
    return World()


def test_names_in_messages_are_short(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    for text in ("k" * 100_000 + " = 1", "data = " + "1" * 4000, "[" + "k" * 10_000 + "]\n[" + "k" * 10_000 + "]"):
        path.write_text(text)
        with pytest.raises(UsageError) as refused:
            SiteFile.read(path)
        assert len(str(refused.value)) < 1000
    charter = samples.charters()[0].to_value()
    members = charter["members"]
    assert isinstance(members, list) and isinstance(members[0], dict)
    charter["members"] = [members[0] | {"id": f"m{number:04}"} for number in range(5000)]
    with pytest.raises(CharterError) as shared:
        type(samples.charters()[0]).from_bytes(encode(charter))
    assert len(str(shared.value)) < 2000


def test_the_element_type_of_a_model_is_quoted() -> None:
    header = b'{"a":{"dtype":"\\u202e\\u001b[2J","shape":[1],"data_offsets":[0,4]}}'
    with pytest.raises(Exception, match="element type") as refused:
        Parameters.from_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert "\\x1b" in str(refused.value)


# --- headers that claim what is not there ----------------------------------------------------------------------------

# Each is decoded in a process that may have little more memory than it has with everything imported.
CLAIMS = """
import resource, sys
from tests.fuzz.harness import execute
from tests.fuzz.targets import TARGETS

def heads(major):
    return [bytes([major << 5 | 24 + n]) + b"\\x7f" + b"\\xff" * ((1 << n) - 1) for n in range(4)]

claims = []
for major in (2, 3, 4, 5):
    for one in heads(major):
        claims += [(name, one) for name in ("value", "record", "charter", "transaction", "entry", "outbox-row")]
        claims += [(name, one * 15) for name in ("value", "charter")]
        claims.append(("export", b"\\x70tclearn-export/1" + one))
        claims.append(("export", b"\\x70tclearn-export/1\\x41\\x00\\x82" + one))
        claims.append(("export-framing", b"\\x70tclearn-export/1\\x41\\x00\\x82" + one))
for size in (1 << 20, 1 << 31, 1 << 40, 1 << 60, (1 << 64) - 1):
    claims.append(("model", size.to_bytes(8, "little") + b'{"a":1}' + bytes(100)))
    for shape in ([size], [size, 0], [1 << 16] * 4, [0, size, size]):
        header = ('{"a":{"dtype":"F64","shape":%s,"data_offsets":[0,%d]}}' % (shape, size)).encode()
        claims.append(("model", len(header).to_bytes(8, "little") + header + bytes(64)))
        header = header.replace(str(size).encode() + b"]}}", b"0]}}")
        claims.append(("model", len(header).to_bytes(8, "little") + header))
for name in ("certificate", "certificate-signed"):
    claims += [(name, b"\\x30\\x84" + n.to_bytes(4, "big") + bytes(9)) for n in (1 << 16, 1 << 31, (1 << 32) - 1)]
for name in {name for name, _ in claims}:
    TARGETS[name].samples()
    for data in TARGETS[name].samples()[:1]:
        execute(TARGETS[name], data)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
for name, data in claims:
    assert "MemoryError" not in repr(execute(TARGETS[name], data)), (name, data)  # not even on the way to a refusal
print(len(claims))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is set as Linux counts")
def test_no_header_makes_a_decoder_reserve_what_it_claims() -> None:
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", CLAIMS], cwd=root, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 100
