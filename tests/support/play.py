"""One role of this collection alone in a playbook of somebody else's, run from within a scenario's tests.

It runs on one host, the one that the test looks at. That host comes from Molecule's inventory
(MOLECULE_INVENTORY_FILE), what the offline kit offers from its own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kit.paths import BASE_URL, CACHE
from tests.support.hosts import Host

KIT = CACHE / "inventory"
#: Where the kit has conda's channels and the installers.
CHANNELS, INSTALLERS = f"{BASE_URL}/api/conda", f"{BASE_URL}/ext-miniforge"
_TIMEOUT_S = 300
_CHANGED = re.compile(r"^\S+ +: ok=\d+ +changed=(\d+)", re.MULTILINE)

_ENVIRONMENT = {
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_NOCOLOR": "1",
    # Facts are gathered once for all runs.
    "ANSIBLE_CACHE_PLUGIN": "jsonfile",
    "ANSIBLE_CACHE_PLUGIN_CONNECTION": "${MOLECULE_EPHEMERAL_DIRECTORY}/facts",
}

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """Exit code of ansible-playbook, what it printed, and how many tasks changed something."""

    code: int
    output: str = field(repr=False)
    changed: int

    def says(self, *sentences: str) -> bool:
        """Whether all sentences were printed, wherever the lines were broken."""
        text = " ".join(self.output.split())
        return all(sentence in text for sentence in sentences)


@dataclass(frozen=True)
class Options:
    """How a role is run: Ansible's own options, and further arguments of ansible-playbook."""

    check: bool = False
    diff: bool = False
    tasks_from: str = "main"
    more: tuple[str, ...] = ()
    #: Environment variables of the role's tasks on the host.
    environment: Variables = field(default_factory=dict)
    #: Where the host is looked up; Molecule's inventory when left out.
    inventory: Path | None = None

    def arguments(self) -> list[str]:
        return ["--check"] * self.check + ["--diff"] * self.diff + list(self.more)


class Run:
    """A run that is under way."""

    def __init__(self, host: Host, role: str, variables: Variables, options: Options) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pystack-play-")
        folder = Path(self._folder.name)
        # Variables on the command line outrank every inventory.
        (folder / "variables.json").write_text(json.dumps(dict(variables)))
        include = {"name": f"pystack.infra.{role}", "tasks_from": options.tasks_from}
        # The tag lets a run with --tags reach the role's own.
        task = {"name": f"Include {role}", "ansible.builtin.include_role": include, "tags": ["always"]}
        play = {
            **{"name": role, "hosts": host.backend.name, "become": True, "gather_facts": False},
            **{"environment": dict(options.environment), "tasks": [task]},
        }
        (folder / "play.json").write_text(json.dumps([play]))
        command = ["ansible-playbook", str(folder / "play.json"), "--extra-vars", f"@{folder / 'variables.json'}"]
        command += ["--inventory", str(KIT), "--inventory", str(options.inventory or inventory()), *options.arguments()]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **_ENVIRONMENT}, start_new_session=True,
        )  # fmt: skip

    def wait(self) -> Result:
        """The result once it has ended."""
        with self._folder:
            output, _ = self._process.communicate(timeout=_TIMEOUT_S)
        recap = _CHANGED.search(output)
        return Result(self._process.returncode, output, int(recap[1]) if recap else 0)

    def kill(self) -> None:
        """End ansible-playbook and its workers as a crash of the controller would: at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()


def inventory() -> Path:
    """The inventory of the scenario that is being verified."""
    return Path(os.environ["MOLECULE_INVENTORY_FILE"])


def start(host: Host, role: str, variables: Variables, **options: Any) -> Run:
    """Begin to run one role on a host. options: those of `Options`."""
    return Run(host, role, variables, Options(**options))


def play(host: Host, role: str, variables: Variables, **options: Any) -> Result:
    """Run one role on a host. options: those of `Options`."""
    return start(host, role, variables, **options).wait()


def kit_variables() -> dict[str, Any]:
    """What the offline kit's inventory says."""
    return dict(yaml.safe_load((KIT / "group_vars" / "all.yml").read_text()))


# Sends a signal to every process that has a file open, as soon as other files have appeared.
_SIGNAL_HOLDERS = """
import os, pathlib, sys, time
number, lock, *signs = sys.argv[1:]
deadline = time.monotonic() + 60
while not all(map(os.path.exists, signs)):
    if time.monotonic() > deadline:
        sys.exit(f"{signs} did not appear")
    time.sleep(0.001)
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if any(str(entry.readlink()) == lock for entry in process.joinpath("fd").iterdir()):
            os.kill(int(process.name), int(number))
    except (FileNotFoundError, ProcessLookupError):
        pass
"""


def kill_when(host: Host, run: Run, *, lock: str, signs: Sequence[str]) -> None:
    """Kill a run, and on the host whatever holds the run's lock, as soon as files have appeared there.

    The processes on the host are stopped first, so that they can neither go on nor answer the controller.
    """
    program = f"python3 -c {shlex.quote(_SIGNAL_HOLDERS)}"
    host.check_output(f"{program} {signal.SIGSTOP.value} {lock} {' '.join(signs)}")
    run.kill()
    host.check_output(f"{program} {signal.SIGKILL.value} {lock}")
