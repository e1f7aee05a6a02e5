"""What happens to environments over the years: failures, updates, a crash, pruning, export, removal.

The tests follow each other on a host; each says what it leaves to the next.
"""

import copy
from pathlib import Path

import pytest
import yaml

from tests.support.hosts import as_nobody, drift, login_shell, records, tree
from tests.support.play import CHANNELS, kill_when, play, start

testinfra_hosts = ["docker://pystack-conda-env", "docker://pystack-conda-env-el9"]

ENVS, CONDA = "/opt/conda/envs", "/opt/miniconda3/bin/conda"
LAB, SECOND = f"{ENVS}/lab", f"{ENVS}/second"
WATCHED = (ENVS, "/etc/profile.d", "/usr/local/share")
DECLARED = yaml.safe_load((Path(__file__).parents[1] / "vars" / "main.yml").read_text())


def declared(*environments, **lab):
    """The scenario's variables with the keys of `lab` changed and environments added."""
    variables = copy.deepcopy(DECLARED)
    variables["conda_env_environments"][0].update(lab)
    variables["conda_env_environments"] += environments
    return variables


def state(host):
    """What the role may change. Its books and conda's list count by content: a run that fails writes them back."""
    books = host.check_output(f"grep -r . {ENVS}/.pystack/*.json /root/.conda | sort").splitlines()
    return [line for line in tree(host, *WATCHED) if f"{ENVS}/.pystack/" not in line] + books


def versions(host, prefix):
    return {name: record["version"] for name, record in records(host, prefix).items()}


def pip_packages(host, prefix):
    lines = as_nobody(host, f"{prefix}/bin/python -m pip freeze 2>/dev/null").splitlines()
    return {line.partition("==")[0] for line in lines}


# Failures: the declaration, and what the message has to say.
FAILURES = {
    "unknown package": (
        declared({"name": "wrong", "python": "3.11", "packages": ["no-such-package"]}),
        ["wrong: conda create failed: no package matches no-such-package in", f"{CHANNELS}/tiny"],
    ),
    "impossible version": (
        declared({"name": "wrong", "python": "3.11", "packages": ["openpyxl>=4"]}),
        ["wrong: conda create failed: no package matches openpyxl", ">=4", f"{CHANNELS}/tiny"],
    ),
    "Python that this host cannot run": (
        declared({"name": "wrong", "python": "3.13", "channels": ["full"]}),
        ["wrong: conda create failed", "need another host (__glibc)", "python 3.13", "__glibc >=2.38"],
    ),
    "pip package that does not exist": (
        declared({"name": "wrong", "python": "3.11", "pip": ["iniconfig==0.0.0.1"]}),
        ["wrong: pip install failed", "iniconfig==0.0.0.1"],
    ),
    "update of an environment": (
        declared(packages=["openpyxl=3.1.5", "no-such-package"]),
        ["lab: conda install failed: no package matches no-such-package in", f"{CHANNELS}/tiny"],
    ),
}


@pytest.fixture(scope="module")
def failures(host):
    """All of these runs, and what there was before and after them."""
    before = state(host)
    runs = {name: start(host, "conda_env", variables) for name, (variables, _) in FAILURES.items()}
    results = {name: run.wait() for name, run in runs.items()}
    return results, before, state(host)


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_says_what_is_wrong(failures, name):
    result, (_, sentences) = failures[0][name], FAILURES[name]
    assert result.code == 2, result.output
    assert result.says(*sentences), result.output


def test_failures_leave_everything_as_it_was(failures):
    _, before, after = failures
    assert after == before


