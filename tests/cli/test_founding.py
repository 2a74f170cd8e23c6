"""From members' keys to a coalition's directory: ``member``, ``coalition`` and ``data``."""

import stat
import sys

import pytest

CHARTER = """
[coalition]
name     = "tumours"
protocol = "tclearn"
level    = "A"
members  = ["leuven.pem", "namur.pem", "porto.pem"]
[model]
factory   = "tumours:network"
arguments = { hidden = 8 }
seed      = 7
[task]
metric     = "accuracy"
local_test = 0.10
[acceptance]
rule   = "anchored"
lambda = 0.98
[schedule]
stop = { blocks = 6 }
[hyperparameters]
epochs        = 3
learning_rate = { start = 1.0, rule = "plateau", factor = 0.5, patience = 3 }
[governance]
may_change = ["epochs"]
"""
MODULE = """
import numpy as np
from sklearn.datasets import load_breast_cancer
import torch

x, y = load_breast_cancer(return_X_y=True)
x = (x / x.max(0)).astype(np.float32)

def network(hidden):
    return torch.nn.Sequential(torch.nn.Linear(30, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2))

def everybodys_test():
    return x[:100], y[:100]

def ours():
    return x[100:200], y[100:200]
"""
SITE = 'data = "tumours:ours"\nglobal_test = "tumours:everybodys_test"\nthreads = 1\n'


