"""Checkpoints and cosignatures, read by a second implementation written from the C2SP texts with another library."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.notes import signer

from tclearn.encoding import Digest, MemberId
from tclearn.errors import Code, MessageError
from tclearn.ledger.checkpoint import Note, body, origin, sign
from tclearn.ledger.contract import Head
from tclearn.ledger.cosigning import CosignedHeads, cosign, cosigned_note, quorum, verify_cosignature
from tclearn.limits import EXPORT_NOTE_BYTES_MAX

COALITION = Digest(hashlib.sha256(b"a charter").digest())
HEAD = Head(12, Digest(b"r" * 32), Digest(b"s" * 32), 1_700_000_000_123)
LOG, MEMBER = signer("log"), signer("m1")
AT = 1_700_000_001


def third_party(note: bytes, name: str, kind: int, key: bytes) -> tuple[bytes, bytes]:
    """Verifies one key's signature of a note as C2SP signed-note, tlog-checkpoint and tlog-cosignature prescribe.

    Returns the note's text and the bytes before the Ed25519 signature (a cosignature's timestamp).
    """
    text, _, rest = note.decode("utf-8").rpartition("\n\n")
    text += "\n"
    assert not any(ord(character) < 0x20 and character != "\n" for character in note.decode())
    wanted = hashlib.sha256(name.encode() + b"\x0a" + bytes([kind]) + key).digest()[:4]
    for line in rest.splitlines():
        dash, key_name, encoded = line.split(" ")
        assert dash == "—"
        signature = base64.b64decode(encoded, validate=True)
        if key_name == name and signature[:4] == wanted:
            extra, ed25519 = signature[4:-64], signature[-64:]
            message = text.encode()
            if kind == 0x04:
                assert len(extra) == 8
                message = f"cosignature/v1\ntime {int.from_bytes(extra, 'big')}\n".encode() + message
            Ed25519PublicKey.from_public_bytes(key).verify(ed25519, message)
            return text.encode(), extra
    raise AssertionError(f"no signature of {name}")


def test_a_third_party_verifies_checkpoint_and_cosignatures() -> None:
    note = sign(LOG, COALITION, HEAD)
    for name in ("m1", "m2"):
        made = cosign(signer(name), COALITION, HEAD, AT)
        note = cosigned_note(note, MemberId(name), signer(name).public, made)
    data = note.encode()
    text, extra = third_party(data, f"tclearn/{COALITION.hex()}", 0x01, LOG.public)
    assert extra == b""
    assert text.splitlines() == [
        b"tclearn/" + COALITION.hex().encode(),
        b"12",
        base64.b64encode(HEAD.root),
        b"results " + base64.b64encode(HEAD.results),
        b"time 1700000000123",
    ]
    for name in ("m1", "m2"):
        _, extra = third_party(data, f"tclearn/{COALITION.hex()}/{name}", 0x04, signer(name).public)
        assert int.from_bytes(extra, "big") == AT
    assert Note.parse(data) == note
    note.check(LOG.public)


naturals = st.integers(0, 2**63 - 1)
digests = st.binary(min_size=32, max_size=32).map(Digest)
heads = st.builds(Head, naturals, digests, digests, naturals)


@given(digests, heads, naturals)
def test_round_trip(coalition: Digest, head: Head, at_seconds: int) -> None:
    note = sign(LOG, coalition, head)
    assert Note.parse(note.encode()) == note
    note.check(LOG.public)
    made = cosign(MEMBER, coalition, head, at_seconds)
    assert made.head == head
    assert type(made).from_value(made.to_value()) == made
    verify_cosignature(MEMBER.public, coalition, made)


NOTE = sign(LOG, COALITION, HEAD).encode()


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255), st.sampled_from(["flip", "drop", "double", "cut"]))
def test_no_other_bytes_are_this_note(at: int, mask: int, how: str) -> None:
    if how == "flip":
        data = NOTE[:at] + bytes([NOTE[at] ^ mask]) + NOTE[at + 1 :]
    elif how == "drop":
        data = NOTE[:at] + NOTE[at + 1 :]
    elif how == "double":
        data = NOTE[:at] + NOTE[at : at + 1] + NOTE[at:]
    else:
        data = NOTE[:at]
    if data == NOTE:
        return
    with pytest.raises(MessageError):
        Note.parse(data).check(LOG.public)


def _with_body(text: str) -> bytes:
    return text.encode() + b"\n" + NOTE.split(b"\n\n")[1]


LINES = body(COALITION, HEAD).decode().splitlines()


@pytest.mark.parametrize(
    "data",
    [
        _with_body("\n".join([LINES[0], "012", *LINES[2:]]) + "\n"),
        _with_body("\n".join([LINES[0], "+12", *LINES[2:]]) + "\n"),
        _with_body("\n".join([LINES[0], str(2**63), *LINES[2:]]) + "\n"),
        _with_body("\n".join([LINES[0].upper(), *LINES[1:]]) + "\n"),
        _with_body("\n".join(LINES[:3]) + "\n"),
        _with_body("\n".join([*LINES, "more"]) + "\n"),
        _with_body("\n".join(LINES) + "\r\n"),
        _with_body("\n".join([*LINES[:2], base64.urlsafe_b64encode(b"\xff" * 32).decode(), *LINES[3:]]) + "\n"),
        _with_body("\n".join([*LINES[:2], base64.b64encode(b"r" * 31).decode(), *LINES[3:]]) + "\n"),
        # the last character of a base64 group has bits that decode to nothing: two texts, one hash
        NOTE.replace(LINES[2].encode(), LINES[2].encode()[:-2] + b"J="),
        NOTE.split(b"\n\n")[0] + b"\n\n",
        NOTE.split(b"\n\n")[0] + b"\n",
        NOTE + NOTE.split(b"\n\n")[1],
        NOTE + b"\n",
        NOTE[:-1],
        NOTE + "— a b\n".encode(),
        NOTE + "— a\u00a0b AAAAAAAA\n".encode(),
        NOTE + "— a+b AAAAAAAA\n".encode(),
        NOTE + b"-- a AAAAAAAA\n",
        NOTE + b"\xff\n",
        b"",
    ],
    ids=range(21),
)
def test_other_forms_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        Note.parse(data)


def test_size_is_limited() -> None:
    line = "— somebody AAAAAAAA\n".encode()
    many = NOTE + b"".join(line.replace(b"somebody", b"s%d" % i) for i in range(200))
    assert len(Note.parse(many).lines) == 201
    with pytest.raises(MessageError) as refusal:
        Note.parse(NOTE + line * (EXPORT_NOTE_BYTES_MAX // len(line)))
    assert refusal.value.code is Code.TOO_LARGE


def test_only_the_logs_own_key_counts() -> None:
    note = sign(LOG, COALITION, HEAD)
    with pytest.raises(MessageError) as refusal:
        note.check(MEMBER.public)
    assert refusal.value.code is Code.SIGNATURE
    # a cosignature of the log's key is not the log's signature
    line = cosigned_note(note, MemberId("x"), LOG.public, cosign(LOG, COALITION, HEAD, AT)).lines[1]
    with pytest.raises(MessageError):
        replace(note, lines=(replace(line, name=origin(COALITION)),)).check(LOG.public)
    # an unknown signature beside it is ignored, as signed-note prescribes
    cosigned_note(note, MemberId("x"), MEMBER.public, cosign(LOG, COALITION, HEAD, AT)).check(LOG.public)


def test_a_cosignature_holds_for_its_head_time_coalition_and_key_only() -> None:
    made = cosign(MEMBER, COALITION, HEAD, AT)
    for other in (
        replace(made, size=13),
        replace(made, root=Digest(bytes(32))),
        replace(made, results=Digest(bytes(32))),
        replace(made, time_ms=0),
        replace(made, at_seconds=AT + 1),
        replace(made, signature=made.signature[:-1]),
        replace(made, signature=b""),
    ):
        with pytest.raises(MessageError):
            verify_cosignature(MEMBER.public, COALITION, other)
    with pytest.raises(MessageError):
        verify_cosignature(LOG.public, COALITION, made)
    with pytest.raises(MessageError):
        verify_cosignature(MEMBER.public, Digest(bytes(32)), made)


def test_quorum_is_more_than_two_thirds() -> None:
    assert [quorum(n) for n in range(1, 11)] == [1, 2, 3, 3, 4, 5, 5, 6, 7, 7]
    for n in range(1, 200):
        assert 3 * quorum(n) > 2 * n
        assert quorum(n) <= n
        faulty = (n - 1) // 3  # f < N/3: two quorums share more members than are faulty
        assert 2 * quorum(n) - n > faulty


def test_the_newest_head_with_a_quorum_is_kept() -> None:
    heads = CosignedHeads()
    members = [MemberId(f"m{i}") for i in range(4)]
    older, newer = replace(HEAD, size=5), replace(HEAD, size=9)
    for member in members[:2]:
        heads.add(newer, member, members)
    heads.add(newer, members[1], members)  # the same member again
    assert heads.newest is None
    for member in members[:3]:
        heads.add(older, member, members)
    assert heads.newest is not None
    assert heads.newest.head == older
    heads.add(newer, MemberId("stranger"), members)
    assert heads.newest.head == older
    heads.add(newer, members[3], members)
    assert heads.newest.head == newer
    assert heads.newest.members == ("m0", "m1", "m3")
    heads.add(older, members[3], members)
    assert heads.newest.head == newer
    heads.add(newer, members[2], members)
    assert heads.newest.members == ("m0", "m1", "m2", "m3")
    assert heads.seen == 10
