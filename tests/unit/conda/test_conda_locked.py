# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Environments with a lock, as the modules conda_lock, conda_env and conda_env_rollback make and change them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda import generations
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import parse_lock
from ansible_collections.pystack.infra.plugins.modules import conda_env_rollback, conda_lock

if TYPE_CHECKING:
    from tests.unit.conda.conftest import World

OLD = {
    "name": "lab",
    "python": "3.11",
    "packages": ["numpy=1.26", "ipykernel"],
    "pip": ["foo==1.5"],
    "variables": {"KEY": "s3cret-value"},
    "jupyter_kernel": "Lab",
    "channels": ["conda-forge"],
}
NEW = {**OLD, "packages": ["numpy=2.0", "ipykernel"]}
SMALL = {"name": "small", "packages": ["openssl"], "channels": ["conda-forge"]}


def current(world: World, name: str = "lab") -> str:
    """The id of the generation that the link names."""
    target = (world.envs / name).readlink()
    assert str(target.parent) == f"_generations/{name}", "relative, so that the directory can be mounted elsewhere"
    return target.name


def prefixes(world: World, name: str = "lab") -> list[str]:
    return sorted(path.name for path in (world.envs / "_generations" / name).iterdir() if path.is_dir())


def versions(world: World, name: str = "lab") -> dict[str, str]:
    found = (json.loads(path.read_text()) for path in (world.envs / name / "conda-meta").glob("*.json"))
    return {record["name"]: record["version"] for record in found}


def lasting(world: World) -> dict[str, Any]:
    """Everything but the times of directories, in which something was made and removed again."""
    return {path: about[0] if about[0] & 0o40000 else about for path, about in world.tree().items()}


def kernel_python(world: World) -> str:
    return str(json.loads((world.kernels / "lab/kernel.json").read_text())["argv"][0])


@pytest.fixture
def old(world: World) -> dict[str, Any]:
    """The first lock, installed."""
    locks = world.lock(OLD)
    assert world.one(OLD, locks=locks)["action"] == "create"
    world.calls(), world.pip_calls()
    return locks


# ---------------------------------------------------------------- locks


def test_a_lock_has_everything_with_hashes_and_leaves_nothing_behind(world: World) -> None:
    text = world.lock(OLD)["lab"]["text"]
    lines = [line for line in text.splitlines() if line.startswith("http")]
    assert [line.rpartition("/")[2].partition("-")[0] for line in lines] == [
        *("openssl", "python", "numpy", "pip", "ipykernel"),
    ], "each after what it needs"
    assert all("#sha256:" in line for line in lines)
    assert f"# pip: foo==1.5 --hash=sha256:{3:064x}" in text
    assert [path.name for path in (world.envs / ".pystack").iterdir()] == ["lock"]
    assert [path.name for path in world.envs.iterdir()] == [".pystack"]
    assert not (world.root / ".conda/environments.txt").exists()
    assert world.pip_calls()[0].startswith("install foo==1.5")


def test_the_same_declaration_gives_the_same_lock(world: World) -> None:
    other = {**OLD, "packages": ["ipykernel", "numpy=1.26"], "variables": {}, "imports": ["numpy"]}
    assert world.lock(OLD) == world.lock(other)


def test_a_lock_that_fits_is_not_solved_again(world: World) -> None:
    locks = world.lock(OLD)
    world.calls()
    options = {"conda_executable": str(world.conda), "locks": locks}
    kept = world.other(conda_lock, environments=[OLD, {"name": "gone", "state": "absent"}], **options)
    assert world.calls() == []
    assert [(row["name"], row["solved"], row["text"]) for row in kept["locks"]] == [
        ("lab", False, locks["lab"]["text"])
    ]
    changed = world.other(conda_lock, environments=[NEW], check=True, **options)
    assert [row["solved"] for row in changed["locks"]] == [True]
    assert "s3cret" not in json.dumps(changed)


