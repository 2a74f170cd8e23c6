"""Targets: what people hand each other: charters, enrolments, certificates, keys, model files, digests read aloud."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from cryptography import x509
from tests.coalition.charters import facts
from tests.fuzz import samples
from tests.fuzz.harness import TEXT_CHARACTERS_MAX, Target
from tests.fuzz.mutators import TOML_WORDS, array, by_bytes, cbor, der, either, tensors, text
from tests.identity.members import LEUVEN, NOW, keys

from tclearn.coalition.admission import admitted
from tclearn.coalition.arguments import argument_text, read_argument
from tclearn.coalition.charter import Charter
from tclearn.coalition.digest_text import format_digest, parse_digest
from tclearn.coalition.resolve import resolve
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.words import is_factory
from tclearn.encoding import Digest, decode, digest, encode
from tclearn.errors import CharterError, TCLearnError, UsageError
from tclearn.identity import sign
from tclearn.identity.certificates import check_chain, read_certificate
from tclearn.identity.enrolment import read_enrolment, read_statement
from tclearn.identity.member_keys import MemberKeys
from tclearn.identity.pem import Block, read_pem, write_pem
from tclearn.learning.data_ids import data_set_digest, digest_from_text, digest_text
from tclearn.learning.hidden import read_part, write_part
from tclearn.learning.parameters import Parameters
from tclearn.learning.records import Records
from tclearn.ledger.replica import Replica
from tclearn.protocols import terms_of
from tclearn.records import is_member_name

# --- charters --------------------------------------------------------------------------------------------------------


def _charter_toml(data: bytes) -> object:
    try:
        charter = Charter.from_toml(data.decode("utf-8", "surrogateescape"))
        resolved = resolve(charter, **facts())
    except CharterError as error:
        if len(str(error)) > TEXT_CHARACTERS_MAX or not str(error).isprintable():
            raise
        # Refusals come from one line for all mistakes; their words tell them apart.
        return error.code, re.sub(r"'[^']*'|\"[^\"]*\"|[^a-z]+", " ", error.what)[:30], str(error).count(";")
    assert ResolvedCharter.from_bytes(resolved.encode()) == resolved
    return resolved.schedule.turns, resolved.learning_rate is None, len(resolved.hyperparameters)


def _charter_cbor(data: bytes) -> object:
    charter = ResolvedCharter.from_bytes(data)
    assert charter.encode() == data
    charter.model.keyword_arguments()
    contract = terms_of(data).contract
    state = contract.view(Replica(contract, charter.digest).state())
    for member in charter.members:
        contract.duties(state, member.id, 0)
    return len(charter.members)


def _argument(data: bytes) -> object:
    try:
        value = read_argument(data.decode("utf-8", "replace"))
    except ValueError:
        return None
    assert argument_text(value).encode() == data
    return type(value)


def _argument_samples() -> list[bytes]:
    values: list[Any] = [1, -1.5, "é", None, True, [1, [2.5, {"a": 1}]], {"b": [], "a": {}}, 1 << 62, 1e300, 1e-300]
    return [argument_text(value).encode() for value in values]


_JSON_WORDS: Final = (*"[]{},:", "NaN", "Infinity", "1e999", "-0", '"\\ud800"', "1" * 5000, "0.1", "null")

# --- enrolments and certificates -------------------------------------------------------------------------------------


def _enrolment(data: bytes) -> object:
    enrolled = read_enrolment(data, NOW)
    record = admitted(enrolled)
    assert (record.id, record.key) == (LEUVEN, keys().signer.public), "an enrolment that nobody signed"
    stated = read_statement(data)
    assert (stated.member, stated.key, stated.seed_tip, stated.certificate) == (
        *(record.id, record.key),
        *(record.seed_tip, record.certificate),
    ), "the contract reads another enrolment than the members"
    return "enrolled"


def _stated(data: bytes) -> object:
    stated = read_statement(data)
    assert (stated.member, stated.key) == (LEUVEN, keys().signer.public), "a statement that nobody signed"
    return "stated"


def _enrolments() -> list[bytes]:
    return [samples.enrolment(), samples.enrolment().replace(b"\n", b"\r\n"), keys().to_pem()]


def _enrolled(data: bytes) -> object:
    """A member that signs anything: ``[certificate, certificate, statement]``, each signed by its own keys."""
    parts = decode(data, size_max=len(data))
    match parts:
        case [bytes(root), bytes(key), bytes(statement)]:
            pass
        case _:
            return None
    signed = sign(keys().signer, statement, b"TCLearn/enrolment/v1")
    blocks = [Block("CERTIFICATE", samples.certified(each)) for each in (root, key)]
    enrolled = read_enrolment(write_pem(*blocks, Block("TCLEARN ENROLMENT", signed)), NOW)
    record = admitted(enrolled)
    assert is_member_name(record.id) and record.key == keys().signer.public
    assert encode(record.to_value())
    return "enrolled"


def _certificate(data: bytes) -> object:
    return _checked(read_certificate(data), (NOW, datetime(2, 1, 1, tzinfo=UTC), NOW + timedelta(days=3000)))


def _checked(certificate: x509.Certificate, moments: tuple[datetime, ...]) -> object:
    root = read_certificate(samples.certificates()[0])
    ways: list[object] = []
    for first, second in ((root, certificate), (certificate, certificate)):
        for moment in moments:
            try:
                check_chain(LEUVEN, first, second, moment)
            except TCLearnError as error:
                assert str(error).isprintable()
                ways.append(error.what[:40])
    return tuple(ways)


def _self_signed(data: bytes) -> object:
    """The part of a certificate that is signed, signed by the root's key."""
    return _checked(read_certificate(samples.certified(data)), (NOW,))


