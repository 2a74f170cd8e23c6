"""The ledger: signed transactions in one total order, replayed by a pure contract."""

from tclearn.ledger.contract import Context, Contract, Duty, Head, Ledger, Outcome, Rejected, View, Writes
from tclearn.ledger.transaction import Call, Entry, Transaction

__all__ = [
    "Call",
    "Context",
    "Contract",
    "Duty",
    "Entry",
    "Head",
    "Ledger",
    "Outcome",
    "Rejected",
    "Transaction",
    "View",
    "Writes",
]
