# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The module as Ansible calls it, against a fake of conda: every promise of its documentation."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.conda.conftest import World

FULL = {
    "name": "work",
    "python": "3.11",
    "packages": ["numpy=1.26", "ipykernel"],
    "pip": ["foo==1.5", "bar"],
    "variables": {"KEY": "s3cret-value", "COST": "5$"},
    "jupyter_kernel": "Work",
    "channels": ["conda-forge"],
}


# ---------------------------------------------------------------- create and converge


def test_create(world: World) -> None:
    found = world.one(FULL)
    assert (found["action"], found["changed"], found["resolved"]) == ("create", True, True)
    assert found["reasons"] == ["the environment does not exist"]
    assert found["prefix"] == str(world.envs / "work")
    assert found["added"] == [
        "ipykernel 6.29.0 py311_6290",
        "numpy 1.26.4 py311_1264",
        "openssl 3.3.0 h1_0",
        "pip 24.0 py311_240",
        "python 3.11.8 py311_3118",
    ]
    assert found["pip"] == {"added": ["bar 1.0", "foo 1.5"], "removed": [], "updated": []}
    assert sorted(found["duration_s"]) == ["pip", "solve_and_install", "verify"]
    assert world.calls() == [
        [
            *("create", "-y", "--json", "-p", str(world.envs / "work")),
            *("--override-channels", "-c", "conda-forge", "--no-default-packages"),
            *("python=3.11", "numpy=1.26", "ipykernel", "pip"),
        ]
    ]
    assert world.pip_calls() == ["install foo==1.5 bar"]
    variables = json.loads((world.envs / "work/conda-meta/state").read_text())
    assert variables == {"version": 1, "env_vars": FULL["variables"]}
    kernel = json.loads((world.kernels / "work/kernel.json").read_text())
    assert kernel["env"]["KEY"] == "s3cret-value"
    assert kernel["env"]["COST"] == "5$$"
    assert {key: world.state("work")[key] for key in ("status", "operation", "declared", "python", "pip")} == {
        "status": "ready",
        "operation": "create",
        "declared": ["ipykernel", "numpy", "python"],
        "python": "python=3.11",
        "pip": ["bar", "foo==1.5"],
    }


def test_converged_runs_nothing_and_touches_nothing(world: World) -> None:
    world.run(FULL)
    world.calls(), world.pip_calls()
    before = world.tree()
    for check in (False, True):
        result = world.run(FULL, check=check)
        assert (result["changed"], result["diff"]) == (False, [])
        found = result["environments"][0]
        assert (found["action"], found["reasons"], found["added"]) == ("none", [], [])
    assert (world.calls(), world.pip_calls()) == ([], [])
    assert world.tree() == before


