"""``tclearn vault backup``, ``restore``, ``keys``, ``passphrase`` and ``sweep``: the vault's files and its keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from tclearn.cli.keys import VAULT_PASSPHRASE, asked_passphrase, new_passphrase
from tclearn.cli.options import AsJson
from tclearn.cli.output import count, messages, print_json, say
from tclearn.coalition.digest_text import format_digest, parse_digest
from tclearn.directory import CoalitionDirectory
from tclearn.directory.passphrases import change_passphrase
from tclearn.directory.reading import check_file
from tclearn.directory.vault import VAULT, VAULT_KEY
from tclearn.errors import Code, UsageError
from tclearn.files import make_folder
from tclearn.store.vault import Backend, KeyFile, Vault
from tclearn.store.vault import backup as backups
from tclearn.store.vault.backends.places import backend_at
from tclearn.store.vault.rotation import retire, rotate

NEW_PASSPHRASE: Final = "TCLEARN_VAULT_NEW_PASSPHRASE"  # noqa: S105 - the variable's name
_HOUR_S: Final = 3600

Directory = Annotated[Path, typer.Option("--dir", "-C", metavar="DIR", help="The coalition's directory.")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="PLACE", help="Where the vault lies: a folder, or s3://bucket/prefix. DIR/vault."),
]
KeyPath = Annotated[
    Path | None, typer.Option("--vault-key", metavar="FILE", help="The vault's key file. DIR/vault.key by default.")
]

keys = typer.Typer(no_args_is_help=True, help="Rotate the vault's keys.")


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="The folder to make.")],
    directory: Directory = Path("coalition"),
    at: At = None,
    vault_key: KeyPath = None,
    as_json: AsJson = False,
) -> None:
    """Copy the whole vault into a folder, sealed as it is, and read it there from beginning to end.

    The backup holds the sealed key file too: with the passphrase of today it opens by itself.
    """
    vault, _ = opened_vault(directory, at, vault_key)
    with _working("copying"):
        digest = backups.backup(vault, to)
    if as_json:
        print_json({"backup": str(to), "digest": digest.hex()})
        return
    say(f"{to}: complete, and read from beginning to end")
    say(f"digest {format_digest(digest)}")
    say("note it elsewhere: with --digest a restoration refuses an older backup")


def restore(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder that `tclearn vault backup` has made.")],
    directory: Directory = Path("coalition"),
    at: At = None,
    vault_key: KeyPath = None,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="DIGEST", help="Of the backup, as it was printed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a vault of a backup. All of it is checked before anything is written; nothing is replaced."""
    expected = None if digest is None else parse_digest(digest)
    inside = source / backups.KEY_FILE
    check_file(inside, "name a folder that `tclearn vault backup` has made")
    held = KeyFile.open(inside, asked_passphrase(inside, VAULT_PASSPHRASE))
    file = directory / VAULT_KEY if vault_key is None else vault_key
    make_folder(file.parent)
    with _working("checking and copying"):
        vault = backups.restore(source, _place(directory, at), held, key_file=file, expected=expected)
        objects = sum(1 for _ in vault.names())
    if as_json:
        print_json({"vault": repr(vault.backend), "key": str(file), "objects": objects})
    else:
        say(f"{vault.backend!r}: {count(objects, 'object')}, restored from {source}")
        say(f"{file}: opens with the passphrase of the backup")


@keys.command("rotate", short_help="Seal every object's key under a new key.")
def rotate_keys(
    directory: Directory = Path("coalition"), at: At = None, vault_key: KeyPath = None, as_json: AsJson = False
) -> None:
    """Make a new key, and seal the keys of all objects under it; or go on where that was interrupted.

    The objects' own bytes stay as they are. Old keys stay in the key file until `tclearn vault keys retire`.
    """
    vault, held = opened_vault(directory, at, vault_key)
    begun = vault.root().kek != held.current
    if not begun:
        held.add()
    with _working("rotating"):
        done = rotate(vault)
    if as_json:
        print_json(
            {
                "current": held.current,
                "resumed": begun,
                "rewrapped": done.rewrapped,
                "before": done.before,
                "damaged": list(done.damaged),
            }
        )
    else:
        say(f"{'finished a rotation to' if begun else 'rotated to'} the key {held.current}")
        say(f"{count(done.rewrapped, 'object')} sealed anew, {done.before:,} before")
        for path in done.damaged:
            say(f"damaged, and left as it is: {path}")
        say("start `tclearn serve` again where it runs: it still has the keys of before")
    if done.damaged:
        raise typer.Exit(1)


