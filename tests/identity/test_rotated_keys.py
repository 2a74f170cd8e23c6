"""Keys that carry those before them, and the part of an enrolment that every replica judges alike."""

from __future__ import annotations

import pytest
from tests.identity.members import LEUVEN, NOW, keys

from tclearn.errors import Code, MessageError, UsageError
from tclearn.identity.enrolment import read_enrolment, read_statement, write_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.limits import EARLIER_KEYS_MAX

ENTROPY = bytes(range(64))


def test_what_is_derived_stays_and_what_signs_is_new() -> None:
    first = keys()
    second = first.rotated(ENTROPY)
    third = second.rotated(ENTROPY[::-1])
    assert len({each.signer.public for each in (first, second, third)}) == 3
    assert third.derive("site") == second.derive("site") == first.derive("site") == first.signer.derive("site")
    assert [each.public for each in third.earlier] == [first.signer.public, second.signer.public]


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_the_file_carries_the_keys_before(passphrase: str | None) -> None:
    written = keys().rotated(ENTROPY).rotated(ENTROPY[::-1])
    read = MemberKeys.from_pem(written.to_pem(passphrase, salt=bytes(written.salt_bytes)), passphrase)
    assert read.signer.public == written.signer.public
    assert [each.public for each in read.earlier] == [each.public for each in written.earlier]
    assert read.derive("vault") == keys().signer.derive("vault")
    shown = repr(read)
    assert all(each.seed().hex() not in shown for each in (read.signer, *read.earlier))


def test_a_salt_for_each_key() -> None:
    with pytest.raises(ValueError, match="bytes of salt"):
        keys().rotated(ENTROPY).to_pem("correct horse", salt=bytes(64))


def test_there_is_an_end_to_rotating() -> None:
    full = MemberKeys(keys().root, keys().signer, (keys().signer,) * EARLIER_KEYS_MAX)
    with pytest.raises(UsageError) as refused:
        full.rotated(ENTROPY)
    assert refused.value.code is Code.KEY_FILE


def test_the_statement_says_what_the_whole_file_says() -> None:
    file = write_enrolment(LEUVEN, keys(), NOW)
    whole, stated = read_enrolment(file, NOW), read_statement(file)
    assert (stated.member, stated.key, stated.seed_tip) == (whole.member, whole.key, whole.seed_tip)
    assert stated.certificate == whole.certificate


def test_a_changed_byte_of_the_statement_or_of_the_root_is_refused() -> None:
    file = write_enrolment(LEUVEN, keys(), NOW)
    root_end = file.index(b"-----END")
    statement = file.index(b"-----BEGIN TCLEARN")
    for at in (*range(60, root_end - 8, 97), *range(statement + 60, len(file) - 60, 31)):
        if file[at : at + 1] in b"\n-=":
            continue
        changed = file[:at] + (b"A" if file[at : at + 1] != b"A" else b"B") + file[at + 1 :]
        with pytest.raises(MessageError):
            read_statement(changed)
    with pytest.raises(MessageError) as large:
        read_statement(file, size_max=len(file) - 1)
    assert large.value.code is Code.TOO_LARGE