def test_modes_do_not_depend_on_the_umask(world: World) -> None:
    world.run(FULL)
    lock = world.envs / ".pystack/lock"
    for path in [world.envs, world.kernels, *world.envs.rglob("*"), *world.kernels.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        executable = path.is_dir() or path.name == "python"
        assert mode == (0o600 if path == lock else 0o755 if executable else 0o644), path


def test_secrets_appear_nowhere_in_the_result(world: World) -> None:
    for check in (True, False):
        result = world.run(FULL, check=check)
        assert "s3cret" not in json.dumps(result)
        assert "variable: KEY\n" in result["diff"][0]["after"]
        assert result["invocation"]["module_args"]["environments"][0]["variables"]["KEY"] == "VALUE_HIDDEN"
    result = world.run({**FULL, "variables": {"KEY": "0ther"}}, {"name": "odd", "variables": 1})
    assert result["failed"] and "s3cret" not in json.dumps(result) and "0ther" not in json.dumps(result)
    assert "s3cret" not in (world.envs / ".pystack/work.json").read_text()


def test_conda_gets_a_clean_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.root / ".netrc").touch()
    for name in ("CI", "JENKINS_URL", "CONDA_PLUGINS_AUTO_ACCEPT_TOS", "CONDARC", "CONDA_PREFIX", "PYTHONPATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    world.run({"name": "e"})
    environment = world.calls_with_environment()[0]["env"]
    assert environment["HTTPS_PROXY"] == "http://proxy.example"
    # The personal configuration of whoever runs it does not count; credentials in ~/.netrc do.
    assert environment["HOME"] != str(world.root) and not Path(environment["HOME"]).exists()
    assert environment["NETRC"] == str(world.root / ".netrc")
    assert "x" not in environment.values()


def test_an_empty_environment_and_channels_of_condas_own(world: World) -> None:
    assert world.one({"name": "e"})["action"] == "create"
    assert world.calls() == [["create", "-y", "--json", "-p", str(world.envs / "e"), "--no-default-packages"]]
    assert not world.one({"name": "e"})["changed"]


# ---------------------------------------------------------------- update


def test_update_minimal(world: World) -> None:
    world.run({"name": "e", "packages": ["numpy=1.26"]})
    world.calls()
    found = world.one({"name": "e", "packages": ["numpy=1.26", "pandas"]})
    assert (found["action"], found["reasons"]) == ("update", ["pandas is missing"])
    assert (found["added"], found["removed"], found["updated"]) == (["pandas 2.2.0 py311_220"], [], [])
    assert world.calls() == [["install", "-y", "--json", "-p", str(world.envs / "e"), "numpy=1.26", "pandas"]]
    found = world.one({"name": "e", "packages": ["numpy>=2", "pandas"]})
    assert found["updated"] == ["numpy 2.0.1 py311_201"]
    assert world.state("e")["declared"] == ["numpy", "pandas"]


def test_what_is_no_longer_declared_stays_without_prune(world: World) -> None:
    world.run({"name": "e", "packages": ["pandas", "ipykernel"], "pip": ["foo"], "variables": {"A": "1"}})
    world.calls(), world.pip_calls()
    assert not world.one({"name": "e", "packages": ["numpy"]})["changed"]
    assert (world.state("e")["pip"], world.state("e")["variables"]) == (["foo"], ["A"])
    found = world.one({"name": "e", "packages": ["numpy"], "prune": True})
    assert found["removed"] == ["ipykernel 6.29.0 py311_6290", "pandas 2.2.0 py311_220"]
    assert found["pip"] == {"added": [], "removed": ["foo 1.0"], "updated": []}
    assert world.calls() == [["remove", "-y", "--json", "-p", str(world.envs / "e"), "ipykernel", "pandas"]]
    assert world.pip_calls() == ["uninstall foo"]
    assert json.loads((world.envs / "e/conda-meta/state").read_text())["env_vars"] == {}
    assert world.state("e")["pip"] == []
    assert not world.one({"name": "e", "packages": ["numpy"], "prune": True})["changed"]


def test_prune_uses_channels_for_the_solver_only(world: World) -> None:
    world.run({"name": "e", "packages": ["numpy", "pandas"]}, channels=["forge"])
    world.calls()
    world.run({"name": "e", "packages": ["numpy"], "prune": True}, channels=["forge"])
    assert "-c" not in world.calls()[0]


def test_latest(world: World) -> None:
    world.run({"name": "e", "packages": ["numpy"]})
    world.offer("numpy", "2.1.0", "python")
    world.calls()
    assert not world.one({"name": "e", "packages": ["numpy"]})["changed"]
    assert world.calls() == []
    latest = {"name": "e", "packages": ["numpy"], "update": "latest"}
    predicted = world.one(latest, check=True)
    found = world.one(latest)
    assert found["updated"] == predicted["updated"] == ["numpy 2.1.0 py311_210"]
    assert found["reasons"] == ["update is 'latest', so the solver looks for newer packages"]
    start = ["install", "-y", "--json", "-p", str(world.envs / "e")]
    assert world.calls() == [[*start, "--dry-run", "--update-specs", "numpy"], [*start, "--update-specs", "numpy"]]
    before = (world.envs / "e/conda-meta/history").stat().st_mtime_ns
    found = world.one(latest)
    assert (found["action"], found["changed"], found["reasons"]) == ("none", False, [])
    assert (world.envs / "e/conda-meta/history").stat().st_mtime_ns == before


def test_pip_only_for_what_is_not_met(world: World) -> None:
    world.run({"name": "e", "pip": ["foo", "bar"]})
    world.calls(), world.pip_calls()
    found = world.one({"name": "e", "pip": ["foo>=2", "bar", "baz[x]"]})
    assert found["pip"] == {"added": ["baz 1.0"], "removed": [], "updated": ["foo 2"]}
    assert world.pip_calls() == ["install foo>=2 baz[x]"]
    assert world.calls() == []
    assert not world.one({"name": "e", "pip": ["foo>=2", "bar", "baz[x]"]})["changed"]


def test_only_declared_variables_are_enforced(world: World) -> None:
    world.run({"name": "e"})
    path = world.envs / "e/conda-meta/state"
    path.write_text('{"version": 1, "env_vars": {"THEIRS": "1", "OURS": "0"}, "more": 2}')
    assert world.one({"name": "e", "variables": {"OURS": "2"}})["reasons"] == ["variable OURS differs"]
    assert json.loads(path.read_text()) == {"version": 1, "env_vars": {"THEIRS": "1", "OURS": "2"}, "more": 2}


def test_kernel_is_removed_when_it_is_not_declared(world: World) -> None:
    world.run(FULL)
    found = world.one({**FULL, "jupyter_kernel": False})
    assert found["reasons"] == ["the Jupyter kernel is not declared"]
    assert list(world.kernels.iterdir()) == []


def test_an_environment_made_by_hand_is_adopted(world: World) -> None:
    world.run({"name": "e", "packages": ["numpy", "pandas"]})
    (world.envs / ".pystack/e.json").unlink()
    world.calls()
    assert not world.one({"name": "e", "packages": ["numpy"]})["changed"]
    assert world.state("e")["status"] == "ready"
    assert world.calls() == []


def test_several_environments_in_one_run(world: World) -> None:
    world.run({"name": "b"}, {"name": "c"})
    result = world.run({"name": "a"}, {"name": "b"}, {"name": "c", "state": "absent"})
    actions = {entry["name"]: entry["action"] for entry in result["environments"]}
    assert actions == {"a": "create", "b": "none", "c": "remove"}
    assert [entry["before_header"].split()[0] for entry in result["diff"]] == [
        str(world.envs / "a"),
        str(world.envs / "c"),
    ]


# ---------------------------------------------------------------- remove


def test_absent(world: World) -> None:
    registry = world.root / ".conda/environments.txt"
    world.run(FULL, {"name": "other"})
    registry.chmod(0o640)
    world.calls()
    found = world.one({"name": "work", "state": "absent"})
    assert (found["action"], found["reasons"]) == ("remove", ["the environment is declared absent"])
    assert "numpy 1.26.4 py311_1264" in found["removed"]
    assert world.calls() == []
    assert registry.read_text() == f"{world.envs / 'other'}\n"
    assert stat.S_IMODE(registry.stat().st_mode) == 0o640
    assert list(world.kernels.iterdir()) == []
    assert sorted(path.name for path in (world.envs / ".pystack").iterdir()) == ["lock", "other.json"]
    assert not (world.envs / "work").exists()
    before = world.tree()
    assert not world.one({"name": "work", "state": "absent"})["changed"]
    assert world.tree() == before


def test_absent_where_there_is_nothing_makes_nothing(world: World) -> None:
    before = world.tree()
    assert not world.one({"name": "e", "state": "absent"}, conda_executable="/nowhere/conda")["changed"]
    assert world.tree() == before


def test_removal_refuses_links_and_condas_own_installation(world: World) -> None:
    world.run({"name": "real"})
    (world.envs / "link").symlink_to("real")
    own = world.envs / "real/bin/conda"
    own.parent.mkdir(exist_ok=True)
    own.touch()
    result = world.run({"name": "link", "state": "absent"})
    assert result["msg"] == f"link: {world.envs}/link is a symbolic link; remove it by hand"
    result = world.run({"name": "real", "state": "absent"}, conda_executable=str(own))
    assert result["msg"] == f"real: {world.envs}/real is the installation of conda_executable and is not removed"
    assert own.exists()


# ---------------------------------------------------------------- check mode


CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {**FULL, "pip": ["foo==1.5"]}),
    ({"packages": ["numpy=1.26"]}, {"packages": ["numpy=2", "pandas"], "variables": {"A": "1"}}),
    ({"packages": ["pandas", "ipykernel"]}, {"packages": ["ipykernel"], "prune": True, "jupyter_kernel": True}),
    ({"pip": ["foo==1", "bar==1"]}, {"pip": ["foo==2"], "prune": True}),
    ({"python": "3.11"}, {"python": "3.12"}),
    ({"packages": ["numpy"]}, {"state": "absent"}),
    ({"packages": ["ipykernel"], "jupyter_kernel": "One"}, {"packages": ["ipykernel"], "jupyter_kernel": "Two"}),
]


