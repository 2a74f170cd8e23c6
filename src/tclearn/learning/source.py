"""The model factory: found by its name, and recognised by the bytes of the file that defines it.

Nobody downloads code: each member installs the factory's package, and compares its source digest with the charter's.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

from tclearn.coalition.faults import did_you_mean, shown
from tclearn.coalition.words import FACTORY_EXPECTED, is_factory
from tclearn.encoding import Digest
from tclearn.errors import CharterError, Code

Factory = Callable[..., Any]


def load_factory(reference: str | Factory) -> Factory:
    """The callable that makes the model.

    Args:
        reference: ``"module:callable"``; a callable is given back as it is.

    Raises:
        CharterError: the module is not installed or cannot be imported, it has no such callable, or what it has is
            not callable.
    """
    if not isinstance(reference, str):
        return reference
    if not is_factory(reference) or "<" in reference:
        raise _refused(f"[model] factory is {shown(reference)}", FACTORY_EXPECTED, "")
    module_name, _, path = reference.partition(":")
    found: Any = _import(module_name, reference)
    for name in path.split("."):
        if not hasattr(found, name):
            near = did_you_mean(name, [each for each in dir(found) if callable(getattr(found, each, None))])
            place = getattr(found, "__file__", None) or module_name
            raise _refused(
                f"[model] factory {reference!r}: no {name!r} in {place}", "a function or class of the module", near
            )
        found = getattr(found, name)
    if not callable(found):
        kind = type(found).__name__
        raise _refused(
            f"[model] factory {reference!r} is of type {kind}", "a function or class", "name the callable that makes it"
        )
    factory: Factory = found
    return factory


def source_digest(factory: Factory) -> Digest:
    """SHA-256 of the source file that defines a factory, its line ends taken as LF.

    What was typed interactively has no file: its own source lines are taken, or else its byte code, which only the same
    version of Python gives again.

    Raises:
        CharterError: the factory is built in and has neither.
    """
    file = source_file(factory)
    if file is not None:
        return _sha256(file.read_bytes().replace(b"\r\n", b"\n"))
    try:
        return _sha256(inspect.getsource(factory).encode())
    except (OSError, TypeError):
        pass
    codes = _codes(factory)
    if not codes:
        name = getattr(factory, "__qualname__", type(factory).__name__)
        raise _refused(
            f"[model] factory {name} has no source", "a function or class written in Python", "wrap it in one"
        )
    return _sha256(b"".join(_code_digest(code) for code in codes))


def source_file(factory: Factory) -> Path | None:
    """The file that defines a factory; ``None``: it was typed interactively, or is built in."""
    try:
        named = inspect.getsourcefile(inspect.unwrap(factory))
    except (TypeError, ValueError):
        return None
    file = Path(named) if named else None
    return file if file is not None and file.is_file() else None


def check_source(factory: Factory, expected: Digest) -> None:
    """Compare a factory's source with the charter; returns nothing.

    Raises:
        CharterError: this member has another version of the code; the message names the file.
    """
    found = source_digest(factory)
    if found != expected:
        place = source_file(factory) or _label(factory)
        raise CharterError(
            Code.CHARTER_MISMATCH,
            f"{place} has the digest {found.hex()[:16]}…",
            expected=f"{expected.hex()[:16]}…, as the charter says",
            remedy="install the version of the model's package that the coalition agreed on",
        )


def _label(factory: Factory) -> str:
    return str(getattr(factory, "__qualname__", type(factory).__name__))


def _import(module: str, reference: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module == missing or module.startswith(missing + "."):
            raise _refused(
                f"[model] factory {reference!r}: no module named {missing!r} is installed",
                "the package of the model at every member",
                f"install it, or add its folder to PYTHONPATH if {missing}.py lies there",
            ) from None
        raise _broken(reference, module, error) from error
    except Exception as error:
        raise _broken(reference, module, error) from error


def _broken(reference: str, module: str, error: Exception) -> CharterError:
    return _refused(
        f"[model] factory {reference!r}: importing {module} failed with {type(error).__name__}: {error}",
        "a module that can be imported",
        f"try: python -c 'import {module}'",
    )


def _refused(what: str, expected: str, remedy: str) -> CharterError:
    return CharterError(Code.CHARTER_MODEL, what, expected=expected, remedy=remedy)


def _codes(factory: Factory) -> list[CodeType]:
    members = [vars(factory)[name] for name in sorted(vars(factory))] if isinstance(factory, type) else [factory]
    found = (getattr(inspect.unwrap(member), "__code__", None) for member in members if callable(member))
    return [code for code in found if isinstance(code, CodeType)]


def _code_digest(code: CodeType) -> bytes:
    parts = [code.co_code, repr(code.co_names).encode(), *map(_constant, code.co_consts)]
    # Lengths first: no two lists of parts give the same bytes.
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def _constant(value: object) -> bytes:
    if isinstance(value, CodeType):
        return _code_digest(value)
    if isinstance(value, frozenset):  # its own order changes from process to process
        return repr(sorted(map(repr, value))).encode()
    return repr(value).encode()


def _sha256(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).digest())
