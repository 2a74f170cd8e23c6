"""``tclearn coalition admit``, ``expel``, ``change``, ``approve``, ``members``: what members decide together."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer

from tclearn.cli.change_text import change_json, root_fingerprint, short_name, standing, wanted
from tclearn.cli.confirming import Yes, confirmed
from tclearn.cli.keys import Key
from tclearn.cli.options import AsJson, Home
from tclearn.cli.output import print_json, say, table
from tclearn.cli.speaking import Speaker, speaking
from tclearn.coalition.admission import admitted
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.directory import CoalitionDirectory
from tclearn.directory.changes import approve as approve_change
from tclearn.directory.changes import (
    ask_for_hyperparameters,
    ask_to_admit,
    ask_to_expel,
    enrolled,
    find_change,
)
from tclearn.directory.reading import read_file
from tclearn.encoding import MemberId
from tclearn.errors import Code, UsageError
from tclearn.identity.enrolment import read_enrolment
from tclearn.limits import ENROLMENT_BYTES_MAX
from tclearn.protocols.tclearn.calls import ADMIT, Change
from tclearn.protocols.tclearn.records import ASKED, ChangeState
from tclearn.records import is_member_name

_MILLION: Final = 1_000_000
_PPM: Final = "_ppm"


def admit(
    enrolment: Annotated[Path, typer.Argument(metavar="NAME.pem", help="What the newcomer has sent you.")],
    key: Key = None,
    directory: Home = Path("coalition"),
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Ask that somebody be admitted, or approve it; a member that has lost its keys gets those of the file.

    It is a member when two thirds of the members have approved, and what is under way then has ended. The fingerprint
    is shown first: compare it with the newcomer by telephone.
    """
    data = read_file(enrolment, ENROLMENT_BYTES_MAX, "name the .pem file that `tclearn member new` made there")
    with speaking(directory, key) as speaker:
        shown = read_enrolment(data, speaker.now, place=str(enrolment))
        state = speaker.ledger.state()
        words = wanted(Change(ADMIT, state.tip + 1, member=admitted(shown), enrolment=data), state)
        confirmed(words, root_fingerprint(shown), yes=yes, as_json=as_json)
        asked = ask_to_admit(speaker.ledger, speaker.coalition, speaker.signer, data, speaker.now)
        _told(asked, words, speaker, as_json=as_json)


def expel(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who shall go; your own name: you leave.")],
    key: Key = None,
    directory: Home = Path("coalition"),
    as_json: AsJson = False,
) -> None:
    """Ask that a member be expelled, or approve it; to leave, name yourself.

    Expelling takes two thirds of the members, leaving nobody else. What the member has contributed stays in the model.
    """
    if not is_member_name(name):
        raise UsageError(Code.USAGE, f"{name!r} is no member name", expected="such as leuven or st-mary.radiology")
    with speaking(directory, key) as speaker:
        asked = ask_to_expel(speaker.ledger, speaker.coalition, speaker.signer, MemberId(name))
        _told(asked, wanted(asked.change, speaker.ledger.state()), speaker, as_json=as_json)


def change(
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE", hidden=True)],  # else help shows Python's type
    key: Key = None,
    directory: Home = Path("coalition"),
    as_json: AsJson = False,
) -> None:
    """Ask for other hyper-parameters, or approve them; those that the charter lets be changed.

    NAME=VALUE may be repeated: epochs=5 learning_rate=0.5.
    """
    with speaking(directory, key) as speaker:
        read = dict(_value(text, speaker.charter) for text in values)
        asked = ask_for_hyperparameters(speaker.ledger, speaker.coalition, speaker.signer, read)
        _told(asked, wanted(asked.change, speaker.ledger.state()), speaker, as_json=as_json)


def approve(
    name: Annotated[str, typer.Argument(metavar="CHANGE", help="The first digits of its name, as `status` shows it.")],
    key: Key = None,
    directory: Home = Path("coalition"),
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Approve a change that another member has asked for; it is shown first.

    Of an admission the certificates are checked, and the fingerprint is shown: compare it by telephone.
    """
    with speaking(directory, key) as speaker:
        state = speaker.ledger.state()
        found = find_change(state, name)
        change = state.asked(found).change
        shown = enrolled(change, speaker.now)
        words = wanted(change, state)  # before: once it is in force, the newcomer is a member
        confirmed(words, root_fingerprint(shown) if shown else "", yes=yes, as_json=as_json)
        asked = approve_change(speaker.ledger, speaker.coalition, speaker.signer, found, speaker.now)
        _told(asked, words, speaker, as_json=as_json)


def members(directory: Home = Path("coalition"), as_json: AsJson = False) -> None:
    """List who is a member now, by which keys, and who was one."""
    with CoalitionDirectory.open(directory) as coalition:
        state = coalition.state
    founders = {record.id for record in state.charter.members}
    if as_json:
        print_json(
            {
                "members": [
                    {
                        "member": record.id,
                        "key": record.key.hex(),
                        "certificate": record.certificate and record.certificate.hex(),
                        "as_founded": record in state.charter.members,
                    }
                    for record in state.member_records
                ],
                "former": list(state.former),
            }
        )
        return
    rows = []
    for record in state.member_records:
        since = "founder" if record in state.charter.members else "founder, other keys"
        rows.append((record.id, since if record.id in founders else "admitted later", record.key.hex()))
    rows += [(name, "was a member", "") for name in state.former]
    table(["member", "", "Ed25519 public key"], rows)


def _told(asked: ChangeState, words: str, speaker: Speaker, *, as_json: bool) -> None:
    state = speaker.ledger.state()
    if as_json:
        print_json(change_json(asked, state))
        return
    say(f"{words}: {standing(asked, state)}")
    if asked.status == ASKED:
        say(f"others approve it with: tclearn coalition approve {short_name(asked.change)}")


def _value(text: str, charter: ResolvedCharter) -> tuple[str, int]:
    name, _, written = text.partition("=")
    known = charter.hyperparameters
    place = name if name in known else name + _PPM
    scale = _MILLION if name == "learning_rate" or place.endswith(_PPM) else 1
    try:
        units = Decimal(written) * scale
        whole = int(units)
    except (ArithmeticError, ValueError):
        raise _no_value(text, charter) from None
    if place not in known or whole != units or whole < 1:
        raise _no_value(text, charter)
    return place, whole


def _no_value(text: str, charter: ResolvedCharter) -> UsageError:
    names = ", ".join(sorted(name.removesuffix(_PPM) for name in charter.hyperparameters))
    return UsageError(
        Code.USAGE,
        f"{text!r} is no hyper-parameter with a value",
        expected=f"NAME=VALUE with one of {names}; counts are whole numbers, decimals have at most six places",
    )
