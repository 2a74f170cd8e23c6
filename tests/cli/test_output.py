"""What is printed is what was said, character by character."""

from __future__ import annotations

import pytest

from tclearn.cli.output import say, show_error, table
from tclearn.errors import Code, UsageError

FINGERPRINT = "79:AB:4C:A:B:ON:63"
MARKUP = "[bold]not bold[/bold] https://example.org 1234"


@pytest.mark.parametrize("text", [FINGERPRINT, MARKUP])
def test_neither_fingerprints_nor_brackets_are_taken_for_something_else(text, capsys):
    say(text)
    table(["what"], [[text]])
    show_error(UsageError(Code.USAGE, text), as_json=False)
    printed = capsys.readouterr()
    assert [line.strip() for line in printed.out.splitlines()] == [text, "what", text]
    assert text in printed.err
