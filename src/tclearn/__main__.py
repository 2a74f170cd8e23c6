"""``python -m tclearn``: the command line."""

from tclearn.cli import main

main()
