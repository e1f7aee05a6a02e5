"""What runs on hosts, on a host that has CPython 3.9: every file, its unit tests, and every module through Ansible.

The host is Debian 11, the last release with this Python; RHEL 9 has the same one. When Debian's mirror no longer has
that release, and the image is not there either, these tests are skipped: name an image in PY39_IMAGE then.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible.module_utils
import argon2
import pytest

from tests.kit import images
from tests.kit.docker import docker
from tests.support.pki import issue
from tests.support.target_side import ROOT, dotted, imported, target_side

IMAGE = images.Image(
    "py39", "bullseye", ("python3-argon2", "python3-cryptography", "python3-hypothesis", "python3-pytest")
)
HOST = "pystack-py39"
PASSWORD = "correct horse battery staple"
OLD = "/usr/bin/python3"
Result = dict[str, Any]


def mirror_has(suite: str) -> bool:
    """Whether the mirror that mmdebstrap takes has a release of Debian. Raises RuntimeError when it does not answer."""
    mirror = filter(None, [os.environ.get("KIT_DEBIAN_MIRROR")])
    done = subprocess.run(
        ["mmdebstrap", "--simulate", "--variant=extract", suite, "/dev/null", *mirror],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode and not re.search(rf"^Err:\d+ \S+ {suite}\S* Release\n +404 ", done.stdout, re.MULTILINE):
        raise RuntimeError(f"mmdebstrap failed:\n{done.stdout[-2000:]}")
    return done.returncode == 0


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A container with Python 3.9: the repository in /repo, and in /target what Ansible puts beside modules."""
    try:
        images.ensure(IMAGE, print)
    except RuntimeError:
        if shutil.which("mmdebstrap") and not mirror_has(IMAGE.suite):
            pytest.skip(f"Debian's mirror no longer has {IMAGE.suite}, the last release with Python 3.9")
        raise
    target = tmp_path_factory.mktemp("target")
    (target / "ansible").mkdir()
    (target / "ansible/__init__.py").touch()
    shutil.copytree(Path(str(ansible.module_utils.__file__)).parent, target / "ansible/module_utils")
    docker("rm", "--force", HOST, check=False)
    docker(
        "run", "--detach", "--init", "--name", HOST, "--network", "none",
        "--volume", f"{ROOT}:/repo:ro", "--volume", f"{target}:/target:ro", "--workdir", "/repo",
        "--env", "PYTHONDONTWRITEBYTECODE=1", "--env", "HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis",
        IMAGE.tag, "sleep", "infinity",
    )  # fmt: skip
    yield HOST
    docker("rm", "--force", HOST)