@pytest.mark.parametrize(("first", "second"), CHANGES)
def test_check_mode_tells_what_the_run_does_and_touches_nothing(
    world: World, first: dict[str, Any], second: dict[str, Any]
) -> None:
    if first:
        world.run({"name": "work", **first})
    before = world.tree()
    wanted = {"name": "work", **second}
    predicted = world.run(wanted, check=True)
    assert world.tree() == before
    assert all("--dry-run" in call for call in world.calls()[1:])
    applied = world.run(wanted)
    assert predicted["changed"] is applied["changed"] is True
    assert predicted["diff"] == applied["diff"]
    for key in ("action", "reasons", "added", "removed", "updated"):
        assert predicted["environments"][0][key] == applied["environments"][0][key], key
    assert world.run(wanted)["changed"] is False


def test_check_mode_without_conda_on_a_pristine_host(world: World) -> None:
    before = world.tree()
    result = world.run(FULL, check=True, conda_executable="/nowhere/conda")
    assert result["changed"] and not result["environments"][0]["resolved"]
    assert result["msg"] == "conda is not installed yet, so the packages of work are not resolved"
    assert result["diff"][0]["before"] == ""
    assert result["diff"][0]["after"].splitlines() == [
        "ipykernel (not resolved)",
        "numpy=1.26 (not resolved)",
        "pip (not resolved)",
        "python 3.11 (not resolved)",
        "pip: bar (version chosen by pip)",
        "pip: foo 1.5",
        "variable: COST",
        "variable: KEY",
        "kernel: Work",
    ]
    assert world.tree() == before


