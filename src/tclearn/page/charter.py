"""The charter in words, who the members are, and the digest to read aloud."""

from __future__ import annotations

from tclearn.coalition.draw import committee_size
from tclearn.coalition.privacy import EXAMPLE, delta_text
from tclearn.coalition.quorum import faulty_max, quorum
from tclearn.coalition.terms import DataIdTerms, MemberRecord, PrivacyTerms, VaultTerms
from tclearn.coalition.words import ALL
from tclearn.page import text
from tclearn.page.agreed import keys_table, model_facts
from tclearn.page.facts import Facts
from tclearn.page.markup import Child, Html, el, join
from tclearn.page.overview import rule_words
from tclearn.page.tables import facts as listed
from tclearn.page.tables import heading, number, row, section, table
from tclearn.protocols.tclearn.calls import ROTATE, Change

_LEVELS = {
    "A": ": the model is open to everybody; the data never leaves its owner",
    "B": ": the model lies in a vault, and who reads it is on the ledger; the data never leaves its owner",
}
_TURNS = {
    "lease": "in turn; a member that lets its time pass is skipped",
    "free": "whoever comes first; the first accepted candidate wins",
}
_SEARCHES = {
    "own": "shorter steps may be tried on the proposer’s own hold-out",
    "global": "shorter steps may be tried on the global test set",
    "none": "none",
}

_SELECTIONS = {"random": "at random above", "largest": "by size"}


def charter(facts: Facts) -> Html:
    """The section."""
    return section(
        "charter",
        "The charter",
        el(
            "p",
            "What the members have agreed on. Its digest names the coalition, and every signature binds it. Members "
            "compare it by telephone:",
        ),
        text.telephone(facts.charter.digest),
        listed([*_model(facts), *_task(facts), *_decisions(facts), *_training(facts)]),
        _changes(facts),
        el("h3", "Members and keys"),
        keys_table(_members(facts)),
    )


def _model(facts: Facts) -> list[tuple[Child, Child]]:
    charter = facts.charter
    return [
        ("Protocol", f"{charter.protocol}, level {charter.level}{_LEVELS.get(charter.level, '')}"),
        ("Contracts", ", ".join(charter.contracts)),
        *model_facts(charter.model, "M₀"),
        ("Trainer", charter.trainer),
    ]


def _task(facts: Facts) -> list[tuple[Child, Child]]:
    task = facts.charter.task
    percent = text.ppm(task.local_share_ppm * 100)
    local = (
        f"{percent} % of each contribution is put aside for the contributor’s own L"
        if task.local_share_ppm
        else "given"
    )
    published = "numbers" if facts.charter.local_results == "counts" else "votes, no numbers"
    return [
        ("Measured", f"{text.metric(task.metric)}, 0 to 1"),
        ("Global test set G", [f"{text.plural(task.global_n, 'record')}, digest ", text.hexadecimal(task.global_test)]),
        ("Local test sets L", f"{local}; what is published of results on L: {published}"),
    ]


def _decisions(facts: Facts) -> list[tuple[Child, Child]]:
    acceptance, schedule = facts.charter.acceptance, facts.charter.schedule
    members = len(facts.members)
    size = committee_size(members)
    yes = quorum(size)
    words = rule_words(acceptance.rule, acceptance.lambda_ppm)
    faulty = text.plural(faulty_max(members), "faulty member")
    whole = "all but the proposer" if size == members - 1 else "drawn by strength, the proposer left out"
    further = "".join(
        f", {name} {text.hyperparameter(name, value)}" for name, value in sorted(acceptance.arguments.items())
    )
    return [
        ("Acceptance rule", f"{acceptance.rule}, λ {text.ppm(acceptance.lambda_ppm)}{further}: {words}"),
        ("Validators", f"{size} for each candidate, {whole}; {schedule.attempts} draws at most"),
        ("Decision", f"{yes} yes accept, {size - yes + 1} no reject; no verdict is no vote, “unavailable” is a no"),
        ("Made for", f"{faulty} of {members}: fewer than a third never get a candidate accepted by themselves"),
        ("Turns", _TURNS.get(schedule.turns, schedule.turns)),
        ("Time to propose", text.duration(schedule.turn_ms)),
        ("Time to test", f"{text.duration(schedule.verdict_ms)}, and as much again to show the verdicts"),
        ("Time to seal", f"{text.duration(schedule.seal_ms)}, and as much again to endorse"),
        ("Smallest contribution", text.plural(schedule.minimum_batch, "record")),
        ("End", _stop(facts)),
    ]


