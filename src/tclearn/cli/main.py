"""The entry point: commands, exit codes, and no traceback for users."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Annotated

import typer
from typer.exceptions import TyperException

from tclearn import __version__
from tclearn.cli.agent import agent, propose
from tclearn.cli.coalition import app as coalition
from tclearn.cli.data import app as data
from tclearn.cli.demo import EPILOG, demo
from tclearn.cli.ledger import app as ledger
from tclearn.cli.member import app as member
from tclearn.cli.model import app as model
from tclearn.cli.output import denied, messages, say, show_error, unexpected
from tclearn.cli.predict import predict
from tclearn.cli.reproduce import reproduce
from tclearn.cli.service import join, serve
from tclearn.cli.status import status
from tclearn.cli.vault import app as vault
from tclearn.errors import Code, TCLearnError, UsageError

app = typer.Typer(
    name="tclearn",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo", short_help="Run a whole coalition here, on public data.", epilog=EPILOG)(demo)
app.command("reproduce", short_help="Run the papers' experiments again.")(reproduce)
app.command("status", short_help="Say what a coalition waits for.")(status)
app.command("serve", short_help="Run a coalition's service.")(serve)
app.command("join", short_help="Join a coalition.")(join)
app.command("agent", short_help="Do a member's part, over the network.")(agent)
app.command("propose", short_help="Offer one increment, over the network.")(propose)
app.command("predict", short_help="Ask the model about records of your own.")(predict)
app.add_typer(member, name="member")
app.add_typer(coalition, name="coalition")
app.add_typer(data, name="data")
app.add_typer(ledger, name="ledger")
app.add_typer(model, name="model")
app.add_typer(vault, name="vault")


def _show_version(asked: bool) -> None:
    if asked:
        say(f"tclearn {__version__}")
        raise typer.Exit


@app.callback()
def tclearn(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Organisations train one model together.

    Data stays home, no increment counts until the others have tested it, and anyone can check the record offline.
    """


def main() -> None:
    """Run the command line. Exit codes: 1 failed, 2 usage, 3 verification failed, 4 unreachable."""
    as_json = "--json" in sys.argv
    if threading.current_thread() is threading.main_thread():
        # As Ctrl-C: what was begun is undone, such as a file that is not whole.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except typer.Exit as stop:
        code = stop.exit_code
    except typer.Abort:
        messages.print("stopped")
        code = 130
    except TyperException as error:
        said = error.format_message()
        if said.startswith("Usage:"):  # a group without a command: its help
            messages.print(said, markup=False, soft_wrap=True)
        else:
            show_error(UsageError(Code.USAGE, said, remedy="see --help of the command"), as_json=as_json)
        code = 2
    except TCLearnError as error:
        show_error(error, as_json=as_json)
        code = error.exit_code
    except KeyboardInterrupt:
        messages.print("stopped")
        code = 130
    except BrokenPipeError:
        code = 1
    except (PermissionError, NotADirectoryError) as error:  # of a file that is the user's, not ours
        show_error(denied(error), as_json=as_json)
        code = 1
    except Exception as error:  # noqa: BLE001 - the last resort: users get a sentence, the details go to a file
        show_error(unexpected(error), as_json=as_json)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