def test_check_mode_tells_that_packages_cannot_be_had(world: World) -> None:
    result = world.run({"name": "e", "packages": ["nonesuch"]}, check=True)
    assert result["failed"]
    assert result["msg"].startswith("e: conda create failed: no package matches nonesuch in https://conda.example/")


# ---------------------------------------------------------------- failures


def test_everything_is_validated_before_anything_changes(world: World) -> None:
    before = world.tree()
    result = world.run({"name": "good"}, {"name": "bad", "pakages": []}, {"name": "bad"})
    assert result["msg"].splitlines() == [
        "environments[1].pakages: is not a known key; did you mean 'packages'?",
        "environments[2].name: 'bad' is declared twice, first in environments[1].name",
    ]
    assert world.tree() == before
    assert world.calls() == []


def test_a_taken_path_stops_all_before_anything_changes(world: World) -> None:
    taken = world.envs / "taken"
    taken.mkdir(parents=True)
    (taken / "file").touch()
    result = world.run({"name": "good"}, {"name": "taken"})
    assert result["msg"] == f"taken: {taken} exists and is not a conda environment; move it away or rename yours"
    assert (taken / "file").exists() and not (world.envs / "good").exists()
    assert world.calls() == []


def test_paths_have_to_be_absolute(world: World) -> None:
    result = world.run({"name": "e"}, envs_dir="envs", kernels_dir="k")
    assert result["msg"] == "envs_dir: 'envs' is not an absolute path\nkernels_dir: 'k' is not an absolute path"


def test_arguments_of_a_wrong_type_are_ansibles_own_business(world: World) -> None:
    assert "environments" in world.run(["a list"])["msg"]


def test_conda_has_to_be_there_when_it_is_needed(world: World) -> None:
    result = world.run({"name": "e"}, conda_executable="/nowhere/conda")
    assert result["msg"] == (
        "e: conda_executable: '/nowhere/conda' is not there or not executable; install conda first"
    )
    assert not (world.envs / "e").exists()


