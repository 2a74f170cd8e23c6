"""The command line, noting each transaction when its handing in has been answered: ``python -m tests.service.tapped``.

A line ``ID INDEX`` for each goes to the end of the file that ``TCLEARN_TEST_ACKNOWLEDGED`` names.
"""

from __future__ import annotations

import os
from typing import Any

from tclearn.cli import main
from tclearn.service.remote import Connection

send = Connection.send


def noting(self: Connection, method: str, path: str, data: bytes, media: str) -> Any:
    answer = send(self, method, path, data, media)
    if method == "POST":
        os.write(NOTES, f"{answer['id']} {answer['index']}\n".encode())
    return answer


if __name__ == "__main__":
    NOTES = os.open(os.environ["TCLEARN_TEST_ACKNOWLEDGED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    Connection.send = noting  # type: ignore[method-assign]
    main()