def test_locking_says_what_it_cannot_do(world: World) -> None:
    def message(environment: Any, **options: Any) -> str:
        arguments = {"conda_executable": str(world.conda), **options}
        return str(world.other(conda_lock, environments=[environment], **arguments)["msg"])

    assert message({**OLD, "packages": ["nothing"]}).startswith("lab: conda create failed: no package matches nothing")
    assert "lab: pip package vcs comes from" in message({**OLD, "pip": ["vcs"]})
    assert "cannot be locked" in message({**OLD, "pip": ["vcs"]})
    assert "environments[0].name" in message({"name": "a/b"})
    assert "allowed_channels has bank" in message(OLD, allowed_channels=["bank"])
    assert "which allowed_channels does not have" in message(
        OLD, allowed_channels=["conda-forge", "https://mirror.example"]
    )
    world.db["packages"] = [{**meta, "sha256": ""} for meta in world.db["packages"]]
    world.misbehave()
    assert "no URL or no sha256 for openssl, so they cannot be locked" in message(SMALL)
    assert not (world.envs / ".pystack/scratch").exists()


# ---------------------------------------------------------------- install


def test_a_generation_is_exactly_its_lock(world: World) -> None:
    locks = world.lock(OLD)
    world.calls()
    found = world.one({**OLD, "imports": ["numpy"]}, locks=locks)
    identity = current(world)
    prefix = world.envs / "_generations/lab" / identity
    assert (found["generation"], found["lock"]) == (identity, "locks/lab-linux-64.lock")
    assert found["plan"] == [
        f"build generation {identity}",
        f"switch to {identity}",
        "set variables",
        "write the Jupyter kernel",
    ]
    assert found["channels"] == ["https://conda.example/conda-forge"]
    assert {row["name"]: row["version"] for row in found["records"]} == versions(world)
    assert all(len(row["sha256"]) == 64 and row["url"].endswith(".conda") for row in found["records"])
    assert found["pip"]["added"] == ["foo 1.5"]
    (call,) = world.calls()
    assert call[:5] == ["create", "-y", "--json", "-p", str(prefix)] and call[5] == "--file"
    assert "install --require-hashes foo==1.5" in world.pip_calls()
    assert "managed by pystack.infra" in json.loads((prefix / "conda-meta/frozen").read_text())["message"]
    assert json.loads((prefix / "conda-meta/state").read_text())["env_vars"] == OLD["variables"]
    assert kernel_python(world) == f"{prefix}/bin/python", "a kernel keeps its generation while others are put to use"
    assert (world.root / ".conda/environments.txt").read_text() == f"{world.envs}/lab\n"


def test_a_converged_environment_costs_no_process_and_no_change(world: World, old: Any) -> None:
    before = world.tree()
    for check in (False, True):
        found = world.one(OLD, locks=old, check=check)
        assert (found["action"], found["plan"], found["added"], found["updated"]) == ("none", [], [], [])
        assert {row["name"] for row in found["records"]} == {"ipykernel", "numpy", "openssl", "pip", "python"}
    assert (world.calls(), world.pip_calls()) == ([], [])
    assert world.tree() == before


def test_check_mode_shows_exactly_what_is_going_to_happen(world: World, old: Any) -> None:
    locks, before = world.lock(NEW), world.tree()
    expected = world.run(NEW, locks=locks, check=True)
    assert world.tree() == before
    done = world.run(NEW, locks=locks)
    assert done["diff"] == expected["diff"]
    lines = {key: set(expected["diff"][0][key].splitlines()) for key in ("before", "after")}
    before_id, after_id = generation_of(old), current(world)
    assert lines["before"] - lines["after"] == {f"generation: {before_id}", "numpy 1.26.4 py311_1264 conda-forge"}
    assert lines["after"] - lines["before"] == {f"generation: {after_id}", "numpy 2.0.1 py311_201 conda-forge"}
    for key in ("action", "plan", "reasons", "added", "removed", "updated", "generation", "channels", "pip"):
        assert done["environments"][0][key] == expected["environments"][0][key], key


def generation_of(locks: Any) -> str:
    return parse_lock(locks["lab"]["text"], "lock").digest()[: generations.ID_LENGTH]


