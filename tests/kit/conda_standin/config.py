"""Configuration files and variables, read as conda's "Using the .condarc conda configuration file" describes.

A later file outranks an earlier one; lists are joined with the higher rank first; a value marked `#!final`
cannot be overridden from above; `CONDA_*` variables outrank every file.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigurationLoadError, NoWritablePkgsDirError

ROOT = sys.prefix
#: Nothing is reached that was not configured: the kit serves machines without an outside.
DEFAULT_ALIAS = "https://channel-alias-not-configured.invalid"
DEFAULTS: dict[str, Any] = {
    "add_pip_as_python_dependency": True,
    "allowlist_channels": [],
    "always_yes": False,
    "auto_activate": True,
    "auto_update_conda": True,
    "changeps1": True,
    "channel_alias": DEFAULT_ALIAS,
    "channel_priority": "flexible",
    "channels": [],
    "create_default_packages": [],
    "custom_channels": {},
    "custom_multichannels": {},
    "default_channels": [],
    "denylist_channels": [],
    "envs_dirs": [],
    "notify_outdated_conda": True,
    "offline": False,
    "pinned_packages": [],
    "pkgs_dirs": [],
    "proxy_servers": {},
    "quiet": False,
    "remote_connect_timeout_secs": 9.15,
    "remote_max_retries": 3,
    "remote_read_timeout_secs": 60.0,
    "report_errors": None,
    "rollback_enabled": True,
    "safety_checks": "warn",
    "show_channel_urls": None,
    "solver": "rattler",
    "ssl_verify": True,
}
LISTS = frozenset(key for key, value in DEFAULTS.items() if isinstance(value, list))
ALIASES = {
    "add_pip": "add_pip_as_python_dependency",
    "auto_activate_base": "auto_activate",
    "envs_path": "envs_dirs",
    "whitelist_channels": "allowlist_channels",
}
NAMES = (".condarc", "condarc")


def known(key: str) -> str:
    """A setting's own name, for an older or shorter one."""
    return ALIASES.get(key, key)


@dataclass(frozen=True)
class Source:
    """One configuration file: its values and the keys marked as final."""

    path: Path
    values: dict[str, Any]
    final: frozenset[str]


def files(prefix: str | None = None) -> list[Path]:
    """The configuration files that exist, the least important first."""
    home = Path.home()
    xdg = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    folders = [Path("/etc/conda"), Path("/var/lib/conda"), Path(ROOT), xdg / "conda", home / ".conda"]
    active = prefix or os.environ.get("CONDA_PREFIX")
    own = [Path(active)] if active and active != ROOT else []
    found: list[Path] = []
    for folder in [*folders, *own]:
        found += [folder / name for name in NAMES]
        found += drop_ins(folder / "condarc.d")
        if folder == home / ".conda":
            found.append(home / ".condarc")
    if explicit := os.environ.get("CONDARC"):
        path = Path(explicit).expanduser()
        found += drop_ins(path) if path.is_dir() else [path]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def drop_ins(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix in (".yml", ".yaml", ".condarc") or p.name == ".condarc")


def load(path: Path) -> dict[str, Any]:
    """A YAML mapping from a file; an empty file is an empty mapping."""
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationLoadError(
            f"Unable to load configuration file.\n  path: {path}\n  reason: {error}"
        ) from error
    if not isinstance(values, dict):
        raise ConfigurationLoadError(f"Unable to load configuration file.\n  path: {path}\n  reason: not a mapping")
    return values


def read(path: Path) -> Source:
    values = {known(key): value for key, value in load(path).items()}
    marked = re.findall(r"^(\w+):[^\n#]*#!final\b", path.read_text(), re.M)
    return Source(path, values, frozenset(map(known, marked)))


def sources(prefix: str | None = None) -> list[Source]:
    return [read(path) for path in files(prefix)]


def merge(layers: list[Source]) -> dict[str, Any]:
    """All layers as one, the last outranking the others."""
    merged: dict[str, Any] = {}
    closed: set[str] = set()
    for layer in layers:
        for key, value in layer.values.items():
            if key in closed or (value is None and key in DEFAULTS):
                continue
            if key in LISTS:
                items = [value] if isinstance(value, str) else list(value)
                merged[key] = items + [item for item in merged.get(key, []) if item not in items]
            elif isinstance(value, dict):
                merged[key] = {**merged.get(key, {}), **value}
            else:
                merged[key] = value
        closed |= layer.final
    return merged


def from_variables(environ: dict[str, str]) -> dict[str, Any]:
    """What `CONDA_*` variables set, for the settings known here."""
    found: dict[str, Any] = {}
    for variable, text in environ.items():
        key = known(variable.removeprefix("CONDA_").lower())
        if not variable.startswith("CONDA_") or key not in DEFAULTS:
            continue
        if key in LISTS:
            found[key] = [part for part in text.split(os.pathsep if key.endswith("_dirs") else ",") if part]
        else:
            found[key] = yaml.safe_load(text)
    return found


@cache
def settings(prefix: str | None = None) -> dict[str, Any]:
    """Every setting's effective value."""
    layers = sources(prefix)
    closed = {key for layer in layers for key in layer.final}
    variables = {key: value for key, value in from_variables(dict(os.environ)).items() if key not in closed}
    return {**DEFAULTS, **merge([*layers, Source(Path("environment"), variables, frozenset())])}


def absolute(path: str) -> str:
    """A path from the root, without following links."""
    return os.path.normpath(Path(path).expanduser().absolute())


def expanded(paths: list[str]) -> list[str]:
    return [absolute(os.path.expandvars(path)) for path in paths]


def envs_dirs() -> list[str]:
    """Folders of named environments, the one to create in first among the built-in ones."""
    built_in = [f"{ROOT}/envs", str(Path.home() / ".conda/envs")]
    if not os.access(ROOT, os.W_OK):
        built_in.reverse()
    return list(dict.fromkeys(expanded(settings()["envs_dirs"]) + built_in))


def pkgs_dirs() -> list[str]:
    built_in = [f"{ROOT}/pkgs", str(Path.home() / ".conda/pkgs")]
    return expanded(settings()["pkgs_dirs"]) or built_in


def is_writable(folder: str) -> bool:
    """Whether files can be made in a folder, which may have to be made first."""
    path = Path(folder)
    while not path.exists():
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK)


def package_cache() -> Path:
    """The first package cache that can be written to."""
    for folder in pkgs_dirs():
        if is_writable(folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
            return Path(folder)
    raise NoWritablePkgsDirError(f"No writable package cache: {', '.join(pkgs_dirs())}", pkgs_dirs=pkgs_dirs())
