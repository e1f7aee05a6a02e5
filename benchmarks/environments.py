"""python -m benchmarks.environments [--runs N]: what locked environments cost, by engine.

All times are of the modules themselves, run on a container without Ansible's way there; only the roll-back is the whole
of its playbook, too. Figures go to standard output and .artifacts/bench-environments.md; nothing is asserted, machines
differ. With the offline kit `conda` is a stand-in that is built on py-rattler: its rows say little about conda.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils
import yaml

from tests.kit import images
from tests.kit.__main__ import ensure as ensure_kit
from tests.kit.__main__ import wants_upstream
from tests.kit.docker import docker
from tests.kit.paths import CACHE, ROOT

HERE = ROOT / ".cache" / "bench-environments"
HOST, NETWORK = "pystack-bench-environments", "pystack-kit"
ENVS, RATTLER, CONDA = "/opt/conda/envs", "/opt/conda/rattler", "/opt/miniconda3/bin/conda"
CACHES = {"conda": "/opt/conda/pkgs", "rattler": f"{RATTLER}/pkgs"}
MANY = 10
_RUN = """
import json, sys, time
started = time.monotonic()
from ansible.module_utils.testing import patch_module_args
import importlib
module = importlib.import_module("ansible_collections.pystack.infra.plugins.modules." + sys.argv[1])
with patch_module_args(json.loads(sys.stdin.read())):
    try:
        module.main()
    finally:
        print(time.monotonic() - started, file=sys.stderr)
"""
Result = dict[str, Any]


def boot() -> None:
    """A host with the collection, and with what Ansible puts beside a module."""
    target = HERE / "target"
    shutil.rmtree(target, ignore_errors=True)
    (target / "ansible").mkdir(parents=True)
    (target / "ansible/__init__.py").touch()
    shutil.copytree(Path(str(ansible.module_utils.__file__)).parent, target / "ansible/module_utils")
    docker("rm", "--force", "--volumes", HOST, check=False)
    docker(
        "run", "--detach", "--init", "--name", HOST, "--network", NETWORK, "--tmpfs", "/opt:exec,mode=755",
        "--volume", f"{ROOT}:/repo:ro", "--volume", f"{target}:/target:ro", images.IMAGES["deb12"].tag,
        "sleep", "infinity",
    )  # fmt: skip


def playbook(name: str, tasks: list[Result], **variables: Any) -> float:
    """Seconds of a play of our roles on the host. Raises RuntimeError when it fails, naming its log."""
    folder = HERE / "plays"
    folder.mkdir(parents=True, exist_ok=True)
    play = {"name": name, "hosts": "jupyter", "gather_facts": False, "tasks": tasks}
    (folder / f"{name}.json").write_text(json.dumps([play]))
    return ansible_playbook(folder / f"{name}.json", variables)


def ansible_playbook(path: Path, variables: Result) -> float:
    inventory = HERE / "hosts.yml"
    host = {"ansible_connection": "community.docker.docker", "ansible_user": "root"}
    inventory.write_text(yaml.safe_dump({"jupyter": {"hosts": {HOST: host}}}))
    log = ROOT / ".artifacts" / f"bench-{path.stem}.log"
    command = ["ansible-playbook", str(path), "-i", str(CACHE / "inventory"), "-i", str(inventory)]
    command += ["--extra-vars", json.dumps(variables)]
    started = time.monotonic()
    with log.open("w") as output:
        code = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise RuntimeError(f"{path.stem} failed, see {log}")
    return time.monotonic() - started


def module(name: str, **arguments: Any) -> tuple[Result, float]:
    """Result and seconds of one of our modules, its imports included. Raises RuntimeError when it fails."""
    done = subprocess.run(
        ["docker", "exec", "--interactive", "--env", "PYTHONPATH=/target:/repo/.ansible/collections", HOST,
         "python3", "-c", _RUN, name],
        input=json.dumps({"_ansible_check_mode": False, **arguments}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    if done.returncode or result.get("failed"):
        raise RuntimeError(f"{name}: {result.get('msg', done.stderr)}")
    return result, float(done.stderr.splitlines()[-1])


def prepare() -> None:
    """conda and rattler, by the roles."""
    role = {"ansible.builtin.include_role": {"name": "pystack.infra.miniconda"}}
    copy = {"ansible.builtin.copy": {"src": "/etc/ssl/certs/ca-certificates.crt", "dest": "/etc/controller-ca.crt"}}
    pip = {"ansible.builtin.copy": {"content": "[global]\ncert = /etc/controller-ca.crt\n", "dest": "/etc/pip.conf"}}
    rattler = {"ansible.builtin.include_role": {"name": "pystack.infra.conda_env"}}
    playbook("prepare", [copy, pip, role, rattler], conda_env_engine="rattler", conda_env_lock_mode="none")


def declared(*changes: str) -> Result:
    """The book's environment; changes replace packages of the same name."""
    inventory = yaml.safe_load((ROOT / "inventories/cloud/group_vars/all/environments.yml").read_text())
    (book,) = inventory["conda_env_environments"]
    names = {change.partition("=")[0] for change in changes}
    packages = [package for package in book["packages"] if package not in names]
    return {"name": "book", "python": book["python"], "packages": [*packages, *changes], "channels": ["conda-forge"]}


