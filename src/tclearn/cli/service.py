"""``tclearn serve``, ``join`` and ``agent``: a coalition over a network."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from tclearn.agents.clock import RealClock
from tclearn.cli.imports import user_code
from tclearn.cli.options import Site
from tclearn.cli.output import say
from tclearn.coalition.digest_text import format_digest, parse_digest
from tclearn.directory import CoalitionDirectory
from tclearn.directory.founding import bound
from tclearn.directory.reading import check_file
from tclearn.directory.site import SiteFile
from tclearn.errors import Code, UsageError
from tclearn.identity.key_file import is_encrypted, read_key_file
from tclearn.simulation.progress import doing

if TYPE_CHECKING:
    from tclearn.protocols.tclearn.state import State
    from tclearn.service.home import Oneself

PASSPHRASE = "TCLEARN_PASSPHRASE"  # noqa: S105 - the variable's name
_ONLY = "the only one here"
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The member's .key file; its .pem lies beside it.", show_default=_ONLY),
]
Home = Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The directory of what was joined.")]


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
    """Run a coalition's service: it orders the ledger and keeps the models. End it with Ctrl-C."""
    from tclearn.service import server

    place, port = _address(listen)
    hosts = host or _own_names(place)
    now = datetime.now(UTC)
    with CoalitionDirectory.open(directory, writing=True) as coalition:
        with server.listen(place, port) as listening:
            where = f"https://{hosts[0]}:{listening.getsockname()[1]}"

            def ready() -> None:
                say(f"{coalition.charter.name}: {len(coalition.ledger)} entries, {where}")
                say(f"charter {format_digest(coalition.charter.digest)}")
                say(f"members: tclearn join {where} --charter <that digest>")
                sys.stdout.flush()

            running = server.server(coalition, coalition.roots(now), hosts, now, ready=ready)
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
    from tclearn.service.home import MemberHome

    now = datetime.now(UTC)
    home = MemberHome.join(directory, _url(url), parse_digest(charter), _oneself(key, now), now)
    say(f"made {directory}: {home.oneself.member} is a member of {home.charter.name}")
    say("write a site.toml, then: tclearn data check, tclearn agent")


def agent(
    key: Key = None,
    site: Site = Path("site.toml"),
    directory: Home = Path("coalition"),
    until_complete: Annotated[
        bool, typer.Option("--until-complete", help="End when the charter's stop condition is met.")
    ] = False,
) -> None:
    """Do a member's part: train in its turn, test the others' increments, sign. End it with Ctrl-C."""
    from tclearn.protocols.tclearn.proposing import finished
    from tclearn.service.home import MemberHome

    user_code()
    now = datetime.now(UTC)
    home = MemberHome.open(directory, _oneself(key, now))
    trainer = bound(home.charter, SiteFile.read(site), home.data_key())
    told = ""

    def tell(state: State) -> None:
        nonlocal told
        line = f"block {state.tip}: {doing(state) or 'nobody has anything left to do'}"
        if line != told:
            told = line
            _say_now(line)

    clock = RealClock()

    def ends(state: State) -> bool:
        return until_complete and finished(state, clock())

    with home.work(trainer, now, clock=clock, say=_say_now, on_state=tell, finished=ends) as work:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: work.end())
        work.run()
    say("ended")
    if work.computing.busy:
        # A training that nobody waits for any more. All that lasts is on the disk; a framework whose thread is
        # stopped in the middle may crash the interpreter on its way out.
        sys.stdout.flush()
        os._exit(0)


def _oneself(key: Path | None, now: datetime) -> Oneself:
    from tclearn.service.home import Oneself

    file = _only_key() if key is None else key
    check_file(file, "name the .key file that `tclearn member new` wrote")
    passphrase = os.environ.get(PASSPHRASE) if is_encrypted(file) else None
    if passphrase is None and is_encrypted(file):
        if not sys.stdin.isatty():
            raise UsageError(
                Code.KEY_FILE,
                f"{file} is encrypted, and nobody is here to ask for its passphrase",
                expected=f"the passphrase in the environment variable {PASSPHRASE}",
                remedy="set it, or start this in a terminal",
            )
        passphrase = typer.prompt(f"Passphrase of {file}", hide_input=True)
    return Oneself.read(file.with_suffix(".pem"), read_key_file(file, passphrase), now)


def _only_key() -> Path:
    found = sorted(Path().glob("*.key"))
    if len(found) != 1:
        raise UsageError(
            Code.USAGE,
            f"there are {len(found)} .key files here" if found else "there is no .key file here",
            expected="one, or --key",
            remedy="name the member's .key file with --key",
        )
    return found[0]


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


def _say_now(line: str) -> None:
    say(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}")
    sys.stdout.flush()