UNSATISFIABLE = {"name": "LibMambaUnsatisfiableError", "message": "numpy needs python\n  but"}


@pytest.mark.parametrize(
    ("how", "declaration", "message"),
    [
        (
            {"errors": {"create": UNSATISFIABLE}},
            {},
            "conda create failed: the packages contradict each other; the solver says: numpy needs python but",
        ),
        ({}, {"pip": ["broken"]}, "pip install failed: No matching distribution found for broken"),
        ({}, {"pip": ["ghost"]}, "the installation reported success, but ghost is not met"),
        ({"skip": ["numpy"]}, {"packages": ["numpy"]}, "the installation reported success, but numpy is missing"),
    ],
)
def test_a_failed_creation_leaves_nothing(
    world: World, how: dict[str, Any], declaration: dict[str, Any], message: str
) -> None:
    world.run({"name": "first"})
    before = world.tree()
    world.misbehave(**how)
    result = world.run({"name": "e", **declaration})
    assert result["failed"]
    assert result["msg"] == f"e: {message}"
    after = world.tree()
    assert [path for path in after if path not in before] == []
    assert [entry[2] for entry in after.values()] == [entry[2] for entry in before.values()]
    world.misbehave()


def test_what_was_done_before_a_failure_is_reported(world: World) -> None:
    result = world.run({"name": "good"}, {"name": "bad", "packages": ["nonesuch"]}, {"name": "never"})
    assert result["failed"] and result["changed"]
    assert [entry["name"] for entry in result["environments"]] == ["good"]
    assert result["rc"] == 1
    assert "a warning on the other stream" in result["stderr"]
    assert not (world.envs / "never").exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_failed_update_leaves_the_environment_and_its_state(world: World, known: bool) -> None:
    world.run({"name": "e", "packages": ["numpy=1.26"]})
    if not known:
        (world.envs / ".pystack/e.json").unlink()
    before = world.tree()
    result = world.run({"name": "e", "packages": ["numpy=1.26", "nonesuch"]})
    assert result["failed"] and not result["changed"]
    after = world.tree()
    assert {path: entry[2] for path, entry in after.items()} == {path: entry[2] for path, entry in before.items()}


def test_a_damaged_record_stops_the_run_by_name(world: World) -> None:
    world.run({"name": "e"})
    damaged = world.envs / "e/conda-meta/x.json"
    damaged.write_text("{")
    assert world.run({"name": "e"})["msg"].startswith(f"{damaged} is not readable as JSON: ")


def test_a_file_system_that_says_no(world: World) -> None:
    world.kernels.mkdir()
    (world.kernels / "e").symlink_to("nowhere")
    result = world.run({"name": "e", "packages": ["ipykernel"], "jupyter_kernel": True})
    assert result["msg"] == f"e: [Errno 17] File exists: '{world.kernels}/e'"
    assert not (world.envs / "e").exists()
    world.kernels.joinpath("e").unlink()
    world.kernels.rmdir()
    world.kernels.touch()
    assert "Not a directory" in world.run({"name": "e"})["msg"]


# ---------------------------------------------------------------- interrupted runs


def test_a_killed_creation_is_done_again(world: World) -> None:
    world.misbehave(kill_after=2)
    killed = world.start(FULL)
    killed.communicate(timeout=30)
    assert killed.returncode == -9
    assert (world.state("work")["status"], world.state("work")["operation"]) == ("building", "create")
    assert len(list((world.envs / "work/conda-meta").glob("*.json"))) == 2
    (world.envs / "work/leftover").touch()
    world.misbehave()
    predicted = world.run(FULL, check=True)
    assert (world.envs / "work/leftover").exists()
    assert predicted["environments"][0]["action"] == "rebuild"
    found = world.one(FULL)
    assert found["action"] == "rebuild"
    assert found["reasons"] == ["an earlier run was interrupted while creating the environment"]
    assert found["added"] == predicted["environments"][0]["added"]
    assert not (world.envs / "work/leftover").exists()
    assert world.state("work")["status"] == "ready"
    assert not world.one(FULL)["changed"]


