"""The loop of an agent over a network: what it goes on through, and what ends it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tclearn.errors import Code, StorageError, UnreachableError
from tclearn.service.work import Work


class Once:
    """All that the loop works with: performing a duty fails the first time."""

    url = "https://nowhere"

    def __init__(self, error: Exception) -> None:
        self.errors = [error]

    def __len__(self) -> int:
        return 0

    def state(self) -> None:
        return None

    def pull(self) -> bool:
        return False

    def rest(self, seconds: float) -> None:
        return None

    def lines(self, path: str, *, quiet_s: float) -> Any:
        raise UnreachableError(Code.LEDGER_UNREACHABLE, "no events here")

    def step(self) -> bool:
        if self.errors:
            raise self.errors.pop()
        return False


def work(error: Exception, said: list[str]) -> Work:
    one: Any = Once(error)
    return Work(one, one, one, one, threading.Event(), said.append, finished=lambda _: True)


@pytest.mark.parametrize("code", [Code.VAULT, Code.OBJECT_MISSING, Code.OBJECT_CORRUPT])
def test_an_object_that_is_not_to_be_had_now_does_not_end_the_agent(code: Code) -> None:
    said: list[str] = []
    work(StorageError(code, "no access to the object"), said).run()
    assert len(said) == 2 and "no access" in said[0] and "again" in said[1]


def test_a_disk_of_ones_own_that_fails_does() -> None:
    with pytest.raises(StorageError):
        work(StorageError(Code.STORE_FAILED, "the disk is full"), []).run()
