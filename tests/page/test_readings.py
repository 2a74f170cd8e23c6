"""The report's part on readings: who had which version, with what the journal knows and what it does not."""

from __future__ import annotations

from tests.page.reading import Element, read
from tests.page.story import digits, summary
from tests.page.test_report import hangs_together
from tests.protocols.test_reading_journal import Story, confidential

from tclearn.page import render
from tclearn.protocols.tclearn.reading_journal import who_had

SIGNS = {"trained": "●", "delivered": "●", "granted": "○"}


def shown(story: Story) -> Element:
    page = read(render(story.world.state, summary(story.world)))
    hangs_together(page)
    return page


def test_every_version_with_who_had_it() -> None:
    story = Story(confidential())
    for which, draw in [(1, 1), (1, 1), (4, 1), (0, 9), (6, 0), (3, 1), (1, 1), (4, 3)]:
        story.do(which, draw)
    page = shown(story)
    (part,) = [each for each in page.one("main").all("section") if each.attributes["id"] == "readings"]
    versions = part.all("table")[0].one("tbody").all("tr")
    members = story.world.members
    assert len(versions) == story.world.state.tip
    for index, row in enumerate(versions, 1):
        assert row.one("th").text == str(index)
        holders = {each.member: each for each in who_had(story.world.state, index)}
        cells = row.all("td")[-len(members) :]
        for member, cell in zip(members, cells, strict=True):
            assert cell.text == (SIGNS[holders[member].how] if member in holders else "")
            assert cell.attributes["title"].startswith(f"{member}: ")
            assert ("never confirmed" in cell.attributes["title"]) == (
                member in holders and holders[member].how == "granted"
            )
    every = part.all("table")[-1].one("tbody").all("tr")
    assert len(every) == len(story.told.granted)


def test_an_empty_vault() -> None:
    page = shown(Story(confidential()))
    (part,) = [each for each in page.one("main").all("section") if each.attributes["id"] == "readings"]
    assert "No version lies in the vault yet" in part.text
    assert any(link.attributes["href"] == "#readings" for link in page.one("nav").all("a"))


def test_level_a_has_no_such_part() -> None:
    page = read(render(digits().state, summary(digits())))
    assert "Readings" not in page.one("nav").text
    assert all(part.attributes["id"] != "readings" for part in page.one("main").all("section"))
