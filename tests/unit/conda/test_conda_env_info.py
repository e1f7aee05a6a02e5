# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The module as Ansible calls it, on environments that are made of files: in place, in generations, damaged."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda import info
from ansible_collections.pystack.infra.plugins.modules import conda_env_info

if TYPE_CHECKING:
    from tests.unit.conftest import RunModule

FORGE = "https://conda.example/conda-forge"
ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"
SITE = "lib/python3.11/site-packages"


def package(prefix: Path, name: str, version: str, channel: str = FORGE) -> None:
    """Put a package with one file into an environment."""
    path = prefix / "lib" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
    paths = [{"_path": f"lib/{name}", "path_type": "hardlink", "sha256": hashlib.sha256(name.encode()).hexdigest()}]
    values = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "sha256": "ab"}
    where = {"channel": f"{channel}/linux-64", "subdir": "linux-64", "url": f"{channel}/linux-64/{name}.conda"}
    (prefix / "conda-meta").mkdir(exist_ok=True)
    meta = prefix / f"conda-meta/{name}-{version}-0.json"
    meta.write_text(json.dumps({**values, **where, "files": [], "paths_data": {"paths": paths}}))


def distribution(prefix: Path, name: str, version: str, installer: str) -> None:
    directory = prefix / SITE / f"{name}-{version}.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (directory / "INSTALLER").write_text(f"{installer}\n")


def environment(prefix: Path) -> None:
    """An environment with two packages, one of them by another channel, what pip installed, and a variable."""
    package(prefix, "python", "3.11.8")
    package(prefix, "ours", "1.0", "https://u:s3cret@lan.example/private")
    distribution(prefix, "six", "1.17.0", "pip")
    distribution(prefix, "wheel", "0.45", "conda")
    (prefix / "conda-meta/state").write_text(json.dumps({"env_vars": {"KEY": "s3cret-value", "A": "1"}}))


def generation(envs: Path, name: str, identity: str, *, made: int, complete: bool = True) -> Path:
    """A prefix below _generations; ``made`` orders them."""
    prefix = envs / "_generations" / name / identity
    environment(prefix)
    os.utime(prefix, ns=(made, made))
    if complete:
        os.utime(prefix, ns=(100 - made, 100 - made))  # of no meaning any more
        book = prefix.with_name(f"{identity}.json")
        book.write_text("{}")
        os.utime(book, ns=(made, made))
    return prefix


class Host:
    """A directory of environments, and runs of the module on it."""

    def __init__(self, root: Path, run: RunModule) -> None:
        self.envs = root / "envs"
        self.envs.mkdir()
        self.run = run

    def ask(self, **options: Any) -> dict[str, Any]:
        result = self.run(conda_env_info, **{"envs_dir": str(self.envs), **options})
        assert result.get("changed") is False, result
        return result

    def one(self, name: str, **options: Any) -> dict[str, Any]:
        (found,) = self.ask(names=[name], **options)["environments"]
        return dict(found)

    def message(self, **options: Any) -> str:
        result = self.run(conda_env_info, **{"envs_dir": str(self.envs), **options})
        assert result["failed"] is True
        return str(result["msg"])


@pytest.fixture
def host(tmp_path: Path, run_module: RunModule) -> Host:
    return Host(tmp_path, run_module)


def entry(name: str, version: str, channel: str) -> dict[str, str]:
    where = {"channel": channel, "subdir": "linux-64", "url": f"{channel}/linux-64/{name}.conda"}
    return {"name": name, "version": version, "build": "0", "sha256": "ab", **where}


# ---------------------------------------------------------------- what is told


@pytest.mark.parametrize("check", [False, True])
def test_an_environment_that_is_kept_in_place(host: Host, check: bool) -> None:
    environment(host.envs / "lab")
    private = "https://***@lan.example/private"
    result = host.ask(check=check)
    assert result["environments"] == [
        {
            **{"name": "lab", "prefix": str(host.envs / "lab"), "python": "3.11.8", "frozen": False},
            **{"generation": "", "generations": [], "variables": ["A", "KEY"], "channels": [private, FORGE]},
            "packages": [entry("ours", "1.0", private), entry("python", "3.11.8", FORGE)],
            "pip": [{"name": "six", "version": "1.17.0"}],
        }
    ]
    assert result["table"] == [
        "environment  python  packages  pip  generation  others  channels             notes",
        "lab          3.11.8  2         1                        conda-forge,private",
    ]
    assert "s3cret" not in str(result)


def test_an_environment_in_generations(host: Host) -> None:
    generation(host.envs, "lab", TWO, made=1)
    prefix = generation(host.envs, "lab", ONE, made=2)
    generation(host.envs, "lab", THREE, made=3, complete=False)
    (host.envs / "lab").symlink_to(f"_generations/lab/{ONE}")
    (prefix / "conda-meta/frozen").write_text('{"message": "no"}')
    found = host.one("lab")
    assert (found["prefix"], found["generation"], found["frozen"]) == (str(host.envs / "lab"), ONE, True)
    idle = {"current": False, "complete": True, "in_use": False}
    assert found["generations"] == [
        {**idle, "id": TWO},
        {**idle, "id": ONE, "current": True},
        {**idle, "id": THREE, "complete": False},
    ]
    assert [one["name"] for one in found["packages"]] == ["ours", "python"]
    line = host.ask()["table"][1]
    assert line == f"lab          3.11.8  2         1    {ONE}  2       conda-forge,private  frozen"


