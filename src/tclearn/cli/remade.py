"""``tclearn ledger verify --model``: a model file beside a DeepChain record, held against what the record gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tclearn.cli.imports import user_code
from tclearn.cli.output import count, say
from tclearn.cli.proofs import PROTOCOL, Audited, audited, protocol_in
from tclearn.directory.reading import check_file, open_file
from tclearn.encoding import Digest
from tclearn.errors import Code, ParametersError, UsageError, VerificationError
from tclearn.ledger.verify import Verified
from tclearn.protocols.deepchain.contract import DeepChain
from tclearn.store.reading import ObjectFolder

if TYPE_CHECKING:
    from tclearn.learning.parameters import Parameters
    from tclearn.protocols.deepchain.state import State

_REMEDY = "a `model.safetensors` that `tclearn demo` or a member has written"


@dataclass(frozen=True, slots=True)
class Held:
    """A model file that was held against a record.

    Attributes:
        file: the file.
        iterations: that have succeeded.
        remade: digest of the parameters that the record gives; ``None``: they could not be computed.
        fault: why the file is not that model, or why nobody knows; ``None``: it is.
    """

    file: Path
    iterations: int
    remade: Digest | None
    fault: VerificationError | None

    def as_json(self) -> dict[str, Any]:
        """The part of the JSON object."""
        return {
            "verified": self.fault is None,
            **({} if self.fault is None else {"error": {"code": self.fault.label, "what": self.fault.what}}),
            "file": str(self.file),
            "iterations": self.iterations,
            "parameters": self.remade and self.remade.hex(),
        }

    def say(self) -> None:
        """The line for people."""
        if self.fault is None:
            say(f"model     {self.file} is what the record gives after {count(self.iterations, 'iteration')}")
        else:
            say(f"model     {self.fault.what}")


@dataclass(frozen=True, slots=True)
class Remaking:
    """A verified record's W_0, and what else its model follows from."""

    file: Path
    rules: DeepChain
    state: State
    start: Parameters

    def held(self, objects: ObjectFolder, fault: VerificationError | None) -> Held:
        """Compute the model and compare the file with it.

        Args:
            objects: the opened sums.
            fault: why the record gives no model: a proof does not hold, or a file is missing; ``None``: it does.

        Raises:
            UnreachableError: the model file is gone.
            StorageError: it cannot be read.
        """
        from tclearn.protocols.deepchain.agent.remaking import models

        rounds = self.state.group.rounds
        if fault is not None:
            what = f"{self.file} was not compared: not all that it follows from is here and holds"
            return Held(self.file, rounds, None, VerificationError(fault.code, what))
        digests = [self.start.digest, *(each.digest for each in models(self.rules, self.state, self.start, objects))]
        return Held(self.file, rounds, digests[-1], self._fault(digests))

    def _fault(self, digests: list[Digest]) -> VerificationError | None:
        from tclearn.learning.parameters import digest_of_file

        try:
            with open_file(self.file, _REMEDY) as stream:
                found = digest_of_file(stream, layout=self.start.layout)
        except ParametersError as error:
            return VerificationError(error.code, f"{self.file}: {error.what}", expected=error.expected)
        if found == digests[-1]:
            return None
        rounds = len(digests) - 1
        earlier = f": it is the model after {digests.index(found)} of them" if found in digests else ""
        return VerificationError(
            Code.PARAMETERS_DIGEST,
            f"{self.file} is not what the record gives after {count(rounds, 'iteration')}{earlier}",
            expected=f"parameters {digests[-1].hex()}",
            remedy=f"it has {found.hex()}; do not rely on it, and ask whoever sent it",
        )


@dataclass(frozen=True, slots=True)
class Beside:
    """What was looked at beside a record.

    Attributes:
        looked: its files.
        held: a model; ``None``: none was named.
    """

    looked: Audited
    held: Held | None

    @property
    def fault(self) -> VerificationError | None:
        """The first that does not hold; ``None``: all does."""
        return self.looked.fault or (self.held.fault if self.held else None)

    def as_json(self) -> dict[str, Any]:
        """The parts of the JSON object: ``verified`` is said of everything then, ``record_verified`` of the record."""
        model = {} if self.held is None else {"model": self.held.as_json()}
        return {
            "verified": self.fault is None,
            "record_verified": True,
            "proofs": self.looked.as_json(),
            **model,
        }


def looked_beside(
    stream: BinaryIO, verified: Verified, objects: ObjectFolder, model: Path | None, *, as_json: bool
) -> Beside:
    """Look at the files of a verified record, and hold a model against it; people are told what was found.

    Raises:
        CharterError: the model code is not here, is another version, or fails.
        ParametersError: it draws another W_0.
        UsageError: the trainer draws none without data.
        StorageError: a file is there and cannot be read.
    """
    made = None if model is None else remaking(verified, model)  # before what takes long
    looked = audited(stream, verified, objects, as_json=as_json)
    if not as_json:
        looked.say()
    held = None if made is None else made.held(objects, looked.fault)
    if held is not None and not as_json:
        held.say()
    return Beside(looked, held)


def check_model(stream: BinaryIO, file: Path, *, proofs: bool, charter: bool) -> None:
    """Whether a model can be held against a record; returns nothing. The stream is read from its start, and set back.

    Raises:
        UsageError: the record is of another protocol, or without its files or its charter's digest.
        UnreachableError: there is no such file.
    """
    protocol = protocol_in(stream)
    if protocol != PROTOCOL:
        raise UsageError(
            Code.USAGE,
            f"--model with a record of the protocol {protocol[:40]}",
            expected=f"a record of {PROTOCOL}",
            remedy="`tclearn model list` has each model's digest, `tclearn model get` compares and writes it",
        )
    if not proofs:
        raise UsageError(
            Code.USAGE,
            "--model without --proofs",
            expected="the directory with the opened sums, which the model follows from",
        )
    if not charter:
        raise UsageError(
            Code.USAGE,
            "--model without --charter",
            expected="the charter's digest as you know it from elsewhere, or a charter.cbor that you trust",
            remedy="the code that the charter names is called to draw W_0: it must not be a stranger's charter",
        )
    check_file(file, _REMEDY)


def remaking(verified: Verified, file: Path) -> Remaking:
    """Draw W_0 for a verified record, by the model code that its charter names: that code runs here.

    Args:
        verified: what was said about it.
        file: the model to be held against it.

    Raises:
        CharterError: the model code or the trainer is not here, is another version, or fails.
        ParametersError: it draws another W_0.
        UsageError: the trainer draws none without data.
    """
    from tclearn.directory.founding import recipe_of
    from tclearn.directory.site import SiteFile
    from tclearn.learning.start import start

    rules = verified.terms.contract
    if not isinstance(rules, DeepChain):
        raise AssertionError("the protocol was looked at before")
    terms = rules.terms
    user_code()
    drawn = start(recipe_of(terms.trainer, SiteFile()), terms.model, terms.task.metric)
    return Remaking(file, rules, rules.view(verified.state), drawn)