@keys.command("retire", short_help="Forget keys that nothing is sealed under any more.")
def retire_keys(
    directory: Directory = Path("coalition"), at: At = None, vault_key: KeyPath = None, as_json: AsJson = False
) -> None:
    """Forget the keys that nothing in the vault is sealed under. Backups made before keep their own."""
    vault, held = opened_vault(directory, at, vault_key)
    gone = retire(vault, held)
    if as_json:
        print_json({"current": held.current, "retired": gone})
    elif gone:
        say(f"forgotten: {', '.join(gone)}; what is sealed under {held.current} stays readable")
    else:
        say(f"nothing to forget: only {held.current} and keys in use are here")


def passphrase(directory: Directory = Path("coalition"), as_json: AsJson = False) -> None:
    """Change the passphrase that the service is started with: of the vault's keys, and of the key of the data IDs.

    Copies of the files and backups made before open with the old one.
    """
    _check_founder(directory)
    file = directory / VAULT_KEY
    old = asked_passphrase(file, VAULT_PASSPHRASE)
    changed = change_passphrase(directory, old, new_passphrase(file, NEW_PASSPHRASE))
    if as_json:
        print_json({"changed": [str(each) for each in changed]})
        return
    for each in changed:
        say(f"{each}: opens with the new passphrase only")
    say("copies and backups made before open with the old one: rotate the keys if it was seen by others")


def sweep(
    directory: Directory = Path("coalition"),
    at: At = None,
    vault_key: KeyPath = None,
    hours: Annotated[
        int, typer.Option("--older-than", metavar="HOURS", help="Younger ones may still be written.")
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Remove what interrupted writers have left in the vault: sealed bytes that belong to no object."""
    if not 1 <= hours <= 24 * 366:
        raise UsageError(Code.USAGE, f"--older-than is {hours}", expected="hours, 1 to a year's")
    vault, _ = opened_vault(directory, at, vault_key)
    removed = vault.sweep(older_than_s=hours * _HOUR_S)
    if as_json:
        print_json({"removed": removed})
    else:
        say(f"{count(removed, 'left-over')} removed")


def opened_vault(directory: Path, at: str | None, vault_key: Path | None) -> tuple[Vault, KeyFile]:
    """The vault that these options name, and its keys, for which a passphrase is asked for.

    Raises:
        UsageError: there is none, or the passphrase is another one.
        UnreachableError: there is no coalition, or no key file.
        StorageError: it is damaged.
    """
    if at is None or vault_key is None:
        _check_founder(directory)
    place = _place(directory, at)  # before a passphrase is asked for
    held = _key_file(directory, vault_key)
    return Vault(place, held), held


def _check_founder(directory: Path) -> None:
    with CoalitionDirectory.open(directory) as coalition:
        charter = coalition.charter
    if charter.vault is None or not (directory / VAULT_KEY).exists():
        what = f"{charter.name} is of level {charter.level}" if charter.vault is None else "its service runs elsewhere"
        raise UsageError(
            Code.VAULT,
            f"there is no vault in {directory}: {what}",
            expected="the founder's directory of a coalition of level B",
        )


def _key_file(directory: Path, vault_key: Path | None) -> KeyFile:
    file = directory / VAULT_KEY if vault_key is None else vault_key
    check_file(file, "name the vault's key file with --vault-key, or the founder's directory with --dir")
    return KeyFile.open(file, asked_passphrase(file, VAULT_PASSPHRASE))


def _place(directory: Path, at: str | None) -> Backend:
    return backend_at(str(directory / VAULT) if at is None else at)


@contextmanager
def _working(what: str) -> Iterator[None]:
    if not messages.is_terminal:
        yield
        return
    with messages.status(what):
        yield
