"""Whatever others can put into a state or a summary is shown as text and never becomes markup."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from tests.page.reading import read
from tests.page.story import Story, summary

from tclearn.coalition.acceptance import Judgement, Terms
from tclearn.coalition.arguments import argument_text
from tclearn.coalition.evidence import Evidence
from tclearn.encoding import MemberId
from tclearn.page import render
from tclearn.page.charts import Chart, Line, Point, line_chart
from tclearn.page.glyphs import sparkline
from tclearn.page.markup import Html, el, escape, join
from tclearn.protocols.tclearn.contract import TCLearn

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;</title></style>"
PRINTABLE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")))


@dataclass(frozen=True)
class HostileRule:
    """A third party's rule with a reason that tries to get out of where it stands."""

    name: str = HOSTILE

    def reference(self, previous: int, best: int) -> int:
        return previous

    def judge(self, evidence: Evidence, terms: Terms) -> Judgement:
        good = evidence.on_global.candidate >= evidence.on_global.reference
        return Judgement(good, HOSTILE)


def hostile_page() -> str:
    story = Story(4)
    story.contract = TCLearn(story.charter, HostileRule())
    story.accepted(0.8)
    story.tested(0.2)
    # The charter's own checks would refuse such names; the report does not lean on them.
    charter = story.charter
    object.__setattr__(charter, "name", HOSTILE)
    object.__setattr__(charter, "model", replace(charter.model, arguments={"x": argument_text(HOSTILE)}))
    object.__setattr__(charter, "acceptance", replace(charter.acceptance, rule=HOSTILE))
    object.__setattr__(charter, "trainer", HOSTILE)
    told = summary(story, coalition=HOSTILE, export=HOSTILE, note=HOSTILE)
    return render(story.state, told)


def test_hostile_strings_stay_text() -> None:
    page = read(hostile_page())
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert page.one("h1").text == HOSTILE
    assert HOSTILE in page.named("rejections").text
    titles = [cell.attributes.get("title", "") for cell in page.named("votes").all("td", "vote")]
    assert any(HOSTILE in title for title in titles)
    assert page.one("footer").text == HOSTILE


def test_hostile_names_in_charts() -> None:
    line = Line(HOSTILE, (Point(1, 0.5, HOSTILE, f"#{HOSTILE}"), Point(2, 0.6, HOSTILE)), "main")
    chart = Chart(HOSTILE, HOSTILE, HOSTILE, (1, 2), (line,), (Point(1.5, 0.1, HOSTILE),), ((2, HOSTILE),))
    drawn = read(line_chart(chart, width=600, height=300, labels=True))
    assert {element.name for element in drawn.all()} <= {"svg", "title", "g", "path", "text", "a", "circle"}
    assert HOSTILE in drawn.text
    assert read(sparkline([0.1, 0.2], low=0, high=1, title=HOSTILE)).one("title").text == HOSTILE


def test_control_and_direction_marks_are_made_visible() -> None:
    assert escape("pay\u202etxt.exe\x00") == "pay⟨U+202E⟩txt.exe⟨U+0000⟩"
    assert escape("Zürich – λ ≥ 0.98\n") == "Zürich – λ ≥ 0.98\n"
    assert escape("\ud800").encode() == "⟨U+D800⟩".encode()


@given(PRINTABLE, PRINTABLE)
def test_any_text_is_read_back_as_it_was_written(inside: str, title: str) -> None:
    element = read(el("p", inside, title=title)).one("p")
    assert not element.all()
    assert element.text == inside
    assert element.attributes == {"title": title}


def test_markup_is_not_escaped_twice() -> None:
    inner = el("b", "a & b")
    assert el("p", inner) == "<p><b>a &amp; b</b></p>"
    assert join(["<", inner], " & ") == "&lt; &amp; <b>a &amp; b</b>"
    assert isinstance(join([]), Html)
    assert el("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert el("td", 3, class_="num", aria_label=None) == '<td class="num">3</td>'


def test_member_names_cannot_be_hostile_by_type() -> None:
    # The widest that a member's name can be: it is cut where it has to fit, and whole in the title.
    name = MemberId("m" + "-x" * 31)
    line = Line(name, (Point(1, 0.5, "p"),), 0)
    drawn = read(line_chart(Chart("", "", "", (1, 1), (line,)), width=600, height=300, labels=True))
    assert drawn.all("text", "name")[0].text.endswith("…")
    assert name in [title.text for title in drawn.all("title")]
