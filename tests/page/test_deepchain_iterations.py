"""What the report says of iterations: each member's sign, each leader, each fine."""

from __future__ import annotations

import pytest
from tests.page.deep_story import DeepStory, course_row, sign, told, troubled
from tests.page.reading import Element, read
from tests.page.test_report import figures, hangs_together
from tests.protocols.deepchain.people import (
    People,
    deny_the_sum,
    silent,
    sum_of_its_own,
    withheld_shares,
)
from tests.protocols.deepchain.world import World

from tclearn.encoding import digest
from tclearn.ledger import Duty
from tclearn.page.deepchain.words import for_what
from tclearn.protocols.deepchain import calls
from tclearn.protocols.deepchain.history import Course
from tclearn.protocols.deepchain.reasons import Reason
from tclearn.records import Record


@pytest.fixture(scope="module")
def story() -> DeepStory:
    return troubled()


@pytest.fixture(scope="module")
def page(story: DeepStory) -> Element:
    return read(story.page())


def test_grid_says_what_each_member_did(story: DeepStory, page: Element) -> None:
    assert len(page.one("table", "grid").rows()) == len(story.members)
    for course in story.history.courses:
        for member in story.members:
            shown = sign(page, member, course.number)
            fined = [fine.reason for fine in course.fines if fine.member == member]
            assert ("✓" in shown) == (member in course.counted)
            assert (shown == "–") == (member in course.absent)
            assert ("Σ" in shown) == (member == course.leader or member in course.failed_leaders)
            assert ("✗" in shown) == (Reason.WRONG_GRADIENT in fined)
            assert ("?" in shown) == (Reason.NO_SHARES in fined)
            assert (shown == "·") == (member in course.workers and "Σ" not in shown)
    assert [struck.text for struck in page.one("table", "grid").all("span", "struck")] == ["Σ"]


def test_legend_has_what_occurs_and_nothing_else(page: Element) -> None:
    legend = [item.text for item in page.named("iterations").all("ul", "legend")[0].all("li")]
    assert legend == [
        "✓its gradient is in the sum",
        "Σled: its sum was opened",
        "·a worker that did its part",
        "✗handed in or approved something wrong",
        "Σled, and failed: no sum, a wrong one, or one not to be had",
        "?was asked, and said nothing in time",
        "–not in it: no deposit",
    ]
    peaceful = read(told({}, iterations=1).page())
    assert [item.text[0] for item in peaceful.named("iterations").all("ul", "legend")[0].all("li")] == ["✓", "Σ", "·"]


def test_iterations_one_by_one(story: DeepStory, page: Element) -> None:
    for course, value in zip(story.history.courses, story.summary().accuracies, strict=True):
        number, outcome, counted, leaders, accuracy, block, opened, fines = course_row(page, course.number)
        assert (number, outcome) == (str(course.number), "opened")
        assert counted == f"{len(course.counted)} of 6"
        assert leaders == " ".join([*course.failed_leaders, str(course.leader)])
        assert accuracy == f"{value:.4f}"
        assert course.opened is not None
        assert block == f"{course.blocks[-1].number}: {course.blocks[-1].hash.hex()[:10]}…"
        assert opened == f"{course.opened.hex()[:10]}…"
        assert fines.count("−") == len(course.fines)
        row = page.named(f"iteration-{course.number}")
        assert course.blocks[-1].hash.hex() in [code.attributes["title"] for code in row.all("code")]
        assert [each.text for each in row.all("s")] == list(course.failed_leaders)
        for fine in course.fines:
            assert f"{fine.member}: {for_what(fine.reason)}, −{fine.coins}" in fines


def right(world: World, duty: Duty) -> Record | None:
    return calls.Check(world.iteration.number, world.iteration.attempt, 1)


def test_an_iteration_that_fails_and_a_leader_that_is_followed_without_blame() -> None:
    # Workers that find everything right let a wrong sum through, which the parties do not take.
    story = DeepStory(iterations=1)
    wrong = {"update": (sum_of_its_own,), "check": (right,)}
    People(story, dict.fromkeys(story.terms.workers[:3], wrong), 5, watchful=False).run()
    void, good = story.history.courses
    assert [block.kind for block in (*void.blocks, *good.blocks)] == ["sums", "void", "empty", "sums"]
    page = read(story.page())
    hangs_together(page)
    assert figures(page)["failed"] == figures(page)["iteration"] == "1"
    cells = course_row(page, 1)
    assert (cells[1], cells[3], cells[4], cells[6]) == ("failed", "auditor-1", "–", "–")
    assert f"block 1 is void: {void.blocks[1].reason}" in cells[5]
    assert [each.text for each in page.named("iteration-1").all("s")] == ["auditor-1"]
    assert [each.text for each in page.named("iteration-2").all("s")] == ["auditor-3"]
    assert [each.text for each in page.one("table", "grid").all("th", "struck")] == ["1"]
    (failed,) = page.one("table", "grid").all("span", "struck")
    assert failed.text == sign(page, "auditor-1", 1) == "Σ"
    assert [sign(page, "auditor-3", 2), sign(page, "auditor-4", 2)] == ["Σ", "Σ"]
    legend = page.named("iterations").all("ul", "legend")[0].text
    assert "1failed: nothing was opened" in legend
    assert "Σled, but its sum was not opened, without blame" in legend
    chart = page.named("performance").all("svg", "chart")[0]
    assert [each.text for each in chart.all("text", "note")] == ["failed"]
    assert "In a failed iteration nothing is opened" in page.named("performance").text


def test_an_iteration_under_way_blames_nobody() -> None:
    story = DeepStory()
    People(story).until("uploading")
    page = read(story.page())
    hangs_together(page)
    assert figures(page)["named"] == "0"
    assert course_row(page, 1)[1] == "under way"
    assert {sign(page, member, 1) for member in story.members} == {"…"}


def test_other_kinds_of_trouble() -> None:
    told_of = {
        "hospital-2": {"share": (withheld_shares,)},
        "auditor-1": {"update": (silent,)},
        "auditor-3": {"append": (silent,)},
        "hospital-6": {"take": (deny_the_sum,), "report": (silent,)},
    }
    story = told(told_of, iterations=3)
    page = read(story.page())
    hangs_together(page)
    seen = {fine.reason for course in story.history.courses for fine in course.fines}
    assert {Reason.WITHHELD_SHARES, Reason.NO_REPORT} <= seen
    for course in story.history.courses:
        for fine in course.fines:
            expected = {Reason.WITHHELD_SHARES: "∅", Reason.NO_REPORT: "?", Reason.NO_SUM: "Σ"}[fine.reason]
            assert expected in sign(page, fine.member, course.number)


def test_every_reason_has_words() -> None:
    words = [for_what(reason) for reason in Reason]
    assert len(set(words)) == len(Reason)


def test_long_histories_are_cut_and_say_so() -> None:
    story = DeepStory()
    members = (story.terms.parties, story.terms.workers)
    for number in range(1, 1201):
        opened, blocks = digest("opened", number), ()
        story.history._courses[number] = Course(
            number, *members, (), members[0], blocks, (), True, None, opened if number < 0 else None
        )
    text = story.page(accuracies=())
    page = read(text)
    hangs_together(page)
    assert len(page.named("iterations").one("table", "courses").rows()) == 1000
    assert "The first 200 are left out here." in page.named("iterations").text
    assert len(page.one("table", "grid").one("thead").all("th")) == 2 + 100
    assert "Only the newest 100 are here." in page.named("iterations").text
    assert len(text) < 1 << 20