def test_a_changed_lock_is_built_beside_and_the_old_generation_stays(world: World, old: Any) -> None:
    before = current(world)
    found = world.one(NEW, locks=world.lock(NEW))
    assert (found["action"], found["updated"]) == ("update", ["numpy 2.0.1 py311_201"])
    assert found["reasons"] == [f"generation {before} is in use, and the lock asks for {current(world)}"]
    assert prefixes(world) == sorted([before, current(world)])
    assert versions(world)["numpy"] == "2.0.1"
    assert current(world) in kernel_python(world)
    # The old lock again: its generation is there, and nothing is built.
    world.calls()
    again = world.one(OLD, locks=old)
    assert (again["plan"][0], current(world), world.calls()) == (
        f"switch from {found['generation']} to {before}",
        before,
        [],
    )


def test_only_the_last_generations_stay_and_those_in_use(world: World) -> None:
    made = []
    world.offer("numpy", "1.26.5", "python")
    busy = None
    try:
        for version in ("1.26.4", "2.0.1", "1.26.5"):
            declared = {**OLD, "packages": [f"numpy={version}", "ipykernel"]}
            world.one(declared, locks=world.lock(declared), keep_generations=1)
            made.append(current(world))
            if busy is None:
                busy = subprocess.Popen(["sleep", "60"], cwd=world.envs / "_generations/lab" / made[0])
        assert prefixes(world) == sorted([made[0], made[2]])
    finally:
        assert busy is not None
        busy.kill()
        busy.wait()
    world.one(declared, locks=world.lock(declared), keep_generations=1)
    assert prefixes(world) == [made[2]]
    assert [path.name for path in (world.envs / "_generations/lab").glob("*.json")] == [f"{made[2]}.json"]


def test_a_generation_that_is_used_again_is_not_removed_as_an_old_one(world: World, old: Any) -> None:
    first = current(world)
    world.one(NEW, locks=world.lock(NEW))
    world.calls()
    world.one(OLD, locks=old, keep_generations=1)
    assert (current(world), prefixes(world), world.calls()) == (first, [first], [])
    assert versions(world)["numpy"] == "1.26.4"


@pytest.mark.parametrize("damage", ["edited", "deleted"])
def test_a_damaged_file_is_found_and_repaired(world: World, old: Any, damage: str) -> None:
    broken = current(world)
    file = world.envs / "lab/share/numpy/data"
    if damage == "edited":
        file.write_text("something else")
    else:
        file.unlink()
    cached = world.tools / "pkgs/numpy-1.26.4-py311_1264"
    rehearsal = world.one(OLD, locks=old, check=True)
    found = world.one(OLD, locks=old)
    assert found["reasons"] == [f"share/numpy/data is {'changed' if damage == 'edited' else 'missing'} (numpy)"]
    assert (found["action"], rehearsal["plan"]) == ("rebuild", found["plan"])
    assert current(world) == f"{broken}.1"
    assert (world.envs / "lab/share/numpy/data").read_text() == "numpy-1.26.4-py311_1264"
    assert cached.exists(), "the fake conda unpacked it anew"
    assert world.one(OLD, locks=old)["action"] == "none"


def test_what_an_edit_left_in_the_package_cache_is_dropped(world: World, old: Any) -> None:
    cached = world.tools / "pkgs/numpy-1.26.4-py311_1264"
    (cached / "marker").touch()
    (world.tools / "pkgs/openssl-3.3.0-h1_0/marker").touch()
    (world.envs / "lab/share/numpy/data").write_text("something else")
    world.one(OLD, locks=old)
    assert not (cached / "marker").exists()
    assert (world.tools / "pkgs/openssl-3.3.0-h1_0/marker").exists(), "only the damaged package is unpacked anew"


def test_how_closely_is_looked_for_damage_can_be_chosen(world: World, old: Any) -> None:
    file = world.envs / "lab/share/numpy/data"
    about = file.stat()
    file.write_text(file.read_text()[::-1])
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert world.one(OLD, locks=old)["action"] == "none", "size and time are the same"
    assert world.one(OLD, locks=old, drift_check="full", check=True)["action"] == "rebuild"
    file.unlink()
    assert world.one(OLD, locks=old, drift_check="none")["action"] == "none"


