"""The key–value state of a replica: snapshots without copying at every write, undo, and the state root."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tclearn.encoding import Digest, Value, encode
from tclearn.ledger.contract import View, Writes

_DOMAIN: Final = "tclearn/state/1"


class _Sorted(Mapping[str, Value]):
    # Iterates in key order: a contract that walks over its state must meet the same order on a replica that has just
    # been loaded as on one that has run for a month.
    __slots__ = ("_items",)

    def __init__(self, items: dict[str, Value]) -> None:
        self._items = items

    def __getitem__(self, key: str) -> Value:
        return self._items[key]

    def get(self, key: str, default: Any = None, /) -> Any:
        return self._items.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)


class State:
    """A mutable state. Values are never changed in place, keys are replaced or deleted.

    Args:
        items: the first values by key.
    """

    __slots__ = ("_encoded", "_hashes", "_items", "_lent", "_undo", "live")

    def __init__(self, items: Mapping[str, Value]) -> None:
        self._items = dict(items)
        self._lent = False
        self._undo: list[tuple[str, Value | None]] = []
        # For the root: hashes of the keys that were not written since the last root, encodings of most that were.
        self._hashes: dict[str, bytes] = {}
        self._encoded: dict[str, bytes | None] = {}
        self.live: View = _Sorted(self._items)
        """The present values, read-only; later writes show through."""

    def snapshot(self) -> View:
        """The present values as a view that later writes do not change; the next write pays for it with one copy."""
        self._lent = True
        return self.live

    def write(self, writes: Writes, encoded: Mapping[str, bytes | None]) -> None:
        """Replace and delete (``None``) values; remembered until ``keep``.

        Args:
            writes: values by key.
            encoded: the same values, encoded; may lack some.
        """
        if self._lent:
            self._items = dict(self._items)
            self._lent = False
            self.live = _Sorted(self._items)
        for key, value in writes.items():
            self._undo.append((key, self._items.get(key)))
            self._hashes.pop(key, None)
            self._encoded[key] = encoded.get(key)
            if value is None:
                self._items.pop(key, None)
            else:
                self._items[key] = value

    def mark(self) -> int:
        """The place in the memory of writes that ``undo`` can return to."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Take back all writes since a mark."""
        taken, self._undo = self._undo[mark:], self._undo[:mark]
        writes: dict[str, Value | None] = {}
        for key, value in taken:  # the oldest value of a key is the one to restore
            writes.setdefault(key, value)
        self.write(writes, {})
        del self._undo[mark:]

    def keep(self) -> None:
        """Make all writes final."""
        self._undo.clear()

    def root(self) -> Digest:
        """The state root: SHA-256 over the domain and, in key order, the SHA-256 of every ``[key, encoded value]``."""
        hashes = self._hashes
        for key, value in self._items.items():
            if key not in hashes:
                hashes[key] = hashlib.sha256(encode([key, self._encoded.get(key) or encode(value)])).digest()
        self._encoded.clear()
        return Digest(hashlib.sha256(encode(_DOMAIN) + b"".join([hashes[key] for key in sorted(hashes)])).digest())
