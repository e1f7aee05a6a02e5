# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Running conda and pip, and saying in one sentence why they failed.

Source: conda's documentation of its command line and of ``--json``; "Terms of Service" of the
conda-anaconda-tos plug-in.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .lock import Lock
from .match import redact
from .records import PackageRecord, parse_record

# What would change a decision behind the user's back: CI and JENKINS_URL make conda accept
# Terms of Service silently.
_REMOVED = frozenset(("CI", "JENKINS_URL", "CONDA_PLUGINS_AUTO_ACCEPT_TOS", "CONDARC", "PYTHONPATH", "PYTHONHOME"))
_PIP_REMOVED = frozenset(("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_USER"))
_URL = re.compile(r"(?:https?|file)://[^\s'\",;)\]]+")
_VIRTUAL = re.compile(r"(?<![A-Za-z0-9_])__[a-z][a-z0-9_]*")
_CONTRADICTION = "the packages contradict each other"
_LAST_LINES = 5
_QUIET = ("--disable-pip-version-check", "--no-input")
_IMPORT = """
import importlib, sys
failed = False
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed = True
        print(f"{name}: {type(error).__name__}: {error}".replace("\\n", " "))
sys.exit(failed)
"""

Done = subprocess.CompletedProcess


class RunError(Exception):
    """A command failed; the message is one sentence, ``details`` hold its output."""

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details or {}


@dataclass(frozen=True)
class Solution:
    """What conda has done, or in a dry run would do."""

    link: tuple[PackageRecord, ...] = ()
    unlink: tuple[str, ...] = ()


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy without the variables that would change what conda does."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _REMOVED and not name.startswith("CONDA_PREFIX")
    }


@dataclass(frozen=True)
class Conda:
    """The conda command; ``keep_open`` are descriptors that its processes keep."""

    executable: str
    keep_open: tuple[int, ...] = ()

    def available(self) -> bool:
        """Whether the command is there."""
        return os.access(self.executable, os.X_OK) and os.path.isfile(self.executable)

    def solve(
        self, command: str, prefix: str, arguments: Sequence[str], channels: Sequence[str], *, dry_run: bool
    ) -> Solution:
        """Run ``conda create|install|remove`` on a prefix; RunError when it fails."""
        self._require()
        options = ["--override-channels"] if channels else []
        options += [word for channel in channels for word in ("-c", channel)]
        options += ["--no-default-packages"] if command == "create" else []
        options += ["--dry-run"] if dry_run else []
        done = self._run([command, "-y", "--json", "-p", prefix, *options, *arguments])
        return read_answer(f"conda {command}", done, channels)

    def install(self, prefix: str, lock: Lock, specs: tuple[str, ...]) -> None:
        """Make a new environment of exactly the packages of a lock; RunError when it fails.

        conda compares every download with its sha256, and every file that it links with its package's list.
        """
        self._require()
        with tempfile.TemporaryDirectory(prefix="pystack-") as directory:
            path = os.path.join(directory, "explicit.txt")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(lock.text())
            safely = {"CONDA_SAFETY_CHECKS": "enabled", "CONDA_EXTRA_SAFETY_CHECKS": "true"}
            done = self._run(["create", "-y", "--json", "-p", prefix, "--file", path], safely)
        if done.returncode:  # of success an explicit installation says nothing
            read_answer("conda create", done, lock.channels())

    def _require(self) -> None:
        if not self.available():
            raise RunError(f"conda_executable: '{self.executable}' is not there or not executable; install conda first")

    def _run(self, arguments: Sequence[str], more: Mapping[str, str] | None = None) -> Done[str]:
        """Run conda without the personal configuration of whoever runs it: an environment of the host depends
        on the host's configuration only. Credentials in ~/.netrc count."""
        with tempfile.TemporaryDirectory(prefix="pystack-home-") as home:
            environment = {**clean_environment(os.environ), "HOME": home, **(more or {})}
            environment.pop("XDG_CONFIG_HOME", None)
            netrc = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
            if os.path.exists(netrc):
                environment["NETRC"] = netrc
            return _run([self.executable, *arguments], environment, self.keep_open)

    def check_pip(self, prefix: str) -> None:
        """Let pip compare what the installed distributions need with what there is; RunError naming what is not."""
        done = _run([f"{prefix}/bin/python", "-m", "pip", "check", *_QUIET], _pip_environment(), self.keep_open)
        if done.returncode:
            reason = "; ".join(line.strip() for line in done.stdout.splitlines() if line.strip())
            raise RunError(f"pip check failed: {redact(reason) or _last_lines(done)}", _details(done))

    def check_imports(self, prefix: str, modules: Sequence[str]) -> None:
        """Import modules in one process of the environment's Python; RunError naming those that fail."""
        done = _run([f"{prefix}/bin/python", "-I", "-c", _IMPORT, *modules], _pip_environment(), self.keep_open)
        if done.returncode:
            reason = "; ".join(line for line in done.stdout.splitlines() if line) or _last_lines(done)
            raise RunError(f"imports failed: {redact(reason)}", _details(done))

    def pip(self, prefix: str, arguments: Sequence[str]) -> str:
        """What the environment's own pip answers, with no user site in its way; RunError when it fails."""
        command, *rest = arguments
        done = _run([f"{prefix}/bin/python", "-m", "pip", command, *_QUIET, *rest], _pip_environment(), self.keep_open)
        if done.returncode:
            raise RunError(f"pip {command} failed: {_pip_reason(done)}", _details(done))
        return done.stdout


