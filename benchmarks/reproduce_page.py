"""The tables and figures of docs/reproduce.md, made from what ``tclearn reproduce`` has written.

for name in fig4 fig5 fig6 hyperparameters unbalanced table1; do tclearn reproduce tclearn-$name; done
for name in fig4 fig5 fig6 fig7 fig9; do tclearn reproduce deepchain-$name; done
python benchmarks/reproduce_page.py --keep reproduce      # results and figures into the repository, and the page
python benchmarks/reproduce_page.py                       # the page, from what is kept
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from tclearn.files import write_whole
from tclearn.reproduce.experiments import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "reproduce.md"
FIGURES = ROOT / "docs" / "figures"
BEGIN, END = "<!-- made by benchmarks/reproduce_page.py: {} -->", "<!-- end -->"
MARKS = {True: "yes", False: "**no**", None: "–"}


def shortened(results: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a ``results.json``: without the points of every epoch and the reasons of every rejection."""
    runs = []
    for run in results["runs"]:
        accepted = [each for each in run["increments"] if each["measured"]]
        runs.append(
            {
                "name": run["name"],
                "seed": run["seed"],
                "coalition": run["coalition"],
                "entries": run["entries"],
                "offered": len(run["increments"]),
                "on_global": [
                    *(point["performance"] for name, point in run["start"].items() if name == "G"),
                    *(each["measured"]["G"]["performance"] for each in accepted),
                ],
                "blocks": [each["hash"] for each in accepted],
                "parameters": [each["parameters"] for each in accepted],
                "approvals": run["approvals"],
                **({"numbers": run["numbers"]} if run["numbers"] else {}),
            }
        )
    return {**results, "runs": runs}


def table(results: dict[str, Any]) -> str:
    """The findings of an experiment as a Markdown table."""
    expects = any(finding["expected"] for finding in results["findings"])
    head = ["", "the paper", "here", *(["expected", "met"] if expects else [])]
    rows = [head, ["---"] * len(head)]
    for finding in results["findings"]:
        beside = [finding["expected"] or "–", MARKS[finding["met"]]] if expects else []
        rows.append([finding["claim"], finding["paper"], finding["here"], *beside])
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows).replace("|  |", "| |")
    return re.sub(r"[\w/]+\.py::\w+", r"`\g<0>`", text)


def versions(results: dict[str, Any]) -> str:
    """With what the results were made."""
    settings = results["settings"]
    seeds = f"seeds {', '.join(map(str, settings['seeds']))} · " if "seeds" in settings else ""
    if "seed" in settings:
        seeds = f"seed {settings['seed']} · "
    return f"{seeds}{' · '.join(f'{name} {value}' for name, value in settings['versions'].items())}"


def page(text: str) -> str:
    """The page with its tables made anew."""
    for experiment in EXPERIMENTS:
        file = KEPT / f"reproduce-{experiment.name}.json"
        if not file.exists():
            continue
        results = json.loads(file.read_bytes())
        begin = BEGIN.format(experiment.name)
        begin_at, end_at = text.find(begin), text.find(END, text.find(begin))
        if begin_at < 0 or end_at < 0:
            raise SystemExit(f"{PAGE} has no place for {experiment.name}")
        text = f"{text[:begin_at]}{begin}\n\n{table(results)}\n\n{versions(results)}\n\n{text[end_at:]}"
    return text


def keep(folder: Path) -> None:
    """Take results and figures from a folder with a directory for each experiment."""
    for experiment in EXPERIMENTS:
        directory = folder / experiment.name
        if not (directory / "results.json").exists():
            print(f"{directory} has no results", file=sys.stderr)
            continue
        results = json.loads((directory / "results.json").read_bytes())
        if results["settings"].get("quick"):
            raise SystemExit(f"{directory} is a quick run")
        text = json.dumps(shortened(results), indent=1, ensure_ascii=False) + "\n"
        write_whole(KEPT / f"reproduce-{experiment.name}.json", text.encode())
        if (directory / "figure.png").exists():
            shutil.copyfile(directory / "figure.png", FIGURES / f"{experiment.name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="take results and figures from here")
    chosen = parser.parse_args()
    if chosen.keep:
        keep(chosen.keep)
    write_whole(PAGE, page(PAGE.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main()
