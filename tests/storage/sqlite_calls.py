"""Records what SQLite does to the files of a folder, below the standard library's ``sqlite3`` module.

SQLite reaches its files through a table of functions, its VFS. The library that ``sqlite3`` itself has loaded is asked,
with ``ctypes``, for its default VFS; a copy of that becomes the default while a recording runs. The copy calls the
original for everything and notes opening, writing, truncating, syncing and deleting. So the code under test is the
program's own, unchanged, on the SQLite that it uses, with its own SQL and settings; no other binding of SQLite takes
part.

What is noted of a sync is that SQLite asked for it and was told that it was done: that ``fsync`` reaches the disk is
the operating system's word. A sync of the folder is noted when SQLite opens the folder for it, which it does for
nothing else. SQLite's random numbers (the salts of a WAL) come from a fixed seed, so a recording can be repeated.

What is shown is shown of the SQLite that the running Python has loaded, whose version every failure names. Written for
3.40.1 and tried with 3.53.2, on Linux, where the record was the same, call by call, as the system calls that ``strace``
saw. Where ``sqlite3`` does not show its library (some static builds), nothing can be recorded: see ``unavailable``.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import random
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.storage.trace import Bound, Cut, Event, FolderSynced, Mapped, Said, Synced, Trace, Wrote

_OK: Final = 0
_NAME: Final = b"power-loss"

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_RANDOM = CFUNCTYPE(c_int, c_void_p, c_int, c_void_p)
_SET_CALL = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
_GET_CALL = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_FOLDER = CFUNCTYPE(c_int, c_char_p, c_void_p)


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``, version 3. Source: https://sqlite.org/c3ref/vfs.html."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", c_void_p),
        ("xDelete", c_void_p),
        ("xAccess", c_void_p),
        ("xFullPathname", c_void_p),
        ("xDlOpen", c_void_p),
        ("xDlError", c_void_p),
        ("xDlSym", c_void_p),
        ("xDlClose", c_void_p),
        ("xRandomness", c_void_p),
        ("xSleep", c_void_p),
        ("xCurrentTime", c_void_p),
        ("xGetLastError", c_void_p),
        ("xCurrentTimeInt64", c_void_p),
        ("xSetSystemCall", c_void_p),
        ("xGetSystemCall", c_void_p),
        ("xNextSystemCall", c_void_p),
    )


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``, version 3. Source: https://sqlite.org/c3ref/io_methods.html."""

    _fields_ = (
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", c_void_p),
        ("xTruncate", c_void_p),
        ("xSync", c_void_p),
        ("xFileSize", c_void_p),
        ("xLock", c_void_p),
        ("xUnlock", c_void_p),
        ("xCheckReservedLock", c_void_p),
        ("xFileControl", c_void_p),
        ("xSectorSize", c_void_p),
        ("xDeviceCharacteristics", c_void_p),
        ("xShmMap", c_void_p),
        ("xShmLock", c_void_p),
        ("xShmBarrier", c_void_p),
        ("xShmUnmap", c_void_p),
        ("xFetch", c_void_p),
        ("xUnfetch", c_void_p),
    )


@cache
def unavailable() -> str:
    """Why nothing can be recorded here; empty when it can."""
    if sys.platform not in {"linux", "darwin"}:
        return "written for POSIX"
    try:
        _shim()
    except (AttributeError, OSError) as error:
        return f"this Python's sqlite3 does not show its library: {error}"
    return ""


class Recording:
    """What happens to a folder's files from now on.

    Args:
        folder: where; only files in the folder itself are recorded.
        base: the files that are there already and are durable.
    """

    def __init__(self, folder: Path, base: Mapping[str, bytes]) -> None:
        self._folder = folder.resolve()
        self._base = dict(base)
        self._events: list[Event] = []
        self._bound: dict[str, int] = {name: number for number, name in enumerate(base)}
        self._count = len(base)
        self._maps: dict[str, bytes] = {}

    def said(self, what: str) -> None:
        """Note that the program has called something durable."""
        self._look_at_maps()
        self._events.append(Said(what))

    def trace(self) -> Trace:
        """All that was recorded."""
        return Trace(tuple(self._events), self._base)

    def _opened(self, path: str) -> int | None:
        folder, name = os.path.split(path)
        if folder != str(self._folder):
            return None
        if name not in self._bound:
            self._bound[name] = self._count
            self._count += 1
            self._events.append(Bound(name, self._bound[name]))
        return self._bound[name]

    def _deleted(self, path: str) -> None:
        folder, name = os.path.split(path)
        if folder == str(self._folder) and name in self._bound:
            del self._bound[name]
            self._events.append(Bound(name, None))

    def _happened(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, Synced):
            self._look_at_maps()

    def _folder_synced(self, path: str) -> None:
        if path == str(self._folder):
            self._events.append(FolderSynced("."))

    def _look_at_maps(self) -> None:
        for path in self._folder.glob("*-shm"):
            data = path.read_bytes()
            if data and self._maps.get(path.name) != data:
                self._maps[path.name] = data
                self._events.append(Mapped(path.name, data))


@contextmanager
def recording(folder: Path, base: Mapping[str, bytes] | None = None, *, seed: int = 0) -> Iterator[Recording]:
    """Record what connections that are opened inside do; those still open at the end go on unrecorded, unsynced."""
    record = Recording(folder, base or {})
    with _shim().installed(record, seed=seed):
        yield record


@contextmanager
def careless() -> Iterator[None]:
    """Inside, SQLite's syncs do nothing: for looking at states, where nothing needs to last."""
    with _shim().installed(None, seed=0):
        yield


