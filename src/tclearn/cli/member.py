"""``tclearn member``: a member's keys."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tclearn.cli.keys import PASSPHRASE, new_passphrase
from tclearn.cli.options import AsJson
from tclearn.cli.output import print_json, say
from tclearn.cli.rotate import rotate as rotate_keys
from tclearn.encoding import MemberId
from tclearn.errors import Code, UsageError
from tclearn.files import make_folder, write_whole
from tclearn.identity.enrolment import write_enrolment
from tclearn.identity.key_file import write_key_file
from tclearn.identity.member_keys import ENTROPY_BYTES, SALT_BYTES, MemberKeys
from tclearn.records import is_member_name

app = typer.Typer(no_args_is_help=True, help="Make a member's keys, or take others.")
app.command("rotate", short_help="Take new keys in the place of those in NAME.key.")(rotate_keys)


@app.callback()
def group() -> None:
    """Make a member's keys, or take others."""


@app.command(short_help="Make NAME.key, to keep, and NAME.pem, to send.")
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The member: lower-case letters, digits, dots and hyphens.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where to write the two files.")] = Path(),
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase that encrypts the key file.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make NAME.key, which stays with you, and NAME.pem, which you send to whoever founds the coalition."""
    if not is_member_name(name):
        raise UsageError(Code.USAGE, f"{name!r} is no member name", expected="such as leuven or st-mary.radiology")
    key_file, enrolment_file = to / f"{name}.key", to / f"{name}.pem"
    secret = new_passphrase(key_file, PASSPHRASE) if passphrase else None
    make_folder(to)
    keys = MemberKeys.from_entropy(secrets.token_bytes(ENTROPY_BYTES))
    write_key_file(key_file, keys, secret, salt=secrets.token_bytes(SALT_BYTES))
    write_whole(enrolment_file, write_enrolment(MemberId(name), keys, datetime.now(UTC)))
    if as_json:
        print_json({"member": name, "key": str(key_file), "enrolment": str(enrolment_file)})
    else:
        say(f"{key_file}   keep it: whoever has it can speak as {name}")
        say(f"{enrolment_file}   send it to whoever founds the coalition")