class Bench:
    """The measurements; times are collected by the name of their row."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.locks: dict[str, Result] = {}
        self.size = 0

    def add(self, row: str, seconds: float) -> None:
        self.times.setdefault(row, []).append(seconds)

    def lock(self) -> None:
        for name, environment in (("new", declared()), ("old", declared("openpyxl=3.1.2"))):
            result, _ = module("conda_lock", environments=[environment], envs_dir=ENVS, conda_executable=CONDA)
            self.locks[name] = {"path": name, "text": result["locks"][0]["text"]}
            self.size = result["locks"][0]["packages"]

    def environments(self, environments: list[Result], lock: Result | None, engine: str, drift: str = "fast") -> float:
        locks = {environment["name"]: lock for environment in environments} if lock else {}
        _, seconds = module(
            "conda_env", environments=environments, locks=locks, engine=engine, rattler_dir=RATTLER, envs_dir=ENVS,
            kernels_dir="/opt/kernels", conda_executable=CONDA, drift_check=drift,
        )  # fmt: skip
        return seconds

    def remove(self, *names: str) -> None:
        module(
            "conda_env", environments=[{"name": name, "state": "absent"} for name in names], envs_dir=ENVS,
            kernels_dir="/opt/kernels", conda_executable=CONDA,
        )  # fmt: skip

    def by_engine(self, engine: str) -> None:
        """Cold, warm, one package, back, of one engine."""
        docker("exec", HOST, "sh", "-c", f"rm -rf {CACHES[engine]}/*")
        self.add(f"{engine}: create, nothing in the cache", self.environments([declared()], self.locks["new"], engine))
        self.remove("book")
        self.add(f"{engine}: create, all in the cache", self.environments([declared()], self.locks["new"], engine))
        old = declared("openpyxl=3.1.2")
        self.environments([old], self.locks["old"], engine)
        self.remove("book")
        self.environments([declared()], self.locks["new"], engine)
        self.add(f"{engine}: change one package", self.environments([old], self.locks["old"], engine))
        _, seconds = module("conda_env_rollback", envs_dir=ENVS, kernels_dir="/opt/kernels")
        self.add("roll-back, the module", seconds)
        self.environments([old], self.locks["old"], engine)
        whole = ansible_playbook(ROOT / "playbooks/rollback.yml", {"conda_env_envs_dir": ENVS})
        self.add("roll-back, the whole playbook", whole)
        self.remove("book")

    def nothing_to_do(self) -> None:
        many = [{**declared(), "name": f"book{number}"} for number in range(MANY)]
        self.environments(many, self.locks["new"], "rattler")
        for drift, what in (("fast", "every file looked at"), ("none", "files not looked at")):
            seconds = self.environments(many, self.locks["new"], "rattler", drift)
            self.add(f"nothing to do in {MANY} locked environments, {what}", seconds)
        self.remove(*(environment["name"] for environment in many))

    def in_place(self) -> None:
        """Without a lock: solved, then nothing to do."""
        self.add(
            "conda without a lock: solve and create, all in the cache", self.environments([declared()], None, "conda")
        )
        self.add("nothing to do in 1 environment without a lock", self.environments([declared()], None, "conda"))
        self.remove("book")

    def table(self) -> str:
        rows = [
            f"| {row} | {statistics.median(times):.2f} s | {', '.join(f'{seconds:.2f}' for seconds in times)} |"
            for row, times in self.times.items()
        ]
        head = [f"The book's environment has {self.size} conda packages.", "", "| what | median | single runs |"]
        return "\n".join([*head, "| --- | --- | --- |", *rows, ""])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environments", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    choice = os.environ.get("PYSTACK_UPSTREAM", "0")
    ensure_kit(choice, el9=False)
    (ROOT / ".artifacts").mkdir(exist_ok=True)
    bench = Bench()
    boot()
    try:
        prepare()
        bench.lock()
        parts: list[Callable[[], None]] = [
            lambda: bench.by_engine("conda"), lambda: bench.by_engine("rattler"), bench.nothing_to_do, bench.in_place,
        ]  # fmt: skip
        for number in range(1, runs + 1):
            print(f"run {number} of {runs}", file=sys.stderr, flush=True)
            for part in parts:
                part()
    finally:
        docker("rm", "--force", "--volumes", HOST, check=False)
    kit = "" if wants_upstream(choice) else "conda here is the offline kit's stand-in, which is built on py-rattler.\n"
    text = f"{kit}{bench.table()}"
    (ROOT / ".artifacts/bench-environments.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
