"""What others write for TCLearn: installed as any package, named in a charter, and nothing of ours is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tclearn.encoding import Digest
from tclearn.errors import Code, TCLearnError
from tclearn.simulation import Export

PACKAGE = Path(__file__).parent / "thirdparty"

COALITION = """
import json, sys
from coalition_extras import centroids
from tclearn import Charter, simulate
from tclearn.extensions import load
from tclearn.learning.datasets import load as data_set, partition

rule, floor, target = sys.argv[1], float(sys.argv[2]), sys.argv[3]
digits = data_set("digits")
charter = Charter(
    name="centroids", model=centroids, arguments={"classes": 10, "features": 64}, metric="accuracy", blocks=4,
    acceptance=rule, lambda_=0.9, acceptance_arguments={"floor": floor}, trainer="centroid",
)
result = simulate(
    charter,
    members=partition(digits, 4, 1),
    global_test=digits.test,
    trainer=load("tclearn.trainers", charter.trainer)(),
    seed=1,
)
export = result.export(target)
export.verify()
print(json.dumps({
    "charter": export.charter.hex(),
    "rule": result.charter.acceptance.rule,
    "trainer": result.charter.trainer,
    "statuses": [step.status for step in result.steps],
    "reasons": [step.ballots[0].reason for step in result.steps if step.ballots],
    "references": [step.reference for step in result.steps],
    "performance": result.performance,
    "torch": "torch" in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the package installed in it, as pip does it, without a network."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "site"))
    shutil.copytree(PACKAGE, source / "package")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", target, source / "package"], check=True)
    return target


def run(site, script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def coalition(site, target, rule="median-gain", floor=0.5):
    done = run(site, COALITION, rule, floor, target)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_coalition_with_a_third_rule_and_a_third_trainer(site, tmp_path):
    said = coalition(site, tmp_path / "record")
    assert (said["rule"], said["trainer"]) == ("median-gain", "centroid")
    assert said["statuses"] == ["accepted"] * 4
    assert said["references"] == [0, 1, 2, 3], "the rule's own choice: the block before"
    assert all(reason.startswith("median gain +") for reason in said["reasons"])
    assert said["performance"][-1] > 0.85
    assert not said["torch"], "numpy was enough"


def test_the_rule_has_its_own_arguments_from_the_charter(site, tmp_path):
    said = coalition(site, tmp_path / "record", floor=0.99)
    # Whoever tries again has the same sums to offer, and is refused without a vote.
    assert said["statuses"][:4] == ["rejected"] * 4 and set(said["statuses"][4:]) == {"refused"}
    assert said["reasons"][0].endswith("on G is below the floor 0.99")


def test_whoever_verifies_needs_the_rule_too_and_is_told_so(site, tmp_path):
    said = coalition(site, tmp_path / "record")
    export = Export(tmp_path / "record", Digest(bytes.fromhex(said["charter"])))
    with pytest.raises(TCLearnError) as refused:  # here, in this process, the package is not installed
        export.verify()
    assert refused.value.code == Code.RECORD_CHARTER
    assert "nothing named 'median-gain' among the acceptance" in refused.value.what
    verified = run(site, "import sys; from tclearn.cli import main; main()", "ledger", "verify", tmp_path / "record")
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize(
    ("script", "near"),
    [
        (COALITION, "did you mean 'median-gain'?"),
        ("from tclearn.extensions import load; load('tclearn.trainers', 'centriod')", "did you mean 'centroid'?"),
        ("from tclearn.extensions import load; load('tclearn.trainers', 'torhc')", "did you mean 'torch'?"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_near_one(site, tmp_path, script, near):
    done = run(site, script, "median-gian", 0.5, tmp_path / "record")
    assert done.returncode != 0
    assert "error[TCL-107]" in done.stderr and near in done.stderr
