"""The worked example with four hospitals: its code runs, and its table is what the benchmark kept.

It runs on made-up patients in files like the published ones, with fewer blocks; as it stands in the slow tests, and on
the published files where ``TCLEARN_DATA`` leads to them.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path

import pytest
from tests.learning.patients import write

from tclearn.learning.datasets import heart_disease

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "heart-disease.md").read_text(encoding="utf-8")
REAL = os.environ.get("TCLEARN_DATA")
HERE = bool(REAL and (Path(REAL) / "heart_disease").is_dir())
ROWS = ("coalition", "one place", *heart_disease.HOSPITALS, "perceptron")
ROW = re.compile(r"^(?P<who>[a-z ]+?) +(?P<areas>[01]\.\d{3}(?: +[01]\.\d{3}){4})$", re.MULTILINE)


def blocks() -> list[str]:
    return re.findall(r"^```python heart\.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def areas(text: str) -> dict[str, list[float]]:
    """AUC on all and on each hospital's tested patients, by who has trained."""
    return {match["who"]: [float(area) for area in match["areas"].split()] for match in ROW.finditer(text)}


def write_patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data" / "heart_disease", monkeypatch)
    monkeypatch.setenv("TCLEARN_DATA", str(tmp_path / "data"))


def printed_by(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the page's file prints, run in this process so that made-up patients can pass for the published ones."""
    (tmp_path / "heart.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        importlib.import_module("heart")
    finally:
        sys.modules.pop("heart", None)
    assert (tmp_path / "heart.tclearn").stat().st_size > 1000
    printed = capsys.readouterr().out
    assert printed.startswith("4 members · heart · rule anchored")
    assert tuple(areas(printed)) == ROWS
    return printed


def test_the_code_is_short() -> None:
    assert len(blocks()) == 2
    assert sum(len(block.splitlines()) for block in blocks()) <= 45


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_patients(tmp_path, monkeypatch)
    code = "".join(blocks())
    for wanted, less in (("blocks=60", "blocks=4"), ('"contributions": 16', '"contributions": 1')):
        assert code.count(wanted) == 1
        code = code.replace(wanted, less)
    assert areas(printed_by(code, tmp_path, monkeypatch, capsys))["coalition"][0] > 0.7


@pytest.mark.slow
def test_the_code_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_patients(tmp_path, monkeypatch)
    found = areas(printed_by("".join(blocks()), tmp_path, monkeypatch, capsys))
    assert min(found["coalition"][0], found["perceptron"][0]) > 0.7


@pytest.mark.slow
@pytest.mark.skipif(not HERE, reason="the published files are not here")
def test_the_code_finds_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = areas(printed_by("".join(blocks()), tmp_path, monkeypatch, capsys))
    assert found["coalition"][0] >= max(found[name][0] for name in heart_disease.HOSPITALS)
    assert found["coalition"][0] >= found["one place"][0] - 0.03
    # Another processor, or a charter with another digest, gives other last digits.
    for who, row in areas(PAGE).items():
        assert found[who][0] == pytest.approx(row[0], abs=0.01), who


def test_what_is_shown_has_the_rows_that_are_printed() -> None:
    assert tuple(areas(PAGE)) == ROWS


def test_the_table_is_what_the_benchmark_kept() -> None:
    from benchmarks import heart_disease as benchmark

    runs = benchmark.read(ROOT / "benchmarks" / "results" / "heart-disease.json")
    assert set(runs) == set(benchmark.MODELS)
    assert all(len(each) == len(benchmark.SEEDS) for each in runs.values())
    assert benchmark.markdown(runs) == PAGE.partition(benchmark.BEGIN)[2].partition(benchmark.END)[0].strip()


def test_the_benchmark_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import heart_disease as benchmark

    write_patients(tmp_path, monkeypatch)
    monkeypatch.setattr(benchmark, "BLOCKS", 8)
    monkeypatch.setattr(benchmark, "CONTRIBUTIONS", 2)
    parts = benchmark.divided(seed=1)
    people = [len(each) for each in (*parts.train.values(), parts.shared, parts.tested[benchmark.ALL])]
    assert sum(people) == 920
    run = benchmark.run(benchmark.MODELS["logistic regression"], seed=1)
    assert set(run.auc) == {benchmark.COALITION, benchmark.POOLED, *heart_disease.HOSPITALS}
    assert all(0 <= area <= 1 for row in run.auc.values() for area in row.values())
    assert run.auc[benchmark.POOLED][benchmark.ALL] > 0.7
    assert run.blocks == 8
    (tmp_path / "page.md").write_text(f"before\n{benchmark.BEGIN}{benchmark.END}after\n")
    benchmark.put_table(tmp_path / "page.md", {"logistic regression": [run]})
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("before\n") and page.endswith("after\n")
    assert f"{run.ahead:+.3f} ({run.ahead:+.3f} to {run.ahead:+.3f})" in page
