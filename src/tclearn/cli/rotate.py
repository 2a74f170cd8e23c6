"""``tclearn member rotate``: a member takes other keys."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tclearn.cli.keys import PASSPHRASE, Key, asked_passphrase, key_file
from tclearn.cli.options import AsJson, Home
from tclearn.cli.output import print_json, say
from tclearn.cli.speaking import Speaker, speaking
from tclearn.directory.changes import take_keys
from tclearn.directory.coalition import check_protocol
from tclearn.directory.reading import check_file
from tclearn.directory.rotating import NewFiles
from tclearn.errors import Code, MessageError, TCLearnError, UnreachableError
from tclearn.identity.key_file import is_encrypted, read_key_file
from tclearn.identity.member_keys import ENTROPY_BYTES
from tclearn.ledger.engines.follower import Follower

if TYPE_CHECKING:
    from tclearn.service.home import Oneself

_POLL_S: Final = 1.0
_TRIES: Final = 3


def rotate(
    key: Key = None,
    directory: Home = Path("coalition"),
    wait: Annotated[int, typer.Option("--wait", metavar="SECONDS", help="How long to wait until it is in force.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Take new keys in the place of those in NAME.key. Nobody has to approve, and nobody else does anything.

    They are in force when what is under way then has ended; run it again if that takes longer. Then start the agent
    again. The new file carries the old key, which signs nothing any more and opens what was made with it.
    """
    from tclearn.service.home import Oneself

    check_protocol(directory)  # before new keys are made
    file = key_file(key)
    check_file(file, "name the .key file that `tclearn member new` wrote")
    files = NewFiles(file)
    now = datetime.now(UTC)
    passphrase = asked_passphrase(file, PASSPHRASE) if is_encrypted(file) else None
    if not files.half_renamed(passphrase, now):
        who = Oneself.read(file.with_suffix(".pem"), read_key_file(file, passphrase), now)
        salt = secrets.token_bytes(who.keys.salt_bytes + 32)
        entropy = secrets.token_bytes(ENTROPY_BYTES)
        enrolment = files.make(who.member, who.keys, entropy, passphrase, salt, now)
        new = Oneself.read(files.new_enrolment, read_key_file(files.new_key, passphrase), now)
        if not _in_force(directory, who, new, enrolment, wait):
            _told(file, "waits", as_json=as_json)
            return
    files.take()
    _told(file, "in force", as_json=as_json)


def _in_force(directory: Path, who: Oneself, new: Oneself, enrolment: bytes, wait_s: int) -> bool:
    # As soon as the new keys are in force, the service ends the connections of the old ones, this one too; or that was
    # so already, after an earlier attempt; or the member is expelled. Then the new keys ask what is true.
    public = new.keys.signer.public
    lost: TCLearnError = UnreachableError(Code.LEDGER_UNREACHABLE, "the service does not answer to the new keys yet")
    try:
        with speaking(directory, who=who) as speaker:
            if not take_keys(speaker.ledger, speaker.coalition, speaker.signer, enrolment, speaker.now):
                return _waited(speaker, public, wait_s)
    except MessageError as error:
        if error.code is not Code.FORMER_MEMBER:
            raise
        lost = error
    except UnreachableError as error:
        lost = error
    for left in reversed(range(_TRIES)):
        try:
            with speaking(directory, who=new) as speaker:
                return speaker.ledger.state().member_of(public) == who.member
        except UnreachableError:
            if left:
                time.sleep(_POLL_S)
    if isinstance(lost, UnreachableError):
        lost.remedy = "run `tclearn member rotate` again: it goes on where it was"
    raise lost


def _waited(speaker: Speaker, public: bytes, wait_s: int) -> bool:
    end = time.monotonic() + wait_s
    while speaker.ledger.state().member_of(public) != speaker.member:
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_S)
        if isinstance(speaker.ledger, Follower):
            speaker.ledger.pull()
    return True


def _told(file: Path, status: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": str(file), "status": status})
    elif status == "waits":
        say(f"asked for; {file} holds the keys that count still, what is under way has to end first")
        say("run this again to finish")
    else:
        say(f"{file} and its .pem are the new ones now: start the agent again, and make a backup")