def test_a_link_to_elsewhere_is_no_generation(host: Host, tmp_path: Path) -> None:
    generation(host.envs, "lab", ONE, made=1)
    environment(tmp_path / "elsewhere")
    (host.envs / "lab").symlink_to(tmp_path / "elsewhere")
    found = host.one("lab")
    assert (found["generation"], [one["current"] for one in found["generations"]]) == ("", [False])
    assert host.ask()["table"][1].split() == ["lab", "3.11.8", "2", "1", "1", "conda-forge,private"]


def test_a_generation_that_a_process_uses(host: Host) -> None:
    old, new = (generation(host.envs, "lab", identity, made=made) for made, identity in enumerate((ONE, TWO)))
    (host.envs / "lab").symlink_to(new)
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, cwd=old, stdin=subprocess.PIPE) as child:
        found = host.one("lab")
        child.communicate()
    assert [(one["id"], one["in_use"]) for one in found["generations"]] == [(ONE, True), (TWO, False)]
    assert [one["in_use"] for one in host.one("lab")["generations"]] == [False, False]


def test_processes_are_looked_at_only_for_generations(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("all processes are looked at")

    monkeypatch.setattr(info, "paths_in_use", refuse)
    environment(host.envs / "lab")
    assert host.one("lab")["generations"] == []


def test_all_environments_and_nothing_else(host: Host) -> None:
    for name in ("b", "a", ".hidden", "_own"):
        environment(host.envs / name)
    (host.envs / "plain directory").mkdir()
    (host.envs / "file").touch()
    (host.envs / "dangling").symlink_to("nowhere")
    generation(host.envs, "never finished", ONE, made=1, complete=False)
    assert [found["name"] for found in host.ask()["environments"]] == ["a", "b"]
    assert [found["name"] for found in host.ask(names=["b", "a", "b"])["environments"]] == ["b", "a"]
    assert host.ask(names=[])["environments"] == []


def test_without_environments(host: Host) -> None:
    head = ["environment  python  packages  pip  generation  others  channels  notes"]
    for envs in (host.envs, host.envs / "missing"):
        result = host.ask(envs_dir=str(envs))
        assert (result["environments"], result["table"]) == ([], head)


def test_without_python(host: Host) -> None:
    package(host.envs / "tools", "jq", "1.7")
    bare = {"name": "bare", "version": "1", "build": "0"}  # a record that does not tell its channel
    (host.envs / "tools/conda-meta/bare-1-0.json").write_text(json.dumps(bare))
    found = host.one("tools")
    assert (found["python"], found["channels"], found["variables"], found["pip"]) == ("", [FORGE], [], [])
    assert host.ask()["table"][1].split() == ["tools", "2", "0", "conda-forge"]


def test_packages_may_be_left_out(host: Host) -> None:
    environment(host.envs / "lab")
    whole, short = host.ask(), host.ask(packages=False)
    assert set(whole["environments"][0]) - set(short["environments"][0]) == {"packages", "pip"}
    assert whole["table"] == short["table"]


def test_no_line_of_the_table_has_a_place_to_break(host: Host) -> None:
    prefix = generation(host.envs, "lab", ONE, made=1)
    (host.envs / "lab").symlink_to(prefix)
    (prefix / "conda-meta/frozen").touch()
    (prefix / "lib/ours").unlink()
    lines = host.ask(verify="files")["table"]
    assert [line for line in lines if re.search(r"\S \S", line)] == []


# ---------------------------------------------------------------- damage


def test_files_are_compared_on_request(host: Host) -> None:
    environment(host.envs / "lab")
    assert "faults" not in host.one("lab")
    assert host.one("lab", verify="files")["faults"] == []
    assert host.ask(verify="files")["table"][1].endswith("  sound")
    (host.envs / "lab/lib/python").write_text("pythoN")
    assert host.one("lab", verify="files")["faults"] == ["lib/python is changed (python)"]
    assert host.ask(verify="files")["table"][1].endswith("  damaged:1")
    (host.envs / "lab/lib/ours").unlink()
    (host.envs / "lab/conda-meta/frozen").touch()
    found = host.one("lab", verify="files")
    assert found["faults"] == ["lib/ours is missing (ours)", "lib/python is changed (python)"]
    assert host.ask(verify="files")["table"][1].endswith("  frozen,damaged:2")


def test_a_damaged_record_is_named(host: Host) -> None:
    environment(host.envs / "lab")
    (host.envs / "lab/conda-meta/ours-1.0-0.json").write_text("{")
    assert host.message().startswith(f"{host.envs}/lab/conda-meta/ours-1.0-0.json is not readable as JSON: ")


# ---------------------------------------------------------------- bad input


def test_names_without_an_environment(host: Host) -> None:
    below = f"names: below {host.envs} there is no environment"
    assert host.message(names=["x"]) == f"{below} x; there is none at all"
    for name in ("lab", "base"):
        environment(host.envs / name)
    assert (
        host.message(names=["x", "lab", "../envs/lab", "_own"]) == f"{below} x, ../envs/lab, _own; there are base, lab"
    )


def test_a_path_that_depends_on_the_current_directory(host: Host) -> None:
    assert host.message(envs_dir="envs") == "envs_dir: 'envs' is not an absolute path"


def test_a_path_with_odd_parts(host: Host) -> None:
    generation(host.envs, "lab", ONE, made=1)
    (host.envs / "lab").symlink_to(f"_generations/lab/{ONE}")
    (found,) = host.ask(envs_dir=f"{host.envs}/./x/..//")["environments"]
    assert (found["prefix"], found["generation"]) == (str(host.envs / "lab"), ONE)


def test_an_envs_dir_that_is_a_file(host: Host) -> None:
    shutil.rmtree(host.envs)
    host.envs.touch()
    assert host.message() == f"[Errno 20] Not a directory: '{host.envs}'"
