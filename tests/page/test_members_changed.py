"""A report of a coalition whose members have changed names everybody, each where it was one."""

from __future__ import annotations

import re

from tests.protocols.company import Company
from tests.protocols.test_membership import FOUR, admit, expel, rotate

from tclearn.page.report import render
from tclearn.page.summary import Summary


def test_the_report_names_who_came_and_who_left() -> None:
    company = Company(list(FOUR))
    company.blocks(4)
    admit(company, "ghent", FOUR[:3])
    company.blocks(2)
    expel(company, "turin", ["leuven", "namur", "porto", "ghent"])
    rotate(company, "namur")
    company.blocks(6)
    html = render(company.state, Summary("digest", len(company.ledger), company.verified().cosigned))
    plain = re.sub(r"<[^>]+>", " ", html)
    assert "has left" in plain
    assert "other keys for namur" in plain
    assert re.search(r"a quorum of the members at that time, \d of them", plain)
    # Votes of the former member are still in the table of votes, under its name.
    votes = html[html.index('id="votes"') : html.index('id="strength"')]
    assert "turin" in votes
    assert "ghent" in votes
