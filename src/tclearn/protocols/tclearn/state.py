"""The state of a TCLearn coalition, as typed records over the ledger's key–value view.

Keys: ``turn``, ``tries``, ``pending``, ``tip``, ``block/…``, ``ids/…``, ``candidates``, ``candidate/…``,
``candidate-ids/…``, ``named/…``, ``open``, ``offered/…``, ``offers/…``, ``declared/…``, ``seed``, ``chain/…``,
``hyperparameters``, ``rate``, ``privacy/…``, ``change/…``, ``changes``, ``asks``, ``reverts``, ``kept/…``, ``asked``,
``drift``, ``members``, ``former``, ``credential/…``, ``enrolment/…``;
at level B ``accesses``, ``access/…``, ``granted/…``, ``readings/…``, ``undelivered/…``, ``unwitnessed``,
``cosigned/…``, ``located/…``, ``forgiven/…``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar, cast

from tclearn.coalition.acceptance import AcceptanceRule
from tclearn.coalition.block import ID_BYTES, INCREMENT, REVERT, Block, split_ids
from tclearn.coalition.privacy import BlockPrivacy, PrivacyEvent, Spent, epsilon_ppm
from tclearn.coalition.rate import RateState
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import MemberRecord
from tclearn.encoding import Digest, MemberId, Value, digest
from tclearn.ledger import View
from tclearn.limits import UNCONFIRMED_LISTED_MAX
from tclearn.protocols.tclearn.calls import OF_MEMBERS, USE
from tclearn.protocols.tclearn.memo import Memo, UsedIds
from tclearn.protocols.tclearn.records import (
    APPROVED,
    OPEN,
    AccessState,
    AnyPending,
    Askings,
    Asks,
    Candidate,
    ChainedBlock,
    ChangeState,
    Declared,
    Drift,
    Kept,
    PendingIncrement,
    PendingRevert,
    SeedChain,
    Turn,
)
from tclearn.protocols.tclearn.roll import MEMBERS, Roll, credentials
from tclearn.records import Record

R = TypeVar("R", bound=Record)


class State:
    """A typed reading of the state, and the writes of one call on top of it.

    Args:
        view: the ledger's key–value view.
        charter: the coalition's charter.
        rule: the acceptance rule that the charter names.
        memo: what was read before.
    """

    def __init__(self, view: View, charter: ResolvedCharter, rule: AcceptanceRule, memo: Memo) -> None:
        self._view = view
        self.charter = charter
        self.rule = rule
        self._memo = memo
        self.writes: dict[str, Value | None] = {}

    # --- the chain -------------------------------------------------------------------------------------------------

    @property
    def tip(self) -> int:
        """Index of the newest block."""
        return cast(int, self._value("tip"))

    @property
    def increments(self) -> int:
        """Increments accepted so far, reverted ones included: every block but genesis and the reverts."""
        return self.tip - self._reverts

    @property
    def _reverts(self) -> int:
        return cast(int, self._value("reverts", 0))

    def chained(self, index: int) -> ChainedBlock:
        """A block with its endorsements."""
        return self._record(_numbered("block", index), ChainedBlock)

    def block(self, index: int) -> Block:
        """A block of the chain."""
        return self.chained(index).block

    def blocks(self) -> Iterator[ChainedBlock]:
        """The whole chain, genesis first."""
        return (self.chained(index) for index in range(self.tip + 1))

    def put_block(self, chained: ChainedBlock, *, tip: bool) -> None:
        """Store a block, as the new tip or with further endorsements."""
        self.writes[_numbered("block", chained.block.index)] = chained.to_value()
        if tip:
            self.writes["tip"] = chained.block.index
            if chained.block.kind == REVERT:
                self.writes["reverts"] = self._reverts + 1

    def lineage(self, index: int) -> Iterator[Block]:
        """The increments that the model of a block is made of, newest first; reverted ones are left out."""
        while index > 0:
            block = self.block(index)
            if block.kind == INCREMENT:
                yield block
            index = cast(int, block.reverts) if block.kind == REVERT else index - 1

    def data_ids(self, index: int) -> bytes:
        """IDs of the records that an increment block brought, 16 bytes each, ascending."""
        return cast(bytes, self._value(_numbered("ids", index), b""))

    def used_ids(self) -> frozenset[bytes]:
        """IDs of all records that count in the present model."""
        tip, known = self.block(self.tip), self._memo.used
        if known is None or known.block != tip.hash:
            if known is not None and known.block == tip.previous and tip.kind == INCREMENT:
                ids = known.ids.union(split_ids(self.data_ids(tip.index)))
            else:
                parts = [split_ids(self.data_ids(block.index)) for block in self.lineage(tip.index)]
                ids = frozenset(chain.from_iterable(parts))
            known = self._memo.used = UsedIds(tip.hash, ids)
        return known.ids

    def put_data_ids(self, index: int, ids: bytes) -> None:
        """Store the IDs of an increment block."""
        self.writes[_numbered("ids", index)] = ids

    # --- candidates ------------------------------------------------------------------------------------------------

    @property
    def candidates(self) -> int:
        """Number of candidates so far."""
        return cast(int, self._value("candidates"))

    def candidate(self, number: int) -> Candidate:
        """A candidate by its number."""
        return self._record(_numbered("candidate", number), Candidate)

    def named(self, candidate: Digest) -> Candidate | None:
        """A candidate by its id."""
        number = self._value(f"named/{candidate.hex()}", -1)
        return None if number == -1 else self.candidate(cast(int, number))

    def open_candidates(self) -> list[Candidate]:
        """Candidates that are not decided yet, oldest first."""
        return [self.candidate(cast(int, number)) for number in cast(Sequence[Value], self._value("open"))]

    def put_candidate(self, candidate: Candidate) -> None:
        """Store a candidate and keep the list of open ones right."""
        self.writes[_numbered("candidate", candidate.number)] = candidate.to_value()
        numbers = [cast(int, number) for number in cast(Sequence[Value], self._value("open"))]
        listed = candidate.number in numbers
        if candidate.status in OPEN and not listed:
            self.writes["open"] = [*numbers, candidate.number]
        elif candidate.status not in OPEN and listed:
            self.writes["open"] = [number for number in numbers if number != candidate.number]
        if candidate.number == self.candidates:
            self.writes["candidates"] = candidate.number + 1
            self.writes[f"named/{candidate.id.hex()}"] = candidate.number
            self.writes[f"offered/{candidate.parameters.hex()}"] = candidate.number

    def offered(self, parameters: Digest) -> bool:
        """Whether exactly these parameters have been offered before, or are M_0."""
        return self._value(f"offered/{parameters.hex()}", -1) != -1 or parameters == self.block(0).parameters

    def candidate_ids(self, number: int) -> bytes:
        """Data IDs of an open candidate."""
        return cast(bytes, self._value(_numbered("candidate-ids", number), b""))

    def put_candidate_ids(self, number: int, ids: bytes | None) -> None:
        """Store or forget the data IDs of a candidate."""
        self.writes[_numbered("candidate-ids", number)] = ids

    def declared(self, member: MemberId) -> Declared | None:
        """What a member has declared of the data IDs of its coming proposal; with the chance it is forgotten."""
        if self._value(f"declared/{member}", 0) == 0:
            return None
        declared = self._record(f"declared/{member}", Declared)
        return declared if declared.chance == self.chance(member) else None

    def declared_ids(self, member: MemberId) -> bytes:
        """The IDs declared, in one piece."""
        declared = self.declared(member)
        parts = declared.parts if declared else 0
        return b"".join(cast(bytes, self._value(_part(member, number))) for number in range(parts))

    def add_declared(self, member: MemberId, part: bytes) -> None:
        """Store one more part, under a key of its own: no part is ever written twice."""
        before = self.declared(member)
        if before is None:
            self.forget_declared(member)
        number, count = (before.parts, before.count) if before else (0, 0)
        self.writes[_part(member, number)] = part
        after = Declared(self.chance(member), number + 1, count + len(part) // ID_BYTES, part[-ID_BYTES:])
        self.writes[f"declared/{member}"] = after.to_value()

    def forget_declared(self, member: MemberId) -> None:
        """Delete all parts, those of an earlier chance too."""
        if self._value(f"declared/{member}", 0) != 0:
            for number in range(self._record(f"declared/{member}", Declared).parts):
                self.writes[_part(member, number)] = None
            self.writes[f"declared/{member}"] = None

    # --- turns, the pending block, seeds ---------------------------------------------------------------------------

    @property
    def turn(self) -> Turn:
        """Whose turn it is."""
        return self._record("turn", Turn)

    def put_turn(self, turn: Turn) -> None:
        """Set the turn."""
        self.writes["turn"] = turn.to_value()

    def tries(self, member: MemberId) -> int:
        """Candidates that a member has offered for the present height."""
        return cast(int, cast(Mapping[str, Value], self._value("tries")).get(member, 0))

    def put_tries(self, tries: Mapping[str, int]) -> None:
        """Set the count of candidates per member for the present height."""
        self.writes["tries"] = dict(tries)

    def forget_tries(self, member: MemberId) -> None:
        """Leave a member out of the count."""
        tries = cast(Mapping[str, int], self._value("tries"))
        self.put_tries({name: count for name, count in tries.items() if name != member})

    def count_try(self, member: MemberId) -> None:
        """Count one more candidate of a member."""
        tries = cast(Mapping[str, int], self._value("tries"))
        self.put_tries({**tries, member: tries.get(member, 0) + 1})
        self.writes[f"offers/{member}"] = cast(int, self._value(f"offers/{member}", 0)) + 1

    def forgive(self, candidate: Candidate) -> None:
        """Take back what a candidate has counted: the proposer's try, and that its parameters were offered."""
        tries = cast(Mapping[str, int], self._value("tries"))
        self.put_tries({**tries, candidate.proposer: max(0, tries.get(candidate.proposer, 0) - 1)})
        self.writes[f"offered/{candidate.parameters.hex()}"] = None
        if self.charter.vault is not None and self.forgiven(candidate.parameters) is None:
            self.writes[f"forgiven/{candidate.parameters.hex()}"] = candidate.number

    def forgiven(self, parameters: Digest) -> Candidate | None:
        """The first candidate with these parameters that was forgiven (level B); ``None``: there is none."""
        number = self._value(f"forgiven/{parameters.hex()}", -1)
        return None if number == -1 else self.candidate(cast(int, number))

    def chance(self, member: MemberId) -> Digest:
        """Names a member's present chance to propose: its turn, or with free turns the time until its next offer."""
        return digest("tclearn/chance/1", self.block(self.tip).hash, *self._place(member))

    def training(self, member: MemberId) -> Digest:
        """Names what a member trains at its present chance; unlike the chance it does not depend on the clock."""
        newest = self.block(self.tip)
        return digest("tclearn/training/1", newest.index, newest.parameters, *self._place(member))

    def _place(self, member: MemberId) -> tuple[int, ...]:
        if self.charter.schedule.turns == "free":
            return (cast(int, self._value(f"offers/{member}", 0)),)
        return self.turn.number, self.tries(member)

    @property
    def pending(self) -> AnyPending | None:
        """The decided block that locks the height; ``None``: proposals are open."""
        value = self._value("pending", 0)
        if value == 0:
            return None
        if "candidate" in cast(Mapping[str, Value], value):
            return self._memo.record("pending", value, PendingIncrement)
        return self._memo.record("pending", value, PendingRevert)

    def put_pending(self, pending: AnyPending | None) -> None:
        """Lock the height, or unlock it."""
        self.writes["pending"] = pending.to_value() if pending else None

    @property
    def seed(self) -> Digest:
        """The seed of the present height's draws."""
        return cast(Digest, self._value("seed"))

    def put_seed(self, seed: Digest) -> None:
        """Set the seed of the next height's draws."""
        self.writes["seed"] = seed

    def seed_chain(self, member: MemberId) -> SeedChain:
        """A member's seed chain."""
        return self._record(f"chain/{member}", SeedChain)

    def put_seed_chain(self, member: MemberId, chain: SeedChain | None) -> None:
        """Set a member's seed chain, or forget it."""
        self.writes[f"chain/{member}"] = chain.to_value() if chain else None

    # --- hidden parts ----------------------------------------------------------------------------------------------

    def kept(self, member: MemberId) -> Kept | None:
        """The hidden parts that a member has committed to last."""
        return None if self._value(f"kept/{member}", 0) == 0 else self._record(f"kept/{member}", Kept)

    def put_kept(self, member: MemberId, kept: Kept) -> None:
        """Set the hidden parts of a member."""
        self.writes[f"kept/{member}"] = kept.to_value()

    @property
    def keepers_asked(self) -> tuple[MemberId, ...]:
        """Whose parts were asked for at the present height, since the last time that all had been asked."""
        askings = None if self._value("asked", 0) == 0 else self._record("asked", Askings)
        return askings.keepers if askings is not None and askings.height == self.tip + 1 else ()

    def put_keepers_asked(self, keepers: tuple[MemberId, ...]) -> None:
        """Set whose parts were asked for at the present height."""
        self.writes["asked"] = Askings(self.tip + 1, keepers).to_value()

    @property
    def drifting(self) -> bool:
        """Whether the newest model is another one than the best."""
        newest = self.block(self.tip)
        return self.block(newest.best).parameters != newest.parameters

    @property
    def drift(self) -> Drift:
        """What hidden parts have said of the newest model beside the best one."""
        best = self.block(self.tip).best
        drift = None if self._value("drift", 0) == 0 else self._record("drift", Drift)
        return drift if drift is not None and drift.best == best else Drift(best, {})

    def put_drift(self, drift: Drift) -> None:
        """Set what hidden parts have said."""
        self.writes["drift"] = drift.to_value()

    def forget_drift(self) -> None:
        """Let it start anew."""
        if self._value("drift", 0) != 0:
            self.writes["drift"] = None

    # --- hyper-parameters -----------------------------------------------------------------------------------------

    @property
    def hyperparameters(self) -> dict[str, int]:
        """Those in force: counts, and millionths for ``learning_rate``."""
        return dict(cast(Mapping[str, int], self._value("hyperparameters")))

    def put_hyperparameters(self, values: Mapping[str, int]) -> None:
        """Set the hyper-parameters."""
        self.writes["hyperparameters"] = dict(values)

    @property
    def rate(self) -> RateState | None:
        """Where the learning-rate rule stands; ``None``: the rate is constant."""
        value = self._value("rate", 0)
        return None if value == 0 else RateState.from_value(value)

    def put_rate(self, rate: RateState) -> None:
        """Set the learning-rate rule's state."""
        self.writes["rate"] = rate.to_value()

    # --- privacy ---------------------------------------------------------------------------------------------------

    def spent(self, member: MemberId) -> Spent:
        """What a member's candidates so far have cost in privacy."""
        return tuple(cast(Sequence[int], self._value(f"privacy/{member}", ())))

    def put_spent(self, member: MemberId, spent: Spent) -> None:
        """Set what a member's candidates have cost in privacy."""
        self.writes[f"privacy/{member}"] = list(spent)

    def epsilon_ppm(self, member: MemberId) -> int | None:
        """The composed ε of a member's candidates so far, millionths; ``None``: the charter has no mechanism."""
        terms = self.charter.privacy
        return None if terms is None else epsilon_ppm(terms, self.spent(member))

    def block_privacy(self, event: PrivacyEvent | None) -> BlockPrivacy | None:
        """What a block made now says of privacy."""
        known = ((member, self.epsilon_ppm(member)) for member in self.members)
        epsilons: dict[str, int] = {member: epsilon for member, epsilon in known if epsilon is not None}
        return BlockPrivacy(epsilons, event) if epsilons else None

    # --- changes ---------------------------------------------------------------------------------------------------

    def change(self, change: Digest) -> ChangeState | None:
        """A change, if it was asked for."""
        return None if self._value(f"change/{change.hex()}", 0) == 0 else self.asked(change)

    def asked(self, change: Digest) -> ChangeState:
        """A change that was asked for."""
        return self._record(f"change/{change.hex()}", ChangeState)

    def keep_changes(self, changes: Sequence[Digest]) -> None:
        """Set the list of changes that are still looked at."""
        self.writes["changes"] = list(changes)

    def changes(self) -> list[Digest]:
        """Changes asked for lately, oldest first; done and lapsed ones drop out with the next request."""
        return [cast(Digest, item) for item in cast(Sequence[Value], self._value("changes"))]

    def put_change(self, change: Digest, state: ChangeState) -> None:
        """Store a change."""
        if change not in self.changes():
            self.writes["changes"] = [*self.changes(), change]
        self.writes[f"change/{change.hex()}"] = state.to_value()

    def asks(self, member: MemberId) -> int:
        """Changes of the members that a member has asked for since the newest block, or the last that was made."""
        return self._asks().counts.get(member, 0)

    def count_ask(self, member: MemberId) -> None:
        """Count one more."""
        asks = self._asks()
        self.writes["asks"] = Asks(asks.height, {**asks.counts, member: asks.counts.get(member, 0) + 1}).to_value()

    def forget_asks(self) -> None:
        """Begin to count anew."""
        if self._value("asks", 0) != 0:
            self.writes["asks"] = None

    def _asks(self) -> Asks:
        asks = None if self._value("asks", 0) == 0 else self._record("asks", Asks)
        return asks if asks is not None and asks.height == self.tip + 1 else Asks(self.tip + 1, {})

    # --- readings of the vault -------------------------------------------------------------------------------------

    @property
    def accesses(self) -> int:
        """Number of readings granted so far."""
        return cast(int, self._value("accesses", 0))

    def access(self, number: int) -> AccessState:
        """A reading by its number."""
        return self._record(_numbered("access", number), AccessState)

    def granted(self, member: MemberId, object: Digest, purpose: str | None = None) -> AccessState | None:  # noqa: A002
        """The newest reading of an object that a member was granted; ``None``: none was.

        Args:
            member: who reads.
            object: name of the object.
            purpose: only readings for this; training and testing count as one.
        """
        kinds = ("use", "work") if purpose is None else (_kind_of(purpose),)
        numbers = (cast(int, self._value(_granted(kind, member, object), -1)) for kind in kinds)
        newest = max(numbers)
        return None if newest == -1 else self.access(newest)

    def add_access(self, access: AccessState) -> None:
        """Store a reading that is granted."""
        self._put_access(access)
        self.writes["accesses"] = access.number + 1
        self.writes[_granted(_kind_of(access.purpose), access.member, access.object)] = access.number
        self.writes[f"undelivered/{access.member}"] = [
            *self.undelivered(access.member)[-UNCONFIRMED_LISTED_MAX + 1 :],
            access.number,
        ]
        if access.purpose == USE:
            self.writes[f"readings/{access.member}"] = self._readings(access.member) + 1
            if not self.witnessed(access):
                self.writes["unwitnessed"] = [*self.unwitnessed(), access.number]

    def put_delivered(self, access: AccessState) -> None:
        """Store a reading that is confirmed."""
        self._put_access(access)
        left = [number for number in self.undelivered(access.member) if number != access.number]
        self.writes[f"undelivered/{access.member}"] = left or None

    def put_witnessed(self, access: AccessState) -> None:
        """Store a reading that a quorum knows of."""
        self._put_access(access)
        self.writes["unwitnessed"] = [number for number in self.unwitnessed() if number != access.number] or None

    def undelivered(self, member: MemberId) -> list[int]:
        """The newest readings of a member that it has not confirmed, oldest first."""
        return self._numbers(f"undelivered/{member}")

    def unwitnessed(self) -> list[int]:
        """Readings that wait until a quorum has cosigned a head with them, oldest first."""
        return self._numbers("unwitnessed")

    def witnessed(self, access: AccessState) -> bool:
        """Whether as many members know of a reading as the charter wants before it is handed out."""
        terms = self.charter.vault
        return access.purpose != USE or terms is None or not terms.witnessed or access.witnessed_ms is not None

    def readings_left(self, member: MemberId) -> int:
        """How many readings for its own use a member may still ask for; 0 where there is no vault."""
        terms = self.charter.vault
        if terms is None:
            return 0
        counted = self.block(self.tip).contributions.get(member, 0)
        earned = terms.reads_per_1000_samples * (counted // 1000)
        return max(0, terms.reads + earned - self._readings(member))

    def cosigned(self, member: MemberId) -> int:
        """Size of the largest head that a member has cosigned (level B)."""
        return cast(int, self._value(f"cosigned/{member}", 0))

    def put_cosigned(self, member: MemberId, size: int) -> None:
        """Set the size of the largest head that a member has cosigned."""
        self.writes[f"cosigned/{member}"] = size

    def forget_cosigned(self, member: MemberId) -> None:
        """What a member has cosigned with the keys that it had."""
        if self.cosigned(member):
            self.writes[f"cosigned/{member}"] = None

    def located(self, locator: Digest) -> Digest | None:
        """What an object was announced to hold (level B): digest of its parameters or records."""
        known = self._value(f"located/{locator.hex()}", -1)
        return None if known == -1 else cast(Digest, known)

    def put_located(self, locator: Digest, belongs: Digest) -> None:
        """Set what an object is announced to hold; nothing at level A."""
        if self.charter.vault is not None:
            self.writes[f"located/{locator.hex()}"] = belongs

    def _put_access(self, access: AccessState) -> None:
        self.writes[_numbered("access", access.number)] = access.to_value()

    def _readings(self, member: MemberId) -> int:
        return cast(int, self._value(f"readings/{member}", 0))

    def _numbers(self, key: str) -> list[int]:
        return [cast(int, number) for number in cast(Sequence[Value], self._value(key, ()))]

    # --- members ---------------------------------------------------------------------------------------------------

    @property
    def roll(self) -> Roll:
        """Who the members are now."""
        value = self.writes[MEMBERS] if MEMBERS in self.writes else self._view.get(MEMBERS)
        return self._memo.roll(value, self.charter)

    @property
    def members(self) -> tuple[MemberId, ...]:
        """The members' names, sorted."""
        return self.roll.ids

    @property
    def member_records(self) -> tuple[MemberRecord, ...]:
        """The members with their keys, by name."""
        return self.roll.records

    def member_of(self, key: bytes) -> MemberId | None:
        """Whose transaction key it is; ``None``: nobody's now."""
        return self.roll.keys.get(key)

    def put_members(self, roll: Roll) -> None:
        """Set who the members are."""
        self.writes[MEMBERS] = [record.to_value() for record in roll.records]

    @property
    def former(self) -> tuple[MemberId, ...]:
        """Those who were members once and are none now, sorted."""
        return tuple(cast(Sequence[MemberId], self._value("former", ())))

    def put_former(self, former: Iterable[MemberId]) -> None:
        """Set who was a member once and is none now."""
        self.writes["former"] = sorted(former)

    def holder(self, credential: bytes) -> MemberId | None:
        """Whose key, seed tip or root certificate it is or ever was; ``None``: nobody's. It never is another's."""
        named = self._value(f"credential/{credential.hex()}", "")
        if named:
            return cast(MemberId, named)
        return next((record.id for record in self.charter.members if credential in credentials(record)), None)

    def put_admitted(self, record: MemberRecord, enrolment: bytes) -> None:
        """Remember for good whose credentials these are, and the enrolment file that shows it."""
        for credential in credentials(record):
            self.writes[f"credential/{credential.hex()}"] = record.id
        self.writes[f"enrolment/{(record.certificate or record.key).hex()}"] = enrolment

    def enrolment(self, record: MemberRecord) -> bytes | None:
        """The enrolment file of a member that was admitted, or has rotated its keys; ``None``: it is the charter's."""
        return cast(bytes, self._value(f"enrolment/{(record.certificate or record.key).hex()}", b"")) or None

    def enrolments(self) -> list[bytes]:
        """All enrolment files on the ledger, those of former members and keys, too; in no order that means anything."""
        return [cast(bytes, self._view[key]) for key in self._view if key.startswith("enrolment/")]

    @property
    def members_changing(self) -> bool:
        """Whether a change of the members is decided and waits until nothing is under way."""
        return any(
            asked.status == APPROVED and asked.change.kind in OF_MEMBERS for asked in map(self.asked, self.changes())
        )

    def _value(self, key: str, default: Value | None = None) -> Value:
        if key in self.writes:
            value = self.writes[key]
        else:
            value = self._view.get(key)
        if value is None:
            value = default
        if value is None:
            raise KeyError(key)
        return value

    def _record(self, key: str, kind: type[R]) -> R:
        return self._memo.record(key, self._value(key), kind)


def _kind_of(purpose: str) -> str:
    return USE if purpose == USE else "work"


def _granted(kind: str, member: MemberId, locator: Digest) -> str:
    return f"granted/{kind}/{member}/{locator.hex()}"


def _part(member: MemberId, number: int) -> str:
    return f"declared/{member}/{number:03d}"


def _numbered(kind: str, number: int) -> str:
    return f"{kind}/{number:08d}"
