"""``tclearn serve`` and ``join``: a coalition over a network."""

from __future__ import annotations

import contextlib
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tclearn.cli.keys import VAULT_PASSPHRASE, Key, asked_passphrase, oneself
from tclearn.cli.options import Home
from tclearn.cli.output import say
from tclearn.cli.vault_put import say_missing
from tclearn.coalition.digest_text import format_digest, parse_digest
from tclearn.directory import CoalitionDirectory
from tclearn.directory.coalition import CHARTER
from tclearn.directory.vault import VAULT_KEY
from tclearn.errors import Code, UsageError
from tclearn.files import is_folder, is_there


def serve(
    directory: Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The coalition's directory.")] = Path(
        "coalition"
    ),
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to take connections; port 0: any free one.")
    ] = "0.0.0.0:8443",
    host: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="NAME", help="Name or address under which members reach this computer."),
    ] = None,
) -> None:
    """Run a coalition's service: it orders the ledger and keeps the models. End it with Ctrl-C, or SIGTERM."""
    from tclearn.service import server
    from tclearn.service.id_desk import IdDesk

    place, port = _address(listen)
    hosts = host or _own_names(place)
    now = datetime.now(UTC)
    sealed = is_there(directory / VAULT_KEY)
    passphrase = asked_passphrase(directory / VAULT_KEY, VAULT_PASSPHRASE) if sealed else None
    with (
        CoalitionDirectory.open(directory, writing=True, passphrase=passphrase) as coalition,
        IdDesk.open(coalition, passphrase) as ids,
    ):
        say_missing(coalition)
        known = coalition.known(now)
        with server.listen(place, port) as listening:
            where = f"https://{hosts[0]}:{listening.getsockname()[1]}"

            def ready() -> None:
                say(f"{coalition.charter.name}: {len(coalition.ledger)} entries, {where}")
                say(f"charter {format_digest(coalition.charter.digest)}")
                say(f"members: tclearn join {where} --charter <that digest>")
                for line in known.lines():
                    say(f"{line}; the others can give it other keys: tclearn coalition admit")
                sys.stdout.flush()

            running = server.server(coalition, known.roots, hosts, now, ids=ids, ready=ready)
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when all is closed
                running.run(sockets=[listening])
        say(f"ended at {len(coalition.ledger)} entries")


def join(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the service: https://leuven.example:8443")],
    charter: Annotated[str, typer.Option("--charter", metavar="DIGEST", help="As compared by telephone.")],
    key: Key = None,
    directory: Home = Path("coalition"),
) -> None:
    """Join a coalition: check its charter and its service, and make a directory for this member."""
    from tclearn.service.home import MemberHome, check_no_service

    now = datetime.now(UTC)
    check_no_service(directory, "add --dir NAME: a directory of your own as a member")
    if is_there(directory) and not is_folder(directory):
        raise UsageError(Code.USAGE, f"{directory} is a file", expected="a directory, or a name that is free")
    before = is_there(directory / CHARTER)
    home = MemberHome.join(directory, _url(url), parse_digest(charter), oneself(key, now), now)
    if before:
        say(f"{directory} was joined before: {home.oneself.member} is a member of {home.charter.name}, at {home.url}")
        return
    say(f"made {directory}: {home.oneself.member} is a member of {home.charter.name}")
    say("write a site.toml, then: tclearn data check, tclearn agent")


def _address(text: str) -> tuple[str, int]:
    place, _, port = text.rpartition(":")
    if not place or not port.isdecimal() or int(port) > 65535:
        raise UsageError(Code.USAGE, f"{text!r} is no address to listen on", expected="HOST:PORT, as 0.0.0.0:8443")
    return place.strip("[]"), int(port)


def _own_names(place: str) -> list[str]:
    everywhere = place in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return [socket.getfqdn(), "localhost", "127.0.0.1"] if everywhere else [place]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise UsageError(Code.USAGE, f"{text!r} is no address of a service", expected="https://leuven.example:8443")
    return text.rstrip("/")
