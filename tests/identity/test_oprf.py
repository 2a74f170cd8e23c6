"""The oblivious function: RFC 9497's vectors, another implementation, and answers that are not to be believed."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from voprf import ristretto as other

from tclearn.errors import Code, MessageError
from tclearn.identity.oprf import (
    Blinded,
    Entropy,
    Evaluation,
    Mode,
    OprfKey,
    blind,
    finalize,
    oprf_public_key,
)
from tclearn.identity.oprf_messages import IdAnswer, IdRequest
from tclearn.identity.ristretto import ORDER, multiply_base
from tclearn.limits import OPRF_BATCH_MAX, OPRF_MESSAGE_BYTES_MAX

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "oprf_vectors.json").read_text())
CASES = [(group, vector) for group in VECTORS["modes"] for vector in group["vectors"]]
KEY = OprfKey(bytes(32))
RECORDS = [bytes([number]) * 32 for number in range(3)]


def scalars(*fixed: str) -> Entropy:
    """Entropy that gives these scalars, one after the other."""
    left = iter(fixed)
    return lambda size: bytes.fromhex(next(left)).ljust(size, b"\x00")


def hexadecimal(items: Any) -> list[str]:
    return [item.hex() for item in items]


@pytest.mark.parametrize(("group", "vector"), CASES)
def test_vectors_of_the_rfc(group: dict[str, Any], vector: dict[str, Any]) -> None:
    mode = Mode(group["mode"])
    key = OprfKey(bytes.fromhex(VECTORS["seed"]), bytes.fromhex(VECTORS["key_info"]), mode)
    assert key._scalar.hex() == group["secret"]
    assert key.public.hex() == group.get("public", key.public.hex())
    inputs = [bytes.fromhex(each) for each in vector["input"]]
    pending = blind(inputs, mode=mode, entropy=scalars(*vector["blind"]))
    assert hexadecimal(pending.blinded.elements) == vector["blinded"]
    evaluation = key.evaluate(pending.blinded, entropy=scalars(vector.get("nonce", "")))
    assert hexadecimal(evaluation.elements) == vector["evaluated"]
    assert evaluation.proof.hex() == vector.get("proof", "")
    assert hexadecimal(finalize(pending, evaluation, key.public)) == vector["output"]
    assert hexadecimal(map(key.value, inputs)) == vector["output"]


@settings(max_examples=20)
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4), st.binary(min_size=32, max_size=32))
def test_another_implementation_agrees_as_either_side(inputs: list[bytes], seed: bytes) -> None:
    theirs, ours = other.Evaluator.from_seed(seed, b"info"), OprfKey(seed, b"info")
    assert theirs.public_key.serialize() == ours.public
    expected = [theirs.evaluate_known_input(each) for each in inputs]
    pending = blind(inputs)
    sent = [other.BlindedInput.deserialize(each) for each in pending.blinded.elements]
    answer = theirs.evaluate_batch(sent).serialize()
    elements = tuple(answer[at : at + 32] for at in range(64, len(answer), 32))
    assert finalize(pending, Evaluation(elements, answer[:64]), ours.public) == expected
    clients, requests = zip(*map(other.Client.blind, inputs), strict=True)
    evaluation = ours.evaluate(Blinded(tuple(each.serialize() for each in requests)))
    batch = other.VerifiableBatchOutput.deserialize(evaluation.proof + b"".join(evaluation.elements))
    assert other.Client.finalize_batch(clients, batch, theirs.public_key) == expected


def test_what_two_members_ask_differs_and_what_they_get_meets() -> None:
    first, second = blind(RECORDS), blind(RECORDS)
    assert set(first.blinded.elements).isdisjoint(second.blinded.elements)
    outputs = [finalize(each, KEY.evaluate(each.blinded), KEY.public) for each in (first, second)]
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0])) == 3
    assert all(len(output) == 64 for output in outputs[0])


def test_another_key_gives_other_values() -> None:
    assert KEY.value(RECORDS[0]) != OprfKey(bytes(31) + b"\x01").value(RECORDS[0])
    assert KEY.value(RECORDS[0]) != OprfKey(bytes(32), b"info").value(RECORDS[0])
    assert OprfKey.generate().public != OprfKey.generate().public


def test_a_blinded_element_is_a_random_one() -> None:
    """A uniform scalar makes of any element but the identity any other, so that it carries nothing of the record."""
    blinded = [blind([RECORDS[0]]).blinded.elements[0] for _ in range(200)]
    assert len(set(blinded)) == 200
    for bit in (1, 100, 200, 251):  # bit 0 says nothing: it is 0 in every encoding
        ones = sum(int.from_bytes(each, "little") >> bit & 1 for each in blinded)
        assert 55 < ones < 145  # more than six standard deviations of a fair coin


def liar(change: Callable[[Evaluation], Evaluation]) -> Callable[[Blinded], Evaluation]:
    return lambda blinded: change(KEY.evaluate(blinded))


def swapped(evaluation: Evaluation) -> Evaluation:
    first, second, *rest = evaluation.elements
    return replace(evaluation, elements=(second, first, *rest))


OTHER_KEY = OprfKey(b"\x01" * 32)
BASE = multiply_base((5).to_bytes(32, "little"))


@pytest.mark.parametrize(
    "supervisor",
    [
        OTHER_KEY.evaluate,
        liar(lambda each: replace(each, proof=bytes(64))),
        liar(lambda each: replace(each, proof=each.proof[:-1])),
        liar(lambda each: replace(each, proof=each.proof + b"\x00")),
        liar(lambda each: replace(each, proof=b"")),
        liar(lambda each: replace(each, proof=each.proof[:32] + ORDER.to_bytes(32, "little"))),
        liar(lambda each: replace(each, proof=each.proof[32:] + each.proof[:32])),
        liar(lambda each: replace(each, elements=each.elements[:-1])),
        liar(lambda each: replace(each, elements=(*each.elements, BASE))),
        liar(lambda each: replace(each, elements=(BASE, *each.elements[1:]))),
        liar(lambda each: replace(each, elements=(bytes(32), *each.elements[1:]))),
        liar(lambda each: replace(each, elements=(b"\xff" * 32, *each.elements[1:]))),
        liar(swapped),
        # One record under another key, hidden in a batch of the right one: who it is of would show in its ID.
        liar(lambda each: replace(each, elements=(*each.elements[:-1], OTHER_KEY.value(b"")[:32]))),
        lambda blinded: Evaluation(
            (*KEY.evaluate(blinded).elements[:-1], OTHER_KEY.evaluate(blinded).elements[-1]),
            KEY.evaluate(blinded).proof,
        ),
        # The proof of another batch.
        lambda blinded: replace(KEY.evaluate(blinded), proof=KEY.evaluate(blind(RECORDS).blinded).proof),
    ],
)
def test_an_answer_of_another_key_is_noticed(supervisor: Callable[[Blinded], Evaluation]) -> None:
    pending = blind(RECORDS)
    with pytest.raises(MessageError) as caught:
        finalize(pending, supervisor(pending.blinded), KEY.public)
    assert caught.value.code is Code.OPRF


def test_an_honest_answer_is_believed_by_nobody_who_expects_another_key() -> None:
    pending = blind(RECORDS)
    with pytest.raises(MessageError, match="did not make"):
        finalize(pending, KEY.evaluate(pending.blinded), OTHER_KEY.public)


@pytest.mark.parametrize(
    "elements",
    [(), (b"",), (bytes(32),), (BASE, bytes(32)), (b"\xff" * 32,), (BASE + b"\x00",), (BASE,) * (OPRF_BATCH_MAX + 1)],
)
def test_the_supervisor_answers_nothing_but_elements(elements: tuple[bytes, ...]) -> None:
    with pytest.raises(MessageError) as caught:
        KEY.evaluate(Blinded(elements))
    assert caught.value.code is Code.OPRF


@pytest.mark.parametrize("inputs", [[], [b""] * (OPRF_BATCH_MAX + 1), [bytes(1 << 16)]])
def test_batches_have_a_size(inputs: list[bytes]) -> None:
    with pytest.raises(ValueError, match="inputs to blind"):
        blind(inputs)


def test_a_zero_scalar_is_drawn_again() -> None:
    pending = blind([b"x"], entropy=scalars("00" * 32, ORDER.to_bytes(32, "little").hex(), "02" + "00" * 31))
    assert pending.blinds == ((2).to_bytes(32, "little"),)


def test_a_public_key_is_an_element() -> None:
    assert oprf_public_key(KEY.public) == KEY.public
    for wrong in (b"", bytes(32), KEY.public[:-1], b"\xff" * 32):
        with pytest.raises(MessageError):
            oprf_public_key(wrong)
    with pytest.raises(ValueError, match="seed"):
        OprfKey(bytes(31))


def test_secrets_are_neither_shown_nor_copied() -> None:
    pending = blind(RECORDS)
    for shown in (repr(KEY), repr(pending), str(pending)):
        for secret in (KEY._scalar, *pending.blinds, *pending.inputs):
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown
    assert KEY.public.hex()[:16] in repr(KEY)
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied or pickled"):
            copied(KEY)


# --- messages --------------------------------------------------------------------------------------------------------


def test_messages_carry_a_batch() -> None:
    pending = blind(RECORDS)
    request = IdRequest.read(IdRequest.of(pending.blinded).encode())
    assert request.batch == pending.blinded
    assert request.count == 3
    answer = IdAnswer.read(IdAnswer.of(KEY.evaluate(request.batch)).encode())
    assert finalize(pending, answer.batch, KEY.public) == list(map(KEY.value, RECORDS))


def test_the_largest_batch_fits_its_message() -> None:
    elements = (BASE,) * OPRF_BATCH_MAX
    for message in (IdRequest.of(Blinded(elements)), IdAnswer.of(Evaluation(elements, bytes(64)))):
        assert len(message.encode()) < OPRF_MESSAGE_BYTES_MAX
        assert type(message).read(message.encode()) == message


REQUEST = IdRequest.of(blind(RECORDS).blinded).encode()


def mutated(data: st.DataObject, whole: bytes) -> bytes:
    at = data.draw(st.integers(0, len(whole)))
    return whole[:at] + data.draw(st.binary(max_size=40)) + whole[at + data.draw(st.integers(0, 40)) :]


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=200), st.data()))
@example(b"")
@example(b"\xa0")
@example(IdRequest(b"").encode())
@example(IdRequest(bytes(33)).encode())
@example(IdRequest(bytes(32 * (OPRF_BATCH_MAX + 1))).encode())
@example(bytes(OPRF_MESSAGE_BYTES_MAX + 1))
def test_a_malformed_request_is_answered_or_refused_with_a_code(data: Any) -> None:
    message = data if isinstance(data, bytes) else mutated(data, REQUEST)
    try:
        request = IdRequest.read(message)
        evaluation = KEY.evaluate(request.batch)
    except MessageError as error:
        assert error.code in (Code.OPRF, Code.ENCODING, Code.TOO_LARGE)
    else:
        assert len(evaluation.elements) == request.count


PENDING = blind(RECORDS)
ANSWER = IdAnswer.of(KEY.evaluate(PENDING.blinded)).encode()


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=200), st.data()))
@example(IdAnswer(BASE * 3, bytes(64)).encode())
@example(IdAnswer(BASE * 3, b"").encode())
@example(IdAnswer(b"", bytes(64)).encode())
def test_a_malformed_answer_is_refused_with_a_code(data: Any) -> None:
    message = data if isinstance(data, bytes) else mutated(data, ANSWER)
    try:
        outputs = finalize(PENDING, IdAnswer.read(message).batch, KEY.public)
    except MessageError as error:
        assert error.code in (Code.OPRF, Code.ENCODING, Code.TOO_LARGE)
    else:
        assert message == ANSWER
        assert outputs == list(map(KEY.value, RECORDS))


def test_the_operating_systems_entropy_is_used() -> None:
    assert blind.__kwdefaults__ is not None
    assert blind.__kwdefaults__["entropy"] is secrets.token_bytes
    assert OprfKey.evaluate.__kwdefaults__ is not None
    assert OprfKey.evaluate.__kwdefaults__["entropy"] is secrets.token_bytes