# --- the VFS ---------------------------------------------------------------------------------------------------------


def _library() -> Any:
    file = getattr(_sqlite3, "__file__", None)
    library = ctypes.CDLL(file)  # with no file of its own, the module is part of the program
    library.sqlite3_libversion.restype = c_char_p
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = (c_char_p,)
    library.sqlite3_vfs_register.argtypes = (POINTER(_Vfs), c_int)
    library.sqlite3_randomness.argtypes = (c_int, c_void_p)
    library.sqlite3_randomness.restype = None
    version = library.sqlite3_libversion().decode()
    if version != sqlite3.sqlite_version:
        raise OSError(f"found {version} beside {sqlite3.sqlite_version}")
    return library


@cache
def _shim() -> _Shim:
    # Once a process, and never taken apart: SQLite keeps pointers into it.
    return _Shim()


class _Shim:
    def __init__(self) -> None:
        self._library = _library()
        self._record: Recording | None = None
        self._rng = random.Random(0)
        self._files: dict[int, tuple[Recording | None, int]] = {}
        self._methods: dict[int, tuple[_Methods, dict[str, Callable[..., int]]]] = {}
        self._real_methods: dict[int, dict[str, Callable[..., int]]] = {}
        self._folder = ""

        self._real = self._library.sqlite3_vfs_find(None)
        real = self._real.contents
        if real.iVersion < 3 or not real.xSetSystemCall:
            raise OSError("its VFS is an old one")
        self._real_open, self._real_delete = _OPEN(real.xOpen), _DELETE(real.xDelete)
        self._real_folder = _FOLDER(_GET_CALL(real.xGetSystemCall)(self._real, b"openDirectory"))
        self._set_call = _SET_CALL(real.xSetSystemCall)

        self._copy = _Vfs.from_buffer_copy(real)
        self._kept = (_OPEN(self._open), _DELETE(self._delete), _RANDOM(self._random), _FOLDER(self._open_folder))
        self._copy.zName, self._copy.pNext = _NAME, None
        self._copy.xOpen, self._copy.xDelete, self._copy.xRandomness = (_address(each) for each in self._kept[:3])

    @contextmanager
    def installed(self, record: Recording | None, *, seed: int) -> Iterator[None]:
        self._record, self._rng = record, random.Random(seed)
        self._set_call(self._real, b"openDirectory", _address(self._kept[3]))
        self._library.sqlite3_vfs_register(ctypes.byref(self._copy), 1)
        self._library.sqlite3_randomness(0, None)  # take a new seed, from this VFS
        try:
            yield
        finally:
            self._library.sqlite3_vfs_register(self._real, 1)
            self._set_call(self._real, b"openDirectory", None)
            self._library.sqlite3_randomness(0, None)
            self._files = dict.fromkeys(self._files, (None, -1))
            self._record = None

    def _open(self, _: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        result = self._real_open(self._real, name, file, flags, out)
        if result == _OK and name:
            record = self._record
            number = -1 if record is None else record._opened(os.fsdecode(ctypes.string_at(name)))
            if number is not None:
                self._files[file] = (record, number)
                place = ctypes.cast(file, POINTER(c_void_p))
                place[0] = self._patched(place[0])
        return int(result)

    def _delete(self, _: int, name: bytes, sync: int) -> int:
        self._folder = ""
        result = self._real_delete(self._real, name, sync)
        if result == _OK and self._record is not None:
            self._record._deleted(os.fsdecode(name))
            if self._folder:
                self._record._folder_synced(self._folder)
        return int(result)

    def _random(self, _: int, size: int, out: int) -> int:
        ctypes.memmove(out, self._rng.randbytes(size), size)
        return size

    def _open_folder(self, name: bytes, out: int) -> int:
        self._folder = os.path.split(os.fsdecode(name))[0]
        return int(self._real_folder(name, out))

    def _patched(self, address: int) -> int:
        """The address of a copy of a file's functions that notes what passes through."""
        if address not in self._methods:
            methods = _Methods.from_buffer_copy(_Methods.from_address(address))
            close, write = _CLOSE(methods.xClose), _WRITE(methods.xWrite)
            truncate, sync = _TRUNCATE(methods.xTruncate), _SYNC(methods.xSync)

            def closing(file: int) -> int:
                self._files.pop(file, None)
                return int(close(file))

            def writing(file: int, data: int, size: int, offset: int) -> int:
                result = write(file, data, size, offset)
                record, number = self._files[file]
                if result == _OK and record is not None:
                    record._happened(Wrote(number, offset, ctypes.string_at(data, size)))
                return int(result)

            def truncating(file: int, size: int) -> int:
                result = truncate(file, size)
                record, number = self._files[file]
                if result == _OK and record is not None:
                    record._happened(Cut(number, size))
                return int(result)

            def syncing(file: int, flags: int) -> int:
                record, number = self._files[file]
                if record is None:
                    return _OK
                self._folder = ""
                result = sync(file, flags)
                if result == _OK:
                    record._happened(Synced(number))
                    if self._folder:
                        record._folder_synced(self._folder)
                return int(result)

            calls: dict[str, Callable[..., int]] = {
                "xClose": _CLOSE(closing),
                "xWrite": _WRITE(writing),
                "xTruncate": _TRUNCATE(truncating),
                "xSync": _SYNC(syncing),
            }
            for name, call in calls.items():
                setattr(methods, name, _address(call))
            self._methods[address] = methods, calls
        return ctypes.addressof(self._methods[address][0])


def _address(function: Any) -> int | None:
    return ctypes.cast(function, c_void_p).value
