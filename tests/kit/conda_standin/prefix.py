"""Environments on disk: where they are, what is installed in them, which ones are known."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from .channels import SUBDIR, alias, name_of
from .config import ROOT, absolute, envs_dirs, is_writable
from .errors import (
    CondaValueError,
    EnvironmentIsFrozenError,
    EnvironmentLocationNotFound,
    EnvironmentNameNotFound,
    EnvironmentNotWritableError,
)

BASE_NAMES = ("base", "root")


def is_environment(prefix: str) -> bool:
    meta = Path(prefix, "conda-meta")
    return (meta / "history").is_file() or any(meta.glob("*.json"))


def named(name: str) -> str:
    """The path of an environment by name; where it is to be created when there is none."""
    if name in BASE_NAMES:
        return ROOT
    if re.search(r"[/ :#]", name):
        raise CondaValueError(f"Invalid environment name: {name!r}\n  Characters not allowed: '/', ' ', ':', '#'")
    folders = envs_dirs()
    existing = (f"{folder}/{name}" for folder in folders if is_environment(f"{folder}/{name}"))
    writable = (f"{folder}/{name}" for folder in folders if is_writable(folder))
    return next(existing, None) or next(writable, f"{folders[0]}/{name}")


def located(name: str | None, prefix: str | None) -> str:
    """The path that -n or -p mean, or the active environment's."""
    if prefix:
        return absolute(prefix)
    return named(name) if name else os.environ.get("CONDA_PREFIX") or ROOT


def existing(name: str | None, prefix: str | None) -> str:
    """The same, where the environment has to exist."""
    path = located(name, prefix)
    if not is_environment(path):
        raise EnvironmentLocationNotFound(path)
    return path


def by_word(word: str) -> str:
    """An environment named by one word, a name or a path, as `activate` and `--clone` take it."""
    path = located(None, word) if "/" in word else named(word)
    if is_environment(path):
        return path
    raise EnvironmentLocationNotFound(path) if "/" in word else EnvironmentNameNotFound(word)


def check_changeable(prefix: str, override_frozen: bool = False) -> None:
    """Refuse to change an environment that is marked as frozen or belongs to another user."""
    frozen = Path(prefix, "conda-meta/frozen")
    if frozen.exists() and not override_frozen:
        try:
            reason = json.loads(frozen.read_text() or "{}").get("message", "")
        except ValueError:
            reason = ""
        raise EnvironmentIsFrozenError(
            f"Cannot change this environment, it is frozen: {prefix}\n{reason}", prefix=prefix
        )
    if is_environment(prefix) and not os.access(Path(prefix, "conda-meta"), os.W_OK):
        raise EnvironmentNotWritableError(f"The current user cannot write to {prefix}", environment_location=prefix)


def name_for(prefix: str) -> str:
    """The name to show: empty when the environment has only a path."""
    if prefix == ROOT:
        return "base"
    path = Path(prefix)
    return path.name if str(path.parent) in envs_dirs() else ""


def registry() -> Path:
    return Path.home() / ".conda/environments.txt"


def registered() -> list[str]:
    try:
        return [line for line in registry().read_text().splitlines() if line]
    except OSError:
        return []


def register(prefix: str, present: bool = True) -> None:
    """Note an environment in the user's list, or take it off; a home that cannot be written is no error."""
    lines = registered()
    if prefix == ROOT or present == (prefix in lines):
        return
    lines = [*lines, prefix] if present else [line for line in lines if line != prefix]
    try:
        registry().parent.mkdir(parents=True, exist_ok=True)
        registry().write_text("".join(f"{line}\n" for line in lines))
    except OSError:
        return


def known_environments() -> list[str]:
    """Base, then every environment that is registered or in a folder of environments."""
    candidates = set(registered())
    for folder in map(Path, envs_dirs()):
        if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
            candidates |= {str(path) for path in folder.iterdir()}
    return [ROOT, *sorted(path for path in candidates - {ROOT} if is_environment(path))]