def test_a_killed_update_is_repeated(world: World) -> None:
    world.run({"name": "e", "packages": ["numpy=1.26"]})
    wanted = {"name": "e", "packages": ["numpy>=2", "pandas"]}
    world.misbehave(kill_after=0)
    killed = world.start(wanted)
    killed.communicate(timeout=30)
    assert killed.returncode == -9
    assert world.state("e")["operation"] == "update"
    assert not list((world.envs / "e/conda-meta").glob("numpy-*.json"))
    world.misbehave()
    found = world.one(wanted)
    assert found["action"] == "update"
    assert "an earlier run was interrupted while updating the environment" in found["reasons"]
    assert world.state("e")["status"] == "ready"
    assert not world.one(wanted)["changed"]


def test_a_half_removed_environment_is_removed_or_rebuilt(world: World) -> None:
    for wanted, action in (({"state": "absent"}, "remove"), ({}, "rebuild")):
        world.run({"name": "e"})
        path = world.envs / ".pystack/e.json"
        path.write_text(json.dumps(world.state("e") | {"status": "building", "operation": "remove"}))
        for file in (world.envs / "e/conda-meta").iterdir():
            file.unlink()
        (world.envs / "e/conda-meta").rmdir()
        assert world.one({"name": "e", **wanted})["action"] == action


# ---------------------------------------------------------------- two runs


def test_a_second_run_waits_for_the_lock_and_then_says_why_it_gave_up(world: World) -> None:
    world.run({"name": "e"})
    path = world.envs / ".pystack/lock"
    handle = os.open(path, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    result = world.run({"name": "new"}, lock_timeout=0)
    assert result["msg"] == (
        f"another run has held {path} for more than 0 seconds; wait for it to end, or raise lock_timeout"
    )
    assert not (world.envs / "new").exists()
    assert not world.run({"name": "e"}, check=True)["changed"], "check mode needs no lock"
    waiting = world.start({"name": "new"}, lock_timeout=20)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=1.5)
    os.close(handle)
    output, _ = waiting.communicate(timeout=30)
    assert json.loads(output)["changed"] is True


def test_a_conda_that_outlives_its_parent_keeps_the_lock(world: World) -> None:
    world.misbehave(kill_after=0, orphan_s=1.5)
    killed = world.start({"name": "e", "packages": ["numpy"]})
    killed.wait(timeout=30)
    assert killed.returncode == -9
    world.misbehave()
    assert "another run has held" in world.run({"name": "e"}, lock_timeout=0)["msg"]
    assert world.one({"name": "e"}, lock_timeout=20)["action"] == "rebuild"


def test_two_runs_never_interleave(world: World) -> None:
    wanted = {"name": "e", "packages": ["numpy"]}
    results = [json.loads(run.communicate(timeout=30)[0]) for run in [world.start(wanted), world.start(wanted)]]
    assert sorted(result["changed"] for result in results) == [False, True]
    assert len(world.calls()) == 1


# ---------------------------------------------------------------- through Ansible itself


@pytest.mark.controller
def test_through_ansible(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[3]
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(root / ".ansible/collections"))
    monkeypatch.setenv("ANSIBLE_LOCALHOST_WARNING", "false")
    # The answer is read as JSON, whatever the configuration of the checkout shows people.
    monkeypatch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", "json")
    arguments = world.arguments({"name": "e", "packages": ["https://conda.example/conda-forge::numpy"]})
    text = json.dumps({key: value for key, value in arguments.items() if not key.startswith("_")})
    program = str(Path(sys.executable).with_name("ansible"))
    command = [program, "localhost", "-c", "local", "-m", "pystack.infra.conda_env", "-a", text]
    done = subprocess.run(
        [*command, "-e", f"ansible_python_interpreter={sys.executable}"],
        capture_output=True,
        text=True,
        cwd=world.root,
        check=False,
    )
    assert done.stdout.startswith("localhost | CHANGED => "), done.stdout + done.stderr
    assert json.loads(done.stdout.partition("=> ")[2])["environments"][0]["action"] == "create"
