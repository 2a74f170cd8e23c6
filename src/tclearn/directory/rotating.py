"""A member's files while it takes other keys: at any moment there is one key file that the coalition knows.

The new files lie beside the old ones as ``NAME.key.new`` and ``NAME.pem.new`` until the new keys are in force. The
``.pem`` comes first and goes first: a ``.key.new`` alone, beside a ``.pem`` that is its own, means that only its last
renaming is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tclearn.directory.reading import read_file
from tclearn.encoding import MemberId
from tclearn.files import write_whole
from tclearn.identity.enrolment import read_enrolment, write_enrolment
from tclearn.identity.key_file import read_key_file, write_key_file
from tclearn.identity.member_keys import MemberKeys
from tclearn.limits import KEY_FILE_BYTES_MAX

_LOST: Final = (
    "put it back; only if the ledger does not know these keys (`tclearn coalition members`), remove the .key.new file, "
    "and begin again"
)


@dataclass(frozen=True, slots=True)
class NewFiles:
    """Where a member's new keys lie until they are in force.

    Attributes:
        key: the member's ``NAME.key``.
    """

    key: Path

    @property
    def new_key(self) -> Path:
        """The new keys."""
        return self.key.with_suffix(".key.new")

    @property
    def new_enrolment(self) -> Path:
        """Their enrolment."""
        return self.key.with_suffix(".pem.new")

    def half_renamed(self, passphrase: str | None, now: datetime) -> bool:
        """Whether the new keys are in force, and only ``NAME.key`` is still the old one.

        A ``.pem.new`` that somebody has removed says nothing of the kind: ``NAME.pem`` must be that of the new keys.

        Args:
            passphrase: opens the new key file; ``None``: it is in the clear.
            now: the time, with its zone.

        Raises:
            UsageError: the new key file does not open, or ``NAME.pem`` is not there.
            MessageError: ``NAME.pem`` is damaged, or not valid now.
        """
        if not self.new_key.exists() or self.new_enrolment.exists():
            return False
        file = self.key.with_suffix(".pem")
        shown = read_enrolment(read_file(file, KEY_FILE_BYTES_MAX, "restore it from a copy"), now, place=str(file))
        return shown.key == read_key_file(self.new_key, passphrase).signer.public

    def make(
        self, member: MemberId, keys: MemberKeys, entropy: bytes, passphrase: str | None, salt: bytes, now: datetime
    ) -> bytes:
        """Make new keys, durably, or take up those that were made before; returns their enrolment.

        Args:
            member: whose they are.
            keys: its present keys.
            entropy: ``ENTROPY_BYTES`` from the operating system.
            passphrase: encrypts the file; ``None``: it is written in the clear.
            salt: random bytes, as many as the new keys' ``salt_bytes``; needed with a passphrase.
            now: the time, with its zone.

        Raises:
            UsageError: the files of an earlier attempt do not open, or belong to other keys.
            UnreachableError: of an earlier attempt's files only the keys are here.
            StorageError: they cannot be written.
            MessageError: the enrolment of an earlier attempt is damaged, or not valid now.
        """
        if self.new_key.exists():
            read_key_file(self.new_key, passphrase)
            enrolment = read_file(self.new_enrolment, KEY_FILE_BYTES_MAX, _LOST)
            read_enrolment(enrolment, now, place=str(self.new_enrolment))
            return enrolment
        fresh = keys.rotated(entropy)
        enrolment = write_enrolment(member, fresh, now)
        write_whole(self.new_enrolment, enrolment)
        write_key_file(self.new_key, fresh, passphrase, salt=salt)
        return enrolment

    def take(self) -> None:
        """The new keys are in force: they take the place of the old ones, which they carry with them."""
        if self.new_enrolment.exists():
            self.new_enrolment.replace(self.key.with_suffix(".pem"))
        self.new_key.replace(self.key)