def _stop(facts: Facts) -> str:
    schedule = facts.charter.schedule
    stops = []
    if schedule.stop_blocks is not None:
        stops.append(f"after {schedule.stop_blocks} accepted increments")
    if schedule.stop_until_ms is not None:
        stops.append(f"at {text.moment(schedule.stop_until_ms)}")
    if schedule.stop_performance_ppm is not None:
        stops.append(f"at {text.ppm(schedule.stop_performance_ppm)} on G")
    return ", or ".join(stops) + ("; whichever comes first" if len(stops) > 1 else "")


def _training(facts: Facts) -> list[tuple[Child, Child]]:
    charter, rate = facts.charter, facts.charter.learning_rate
    pairs: list[tuple[Child, Child]] = [("Hyper-parameters", text.hyperparameters(charter.hyperparameters))]
    if facts.state.hyperparameters != charter.hyperparameters:
        pairs.append(("In force now", text.hyperparameters(facts.state.hyperparameters)))
    if rate is not None:
        words = f"{rate.rule}: × {text.ppm(rate.factor_ppm)} after more than {text.plural(rate.patience, 'block')} "
        words += f"without a new best, never below {text.ppm(rate.minimum_ppm)}"
        pairs.append(("Learning rate", words))
    reverts = charter.governance.may_propose_revert
    return [
        *pairs,
        *_privacy(charter.privacy),
        *_vault(charter.vault, charter.data_ids),
        ("Step search", _SEARCHES[charter.step_search]),
        ("May be changed", ", ".join(charter.governance.may_change) or "nothing"),
        ("May ask for a revert", join(reverts, ", ") if reverts else "any member"),
        ("Key of the data IDs", ["digest ", text.hexadecimal(charter.data_key)]),
        ("Log key", text.hexadecimal(charter.log_key)),
    ]


def _privacy(terms: PrivacyTerms | None) -> list[tuple[Child, Child]]:
    if terms is None:
        return []
    clip, budget = text.ppm(terms.clip_ppm), ""
    if terms.epsilon_max_ppm is not None:
        budget = f"; budget of each member: ε {text.ppm(terms.epsilon_max_ppm)}"
    if terms.mechanism == EXAMPLE:
        words = f"by example (DP-SGD): gradients of single records clipped to {clip}, Gaussian noise "
        words += f"{text.ppm(terms.noise_ppm or 0)} × that{budget} at δ {delta_text(terms.delta_ppt or 0)}"
    else:
        words = f"selective sharing: at most {text.ppm(terms.share_ppm or 0)} of the parameters, changes clipped to "
        words += f"{clip}, chosen {_SELECTIONS.get(terms.selection or '', '')}"
        words += f" {text.ppm(terms.threshold_ppm)}" if terms.threshold_ppm is not None else ""
        words += f", ε {text.ppm(terms.epsilon_ppm or 0)} for each parameter{budget}; not private by example"
    return [("Privacy", words)]


def _vault(vault: VaultTerms | None, data_ids: DataIdTerms | None) -> list[tuple[Child, Child]]:
    if vault is None or data_ids is None:
        return []
    words = "all versions" if vault.versions == ALL else "the newest version"
    if vault.readers_of_all and vault.versions != ALL:
        words += f" (all of them: {', '.join(vault.readers_of_all)})"
    words += f"; {text.plural(vault.reads, 'reading')} each, {vault.reads_per_1000_samples} more for each 1,000 records"
    words += "; handed out once a quorum has cosigned them" if vault.witnessed else ""
    asked = f"by the supervisor, who does not see the records; {data_ids.per_day:,} a day for each member"
    return [("Readings for own use", words), ("Data IDs", asked)]


def _changes(facts: Facts) -> Html | None:
    rows = []
    for name in facts.state.changes():
        asked = facts.state.change(name)
        if asked is None:
            continue
        change = asked.change
        what = _what(change)
        approvals = f"{len(asked.approvals)}: {', '.join(asked.approvals)}"
        rows.append(row(what, asked.asked_by, approvals, asked.status, number(asked.entry)))
    if not rows:
        return None
    head: list[Child] = ["change", "asked by", "approved by", "status", heading("ledger entry", "num")]
    return el("div", el("h3", "Changes asked for"), table(head, rows, caption="changes"))


def _what(change: Change) -> str:
    if change.target is not None:
        return f"revert to block {change.target}"
    if change.expelled is not None:
        return f"expulsion of {change.expelled}"
    if change.member is not None:
        return f"{'other keys for' if change.kind == ROTATE else 'admission of'} {change.member.id}"
    return text.hyperparameters(change.values or {})


def _members(facts: Facts) -> list[MemberRecord]:
    known = {member.id: member for member in facts.state.member_records}
    return [known[member] for member in facts.members]
