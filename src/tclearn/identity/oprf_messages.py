"""What a member and the supervisor send each other for data IDs. Format: ``docs/formats/data-ids.md``."""

from __future__ import annotations

from dataclasses import dataclass

from tclearn.encoding import decode
from tclearn.errors import Code, MessageError
from tclearn.identity.oprf import Blinded, Evaluation
from tclearn.identity.ristretto import ELEMENT_BYTES
from tclearn.limits import OPRF_BATCH_MAX, OPRF_MESSAGE_BYTES_MAX
from tclearn.records import Record


@dataclass(frozen=True, slots=True)
class IdRequest(Record):
    """A member's request.

    Attributes:
        blinded: the blinded elements, 32 bytes each.
    """

    blinded: bytes

    @classmethod
    def of(cls, blinded: Blinded) -> IdRequest:
        """The request for a batch."""
        return cls(b"".join(blinded.elements))

    @classmethod
    def read(cls, data: bytes) -> IdRequest:
        """Read what somebody sent.

        Raises:
            MessageError: not a request, or with no elements or too many. Whether they are elements is for
                ``OprfKey.evaluate`` to say.
        """
        request = cls.from_value(decode(data, size_max=OPRF_MESSAGE_BYTES_MAX), "the request for data IDs")
        _split(request.blinded, "a request")
        return request

    @property
    def batch(self) -> Blinded:
        """The elements."""
        return Blinded(_split(self.blinded, "a request"))

    @property
    def count(self) -> int:
        """How many IDs are asked for."""
        return len(self.blinded) // ELEMENT_BYTES


@dataclass(frozen=True, slots=True)
class IdAnswer(Record):
    """The supervisor's answer.

    Attributes:
        evaluated: the evaluated elements, 32 bytes each, in the request's order.
        proof: 64 bytes: one key made them all.
    """

    evaluated: bytes
    proof: bytes

    @classmethod
    def of(cls, evaluation: Evaluation) -> IdAnswer:
        """The answer with a batch."""
        return cls(b"".join(evaluation.elements), evaluation.proof)

    @classmethod
    def read(cls, data: bytes) -> IdAnswer:
        """Read what somebody sent.

        Raises:
            MessageError: not an answer, or with no elements or too many. Whether it is the supervisor's is for
                ``finalize`` to say.
        """
        answer = cls.from_value(decode(data, size_max=OPRF_MESSAGE_BYTES_MAX), "the answer with data IDs")
        _split(answer.evaluated, "an answer")
        return answer

    @property
    def batch(self) -> Evaluation:
        """The elements and their proof."""
        return Evaluation(_split(self.evaluated, "an answer"), self.proof)


def _split(elements: bytes, what: str) -> tuple[bytes, ...]:
    count, rest = divmod(len(elements), ELEMENT_BYTES)
    if rest or not 1 <= count <= OPRF_BATCH_MAX:
        raise MessageError(
            Code.OPRF,
            f"{what} for data IDs with {len(elements)} bytes of elements",
            expected=f"1 to {OPRF_BATCH_MAX} of {ELEMENT_BYTES} bytes",
        )
    return tuple(elements[at : at + ELEMENT_BYTES] for at in range(0, len(elements), ELEMENT_BYTES))
