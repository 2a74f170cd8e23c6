"""Charters to begin from: one in TOML with every key, one resolved with every field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tclearn.coalition.charter import Charter
from tclearn.coalition.resolve import resolve
from tclearn.coalition.resolved import ResolvedCharter
from tclearn.coalition.terms import MemberRecord, TensorRecord
from tclearn.encoding import Digest, MemberId, digest
from tclearn.identity import Signer
from tclearn.identity.seed_chain import tip

G = digest("G")
NAMES = ("leuven", "namur", "porto", "turin")

TOML = f"""
[coalition]
name     = "bladder-ct"
protocol = "tclearn"                 # tclearn | deepchain | seccl | blockfedml
level    = "A"                       # A public · B vault · C encrypted
members  = ["leuven.pem", "namur.pem", "porto.pem", "turin.pem"]
[model]
factory   = "bladder:UNet"           # installed by each member; nobody downloads code
arguments = {{ width = 16 }}
seed      = 7                        # draws M_0
[task]
metric          = "dice"             # accuracy | macro_f1 | auc | dice
global_test_set = "blake3:{G.hex()}"     # printed by `tclearn data digest`
local_test      = 0.10               # share of each contribution kept for L
[acceptance]
rule   = "anchored"                  # paper (eq. 3) | anchored | strict
lambda = 0.98
[schedule]
turns           = "lease"            # lease: in turn · free: first accepted wins
stop            = {{ blocks = 28 }}    # blocks | until | performance
verdict_minutes = 30
minimum_batch   = 64
[hyperparameters]
epochs        = 50
batch_size    = 16
learning_rate = {{ start = 1.0, rule = "plateau", factor = 0.5, patience = 3 }}
[governance]
may_change = ["epochs", "batch_size", "learning_rate"]
may_propose_revert = ["leuven"]
"""

EVERY_KEY = f"""
[coalition]
name = "all"
protocol = "tclearn"
level = "A"
members = ["leuven.pem", "namur.pem", "porto.pem", "turin.pem"]
[model]
factory = "bladder.models:UNet"
arguments = {{ width = 16, dropout = 0.1, norm = "batch", residual = true, levels = [1, 2] }}
seed = 7
trainer = "torch"
[task]
metric = "auc"
global_test_set = "blake3:{G.hex()}"
local_test = 0.125
local_results = "vote"
[acceptance]
rule = "strict"
lambda = 0.975
arguments = {{ groups = 4, harm = 0.05 }}
[schedule]
turns = "free"
stop = {{ blocks = 28, until = "2030-06-30", performance = 0.97 }}
verdict_minutes = 0.5
turn_minutes = 60
seal_minutes = 1.25
minimum_batch = 64
attempts = 2
step_search = "none"
[hyperparameters]
epochs = 50
batch_size = 16
momentum = 0.9
warmup = 3
learning_rate = {{ start = 0.5, rule = "plateau", factor = 0.25, patience = 2, minimum = 0.001 }}
[governance]
may_change = ["momentum", "epochs"]
may_propose_revert = ["turin", "leuven"]
"""


def signer(name: str) -> Signer:
    return Signer(digest("test key", name))


def member(name: str, **changes: Any) -> MemberRecord:
    values: dict[str, Any] = {"key": signer(name).public, "seed_tip": tip(digest("chain", name), 4), "origin": "os"}
    values |= {"certificate": digest("certificate", name)} | changes
    return MemberRecord(MemberId(name), **values)


def facts(**changes: Any) -> dict[str, Any]:
    """What ``resolve`` needs besides the charter."""
    return {
        "members": [member(name) for name in NAMES],
        "log_key": signer("log").public,
        "layout": [TensorRecord("w", "F32", (3, 2)), TensorRecord("b", "F32", ())],
        "initial": digest("M_0"),
        "source": digest("source"),
        "global_test": G,
        "global_n": 120,
        "hyperparameters": {"epochs": 1, "batch_size": 32, "learning_rate": 1_000_000, "momentum_ppm": 0},
        "data_key": bytes(range(32)),
    } | changes


def resolved(text: str = EVERY_KEY, **changes: Any) -> ResolvedCharter:
    return resolve(Charter.from_toml(text), **facts(**changes))


def network() -> None:
    """Stands for a model factory."""


def charter(**changes: Any) -> Charter:
    values: Mapping[str, Any] = {"name": "tumours", "model": network, "metric": "accuracy", "blocks": 8} | changes
    return Charter(**values)


def other_digest() -> Digest:
    return digest("another")