def installed(prefix: str) -> list[dict[str, Any]]:
    """The records of conda-meta, by file name."""
    return [json.loads(path.read_text()) for path in sorted(Path(prefix, "conda-meta").glob("*.json"))]


def description(record: dict[str, Any]) -> dict[str, Any]:
    """A package as `list --json` and the LINK and UNLINK actions show it."""
    base = SUBDIR.sub("", str(record.get("channel") or "").rstrip("/"))
    return {
        "base_url": base,
        "build_number": record.get("build_number", 0),
        "build_string": record["build"],
        "channel": name_of(base),
        "dist_name": f"{record['name']}-{record['version']}-{record['build']}",
        "name": record["name"],
        "platform": record.get("subdir", "noarch"),
        "version": record["version"],
    }


def pip_packages(prefix: str) -> list[dict[str, Any]]:
    """Distributions in site-packages that no conda package brought, shown like the others."""
    owned = {file for record in installed(prefix) for file in record.get("files", [])}
    found: list[dict[str, Any]] = []
    for file in sorted(Path(prefix).glob("lib/python3.*/site-packages/*.dist-info/METADATA")):
        if str(file.relative_to(prefix)) in owned:
            continue
        metadata = HeaderParser().parsestr(file.read_text(errors="replace"))
        name, version = re.sub(r"[-_.]+", "-", metadata["Name"]).lower(), metadata["Version"]
        found.append(
            {
                "base_url": f"{alias()}/pypi",
                "build_number": 0,
                "build_string": "pypi_0",
                "channel": "pypi",
                "dist_name": f"{name}-{version}-pypi_0",
                "name": name,
                "platform": "pypi",
                "version": version,
            }
        )
    return found


def tidy(prefix: str) -> None:
    """Undo what py-rattler leaves and conda does not: a cache tag, 0600 records, 0775 launchers."""
    Path(prefix, "CACHEDIR.TAG").unlink(missing_ok=True)
    umask = os.umask(0)
    os.umask(umask)
    for path in Path(prefix, "conda-meta").glob("*.json"):
        path.chmod(0o666 & ~umask)
    for path in Path(prefix, "bin").glob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(status.st_mode) & ~umask)


def state_file(prefix: str) -> Path:
    return Path(prefix, "conda-meta/state")


def variables(prefix: str) -> dict[str, str]:
    """The environment's own variables (`conda env config vars`)."""
    path = state_file(prefix)
    return dict(json.loads(path.read_text()).get("env_vars", {})) if path.exists() else {}


def set_variables(prefix: str, changes: dict[str, str | None]) -> None:
    """Set variables, or take off those given as None."""
    merged = {**variables(prefix), **changes}
    kept = {key: value for key, value in merged.items() if value is not None}
    state_file(prefix).write_text(json.dumps({"version": 1, "env_vars": kept}))


def with_dependents(names: Iterable[str], records: list[dict[str, Any]]) -> set[str]:
    """Packages and all that need them, directly or not."""
    needs = {record["name"]: {spec_name(spec) for spec in record.get("depends", [])} for record in records}
    gone = set(names)
    while more := {name for name, needed in needs.items() if name not in gone and needed & gone}:
        gone |= more
    return gone


def with_dependencies(names: Iterable[str], records: list[dict[str, Any]]) -> set[str]:
    """Packages and all that they need; Python brings pip along."""
    needs = {record["name"]: {spec_name(spec) for spec in record.get("depends", [])} for record in records}
    if "python" in needs:
        needs["python"].add("pip")
    kept: set[str] = set()
    waiting = [name for name in names if name in needs]
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept.add(name)
            waiting += [other for other in needs[name] if other in needs]
    return kept


def spec_name(spec: str) -> str:
    """The package's name in a specification such as `channel::name>=1` or `name 1.* build`."""
    return re.split(r"[\s=<>!~\[]", spec.rsplit("::", 1)[-1].strip(), maxsplit=1)[0].lower()
