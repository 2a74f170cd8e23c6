"""A member whose certificates the service cannot check is not let in, and keeps nobody else away."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.service.conftest import NAMES, Member, Service, found_four, keys_of, now, until
from tests.service.test_membership import admit, made, state_of

from tclearn.directory.changes import ask_to_admit, take_keys
from tclearn.directory.coalition import CoalitionDirectory
from tclearn.directory.enrolments import ENROLMENTS as FILES
from tclearn.encoding import MemberId
from tclearn.errors import UnreachableError
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.tls import identity_of_member, identity_of_service
from tclearn.protocols.tclearn.records import DONE
from tclearn.service.circle import Circle
from tclearn.service.peers import Standing


def shown(enrolment: bytes, keys: MemberKeys, at: datetime) -> bytes:
    """The certificate that a member shows in a handshake (DER)."""
    root = read_enrolment(enrolment, at).root
    return identity_of_member(root, keys.root, at).certificate.public_bytes(Encoding.DER)


def test_one_founders_file_is_gone_and_the_others_changes_are_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The old root of a rotated member is no member's any more, whatever becomes of another member's file."""
    folder = found_four(tmp_path)
    with CoalitionDirectory.open(folder, writing=True) as coalition:
        identity = identity_of_service(coalition.log_key(), ["127.0.0.1"], now())
        circle = Circle(coalition, coalition.roots(now()), identity, now)
        old = keys_of("porto")
        before = shown((folder / FILES / "porto.pem").read_bytes(), old, now())
        assert circle.peers.standing(before) == Standing(MemberId("porto"))
        (folder / FILES / "turin.pem").unlink()
        fresh = old.rotated(b"rotated!" * 8)
        enrolment, _ = made("porto", fresh)
        with caplog.at_level(logging.WARNING):
            take_keys(coalition.ledger, coalition.charter.digest, old.signer, enrolment, now())
            circle.grown()
        assert "turin is not let in: no file" in caplog.text
        assert circle.peers.standing(before) == Standing(MemberId("porto"), former=True)
        assert circle.peers.standing(shown(enrolment, fresh, now())) == Standing(MemberId("porto"))
        assert set(circle.peers.roots) == {"leuven", "namur", "porto"}


def test_one_founders_certificate_has_run_out_and_the_others_give_it_new_keys(tmp_path: Path) -> None:
    folder = found_four(tmp_path)
    later = now() + timedelta(days=1000)
    much_later = now() + timedelta(days=1100)  # the certificates of the founding have run out
    with CoalitionDirectory.open(folder, writing=True) as coalition:
        charter, keys = coalition.charter.digest, {name: keys_of(name) for name in NAMES}
        for name in NAMES[:3]:
            fresh = keys[name].rotated(name.encode().ljust(64))
            enrolment = write_enrolment(MemberId(name), fresh, later)
            take_keys(coalition.ledger, charter, keys[name].signer, enrolment, later)
            keys[name] = fresh
        known = coalition.known(much_later)
        assert set(known.roots) == set(NAMES[:3])
        assert known.lines() == [f"turin is not let in: {known.unknown[MemberId('turin')].what}"]
        assert "valid from" in known.lines()[0]
        enrolment = write_enrolment(MemberId("turin"), MemberKeys.from_entropy(b"again" + bytes(59)), much_later)
        *_, asked = [
            ask_to_admit(coalition.ledger, charter, keys[name].signer, enrolment, much_later) for name in NAMES[:3]
        ]
        assert asked.status == DONE
        assert set(coalition.known(much_later).roots) == set(NAMES)


def test_the_service_starts_without_one_founders_file(
    service: Service, members: dict[str, Member], tmp_path: Path
) -> None:
    service.end()
    (service.directory / FILES / "turin.pem").unlink()
    service.start()
    with pytest.raises(UnreachableError), members["turin"].home.connection(now()) as connection:
        connection.get("/v1/health", size_max=100)
    with members["porto"].home.connection(now()) as connection:
        assert connection.get("/v1/health", size_max=100)
    enrolment, turin = made("turin", MemberKeys.from_entropy(b"again" + bytes(59)))
    assert admit(members, enrolment) == DONE
    until(lambda: state_of(service).member_of(turin.keys.signer.public) == "turin")
