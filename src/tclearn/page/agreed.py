"""What charters of all protocols say: which model, and whose keys."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from tclearn.coalition.terms import MemberRecord, ModelTerms
from tclearn.page import text
from tclearn.page.markup import Child, Html, el
from tclearn.page.tables import fold, row, table

_ORIGINS: Final = {"os": "random", "seed": "from a printed seed"}


def model_facts(model: ModelTerms, initial: str) -> list[tuple[Child, Child]]:
    """Which model is trained; ``initial`` is what its first parameters are called."""
    arguments = ", ".join(f"{name} = {value}" for name, value in sorted(model.arguments.items()))
    layout = [
        row(tensor.name, tensor.dtype, " × ".join(map(str, tensor.shape)) or "a single number")
        for tensor in model.layout
    ]
    parameters = sum(math.prod(tensor.shape) for tensor in model.layout)
    what = f"{text.plural(len(model.layout), 'tensor')}, {text.plural(parameters, 'parameter')}"
    return [
        ("Model", el("code", f"{model.factory}({arguments})", class_="wrap")),
        ("Its source", ["each member installs it; the file has the digest ", text.hexadecimal(model.source)]),
        ("Its shape", fold(what, table(["tensor", "type", "shape"], layout, caption="tensors"), css="inline")),
        (initial, [f"drawn from the seed {model.seed}; parameters digest ", text.hexadecimal(model.initial)]),
    ]


def keys_table(members: Iterable[MemberRecord]) -> Html:
    """Everybody's public keys."""
    rows = [
        row(
            member.id,
            _ORIGINS.get(member.origin, member.origin),
            text.hexadecimal(member.key),
            text.hexadecimal(member.seed_tip),
            text.hexadecimal(member.certificate) if member.certificate else "none",
        )
        for member in members
    ]
    head = ["member", "keys", "Ed25519 public key", "tip of its seed chain", "root certificate (SHA-256)"]
    return table(head, rows, caption="members", css="keys")
