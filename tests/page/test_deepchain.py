"""The report of a DeepChain coalition: self-contained, and every figure is the history's."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.page.deep_story import PARTIES, DeepStory, course_row, named_terms, told, troubled
from tests.page.reading import Element, read
from tests.page.test_hostile import HOSTILE
from tests.page.test_report import figures, hangs_together
from tests.protocols.deepchain.people import (
    LIES,
    approve_all,
    silent,
    wrong_gradient,
)

from tclearn.encoding import MemberId
from tclearn.page.deepchain.words import for_what
from tclearn.page.glyphs import diverging
from tclearn.page.text import ranges
from tclearn.simulation.deepchain.rows import rows


@pytest.fixture(scope="module")
def story() -> DeepStory:
    return troubled()


@pytest.fixture(scope="module")
def page(story: DeepStory) -> Element:
    return read(story.page())


def coins_in(words: str) -> int:
    return int(words.replace(",", "").replace("−", "-"))


def test_page_hangs_together(page: Element) -> None:
    hangs_together(page)
    parts = [part.attributes["id"] for part in page.one("main").all("section")]
    assert parts == ["performance", "coins", "iterations", "protection", "charter"]
    assert [link.attributes["href"][1:] for link in page.one("nav").all("a")] == parts


def test_page_fetches_nothing(story: DeepStory, page: Element) -> None:
    text = story.page()
    for address in ("http://", "https://", "//cdn", "@import", "url("):
        assert address not in text
    assert not [element for element in page.all() if element.name in ("link", "img", "iframe", "object", "base")]
    (policy,) = [meta for meta in page.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy"]
    allowed = policy.attributes["content"]
    assert "default-src 'none'" in allowed
    assert "unsafe" not in allowed
    for name in ("style", "script"):
        hashed = base64.b64encode(hashlib.sha256(page.one(name).text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{hashed}'" in allowed


def test_same_history_gives_the_same_page(story: DeepStory) -> None:
    assert story.page() == story.page()


def test_headline_has_the_historys_numbers(story: DeepStory, page: Element) -> None:
    history, terms = story.history, story.terms
    lost = sum(fine.coins for course in history.courses for fine in course.fines)
    assert lost == 3100
    items = {item.one("span").text: item.text for item in page.one("ul", "figures").all("li")}
    assert figures(page) == {
        "accuracy on the test set": f"{story.summary().accuracies[-1]:.3f}",
        "averaged in the clear": "0.810",
        "iterations": "5",
        "parties": str(len(terms.parties)),
        "bits": str(4 * terms.key.ciphertext_bytes),
        "named": "3",
    }
    assert "iteration 5, 100 records" in items["accuracy on the test set"]
    assert "0.010 above DeepChain" in items["averaged in the clear"]
    assert "of 5; training is complete" in items["iterations"]
    assert "4 open; 4 workers" in items["parties"]
    assert "3,100 coins lost" in items["named"]
    record = page.one("header").facts()
    assert record["Coalition"] == terms.digest.hex()
    assert record["Ledger"] == f"{story.index} signed entries"
    assert "tclearn ledger verify coalition.tclearn --proofs objects replays" in record["Check it"]
    without = read(story.page(proofs="")).one("header").facts()["Check it"]
    assert without.startswith("tclearn ledger verify coalition.tclearn replays")
    assert "proofs" not in without


def test_who_was_named_for_what(story: DeepStory, page: Element) -> None:
    lines = [item.text for item in page.one("ul", "named").all("li")]
    assert lines == [
        "hospital-3: wrong gradient, in iterations 1–5 · lost 1,500 coins",
        "hospital-5: no decryption shares, in iterations 1, 3 and 5 · lost 900 coins",
        "auditor-2: wrong sum, in iteration 3 · lost 700 coins",
    ]
    for line in lines:
        member = line.partition(":")[0]
        fines = [fine for course in story.history.courses for fine in course.fines if fine.member == member]
        assert f"lost {sum(fine.coins for fine in fines):,} coins" in line
        assert all(for_what(fine.reason) in line for fine in fines)


def test_coins_are_the_historys_and_add_up(story: DeepStory, page: Element) -> None:
    part = page.named("coins")
    *rows, total = part.one("table", "coins").rows()
    balances = {balance.member: balance for balance in story.history.balances}
    assert [row[0] for row in rows] == [*story.terms.parties, *story.terms.workers]
    columns: list[list[int]] = []
    for cells in rows:
        balance = balances[MemberId(cells[0])]
        start, end, fined, paid, received = map(coins_in, (cells[2], cells[4], *cells[5:]))
        assert (start, end, -fined) == (balance.start, balance.end, balance.fined)
        assert (paid, received) == (balance.paid, balance.received)
        assert start + paid + received + fined == end == story.coins(balance.member)
        columns.append([start, end, fined, paid, received])
    assert [sum(column) for column in zip(*columns, strict=True)] == list(map(coins_in, (total[2], *total[4:])))
    accounts, told_of = story.state.accounts, part.one("p").text
    minted = accounts.minted - 20_000
    assert f"20,000 at the founding and {minted} minted as rewards" in told_of
    assert f"make {accounts.minted:,}. Members hold {accounts.minted - accounts.pot:,}" in told_of
    assert f"{accounts.pot} are in the pot" in told_of


def test_what_is_in_the_pot_is_told() -> None:
    # Nobody of the workers did its part: what they are not owed stays in the pot.
    story = told({f"auditor-{i}": {"verify": (silent,)} for i in (1, 2)}, iterations=1)
    pot = story.state.accounts.pot
    page = read(story.page())
    assert pot > 0
    assert f"{pot:,} are in the pot" in page.named("coins").one("p").text
    held = sum(story.coins(member) for member in story.members)
    assert f"Members hold {held:,}" in page.named("coins").one("p").text
    assert held + pot == story.state.accounts.minted


def test_chart_has_a_line_and_what_it_is_compared_with(story: DeepStory, page: Element) -> None:
    chart = page.named("performance").all("svg", "chart")[0]
    series = {each.children[0].text: each for each in chart.all("g", "series") if isinstance(each.children[0], Element)}
    assert set(series) == {"this coalition", "in the clear"}
    titles = [title.text for title in series["this coalition"].all("title")[1:]]
    assert titles == [f"iteration {i}: accuracy {value:.4f}" for i, value in enumerate(story.summary().accuracies, 1)]
    (across,) = series["in the clear"].all("path", "line")
    heights = {place.split()[1] for place in re.findall(r"[ML]([0-9.]+ [0-9.]+)", across.attributes["d"])}
    assert len(heights) == 1
    assert "bit for bit" in page.named("performance").one("p").text
    alone = read(story.page(averaged=None, weights_equal=None))
    assert "in the clear" not in alone.named("performance").text


def test_weights_that_differ_are_shouted(story: DeepStory, page: Element) -> None:
    assert not any("not what they must be" in notice.text for notice in page.all("p", "notice"))
    page = read(story.page(weights_equal=False))
    assert any("The weights are not what they must be" in notice.text for notice in page.all("p", "notice"))
    assert "bit for bit" not in page.text


def test_a_toy_key_is_shouted_and_another_one_is_not() -> None:
    for bits, toy in ((512, True), (2048, False), (3072, False)):
        key = replace(named_terms().key, ciphertext_bytes=bits // 4, share_bytes=bits // 4)
        story = DeepStory(key=key)
        page = read(story.page())
        assert figures(page)["bits"] == f"{bits:,}"
        assert any("Toy key: nothing here is secret" in notice.text for notice in page.all("p", "notice")) == toy
        protected = page.named("protection").facts()["Protected"]
        assert protected.startswith("Nothing" if toy else "Gradients: honest parties open only sums of at least 3")
        assert "fewer than 4 of the 6 parties together" in protected


def test_three_sentences_on_what_is_protected(page: Element) -> None:
    part = page.named("protection")
    assert list(part.facts()) == ["Protected", "Not protected", "Not tested"]
    assert all(said.count(".") == 1 and said.endswith(".") for said in part.facts().values())
    assert [code.text for code in part.all("code")] == ["docs/papers/deepchain.md", "docs/threat-model.md"]


def test_charter_has_its_digest_and_terms(story: DeepStory, page: Element) -> None:
    charter, terms = page.named("charter"), story.terms
    assert charter.one("div", "telephone").text == terms.digest.hex()
    fields = charter.facts()
    assert fields["Shares that open"] == "4 of 6; up to 1 may be faulty"
    assert fields["Deposits"].startswith("300 for a gradient, 300 for opening, 700 for work")
    assert fields["Rewards"].startswith("120 for all parties and 60 for all workers")
    assert "approved by 3 of the 4 workers" in fields["Gradients and sums"]
    keys = charter.one("table", "keys").rows()
    assert [(cells[0], cells[2]) for cells in keys] == [(each.id, each.key.hex()) for each in terms.members]


def test_before_anything_has_happened() -> None:
    story = DeepStory()
    page = read(story.page(accuracies=(), averaged=None, weights_equal=None, cosigned=None, export="", note=""))
    hangs_together(page)
    shown = figures(page)
    assert (shown["accuracy on the test set"], shown["iterations"], shown["named"]) == ("–", "0", "0")
    assert "Nobody: no deposit was lost." in page.one("header").text
    assert "No iteration has begun yet." in page.named("iterations").text
    assert "No sum has been opened yet." in page.named("performance").text
    assert "No head has a quorum" in page.one("header").text


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_the_page_hangs_together_and_says_it(seed: int) -> None:
    liars = {"hospital-1": LIES, "auditor-4": LIES, "hospital-4": {"contribute": (wrong_gradient, silent)}}
    liars["auditor-2"] = {"verify": (approve_all, silent)}
    story = told(liars, seed, iterations=3)
    page = read(story.page())
    hangs_together(page)
    shown = sum(coins_in(cells[5]) for cells in page.named("coins").one("table").rows()[:-1])
    assert shown == -sum(fine.coins for course in story.history.courses for fine in course.fines)
    named = {line.one("b").text for each in page.all("ul", "named") for line in each.all("li")}
    assert named == {fine.member for course in story.history.courses for fine in course.fines}
    assert len(page.named("iterations").one("table", "courses").rows()) == len(story.history.courses)


def test_another_number_of_accuracies_is_a_mistake(story: DeepStory) -> None:
    with pytest.raises(ValueError, match="1 accuracies for 5 iterations"):
        story.page(accuracies=(0.5,))
    assert "It was not measured." in read(story.page(accuracies=())).named("performance").text


def test_hostile_strings_stay_text() -> None:
    story = troubled()
    terms = story.terms
    # The charter's own checks would refuse such words; the report does not lean on them.
    object.__setattr__(terms, "name", HOSTILE)
    object.__setattr__(terms, "trainer", HOSTILE)
    object.__setattr__(terms, "contracts", (HOSTILE,))
    object.__setattr__(terms, "model", replace(terms.model, factory=HOSTILE))
    object.__setattr__(terms, "hyperparameters", {HOSTILE: 1})
    courses = story.history._courses
    for number, course in courses.items():
        blocks = tuple(replace(block, kind=HOSTILE, reason=HOSTILE) for block in course.blocks)
        courses[number] = replace(course, blocks=blocks)
    page = read(story.page(coalition=HOSTILE, export=HOSTILE, proofs=HOSTILE, note=HOSTILE))
    hangs_together(page)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert page.one("h1").text == HOSTILE
    assert page.one("head").one("title").text == f"{HOSTILE}: report of a DeepChain coalition"
    assert page.one("footer").text == HOSTILE
    assert HOSTILE in course_row(page, 1)[5]
    # In the command each is one word of a shell, quotation marks and all.
    assert page.one("header").one("code", "command").text.count("'\"'\"'") == 2 * HOSTILE.count("'")


def test_a_report_is_small(story: DeepStory) -> None:
    assert len(story.page().encode()) < 60_000


def test_bars_add_up_to_their_numbers() -> None:
    drawn = read(diverging(300, (100, 50), least=300, most=500)).one("svg")
    widths = [float(bar.attributes["width"]) for bar in drawn.all("rect")]
    starts = [float(bar.attributes["x"]) for bar in drawn.all("rect")]
    assert widths == [75, 25, 12.5]
    assert starts == [0, 75, 100]
    assert not read(diverging(0, (0, 0), least=0, most=0)).all("rect")


@given(st.sets(st.integers(0, 40)))
def test_ranges_say_every_number_and_no_other(numbers: set[int]) -> None:
    said: list[int] = []
    for piece in filter(None, re.split(r", | and ", ranges(sorted(numbers)))):
        first, _, last = piece.partition("–")
        said += range(int(first), int(last or first) + 1)
    assert said == sorted(numbers)


def test_ranges_as_people_write_them() -> None:
    assert ranges([1, 2, 3, 5]) == "1–3 and 5"
    assert ranges([1, 2]) == "1 and 2"
    assert ranges([1, 3, 4, 7, 8, 9]) == "1, 3, 4 and 7–9"


def test_the_page_needs_neither_gmpy2_nor_arrays() -> None:
    told_by = "import sys; import tclearn.page.deepchain; print(*{'gmpy2', 'numpy', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", told_by], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_offences_are_named_as_on_the_command_line(story: DeepStory, page: Element) -> None:
    fines = [fine for course in story.history.courses for fine in course.fines]
    lines = [line for course in story.history.courses for line in rows(course, None, of=PARTIES)]
    words = page.text
    assert len({fine.reason for fine in fines}) > 2
    for fine in fines:
        assert any(line.strip().startswith(f"{fine.member}: {fine.reason}, ") for line in lines)
        assert str(fine.reason) in words


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser to lay the page out")
def test_coins_and_fines_are_seen_without_scrolling(story: DeepStory, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(story.page(), encoding="utf-8")
    (tmp_path / "frames.html").write_text(_FRAMES, encoding="utf-8")
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    more = [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=9000", "--dump-dom"]
    said = subprocess.run(
        [*browser, *more, (tmp_path / "frames.html").as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r"<pre>(.*)</pre>", said.stdout, re.DOTALL)
    assert found, said.stdout
    within = json.loads(found[1])
    assert within == {"1000 courses fines": True, "390 coins end": True}


_FRAMES = """<!doctype html><body><script>
// Whether the right edge of a column lies in the part of its table that is shown, in windows of some widths.
const wanted = [[1000, "courses", "fines"], [390, "coins", "end"]], found = {};
(async () => {
  for (const [width, css, column] of wanted) {
    const frame = document.createElement("iframe");
    frame.style.width = width + "px";
    frame.src = "report.html";
    document.body.append(frame);
    await new Promise(done => frame.onload = done);
    const table = frame.contentDocument.querySelector("table." + css), shown = table.parentElement;
    const cell = [...table.querySelectorAll("thead th")].find(each => each.textContent.trim() === column);
    const room = shown.getBoundingClientRect().left + shown.clientWidth;
    found[`${width} ${css} ${column}`] = cell.getBoundingClientRect().right <= room + 1;
  }
  document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
})();
</script>"""
