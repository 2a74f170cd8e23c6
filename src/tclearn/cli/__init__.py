"""The command line: one file per command group, each command calling one library function."""

from tclearn.cli.main import main

__all__ = ["main"]
