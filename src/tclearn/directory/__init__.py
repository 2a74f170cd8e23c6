"""A coalition's files on this computer: charter, ledger, models, keys."""

from tclearn.directory.coalition import CHARTER, DATA_KEY, LEDGER, LOG_KEY, OBJECTS, CoalitionDirectory

__all__ = ["CHARTER", "DATA_KEY", "LEDGER", "LOG_KEY", "OBJECTS", "CoalitionDirectory"]