def test_variables_and_kernel_change_without_a_new_generation(world: World, old: Any) -> None:
    before = current(world)
    declared = {**OLD, "variables": {"OTHER": "2"}, "jupyter_kernel": "Renamed"}
    found = world.one(declared, locks=old)
    assert (found["action"], found["plan"]) == ("update", ["set variables", "write the Jupyter kernel"])
    assert found["reasons"] == ["variable KEY differs", "variable OTHER differs", "the Jupyter kernel differs"]
    assert current(world) == before and world.calls() == []
    assert json.loads((world.envs / "lab/conda-meta/state").read_text())["env_vars"] == {"OTHER": "2"}
    del declared["jupyter_kernel"]
    gone = world.one(declared, locks=old)
    assert gone["plan"] == ["remove the Jupyter kernel"] and not (world.kernels / "lab").exists()
    assert world.one(declared, locks=old)["action"] == "none"


def test_a_requirement_with_a_url_is_locked_with_it(world: World) -> None:
    for file in ("foo-1.5-py3-none-any.whl", "foo-1.5.tar.gz"):
        declared = {
            **SMALL,
            "name": file.replace("foo", "e"),
            "python": "3.11",
            "pip": [f"foo @ https://files.example/{file}"],
        }
        locks = world.lock(declared)
        (lock,) = locks.values()
        assert f"# pip: foo @ https://files.example/{file} --hash=sha256:" in lock["text"]
        expected = world.one(declared, locks=locks, check=True)
        assert world.one(declared, locks=locks)["pip"] == expected["pip"]
        assert expected["pip"]["added"] == ["foo 1.5"]


# ---------------------------------------------------------------- failures


FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a package that is not the locked one": ({}, {}, "conda create failed: ChecksumMismatchError"),
    "a file that is not its package's": ({}, {"damaged": ["numpy"]}, "share/numpy/data is changed (numpy)"),
    "a package that is missing": ({}, {"skip": ["numpy"]}, "numpy is missing"),
    "a module that cannot be imported": (
        {"imports": ["numpy", "broken.part"]},
        {},
        "imports failed: broken.part: ImportError",
    ),
    "requirements that do not fit": (
        {},
        {"offer": "inconsistent"},
        "pip check failed: inconsistent 1.0 requires nothing",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_generation_that_fails_is_never_put_to_use(world: World, old: Any, fault: str) -> None:
    more, how, sentence = FAULTS[fault]
    declared = {**NEW, **more}
    if "offer" in how:
        world.offer("inconsistent", "1.0", "python")
        declared["packages"] = [*NEW["packages"], "inconsistent"]
    locks = world.lock(declared)
    if "not the locked one" in fault:
        offers = world.db["packages"]
        world.db["packages"] = [{**meta, "sha256": "0" * 64} if meta["name"] == "numpy" else meta for meta in offers]
    world.misbehave(**how)
    before = lasting(world)
    result = world.run(declared, locks=locks)
    assert result["failed"] and result["msg"].startswith("lab: ") and sentence in result["msg"], result["msg"]
    assert lasting(world) == before
    if "offer" in how:
        assert world.one({**declared, "pip_check": False}, locks=locks)["changed"]


def test_many_damaged_files_are_counted(world: World, old: Any) -> None:
    world.misbehave(damaged=["numpy", "python", "openssl", "pip", "ipykernel", "pandas"])
    declared = {**NEW, "packages": ["pandas", "ipykernel"]}
    locks = world.lock(declared)
    assert "1 more files differ" in world.run(declared, locks=locks)["msg"]


def test_a_killed_run_leaves_the_old_generation_and_the_next_one_repairs(
    world: World, old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks, before = world.lock(NEW), current(world)
    temporary = world.root / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    world.misbehave(kill_after=3)
    run = world.start(NEW, locks=locks)
    run.wait()
    assert run.returncode == -9
    assert current(world) == before and len(prefixes(world)) == 2, "something was half built"
    assert list(temporary.iterdir()) == [], "what the run leaves, the next one finds"
    assert (world.envs / ".pystack/scratch").exists()
    assert world.one(OLD, locks=old, check=True)["action"] == "none"
    world.misbehave()
    assert world.one(NEW, locks=locks)["action"] == "update"
    assert prefixes(world) == sorted([before, current(world)])
    assert not (world.envs / ".pystack/scratch").exists()
    assert world.one(NEW, locks=locks)["action"] == "none"


def test_what_was_cut_short_after_the_switch_is_ended_by_the_next_run(world: World, old: Any) -> None:
    locks = world.lock(NEW)
    world.one(NEW, locks=locks)
    (world.envs / ".pystack/lab.json").unlink()
    shutil.rmtree(world.kernels)
    (world.envs / "_generations/lab/.link").mkdir()
    found = world.one(NEW, locks=locks)
    assert found["plan"] == ["write the Jupyter kernel"]
    assert world.state("lab")["generations"] == [current(world)]
    assert not (world.envs / "_generations/lab/.link").exists()


def test_only_one_run_at_a_time(world: World, old: Any) -> None:
    with (world.envs / ".pystack/lock").open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        result = world.run(NEW, locks=old, lock_timeout=0)
        assert result["failed"] and "another run has held" in result["msg"]
        result = world.other(conda_env_rollback, lock_timeout=0)
        assert result["failed"]


# ---------------------------------------------------------------- locks that do not fit


def problem(world: World, environment: Any, locks: Any, **options: Any) -> str:
    before = world.tree()
    result = world.run(environment, locks=locks, **options)
    assert result["failed"], result
    assert world.tree() == before
    return str(result["msg"])


def test_locks_that_do_not_fit_are_refused_before_any_change(world: World, old: Any) -> None:
    path = "locks/lab-linux-64.lock"
    more = {**OLD, "packages": [*OLD["packages"], "pandas"]}
    assert f"lab: the lock {path} is out of date: pandas is missing" in problem(world, more, old)
    assert "playbooks/lock.yml" in problem(world, more, old)
    assert "numpy 1.26.4 py311_1264 does not meet 'numpy=2.0'" in problem(world, NEW, old)
    fewer = {**OLD, "packages": ["ipykernel"]}
    assert "out of date: it was made for another declaration" in problem(world, fewer, old)
    assert "pip requirement bar is missing" in problem(world, {**OLD, "pip": ["bar"]}, old)
    assert "foo 1.5 does not meet 'foo==2'" in problem(world, {**OLD, "pip": ["foo==2"]}, old)
    arm = {"lab": {**old["lab"], "text": old["lab"]["text"].replace("linux-64", "linux-aarch64")}}
    assert "is for linux-aarch64, and this host is linux-64" in problem(world, OLD, arm)
    bad = {"lab": {**old["lab"], "text": "@EXPLICIT\nnothing\n"}}
    assert "locks/lab-linux-64.lock: line 2" in problem(world, OLD, bad)
    assert "locks.lab: a dictionary with path and text is expected" in problem(world, OLD, {"lab": "text"})
    foreign = problem(world, OLD, old, allowed_channels=["conda-forge"])
    assert "has packages from https://conda.example/conda-forge, which allowed_channels does not have" in foreign
    without = {key: value for key, value in SMALL.items() if key != "channels"}
    assert "is empty, so that conda's configuration would decide" in problem(
        world, without, {}, allowed_channels=["https://conda.example"]
    )
    assert "keep_generations: 0 is not a number from 1 on" in problem(world, OLD, old, keep_generations=0)
    allowed = ["conda-forge", "https://conda.example/"]
    assert world.one(OLD, locks=old, allowed_channels=allowed)["action"] == "none"


def test_a_kernel_needs_ipykernel_in_the_lock(world: World) -> None:
    declared = {**SMALL, "packages": ["openssl"], "jupyter_kernel": True}
    locks = world.lock(declared)
    assert "small: jupyter_kernel needs ipykernel" in problem(world, declared, locks)


def test_lock_mode_decides_what_an_environment_without_a_lock_is(world: World, old: Any) -> None:
    message = problem(world, SMALL, old, lock_mode="require")
    assert message.startswith("small: lock_mode is 'require', and there is no lock for it")
    assert world.one({**SMALL, "state": "absent"}, locks={}, lock_mode="require")["action"] == "none"
    result = world.run(OLD, SMALL, locks=old)
    assert [row["generation"] for row in result["environments"]] == [current(world), ""]
    assert (world.envs / "small").is_dir() and not (world.envs / "small").is_symlink()


# ---------------------------------------------------------------- in place and back


def test_an_environment_that_was_kept_in_place_becomes_a_generation(world: World) -> None:
    world.one(OLD)
    locks = world.lock(OLD)
    found = world.one(OLD, locks=locks)
    assert found["reasons"] == ["the environment was kept in place until now"]
    assert (found["action"], found["added"], found["removed"]) == ("update", [], [])
    assert versions(world)["numpy"] == "1.26.4" and prefixes(world) == [current(world)]
    assert world.one(OLD, locks=locks)["action"] == "none"


def test_without_renameat2_the_exchange_takes_two_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.one(SMALL)
    monkeypatch.setattr("ctypes.CDLL", lambda *_args, **_options: object())
    world.one(SMALL, locks=world.lock(SMALL))
    assert versions(world, "small") == {"openssl": "3.3.0"} and current(world, "small")
    assert prefixes(world, "small") == [current(world, "small")]


def test_something_else_at_the_path_is_left_alone(world: World) -> None:
    locks = world.lock(SMALL)
    (world.envs / "small").mkdir()
    assert "exists and is not a conda environment" in problem(world, SMALL, locks)
    (world.envs / "small").rmdir()
    (world.envs / "small").symlink_to(world.root)
    assert "is a symbolic link to something else" in problem(world, SMALL, locks)
    (world.envs / "small").unlink()
    world.one(SMALL)
    inside = world.envs / "small/bin/conda"
    inside.parent.mkdir()
    shutil.copy(world.conda, inside)
    message = problem(world, SMALL, locks, conda_executable=str(inside))
    assert "is the installation of conda_executable and is not replaced" in message


def test_without_locks_a_generation_becomes_an_ordinary_environment(world: World, old: Any) -> None:
    declared = {**OLD, "packages": [*OLD["packages"], "pandas"], "jupyter_kernel": False}
    found = world.one(declared, locks=old, lock_mode="none")
    assert (found["action"], found["added"]) == ("update", ["pandas 2.2.0 py311_220"])
    assert not (world.envs / "lab/conda-meta/frozen").exists()
    assert not list((world.envs / "_generations/lab").glob("*.json")), "it is no content that a lock has"
    again = world.one(OLD, locks=old)
    assert again["reasons"][0].endswith("is not complete") and "pandas" not in versions(world)


def test_absent_leaves_nothing(world: World, old: Any) -> None:
    world.one(NEW, locks=world.lock(NEW))
    found = world.one({"name": "lab", "state": "absent"}, locks=old)
    assert (found["action"], found["changed"]) == ("remove", True)
    left = sorted(str(path.relative_to(world.root)) for path in world.envs.rglob("*"))
    assert left == ["envs/.pystack", "envs/.pystack/lock"]
    assert not (world.kernels / "lab").exists()
    assert (world.root / ".conda/environments.txt").read_text() == ""


# ---------------------------------------------------------------- rollback


@pytest.fixture
def changed(world: World, old: Any) -> str:
    """The id of the first generation, after a second one was put to use."""
    first = current(world)
    world.one(NEW, locks=world.lock(NEW))
    world.calls(), world.pip_calls()
    return first


def test_rollback_swaps_the_link_and_leads_the_kernel_back(world: World, changed: str) -> None:
    second, before = current(world), world.tree()
    rehearsal = world.other(conda_env_rollback, kernels_dir=str(world.kernels), check=True)
    assert world.tree() == before
    result = world.other(conda_env_rollback, kernels_dir=str(world.kernels))
    assert {key: result[key] for key in ("changed", "environments", "diff")} == {
        key: rehearsal[key] for key in ("changed", "environments", "diff")
    }
    (row,) = result["environments"]
    assert (row["from"], row["to"], row["updated"]) == (second, changed, ["numpy 1.26.4 py311_1264"])
    assert result["msg"] == f"lab: {changed} in the place of {second}"
    assert current(world) == changed and versions(world)["numpy"] == "1.26.4"
    assert kernel_python(world) == f"{world.envs}/_generations/lab/{changed}/bin/python"
    assert (world.calls(), world.pip_calls()) == ([], [])
    # Nothing lies before the first one; its own id is no change, and the newer one can be named.
    last = world.other(conda_env_rollback, names=["lab"], kernels_dir=str(world.kernels))
    assert last["failed"] and "no earlier generation" in last["msg"] and changed in last["msg"]
    same = world.other(conda_env_rollback, names=["lab"], generation=changed, kernels_dir=str(world.kernels))
    assert (same["changed"], same["msg"]) == (False, "nothing to change")
    forward = world.other(conda_env_rollback, names=["lab"], generation=second, kernels_dir=str(world.kernels))
    assert forward["changed"] and current(world) == second


def test_a_lost_history_loses_no_generation(world: World, changed: str) -> None:
    second = current(world)
    (world.envs / ".pystack/lab.json").unlink()
    assert world.one(NEW, locks=world.lock(NEW))["action"] == "none"
    assert prefixes(world) == sorted([changed, second])
    (world.envs / ".pystack/lab.json").unlink()
    result = world.other(conda_env_rollback, kernels_dir=str(world.kernels))
    assert (result["changed"], current(world)) == (True, changed)


def test_a_run_after_a_rollback_uses_the_lock_again(world: World, changed: str) -> None:
    world.other(conda_env_rollback, kernels_dir=str(world.kernels))
    locks = world.lock(NEW)
    world.calls()
    found = world.one(NEW, locks=locks)
    assert found["action"] == "update" and versions(world)["numpy"] == "2.0.1" and world.calls() == []


def test_rollback_says_why_it_cannot(world: World, changed: str) -> None:
    def message(**options: Any) -> str:
        result = world.other(conda_env_rollback, kernels_dir=str(world.kernels), **options)
        assert result["failed"], result
        return str(result["msg"])

    assert "lab: there is no generation 'nothing'; there are" in message(names=["lab"], generation="nothing")
    assert "give exactly one name" in message(generation=changed)
    assert "other: " in message(names=["other"]) and "is not a locked environment" in message(names=["other"])
    (world.envs / "_generations/lab" / changed / "share/numpy/data").unlink()
    assert f"generation {changed} is damaged (share/numpy/data is missing (numpy))" in message(names=["lab"])
    shutil.rmtree(world.envs / "_generations/lab" / changed)
    assert "no environment below" in message()
    book = world.envs / "_generations/lab" / f"{current(world)}.json"
    text = book.read_text()
    book.unlink()
    assert "no environment below" in message(), "the one in use is no complete generation"
    book.write_text(text)
    book.write_text("{}")
    assert "is damaged; remove it to have the generation built again" in message(names=["lab"])


# ---------------------------------------------------------------- export, channels


def test_export(world: World, old: Any) -> None:
    before = world.tree()
    entry = world.one({"name": "lab", "state": "exported", "channels": ["conda-forge"]})
    assert world.tree() == before
    assert entry["environment_yml"].splitlines() == [
        "name: lab",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - ipykernel=6.29.0",
        "  - numpy=1.26.4",
        "  - openssl=3.3.0",
        "  - pip=24.0",
        "  - python=3.11.8",
        "  - pip:",
        "      - foo==1.5",
    ]
    locked = [line for line in old["lab"]["text"].splitlines() if line.startswith("http")]
    assert [line for line in entry["explicit"].splitlines() if line.startswith("http")] == locked
    assert "s3cret" not in json.dumps(entry)
    missing = world.run({"name": "nothing", "state": "exported"})
    assert "is not a conda environment, so it is not exported" in missing["msg"]


def test_an_environment_of_unknown_origin_has_no_explicit_list(world: World) -> None:
    world.db["packages"] = [{**meta, "url": "", "sha256": ""} for meta in world.db["packages"]]
    world.misbehave()
    world.one(SMALL)
    entry = world.one({"name": "small", "state": "exported"})
    assert entry["explicit"] == "" and "https://conda.example/conda-forge" in entry["environment_yml"]


def test_the_module_runs_in_a_process_without_a_home_that_can_be_written(world: World) -> None:
    locks = world.lock(OLD)
    (world.root / ".conda").write_text("a file where conda wants a directory")
    assert world.one(OLD, locks=locks)["changed"]
    assert (world.root / ".conda").read_text() == "a file where conda wants a directory"