@pytest.fixture
def office(tclearn, tmp_path, monkeypatch):
    """A folder with everything that founding needs, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "tumours", raising=False)
    (tmp_path / "charter.toml").write_text(CHARTER)
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "tumours.py").write_text(MODULE)
    for name in ("leuven", "namur", "porto"):
        tclearn("member", "new", name)
    yield tmp_path
    sys.modules.pop("tumours", None)


def test_keys_are_the_owners_alone_and_never_overwritten(tclearn, office):
    assert stat.S_IMODE((office / "leuven.key").stat().st_mode) == 0o600
    before = (office / "leuven.key").read_bytes()
    assert "exists already" in tclearn("member", "new", "leuven", code=2).err
    assert (office / "leuven.key").read_bytes() == before
    assert "no member name" in tclearn("member", "new", "Leuven!", code=2).err
    assert b"PRIVATE" not in (office / "leuven.pem").read_bytes()


def test_a_coalition_is_founded_and_its_members_check_their_data(tclearn, office):
    said = tclearn("coalition", "new", "charter.toml").out
    assert "plateau" in said and "by telephone" in said
    told = tclearn("coalition", "show", "--json", "--dir", "coalition").json
    assert [member["id"] for member in told["members"]] == ["leuven", "namur", "porto"]
    assert {member["origin"] for member in told["members"]} == {"os"}
    assert told["task"]["global_n"] == 100 and told["hyperparameters"]["epochs"] == 3
    assert said.startswith(tclearn("coalition", "show", "--dir", "coalition").out)
    for secret in ("log.key", "data.key"):
        assert stat.S_IMODE((office / "coalition" / secret).stat().st_mode) == 0o600
    check = tclearn("data", "check", "--json").json
    assert (check["records"], check["used"], check["block"], check["local"]) == (100, 0, 0, None)
    assert check["next_trained"] + check["next_put_aside"] == 100
    assert "nothing was sent" in tclearn("data", "check").out
    status = tclearn("status", "--json", "--dir", "coalition").json
    assert {"member": "leuven", "for": "propose", "until_ms": None} in status["waiting"]
    tclearn("ledger", "export", "empty.tclearn", "--dir", "coalition")
    assert tclearn("ledger", "verify", "empty.tclearn", "--json").json["entries"] == 0


def test_hidden_test_records_are_counted_and_never_trained_on(tclearn, office):
    (office / "tumours.py").write_text(MODULE + "\ndef unseen():\n    return x[190:220], y[190:220]\n")
    tclearn("coalition", "new", "charter.toml")
    (office / "site.toml").write_text(SITE + 'hidden_test = "tumours:unseen"\nhidden_parts = 3\n')
    check = tclearn("data", "check", "--json").json
    assert (check["records"], check["hidden"], check["in_a_test_set"]) == (100, 30, 10)
    assert check["next_trained"] + check["next_put_aside"] == 90
    assert "kept hidden until they are shown: 30 test records" in tclearn("data", "check").out
    (office / "site.toml").write_text(SITE + 'hidden_test = "tumours:unseen"\nhidden_parts = 0\n')
    assert "0 hidden parts" in tclearn("data", "check", code=1).err


def test_who_has_fewer_records_than_a_contribution_needs_is_told(tclearn, office):
    (office / "tumours.py").write_text(MODULE + "\ndef few():\n    return x[100:150], y[100:150]\n")
    tclearn("coalition", "new", "charter.toml")
    assert tclearn("data", "check", "--json").json["minimum_batch"] == 64
    assert "no next contribution" not in tclearn("data", "check").out
    (office / "site.toml").write_text(SITE.replace("tumours:ours", "tumours:few"))
    check = tclearn("data", "check", "--json").json
    assert (check["records"], check["next_trained"], check["next_put_aside"]) == (50, 0, 0)
    assert 30 < check["left"] <= 50
    told = f"there is no next contribution: {check['left']} left to train on, the charter's minimum is 64"
    assert told in tclearn("data", "check").out


def test_the_digest_of_a_test_set_goes_into_the_charter(tclearn, office):
    digest = tclearn("data", "digest", "tumours:everybodys_test", "--json").json
    assert digest["records"] == 100
    named = CHARTER.replace("[task]", f'[task]\nglobal_test_set = "{digest["digest"]}"')
    (office / "charter.toml").write_text(named)
    tclearn("coalition", "new", "charter.toml")
    other = named.replace(digest["digest"], "blake3:" + "0" * 64)
    (office / "charter.toml").write_text(other)
    said = tclearn("coalition", "new", "charter.toml", "--dir", "second", code=2)
    assert "global_test_set" in said.err
    assert not (office / "second").exists()


def test_a_coalition_is_not_founded_over_another(tclearn, office):
    tclearn("coalition", "new", "charter.toml")
    before = (office / "coalition" / "charter.cbor").read_bytes()
    assert "not empty" in tclearn("coalition", "new", "charter.toml", code=2).err
    assert (office / "coalition" / "charter.cbor").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ('rule   = "anchored"', 'rule   = "anchord"', "anchored"),
        ("lambda = 0.98", "lamda = 0.98", "lambda"),
        ("lambda = 0.98", "lambda = 98", "lambda"),
        ('level    = "A"', 'level    = "C"', "level"),
        ("stop = { blocks = 6 }", "", "stop"),
        ('"porto.pem"', '"turin.pem"', "turin.pem"),
        ('"tumours:network"', '"tumours:netwrk"', "network"),
        ('"tumours:network"', '"tumors:network"', "tumors"),
        ("{ hidden = 8 }", "{ hiden = 8 }", "hiden"),
        ("[task]", "[task", "line"),
        ('"accuracy"', '"accurracy"', "accuracy"),
    ],
)
def test_a_wrong_charter_is_explained_and_nothing_is_made(tclearn, office, old, new, shown):
    assert old in CHARTER
    (office / "charter.toml").write_text(CHARTER.replace(old, new))
    said = tclearn("coalition", "new", "charter.toml", code=2)
    assert said.err.startswith("error[TCL-1")
    assert shown in said.err
    assert not (office / "coalition").exists()


def test_all_mistakes_are_told_at_once(tclearn, office):
    (office / "site.toml").write_text('global_test = "tumours:nobodys_test"\n')
    charter = CHARTER
    for old, new in [
        ('"porto.pem"', '"turin.pem"'),
        ('rule   = "anchored"', 'rule   = "anchord"'),
        ('"tumours:network"', '"tumours:netwrk"'),
        ("[hyperparameters]", "[hyperparameters]\nmomentun = 0.5\nbatchsize = 4"),
        ('may_change = ["epochs"]', 'may_change = ["epoch"]'),
    ]:
        assert old in charter
        charter = charter.replace(old, new)
    (office / "charter.toml").write_text(charter)
    said = tclearn("coalition", "new", "charter.toml", code=2).err
    assert said.startswith("error[TCL-102]: [hyperparameters] has the unknown key 'batchsize'")  # the file's own first
    for other in (
        "no file turin.pem",
        "[acceptance] rule: nothing named 'anchord'",
        "[model] factory 'tumours:netwrk'",
    ):
        assert other in said
    assert "epoch'" not in said  # may_change is not judged before the file itself is sound

    (office / "charter.toml").write_text(charter.replace("batchsize = 4", ""))
    said = tclearn("coalition", "new", "charter.toml", code=2).err
    for other in (
        "no file turin.pem",
        "[acceptance] rule: nothing named 'anchord'",
        "[model] factory 'tumours:netwrk'",
        "[governance] may_change names 'epoch'",
        "site.toml: global_test 'tumours:nobodys_test'",
    ):
        assert said.count(other) == 1
    assert not (office / "coalition").exists()


def test_parts_that_do_not_fit_are_told_at_once(tclearn, office):
    (office / "copy.pem").write_bytes((office / "leuven.pem").read_bytes())
    charter = CHARTER.replace('"porto.pem"', '"copy.pem"').replace("{ hidden = 8 }", "{ hiden = 8 }")
    digest = "blake3:" + "0" * 64
    charter = charter.replace("[task]", f'[task]\nglobal_test_set = "{digest}"')
    (office / "charter.toml").write_text(charter + 'may_propose_revert = ["turin"]\n')
    (office / "coalition").mkdir()
    (office / "coalition" / "thesis.tex").write_text("do not lose")
    said = tclearn("coalition", "new", "charter.toml", code=2).err
    for mistake in (
        "coalition is not empty",
        "two members named 'leuven'",
        "may_propose_revert names 'turin'",
        f"[task] global_test_set is {digest}",
        "unexpected keyword argument 'hiden'",
    ):
        assert said.count(mistake) == 1
    assert [path.name for path in (office / "coalition").iterdir()] == ["thesis.tex"]


def test_a_single_mistake_elsewhere_stays_what_it_is(tclearn, office):
    (office / "tumours.py").write_text(MODULE.replace("return x[:100], y[:100]", "return x[:100], y[:99]"))
    assert "error[TCL-202]: the global test set" in tclearn("coalition", "new", "charter.toml", code=1).err


def test_members_are_listed_in_the_order_of_their_numbers(tclearn, office):
    names = ["hospital-10", "hospital-2", "hospital-1"]
    for name in names:
        tclearn("member", "new", name)
    files = ", ".join(f'"{name}.pem"' for name in names)
    charter = CHARTER.replace('"leuven.pem", "namur.pem", "porto.pem"', files)
    (office / "charter.toml").write_text(charter.replace("[schedule]", '[schedule]\nturns = "free"'))
    shown = tclearn("coalition", "new", "charter.toml").out
    assert shown.index("  hospital-1 ") < shown.index("  hospital-2 ") < shown.index("  hospital-10 ")
    waiting = tclearn("status", "--json", "--dir", "coalition").json["waiting"]
    assert [each["member"] for each in waiting] == ["hospital-1", "hospital-2", "hospital-10"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("return x[100:200], y[100:200]", "return x[100:200], y[100:199]", "TCL-202"),
        ("return x[100:200], y[100:200]", "return x[100:200] * np.nan, y[100:200]", "TCL-201"),
        ("return x[100:200], y[100:200]", "return x[100:200, :7], y[100:200]", "TCL-202"),
        ("return x[100:200], y[100:200]", "raise OSError('no such disk')", "TCL-201"),
        ("return x[:100], y[:100]", "return x[1:101], y[1:101]", "TCL-203"),
    ],
)
def test_wrong_data_are_explained(tclearn, office, old, new, code):
    tclearn("coalition", "new", "charter.toml")
    changed = MODULE.replace(old, new)
    assert changed != MODULE
    # The functions change without the model code's file changing, as when the data come from elsewhere.
    namespace: dict[str, object] = {}
    exec(changed, namespace)
    import tumours  # type: ignore[import-not-found]

    tumours.ours, tumours.everybodys_test = namespace["ours"], namespace["everybodys_test"]
    said = tclearn("data", "check", code=1)
    assert code in said.err


def test_changed_model_code_is_named(tclearn, office):
    tclearn("coalition", "new", "charter.toml")
    (office / "tumours.py").write_text(MODULE.replace("ReLU", "Tanh"))
    assert "tumours.py" in tclearn("data", "check", code=2).err


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("data", '"tumours:theirs"', "no 'theirs' in"),
        ("data", '"tumour:ours"', "no module named 'tumour'"),
        ("data", '"ours"', '"module:callable"'),
        ("data", '"tumours:x"', "of type ndarray"),
        ("data", "3", "text, in quotation marks"),
        ("global_test", '"tumours:theirs"', "no 'theirs' in"),
        ("local_test", '"tumours:theirs"', "no 'theirs' in"),
        ("hidden_test", '"tumours:theirs"', "no 'theirs' in"),
        ("hidden_parts", '"eight"', "a whole number"),
        ("threads", "0", "at least 1"),
        ("threads", '"two"', "a whole number"),
        ("device", '"gpuu"', "cpu, cuda"),
    ],
)
def test_a_wrong_site_is_explained_by_file_and_key(tclearn, office, key, value, shown):
    tclearn("coalition", "new", "charter.toml")
    rest = "".join(line + "\n" for line in SITE.splitlines() if not line.startswith(key))
    (office / "ours.toml").write_text(f"{rest}{key} = {value}\n")
    said = tclearn("data", "check", "--site", "ours.toml", code=2).err
    assert said.startswith("error[TCL-901]: ours.toml: ") and key in said and shown in said
    assert "factory" not in said


def test_a_wrong_source_is_no_model_factory(tclearn, office):
    for source in ("tumours", "tumours:theirs", "tumour:ours", "tumours:x"):
        said = tclearn("data", "digest", source, code=2).err
        assert said.startswith("error[TCL-901]: SOURCE ") and source in said and "factory" not in said


def test_a_site_that_is_no_site_is_explained(tclearn, office):
    (office / "site.toml").write_text('dta = "tumours:ours"\n')
    assert "did you mean 'data'?" in tclearn("coalition", "new", "charter.toml", code=2).err
    (office / "site.toml").write_text("data = " + "[" * 5000)
    assert "site.toml is not TOML" in tclearn("coalition", "new", "charter.toml", code=2).err
    (office / "site.toml").write_text('data = "tumours:ours"\n')
    assert "site.toml names no global test set" in tclearn("coalition", "new", "charter.toml", code=2).err
    (office / "site.toml").unlink()
    assert "site.toml" in tclearn("coalition", "new", "charter.toml", code=4).err


def test_reverts_are_for_demonstrations(tclearn, office):
    tclearn("coalition", "new", "charter.toml")
    said = tclearn("model", "revert", 0, "--member", "leuven", "--dir", "coalition", code=2).err
    assert "coalition holds no demonstration" in said and "`tclearn demo`" in said


PRIVACY = '[privacy]\nmechanism = "example"\nnoise = 1.1\nclip = 1.0\ndelta = 0.00001\nepsilon_max = 8\n'


def test_a_coalition_with_privacy_shows_it_and_members_check_their_model(tclearn, office):
    pytest.importorskip("opacus")
    (office / "charter.toml").write_text(CHARTER + PRIVACY)
    said = tclearn("coalition", "new", "charter.toml").out
    shown = dict(
        line.split(None, 1) for line in said.split("[privacy]")[1].split("[governance]")[0].splitlines() if line
    )
    assert shown == {"mechanism": "example", "noise": "1.1", "clip": "1", "delta": "0.00001", "epsilon_max": "8"}
    told = tclearn("status", "--json", "--dir", "coalition").json
    assert told["privacy"]["epsilon"] == {"leuven": 0, "namur": 0, "porto": 0}
    assert "composed ε (example, budget 8, δ 0.00001): leuven 0" in tclearn("status", "--dir", "coalition").out
    tclearn("data", "check")


def test_a_model_that_cannot_be_private_by_example_is_found_at_founding(tclearn, office):
    pytest.importorskip("opacus")
    mixing = MODULE.replace("torch.nn.ReLU()", "torch.nn.BatchNorm1d(hidden)")
    (office / "tumours.py").write_text(mixing)
    (office / "charter.toml").write_text(CHARTER + PRIVACY)
    said = tclearn("coalition", "new", "charter.toml", code=2)
    assert "TCL-104" in said.err and "BatchNorm" in said.err and "GroupNorm" in said.err
    assert not (office / "coalition").exists()