def _pip_environment() -> dict[str, str]:
    base = clean_environment(os.environ)
    environment = {name: value for name, value in base.items() if name not in _PIP_REMOVED}
    return {**environment, "PYTHONNOUSERSITE": "1", "PIP_USER": "0"}


def _run(command: Sequence[str], environment: Mapping[str, str], keep_open: tuple[int, ...]) -> Done[str]:
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=keep_open,
            check=False,
        )
    except OSError as error:
        raise RunError(f"{command[0]} cannot be started: {error.strerror}") from error


def read_answer(command: str, done: Done[str], channels: Sequence[str]) -> Solution:
    """Turn conda's answer into a Solution; RunError with one clear sentence otherwise."""
    answer = _json(done.stdout)
    if done.returncode == 0 and answer is not None and "error" not in answer:
        return _solution(answer)
    raise RunError(f"{command} failed: {_reason(answer, done, channels)}", _details(done))


def _json(text: str) -> dict[str, Any] | None:
    """The answer on stdout, even when something was printed before it."""
    start = re.search(r"^\{", text, re.MULTILINE)
    try:
        answer = json.loads(text[start.start() :]) if start else None
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _solution(answer: Mapping[str, Any]) -> Solution:
    actions = answer.get("actions") or {}
    steps = actions if isinstance(actions, list) else [actions]
    link = tuple(parse_record(found, "conda's answer") for step in steps for found in step.get("LINK") or ())
    unlink = tuple(str(found["name"]) for step in steps for found in step.get("UNLINK") or ())
    return Solution(link, unlink)


def _reason(answer: Mapping[str, Any] | None, done: Done[str], channels: Sequence[str]) -> str:
    if done.returncode < 0:
        return f"it was killed by signal {-done.returncode}"
    if answer is None:
        return f"exit code {done.returncode}, and no answer in JSON; {_last_lines(done) or 'it printed nothing'}"
    message = redact(" ".join(str(answer.get("message") or answer.get("error") or "no message").split()))
    name = str(answer.get("exception_name") or "")
    if name.startswith("PackagesNotFound"):
        return _not_found(answer, message, channels)
    if "Unsatisfiable" in name:
        return f"{_contradiction(message)}; the solver says: {message}"
    if name.startswith("CondaToS"):
        return _terms(message)
    return f"{name}: {message}" if name else message


def _contradiction(message: str) -> str:
    """Packages whose names begin with two underscores describe the host."""
    host = ", ".join(sorted(set(_VIRTUAL.findall(message))))
    return f"{_CONTRADICTION}, or need another host ({host})" if host else _CONTRADICTION


def _not_found(answer: Mapping[str, Any], message: str, channels: Sequence[str]) -> str:
    packages = ", ".join(str(package) for package in answer.get("packages") or ())
    if not packages:
        return message
    places = answer.get("channel_urls") or channels
    where = redact(", ".join(map(str, places))) or "the channels that conda is configured with"
    return f"no package matches {packages} in {where}"


def _terms(message: str) -> str:
    channels = list(dict.fromkeys(url.rstrip(".") for url in _URL.findall(message)))
    if not channels:
        return f"a channel wants its Terms of Service accepted first: {message}"
    commands = "; ".join(f"conda tos accept --override-channels --channel {channel}" for channel in channels)
    return (
        f"Terms of Service have to be accepted first for {', '.join(channels)}. "
        f"Accept them deliberately ({commands}), or use other channels"
    )


def _pip_reason(done: Done[str]) -> str:
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    reason = " ".join(line[len("ERROR:") :].strip() for line in errors)
    return redact(reason) or f"exit code {done.returncode}; {_last_lines(done)}"


def _last_lines(done: Done[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return redact(" / ".join(lines[-_LAST_LINES:]))


def _details(done: Done[str]) -> dict[str, Any]:
    return {"rc": done.returncode, "stdout": redact(done.stdout), "stderr": redact(done.stderr)}
