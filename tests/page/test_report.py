"""The report as a whole: whole, self-contained, and with the state's own numbers."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from tests.page.reading import Element, read
from tests.page.story import Story, digits, hospitals, summary
from tests.protocols.test_hidden import drifted, rejected, world_with_parts
from tests.protocols.world import World, verdict

from tclearn.coalition.evidence import MILLION
from tclearn.coalition.quorum import faulty_max
from tclearn.coalition.terms import TaskTerms
from tclearn.encoding import digest
from tclearn.page import render
from tclearn.protocols.tclearn import calls


@pytest.fixture(scope="module")
def story() -> Story:
    return digits()


@pytest.fixture(scope="module")
def page(story: Story) -> Element:
    return read(render(story.state, summary(story)))


def figures(page: Element) -> dict[str, str]:
    listed = page.one("ul", "figures").all("li")
    return {item.one("span").text: item.one("b").text for item in listed}


def hangs_together(page: Element) -> None:
    anchors = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(anchors) == len(set(anchors)), "an id twice"
    for element in page.all("a"):
        target = element.attributes["href"]
        assert target.startswith("#"), f"a link out of the page: {target}"
        assert target[1:] in anchors, f"a link to nowhere: {target}"
    for element in page.all():
        for name in element.attributes:
            assert name not in ("src", "srcset", "style", "action", "data", "xlink:href"), f"{name} in <{element.name}>"
            assert not name.startswith("on"), f"{name} in <{element.name}>"


def test_page_hangs_together(page: Element) -> None:
    hangs_together(page)
    assert [part.attributes["id"] for part in page.one("main").all("section")] == [
        "performance",
        "votes",
        "strength",
        "rejections",
        "members",
        "chain",
        "charter",
    ]


def test_page_fetches_nothing(story: Story) -> None:
    text = render(story.state, summary(story))
    for address in ("http://", "https://", "//cdn", "@import", "url("):
        assert address not in text
    page = read(text)
    assert not page.all("link")
    assert not page.all("img")
    assert not page.all("iframe")


def test_policy_allows_exactly_what_is_in_the_page(page: Element) -> None:
    (policy,) = [meta for meta in page.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy"]
    allowed = policy.attributes["content"]
    assert "default-src 'none'" in allowed
    assert "unsafe" not in allowed
    for name in ("style", "script"):
        hashed = base64.b64encode(hashlib.sha256(page.one(name).text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{hashed}'" in allowed


def test_same_state_gives_the_same_page(story: Story) -> None:
    assert render(story.state, summary(story)) == render(story.state, summary(story))


def test_headline_has_the_states_numbers(story: Story, page: Element) -> None:
    tip = story.state.block(story.state.tip)
    assert tip.performance is not None
    shown = figures(page)
    assert shown["accuracy on G"] == f"{tip.performance.candidate / tip.performance.scale:.3f}" == "0.957"
    assert shown["all data in one place"] == "0.961"
    assert (shown["blocks"], shown["rejected"], shown["refused"], shown["members"]) == ("7", "1", "1", "7")
    record = page.one("header").facts()
    assert record["Coalition"] == story.charter.digest.hex()
    covers = f"over the first {story.index} of the {story.index + 1} entries, by 6 of 7 members"
    assert covers in record["Last cosigned head"]
    assert "tclearn ledger verify coalition.tclearn" in record["Check it"]


def test_chain_has_the_states_numbers(story: Story, page: Element) -> None:
    rows = page.named("chain").one("table", "chain").rows()
    assert len(rows) == story.state.tip + 1
    for cells, chained in zip(rows[1:], list(story.state.blocks())[1:], strict=True):
        block = chained.block
        assert block.performance is not None
        yes = sum(vote.vote == "yes" for vote in block.votes)
        assert cells[0] == str(block.index)
        assert cells[3] == block.contributor
        assert cells[4] == f"{block.samples:,}"
        assert cells[5] == f"{block.performance.candidate / block.performance.scale:.4f}"
        assert cells[7] == f"{yes}/{len(block.votes)}"
        assert cells[8] == block.general
        assert cells[9] == str(len(chained.endorsements))
        assert block.hash.hex().startswith(cells[10].rstrip("…"))


def test_every_block_has_a_certificate_with_every_field(story: Story, page: Element) -> None:
    for chained in story.state.blocks():
        block = chained.block
        certificate = page.named(f"block-{block.index}")
        assert certificate.name == "details"
        said = certificate.text
        for field in (block.hash, block.previous, block.parameters, block.data_ids, block.members, block.locator):
            assert field is None or field.hex() in said
        hashed = base64.b64decode(certificate.one("pre", "bytes").text)
        assert hashlib.sha256(hashed).digest() == block.hash
        fields = certificate.facts()
        assert fields["Index"] == str(block.index)
        assert fields["Committee"] == (", ".join(block.committee) or "–")
        by_member = {cells[0]: cells[1:] for cells in certificate.one("table", "by-member").rows()}
        for member in story.members:
            cells = by_member[member]
            assert cells[3] == str(chained.endorsements.get(member, "–"))
            assert cells[4] == f"{block.contributions[member]:,}"
            assert cells[5] == f"{block.strengths[member] / MILLION:.6f}"
        for vote in block.votes:
            cells = by_member[vote.member]
            assert {"yes": "✓", "no": "✗", "unavailable": "∅", "missing": "?"}[vote.vote] in cells[0]
            assert ("deviates" in cells[0]) == bool(vote.deviating)
            for result, cell in ((vote.on_global, cells[1]), (vote.on_local, cells[2])):
                if result is not None:
                    assert cell.startswith(f"{result.candidate / result.n:.4f}{result.candidate:,} of {result.n:,}")


def test_refused_and_rejected_candidates_have_their_reasons(story: Story, page: Element) -> None:
    rejected, refused = page.named("rejections").one("table").rows()
    assert rejected[:3] == ["2", "hospital-3", "rejected"]
    assert story.state.candidate(2).reason in rejected[3]
    assert (rejected[4], rejected[5]) == ("0.1040", "0/6")
    assert refused[:4] == ["3", "hospital-4", "refused", "204 of 204 records already used"]
    assert page.named("candidate-3").one("b").text == "204"


def test_zero_blocks() -> None:
    story = Story(3)
    empty = read(render(story.state, summary(story, centralised=None, cosigned=None, export="", note="")))
    hangs_together(empty)
    assert figures(empty) == {"accuracy on G": "–", "blocks": "0", "rejected": "0", "refused": "0", "members": "3"}
    assert "No increment has been tested yet." in empty.named("performance").text
    assert "No head has a quorum" in empty.one("header").text
    assert empty.named("block-0").facts()["Block hash"] == story.state.block(0).hash.hex()


def test_only_rejected_candidates() -> None:
    story = Story(4)
    story.tested(0.05)
    page = read(render(story.state, summary(story)))
    hangs_together(page)
    assert "No increment has been accepted yet." in page.named("performance").text


def test_candidate_under_way_blames_nobody() -> None:
    world = World(4)
    candidate = world.offer("m00")
    first, *_ = candidate.committee
    world.commit(first, candidate, verdict(60))
    page = read(render(world.state, summary(world)))
    hangs_together(page)
    assert "Still under way: a candidate of m00 (being tested)." in page.one("header").text
    (cells,) = page.named("votes").one("table").rows()
    assert cells[5:] == ["●", "…", "…", "…"]
    missing = [row[5] for row in page.named("members").one("table").rows()]
    assert missing == ["0"] * 4


def test_decided_but_unsealed_block_is_named() -> None:
    world = World(4)
    world.vote(world.offer("m00"), verdict(60))
    page = read(render(world.state, summary(world)))
    hangs_together(page)
    assert "the block of m00, decided but not sealed" in page.one("header").text


def test_candidate_never_released_expires() -> None:
    world = World(4)
    world.propose("m00")
    world.timeout()
    page = read(render(world.state, summary(world)))
    hangs_together(page)
    assert figures(page)["expired"] == "1"
    assert "its parameters were never released" in page.named("candidate-0").text


def test_block_without_a_general() -> None:
    world = World(4)
    world.vote(world.offer("m00"), verdict(60))
    for _ in range(faulty_max(4) + 1):
        world.timeout()
    world.say("m01", calls.Finalize(1))
    assert world.state.block(1).general is None
    page = read(render(world.state, summary(world)))
    hangs_together(page)
    assert "anybody may finalize" in page.named("block-1").facts()["General"]


def test_revert_that_nobody_asked_for_says_why() -> None:
    world = world_with_parts()
    drifted(world)
    while world.state.pending is None:
        rejected(world, drift=12)
    waiting = read(render(world.state, summary(world)))
    assert "a revert, decided by hidden parts as block 3" in waiting.one(css="under-way").text
    world.chain()
    page = read(render(world.state, summary(world)))
    why = "back to block 1, undoing block 2: 24 lost, 0 gained of 80 on hidden parts"
    assert page.named("block-3").facts()["Asked for by"] == f"nobody: {why}"
    assert "36 of 80 right" in page.named("block-3").facts()["Model before, on hidden parts"]
    assert "30 of 40 right" in page.named("block-1").facts()["Hidden part"]
    assert [cells[2] for cells in page.one("table", "chain").rows()][-2:] == ["undone", "back to 1"]
    assert why in page.one("table", "votes").rows()[-1]


def test_keepers_that_showed_nothing_are_named() -> None:
    world = world_with_parts()
    world.offer("m00")
    asked = world.state.candidate(0).asked
    assert "a hidden part is asked for" in read(render(world.state, summary(world))).one(css="under-way").text
    world.timeout()
    world.vote(world.show(world.state.candidate(0)), verdict(60))
    world.chain()
    page = read(render(world.state, summary(world)))
    assert asked is not None
    assert page.named("block-1").facts()["Showed no hidden part"] == asked.keeper


def test_revert_shows_what_it_undid() -> None:
    story = Story(4)
    story.accepted(0.8)
    story.accepted(0.9)
    story.accepted(0.885)
    story.reverted(2)
    story.accepted(0.91)
    page = read(render(story.state, summary(story)))
    hangs_together(page)
    kinds = [cells[2] for cells in page.named("chain").one("table", "chain").rows()]
    assert kinds == ["genesis", "increment", "increment", "undone", "back to 2", "increment"]
    outcomes = [cells[4] for cells in page.named("votes").one("table").rows()]
    assert outcomes == ["accepted", "accepted", "accepted, undone", "revert", "accepted"]
    assert figures(page)["blocks"] == "4"
    assert "1 revert, 1 undone" in page.one("ul", "figures").text
    assert "revert to block 2" in page.named("charter").text
    fields = page.named("block-4").facts()
    assert (fields["Kind"], fields["Restores"], fields["Asked for by"]) == ("revert", "block 2", "hospital-1")
    charts = page.named("performance").all("svg", "chart")
    assert all("back to block 2" in chart.text for chart in charts)


@pytest.mark.parametrize(
    ("metric", "label"), [("dice", "Dice score"), ("macro_f1", "macro F1"), ("auc", "AUC"), ("accuracy", "accuracy")]
)
def test_axes_name_the_metric(metric: str, label: str) -> None:
    story = Story(4, task=TaskTerms(metric, digest("G"), 300, 100_000))
    story.accepted(0.8)
    story.accepted(0.85)
    page = read(render(story.state, summary(story)))
    hangs_together(page)
    chart = page.named("performance").all("svg", "chart")[0]
    assert chart.all("text", "axis-label")[0].text == label
    assert f"{label} on G" in figures(page)


def test_votes_without_numbers() -> None:
    story = Story(4, local_results="vote")
    story.accepted(0.8)
    page = read(render(story.state, summary(story)))
    hangs_together(page)
    assert "publish only their votes" in page.named("performance").text
    (series,) = page.named("performance").all("svg", "chart")[0].all("g", "series")
    assert series.all("title")[0].text == "G, global"


def test_simulation_is_said_loudly(page: Element) -> None:
    notice = page.one("p", "notice").text
    assert notice.startswith("Simulation.")
    assert "the printed seed 1" in notice


def test_simulated_members_are_named_and_real_ones_are_not() -> None:
    real = tuple(replace(member, origin="os") for member in hospitals(3))
    story = Story(3, members=real)
    assert not read(render(story.state, summary(story, seed=None))).all("p", "notice")
    mixed = (replace(real[0], origin="seed"), *real[1:])
    story = Story(3, members=mixed)
    notice = read(render(story.state, summary(story, seed=None))).one("p", "notice").text
    assert "hospital-1" in notice
    assert "hospital-2" not in notice


@pytest.mark.parametrize("members", [2, 17, 50])
def test_any_number_of_members(members: int) -> None:
    story = Story(members)
    for value in (0.8, 0.85, 0.9):
        story.accepted(value)
    story.tested(0.3)
    page = read(render(story.state, summary(story)))
    hangs_together(page)
    names = [cells[0] for cells in page.named("members").one("table").rows()]
    assert names == [f"hospital-{number}" for number in range(1, members + 1)]


def test_charter_says_who_and_which(story: Story, page: Element) -> None:
    charter = page.named("charter")
    keys = {cells[0]: cells[2] for cells in charter.one("table", "keys").rows()}
    assert keys == {member.id: member.key.hex() for member in story.charter.members}
    read_aloud = charter.one("div", "telephone").all("span")
    assert [len(group.text) for group in read_aloud] == [4] * 16
    assert "".join(group.text for group in read_aloud) == story.charter.digest.hex()
    assert "4 yes accept, 3 no reject" in charter.facts()["Decision"]