def _key_file(data: bytes) -> object:
    found = MemberKeys.from_pem(data)
    assert MemberKeys.from_pem(found.to_pem()).signer.public == found.signer.public
    return "keys"


# --- models ----------------------------------------------------------------------------------------------------------


def _model(data: bytes) -> object:
    parameters = Parameters.from_bytes(data)
    again = Parameters.from_bytes(parameters.to_bytes())
    assert again == parameters and again.layout == parameters.layout
    finite = parameters.finite
    layout = Parameters.from_bytes(samples.models()[0]).layout
    Parameters.from_bytes(data, layout=layout).check_finite()
    return finite, len(parameters)


# --- hidden parts ----------------------------------------------------------------------------------------------------


def _part(data: bytes) -> object:
    records = read_part(data)
    again = read_part(write_part(records))
    assert again.same_as(records)
    assert len(data_set_digest(records)) == 32
    return len(records), records.inputs.dtype.kind


def _parts() -> list[bytes]:
    inputs = np.arange(12, dtype=np.float32).reshape(4, 3)
    labels, masks = np.arange(4), np.ones((4, 2, 2), dtype=np.bool_)
    kinds = [(inputs, labels), (inputs.astype(np.uint8), labels.astype(np.int16)), (inputs.astype(np.float64), masks)]
    return [write_part(Records(*each)) for each in kinds]  # type: ignore[arg-type] # arrays of several types


# --- short texts -----------------------------------------------------------------------------------------------------


def _digests(data: bytes) -> object:
    said = data.decode("utf-8", "replace")
    is_factory(said)
    is_member_name(said)
    found = set()
    for read, write in ((parse_digest, format_digest), (digest_from_text, digest_text)):
        try:
            value = read(said)
            assert read(write(value)) == value and len(value) == 32
            found.add(read.__name__)
        except UsageError:
            pass
    return frozenset(found)


def _digest_samples() -> list[bytes]:
    one = Digest(digest("one"))
    texts = (format_digest(one), one.hex().upper(), digest_text(one), "package.module:Name.of")
    return [text.encode() for text in texts]


def _pem_mutator(choose: Any, data: bytes, pool: Any) -> bytes:
    try:
        blocks = read_pem(data)
    except ValueError:
        return by_bytes(choose, data, pool)
    at = choose.randrange(len(blocks)) if blocks else 0
    if not blocks:
        return by_bytes(choose, data, pool)
    alike = [block.content for block in blocks]
    how = choose.choice((der, cbor(), by_bytes))
    blocks[at] = Block(blocks[at].label, how(choose, blocks[at].content, alike))
    if choose.random() < 0.1:
        choose.shuffle(blocks)
    return write_pem(*blocks)


_PEM_WORDS: Final = (
    *("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "-----BEGIN ", "TCLEARN ENROLMENT", "\r", "=", "=="),
)
_DIGEST_WORDS: Final = ("-", ":", "blake3:", "sha256", "\u0661", "\uff11", "<lambda>", ".")

TARGETS: Final = (
    Target("charter-toml", samples.charter_texts, _charter_toml, text(*TOML_WORDS), 250),
    Target("charter", lambda: [each.encode() for each in samples.charters()], _charter_cbor, cbor(plain=0.1), 250),
    Target("argument", _argument_samples, _argument, text(*_JSON_WORDS), 600),
    Target("enrolment", _enrolments, _enrolment, either(_pem_mutator, _pem_mutator, text(*_PEM_WORDS)), 300),
    Target("enrolment-statement", _enrolments, _stated, either(_pem_mutator, _pem_mutator, text(*_PEM_WORDS)), 300),
    Target(
        "enrolment-signed",
        lambda: [samples.cbor_array(*samples.to_be_signed(), samples.statement())],
        _enrolled,
        array(der, der, cbor()),
        200,
    ),
    Target("certificate", lambda: list(samples.certificates()), _certificate, der, 500),
    Target("certificate-signed", lambda: list(samples.to_be_signed()), _self_signed, der, 200),
    Target(
        "key-file",
        lambda: [keys().to_pem(), keys().rotated(bytes(64)).to_pem()],
        _key_file,
        either(_pem_mutator, text(*_PEM_WORDS)),
        300,
    ),
    Target("model", lambda: list(samples.models()), _model, tensors, 600),
    Target("hidden-part", _parts, _part, tensors, 600),
    Target("digest", _digest_samples, _digests, text(*_DIGEST_WORDS), 600),
)