def test_check_mode_shows_an_update_and_changes_nothing(host):
    before, wanted = state(host), declared(packages=["openpyxl=3.1.5"])
    rehearsal = play(host, "conda_env", wanted, check=True, diff=True)
    assert state(host) == before
    assert (rehearsal.code, rehearsal.changed) == (0, 1), rehearsal.output
    assert changes(rehearsal) == ["-openpyxl 3.1.2 pyh_0 tiny", "+openpyxl 3.1.5 pyh_0 tiny"]

    old = versions(host, LAB)
    update = play(host, "conda_env", wanted, diff=True)
    assert (update.code, update.changed) == (0, 1), update.output
    assert changes(update) == changes(rehearsal)
    assert versions(host, LAB) == {**old, "openpyxl": "3.1.5"}
    assert drift(host, LAB) == []


def changes(result):
    """The lines of a diff that come and go."""
    lines = [line.strip() for line in result.output.splitlines()]
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---", "")]


def test_only_prune_removes_what_is_not_declared(host):
    host.check_output(f"{CONDA} install -q -y -n lab six pyyaml 2>/dev/null")
    kept = play(host, "conda_env", declared(packages=["openpyxl=3.1.5"], pip=[]))
    assert (kept.code, kept.changed) == (0, 0), kept.output
    assert {"six", "pyyaml"} <= set(versions(host, LAB))
    assert "iniconfig" in pip_packages(host, LAB)

    pruned = play(host, "conda_env", declared(packages=["openpyxl=3.1.5"], pip=[], prune=True))
    assert (pruned.code, pruned.changed) == (0, 1), pruned.output
    assert set(versions(host, LAB)) == {"python", "pip", "openpyxl", "et_xmlfile"}
    assert "iniconfig" not in pip_packages(host, LAB)


def test_a_creation_that_was_killed_is_repaired_by_the_next_run(host):
    wanted = declared({"name": "second", "python": "3.11", "packages": ["six"]}, packages=["openpyxl=3.1.5"])
    run = start(host, "conda_env", wanted)
    kill_when(host, run, lock=f"{ENVS}/.pystack/lock", signs=[f"{SECOND}/conda-meta"])
    assert "building" in host.file(f"{ENVS}/.pystack/second.json").content_string, "the run ended before it was killed"
    assert set(versions(host, SECOND)) < {"pip", "python", "six"}

    result = play(host, "conda_env", wanted)
    assert (result.code, result.changed) == (0, 1), result.output
    assert drift(host, SECOND) == []
    as_nobody(host, f"{SECOND}/bin/python -c 'import six'")
    again = play(host, "conda_env", wanted)
    assert (again.code, again.changed) == (0, 0), again.output


def test_an_export_makes_the_same_environment_again(host, tmp_path):
    wanted = {**declared(), "conda_env_export_dir": str(tmp_path)}
    result = play(host, "conda_env", wanted, tasks_from="export")
    assert result.code == 0, result.output
    file = tmp_path / host.backend.name / "lab.yml"
    content = yaml.safe_load(file.read_text())
    assert "prefix" not in content and content["name"] == "lab"
    assert "openpyxl=3.1.5" in content["dependencies"] and content["channels"] == ["tiny"]

    host.check_output("printf %s %s > /root/lab.yml", "%s", file.read_text())
    host.check_output(f"{CONDA} env create -q -n again -f /root/lab.yml 2>/dev/null")
    assert versions(host, f"{ENVS}/again") == versions(host, LAB)


def test_absent_leaves_no_environment_no_kernel_and_no_profile(host):
    names = ["lab", "notebook", "second"]
    gone = {
        "conda_env_environments": [{"name": name, "state": "absent"} for name in names],
        "conda_env_default": "",
    }
    result = play(host, "conda_env", gone)
    assert (result.code, result.changed) == (0, 2), result.output
    left = host.check_output(f"ls {ENVS}; ls /usr/local/share/jupyter/kernels; cat /root/.conda/environments.txt")
    assert [name for name in names if name in left] == []
    assert "again" in left, "an environment that is not declared was touched"
    assert not host.file("/etc/profile.d/pystack-default-env.sh").exists
    assert login_shell(host, "set -u; echo ${CONDA_DEFAULT_ENV:-none}") == "none"
    again = play(host, "conda_env", gone)
    assert (again.code, again.changed) == (0, 0), again.output
