# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""A small world: a fake conda with a few packages, directories of its own, and the real module."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.pystack.infra.plugins.module_utils import conda
from ansible_collections.pystack.infra.plugins.modules import conda_env, conda_lock

Result = dict[str, Any]
PACKAGE_DIRECTORY = Path(str(conda.__file__)).parent
COLLECTIONS = str(Path(__file__).parents[3] / ".ansible" / "collections")
CHANNEL = "https://conda.example/conda-forge/linux-64"
RUN_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.pystack.infra.plugins.modules import conda_env
with patch_module_args(json.loads(sys.argv[1])):
    conda_env.main()
"""


def package(name: str, version: str, *depends: str) -> Result:
    build = f"py311_{version.replace('.', '')}" if depends else "h1_0"
    values = {"name": name, "version": version, "build": build, "build_number": 0}
    url = f"{CHANNEL}/{name}-{version}-{build}.conda"
    file = {"url": url, "sha256": hashlib.sha256(url.encode()).hexdigest()}
    return {**values, **file, "channel": CHANNEL, "subdir": "linux-64", "depends": list(depends)}


PACKAGES = [
    package("openssl", "3.3.0"),
    package("python", "3.10.9", "openssl"),
    package("python", "3.11.8", "openssl >=3"),
    package("python", "3.12.1", "openssl >=3"),
    package("pip", "24.0", "python"),
    package("numpy", "1.26.4", "python"),
    package("numpy", "2.0.1", "python"),
    package("pandas", "2.2.0", "numpy >=1.26", "python"),
    package("ipykernel", "6.29.0", "python", "pip"),
]


class World:
    """Paths, the fake's database, and runs of the module."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.capsys = capsys
        self.envs = root / "envs"
        self.kernels = root / "kernels"
        self.tools = root / "tools"
        self.tools.mkdir()
        self.conda = self.tools / "conda"
        start = "import sys; sys.path.insert(0, {!r}); import fake_conda; fake_conda.main(sys.argv[1:])"
        self.conda.write_text(f"#!{sys.executable} -IS\n{start.format(str(Path(__file__).parent))}\n")
        self.conda.chmod(0o755)
        self.db: Result = {"packages": list(PACKAGES), "module_utils": str(PACKAGE_DIRECTORY.parent)}
        self.misbehave()

    def offer(self, name: str, version: str, *depends: str) -> None:
        """Add a package to the channel."""
        self.db["packages"].append(package(name, version, *depends))
        self.misbehave()

    def misbehave(self, **how: Any) -> None:
        """Write the fake's database with the given misbehaviour, or with none."""
        (self.tools / "db.json").write_text(json.dumps(self.db | how))

    def arguments(self, *environments: Any, **options: Any) -> Result:
        paths = {"envs_dir": str(self.envs), "kernels_dir": str(self.kernels), "conda_executable": str(self.conda)}
        own = {key: options.pop(key) for key in list(options) if key in ("check", "diff")}
        flags = {"_ansible_check_mode": own.get("check", False), "_ansible_diff": True}
        return {"environments": list(environments), **paths, **options, **flags}

    def run(self, *environments: Any, **options: Any) -> Result:
        """Run the real module in this process and give its result."""
        self.capsys.readouterr()
        with patch_module_args(self.arguments(*environments, **options)), pytest.raises(SystemExit):
            conda_env.main()
        result: Result = json.loads(self.capsys.readouterr().out)
        return result

    def other(self, module: Any, **options: Any) -> Result:
        """Run another module of the collection, with the world's paths and the options given."""
        self.capsys.readouterr()
        flags = {"_ansible_check_mode": options.pop("check", False), "_ansible_diff": True}
        with patch_module_args({"envs_dir": str(self.envs), **options, **flags}), pytest.raises(SystemExit):
            module.main()
        result: Result = json.loads(self.capsys.readouterr().out)
        return result

    def lock(self, *environments: Result, **options: Any) -> Result:
        """The option ``locks`` with fresh locks of environments."""
        result = self.other(
            conda_lock, environments=list(environments), conda_executable=str(self.conda), update=True, **options
        )
        assert not result.get("failed"), result
        return {lock["name"]: {"path": f"locks/{lock['file']}", "text": lock["text"]} for lock in result["locks"]}

    def one(self, *environments: Any, **options: Any) -> Result:
        """Run for one environment, demand success, and give its entry."""
        result = self.run(*environments, **options)
        assert not result.get("failed"), result
        entry: Result = result["environments"][0]
        assert entry["changed"] == result["changed"]
        return entry

    def start(self, *environments: Any, **options: Any) -> subprocess.Popen[str]:
        """Run the module in a process of its own."""
        text = json.dumps(self.arguments(*environments, **options))
        path = os.pathsep.join(filter(None, (COLLECTIONS, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.Popen(
            [sys.executable, "-c", RUN_MODULE, text],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def calls(self) -> list[list[str]]:
        """The calls of conda since the last question."""
        return [call["argv"] for call in self.calls_with_environment()]

    def calls_with_environment(self) -> list[Result]:
        log = self.tools / "calls.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def pip_calls(self) -> list[str]:
        """The calls of pip since the last question."""
        log = self.tools / "pip.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def tree(self) -> dict[str, tuple[int, int, bytes]]:
        """Everything below the root but the tools: mode, time of change, content."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if self.tools not in (path, *path.parents):
                about = path.lstat()
                content = path.read_bytes() if path.is_file() else b""
                found[str(path.relative_to(self.root))] = (about.st_mode, about.st_mtime_ns, content)
        return found

    def state(self, name: str) -> Result:
        result: Result = json.loads((self.envs / ".pystack" / f"{name}.json").read_text())
        return result


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("HOME", str(tmp_path))
    mask = os.umask(0o077)  # the module has to set its own
    yield World(tmp_path, capsys)
    os.umask(mask)
