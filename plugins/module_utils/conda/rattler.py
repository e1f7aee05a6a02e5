# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The fast engine: a lock's packages installed by py-rattler, which has a virtual environment of its own.

Source: py-rattler's documentation (https://conda.github.io/rattler/py-rattler/). What runs there is rattler_driver.py.
"""

from __future__ import annotations

import inspect
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import rattler_driver
from .lock import Lock
from .match import MatchSpec, redact
from .runner import Done, RunError, _details, _json, _last_lines, _run, clean_environment

_FIELDS = ("url", "sha256", "name", "version", "build", "channel", "subdir", "file_name")


@dataclass(frozen=True)
class Rattler:
    """py-rattler in ``<directory>/venv``, with the package cache ``<directory>/pkgs``; ``keep_open`` are descriptors
    that its processes keep."""

    directory: str
    keep_open: tuple[int, ...] = ()

    @property
    def python(self) -> str:
        """The Python that has py-rattler."""
        return os.path.join(self.directory, "venv", "bin", "python")

    def available(self) -> bool:
        """Whether the virtual environment is there."""
        return os.access(self.python, os.X_OK) and os.path.isfile(self.python)

    def install(self, prefix: str, lock: Lock, specs: Sequence[str]) -> None:
        """Make a new environment of exactly the packages of a lock; RunError when it fails.

        ``prefix`` does not exist yet, and what a failure leaves of it is not removed. Every archive is compared with
        its sha256, also in a local channel. ``specs`` are the declared specifications, for the environment's history.
        """
        if not self.available():
            raise RunError(
                f"rattler_dir: '{self.python}' is not there or not executable; "
                "the role conda_env makes it with conda_env_engine: rattler"
            )
        request = _request(prefix, os.path.join(self.directory, "pkgs"), lock, specs)
        with tempfile.TemporaryDirectory(prefix="pystack-") as private:
            program = _write(private, "rattler_driver.py", inspect.getsource(rattler_driver))
            asked = _write(private, "request.json", json.dumps(request))
            done = _run([self.python, "-I", program, asked], _environment(private), self.keep_open)
        reason = _reason(done)
        if reason:
            raise RunError(f"rattler install failed: {reason}", _details(done))


def _request(prefix: str, cache: str, lock: Lock, specs: Sequence[str]) -> dict[str, Any]:
    """What the driver is asked for; its documentation names the keys."""
    return {
        "prefix": prefix,
        "cache": cache,
        "packages": [{name: getattr(package, name) for name in _FIELDS} for package in lock.packages],
        "specs": list(specs),
        "requested": {MatchSpec.parse(spec).name: spec for spec in specs},
    }


def _write(directory: str, name: str, text: str) -> str:
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def _environment(home: str) -> dict[str, str]:
    """Without the personal configuration of whoever runs it, as conda gets it too; credentials in ~/.netrc count."""
    environment = {**clean_environment(os.environ), "HOME": home}
    environment.pop("XDG_CONFIG_HOME", None)
    netrc = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    return {**environment, "NETRC": netrc} if os.path.exists(netrc) else environment


def _reason(done: Done[str]) -> str:
    """Why it failed, nothing when it did not. After its answer the driver has nothing left to do."""
    answer = _json(done.stdout)
    if answer is not None:
        return redact(str(answer.get("error") or ""))
    if done.returncode < 0:
        return f"it was killed by signal {-done.returncode}"
    return f"exit code {done.returncode}, and no answer; {_last_lines(done) or 'it printed nothing'}"