def execute(host: str, *command: str, path: str = "/target:/repo/.ansible/collections") -> str:
    """Output of a command on the host. Its failure fails the test, with the end of what it said."""
    done = subprocess.run(
        ["docker", "exec", "--env", f"PYTHONPATH={path}", host, *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(command)[:200]} ended with {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def write(host: str, path: str, content: str, mode: str = "0644") -> None:
    command = ["docker", "exec", "--interactive", host, "install", "-D", "-m", mode, "/dev/stdin", path]
    subprocess.run(command, input=content, text=True, check=True)


def tasks(host: str, tmp_path: Path, *wanted: tuple[str, Result, dict[str, Any]]) -> list[Result]:
    """Run modules of ours on the host as a play does: name, arguments, and further keywords of each task.

    Returns their results in order, those of failures as well.
    """
    rows = [{f"pystack.infra.{name}": arguments, "ignore_errors": True, **more} for name, arguments, more in wanted]
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": rows}]))
    # The answer is read as JSON, whatever the configuration of the checkout shows people.
    configuration = tmp_path / "ansible.cfg"
    configuration.write_text(
        f"[defaults]\ncollections_path = {ROOT}/.ansible/collections\nstdout_callback = ansible.posix.json\n"
    )
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")), str(playbook), "--inventory", f"{host},",
            "--connection", "community.docker.docker", "--extra-vars", f"ansible_python_interpreter={OLD}",
        ],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "ANSIBLE_CONFIG": str(configuration)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    results: list[Result] = [task["hosts"][host] for task in json.loads(done.stdout)["plays"][0]["tasks"]]
    return results


# ---------------------------------------------------------------- files


def test_the_host_has_python_3_9(host: str) -> None:
    assert execute(host, OLD, "-V").startswith("Python 3.9.")


_LOAD = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert "site-packages" not in str(sys.path) and "dist-packages" not in str(sys.path), sys.path
print(len(sys.argv) - 1)
"""


def test_every_file_loads_with_the_standard_library_alone(host: str) -> None:
    names = [dotted(path) for path in target_side()]
    # -S: without Debian's own packages.
    assert execute(host, OLD, "-S", "-c", _LOAD, *names).split() == [str(len(names))]


def test_every_file_compiles_without_a_warning(host: str) -> None:
    files = [f"/repo/{path.relative_to(ROOT)}" for path in target_side()]
    check = "import pathlib, sys; [compile(pathlib.Path(name).read_bytes(), name, 'exec') for name in sys.argv[1:]]"
    assert execute(host, OLD, "-W", "error", "-c", check, *files) == ""


# ---------------------------------------------------------------- unit tests


def unit_tests() -> list[str]:
    """Files of unit tests that import, by themselves or by the conftest beside them, target-side code and no other."""
    hosts = set(target_side())
    found = []
    for path in sorted((ROOT / "tests/unit").rglob("test_*.py")):
        asked = imported(path)
        conftest = path.with_name("conftest.py")
        if conftest.is_file():
            asked |= imported(conftest)
        if asked and asked <= hosts:
            found.append(str(path.relative_to(ROOT)))
    return found


def functions_in(file: str) -> int:
    """How many of a file's tests are for hosts."""
    tree = ast.parse((ROOT / file).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return sum("controller" not in "".join(map(ast.unparse, node.decorator_list)) for node in functions)


def test_unit_tests_of_what_runs_on_hosts_pass_there(host: str) -> None:
    files = unit_tests()
    known = {f"tests/unit/{name}.py" for name in ("test_pem", "test_jupyter_password", "conda/test_conda_env")}
    assert known < set(files)
    output = execute(host, OLD, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not controller", *files)
    last = output.strip().splitlines()[-1]
    passed = re.search(r"(\d+) passed", last)
    # Parameters make more of them.
    assert passed and int(passed[1]) >= sum(map(functions_in, files)), output[-2000:]
    assert not re.search(r"failed|error|skipped", last), output[-2000:]


# ---------------------------------------------------------------- every module, through Ansible


def test_every_module_is_tried_below() -> None:
    source = Path(__file__).read_text()
    assert [path.stem for path in ROOT.glob("plugins/modules/*.py") if f'("{path.stem}", ' not in source] == []


def test_ca_certificates(host: str, tmp_path: Path) -> None:
    authority = issue("An authority", ca=True)
    execute(host, "rm", "-rf", "/srv/ca")
    arguments = {
        "bundles": [{"name": "bank", "content": authority.pem}],
        "directory": "/srv/ca/ours",
        "system_bundle": "/srv/ca/bundle.crt",
        "refresh_command": ["sh", "-c", "find /srv/ca/ours -name '*.crt' -exec cat {} + > /srv/ca/bundle.crt"],
    }
    present = ("ca_certificates", arguments)
    first, second = tasks(host, tmp_path, (*present, {}), (*present, {}))
    assert (first["changed"], first["refreshed"], len(first["written"])) == (True, True, 1)
    assert second["changed"] is False
    assert execute(host, "cat", "/srv/ca/bundle.crt") == authority.pem
    (last,) = tasks(host, tmp_path, ("ca_certificates", {**arguments, "bundles": []}, {}))
    assert (last["changed"], last["removed"]) == (True, first["written"])
    assert execute(host, "find", "/srv/ca", "-type", "f", "-printf", "%s %p\n") == "0 /srv/ca/bundle.crt\n"


_FAKE_CONDA = f"""#!{OLD} -IS
import sys
sys.path.insert(0, "/repo/tests/unit/conda")
import fake_conda
fake_conda.main(sys.argv[1:])
"""


def fake_conda(host: str) -> dict[str, str]:
    """A conda with two packages on the host, and the arguments that lead the module conda_env to it."""
    channel = "https://conda.example/conda-forge/linux-64"
    packages: list[dict[str, Any]] = []
    for version in ("3.11.8", "3.12.1"):
        url = f"{channel}/python-{version}-h1_0.conda"
        python: dict[str, Any] = {
            **{"name": "python", "version": version, "build": "h1_0", "build_number": 0, "depends": []},
            **{
                "channel": channel,
                "subdir": "linux-64",
                "url": url,
                "sha256": hashlib.sha256(url.encode()).hexdigest(),
            },
        }
        packages.append(python)
    offer = {"packages": packages, "module_utils": "/repo/plugins/module_utils"}
    execute(host, "rm", "-rf", "/srv/conda")
    write(host, "/srv/conda/bin/conda", _FAKE_CONDA, "0755")
    write(host, "/srv/conda/bin/db.json", json.dumps(offer))
    return {
        "envs_dir": "/srv/conda/envs",
        "kernels_dir": "/srv/conda/kernels",
        "conda_executable": "/srv/conda/bin/conda",
    }


def test_conda_env(host: str, tmp_path: Path) -> None:
    paths = fake_conda(host)
    declared = {"name": "lab", "python": "3.11", "variables": {"KEY": "value"}, "channels": ["conda-forge"]}
    present = {**paths, "environments": [declared]}
    absent = {**paths, "environments": [{"name": "lab", "state": "absent"}]}
    results = tasks(
        host,
        tmp_path,
        ("conda_env", present, {"check_mode": True}),
        ("conda_env", present, {}),
        ("conda_env", present, {"check_mode": True}),
        ("conda_env", present, {}),
        ("conda_env", absent, {}),
    )
    assert [result.get("msg") for result in results if result.get("failed")] == []
    assert [result["environments"][0]["action"] for result in results] == ["create", "create", "none", "none", "remove"]
    assert [result["changed"] for result in results] == [True, True, False, False, True]
    assert execute(host, "find", "/srv/conda/envs", "-name", "lab*") == ""


def test_locked_environments(host: str, tmp_path: Path) -> None:
    paths = fake_conda(host)
    scratch = {key: paths[key] for key in ("envs_dir", "conda_executable")}
    place = {key: paths[key] for key in ("envs_dir", "kernels_dir")}
    declared = [{"name": "lab", "python": version, "channels": ["conda-forge"]} for version in ("3.11", "3.12")]
    solved = tasks(host, tmp_path, *(("conda_lock", {**scratch, "environments": [lab]}, {}) for lab in declared))
    assert [result.get("msg") for result in solved if result.get("failed")] == []
    locks = [{"lab": {"path": "lab.lock", "text": result["locks"][0]["text"]}} for result in solved]
    wanted = [{**paths, "environments": [lab], "locks": lock} for lab, lock in zip(declared, locks, strict=True)]
    results = tasks(
        host,
        tmp_path,
        ("conda_env", wanted[0], {}),
        ("conda_env", wanted[0], {}),
        ("conda_env", wanted[1], {"check_mode": True}),
        ("conda_env", wanted[1], {}),
        ("conda_env_rollback", place, {}),
        ("conda_env_info", {"envs_dir": paths["envs_dir"], "verify": "files"}, {}),
        ("conda_search", {"specs": ["nothing"], "conda_executable": "/srv/conda/bin/conda"}, {}),
    )
    *changes, back, found, search = results
    assert [result.get("msg") for result in (*changes, back, found) if result.get("failed")] == []
    assert [row["environments"][0]["action"] for row in changes] == ["create", "none", "update", "update"]
    first, second = (row["environments"][0]["generation"] for row in (changes[0], changes[-1]))
    assert (back["environments"][0]["from"], back["environments"][0]["to"]) == (second, first)
    (lab,) = found["environments"]
    assert (lab["generation"], lab["python"], lab["frozen"], lab["faults"]) == (first, "3.11.8", True, [])
    # The fake knows no search; that the module says so is enough here.
    assert search["failed"] and search["msg"].startswith("conda search failed")


@pytest.mark.parametrize("algorithm", ["argon2id", "sha256"])
def test_jupyter_password(host: str, tmp_path: Path, algorithm: str) -> None:
    execute(host, "rm", "-rf", "/srv/jupyter")
    execute(host, "mkdir", "/srv/jupyter")
    how = {"python": OLD} if algorithm == "argon2id" else {"algorithm": algorithm}
    arguments = {"path": "/srv/jupyter/config.json", "password": PASSWORD, "mode": "0640", **how}
    results = tasks(
        host,
        tmp_path,
        ("jupyter_password", arguments, {}),
        ("jupyter_password", arguments, {}),
        ("jupyter_password", {**arguments, "password": PASSWORD[::-1]}, {"check_mode": True}),
    )
    reasons = ["no password is set", "", "the password is another one"]
    assert [(result["reason"], result["changed"]) for result in results] == [(why, bool(why)) for why in reasons]
    hashed = json.loads(execute(host, "cat", "/srv/jupyter/config.json"))["PasswordIdentityProvider"]["hashed_password"]
    if algorithm == "sha256":
        name, salt, digest = hashed.split(":")
        assert (name, digest) == ("sha256", hashlib.sha256(f"{PASSWORD}{salt}".encode()).hexdigest())
    else:
        assert argon2.PasswordHasher().verify(hashed.removeprefix("argon2:"), PASSWORD)


_DOUBLE = """
import sys, time
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, "/repo")
from tests.support.jupyter_double import Behaviour, JupyterDouble
from tests.support.pki import issue
here = Path("/srv/verify")
(here / "server.pem").write_text(issue("localhost").server_pem)
with JupyterDouble(here / "server.pem", replace(Behaviour(), password=sys.argv[1])) as double:
    (here / "new").write_text(str(double.port))
    (here / "new").rename(here / "port")
    time.sleep(600)
"""


def test_jupyter_verify(host: str, tmp_path: Path) -> None:
    execute(host, "rm", "-rf", "/srv/verify")
    execute(host, "mkdir", "/srv/verify")
    docker("exec", "--detach", host, OLD, "-c", _DOUBLE, PASSWORD)
    wait = "for i in $(seq 300); do [ -e /srv/verify/port ] && exec cat /srv/verify/port; sleep 0.1; done; exit 1"
    port = int(execute(host, "sh", "-c", wait))
    arguments = {"port": port, "certificate": "/srv/verify/server.pem", "password": PASSWORD, "timeout": 10}
    good, closed = tasks(
        host,
        tmp_path,
        ("jupyter_verify", arguments, {}),
        ("jupyter_verify", {**arguments, "port": 1, "timeout": 0}, {}),
    )
    assert [row["ok"] for row in good["checks"]] == [True] * 5
    assert closed["failed"] is True
    assert closed["msg"].startswith("https://127.0.0.1:1/ does not serve: ")


# ---------------------------------------------------------------- the one reason to skip


def test_a_release_that_the_mirror_does_not_have_is_told_from_a_mirror_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not shutil.which("mmdebstrap"):
        pytest.skip("images are given, nothing is bootstrapped on this machine")
    assert not mirror_has("bullseye-of-no-release")
    monkeypatch.setenv("KIT_DEBIAN_MIRROR", "file:///nowhere")
    with pytest.raises(RuntimeError, match="mmdebstrap failed"):
        mirror_has("bullseye")
