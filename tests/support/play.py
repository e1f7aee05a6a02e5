"""One role of this collection alone in a playbook of somebody else's, run from within a scenario's tests.

The host comes from Molecule's inventory (MOLECULE_INVENTORY_FILE), what the offline kit offers from its own.
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

from tests.kit.paths import CACHE
from tests.support.hosts import Host

KIT = CACHE / "inventory"
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


class Run:
    """A run that is under way."""

    def __init__(
        self, inventory: Path, role: str, variables: Variables, *, options: list[str], tasks_from: str
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pystack-play-")
        folder = Path(self._folder.name)
        # Variables on the command line outrank every inventory.
        (folder / "variables.json").write_text(json.dumps(dict(variables)))
        task = {"ansible.builtin.include_role": {"name": f"pystack.infra.{role}", "tasks_from": tasks_from}}
        play = {"name": role, "hosts": "all", "gather_facts": False, "tasks": [{"name": f"Include {role}", **task}]}
        (folder / "play.json").write_text(json.dumps([play]))
        command = ["ansible-playbook", str(folder / "play.json"), "--extra-vars", f"@{folder / 'variables.json'}"]
        command += ["--inventory", str(KIT), "--inventory", str(inventory), *options]
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


def start(role: str, variables: Variables, *, check: bool = False, diff: bool = False, tasks_from: str = "main") -> Run:
    """Begin to run one role on the scenario's host."""
    options = ["--check"] * check + ["--diff"] * diff
    return Run(inventory(), role, variables, options=options, tasks_from=tasks_from)


def play(
    role: str, variables: Variables, *, check: bool = False, diff: bool = False, tasks_from: str = "main"
) -> Result:
    """Run one role on the scenario's host."""
    return start(role, variables, check=check, diff=diff, tasks_from=tasks_from).wait()


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
