# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The declaration of an environment: validation, and one normal form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

from .match import MatchSpec, channel_allowed, check_channel
from .requirement import Requirement
from .version import VersionSpec

KEYS = (
    "name",
    "state",
    "python",
    "packages",
    "channels",
    "pip",
    "variables",
    "jupyter_kernel",
    "update",
    "prune",
    "imports",
    "pip_check",
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_RESERVED_NAMES = ("base", "root")
_STATES = ("present", "absent", "exported")
_MISSING: Any = object()

Read = TypeVar("Read")


class SpecError(ValueError):
    """A declaration that cannot be meant; ``problems`` has one sentence for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class EnvironmentSpec:
    """One declared environment. ``packages`` includes Python when its version was given;
    ``kernel`` is the display name of the Jupyter kernel, or empty. ``exported`` asks for nothing but its files;
    ``imports`` and ``pip_check`` are how a new generation is proved."""

    name: str
    present: bool = True
    packages: tuple[MatchSpec, ...] = ()
    channels: tuple[str, ...] = ()
    pip: tuple[Requirement, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""
    latest: bool = False
    prune: bool = False
    exported: bool = False
    imports: tuple[str, ...] = ()
    pip_check: bool = True

    def conda_specs(self) -> tuple[MatchSpec, ...]:
        """What conda is asked for: the packages, with Python and pip where pip has work to do."""
        declared = {spec.name for spec in self.packages}
        tools = ("python", "pip") if self.pip else ()
        return self.packages + tuple(MatchSpec(tool, text=tool) for tool in tools if tool not in declared)

    def python(self) -> str:
        """The specification of Python, or nothing."""
        return next((spec.canonical() for spec in self.packages if spec.name == "python"), "")

    def digest(self) -> str:
        """A sha256 over the declaration. It is public, so it leaves out the variables' values."""
        value = {
            "packages": sorted(spec.canonical() for spec in self.packages),
            "channels": self.channels,
            "pip": sorted(requirement.text for requirement in self.pip),
            "variables": sorted(self.variables),
            "kernel": self.kernel,
        }
        return _sha256(value)

    def lock_digest(self) -> str:
        """A sha256 over all that decides which packages a lock has. Order does not matter, but for channels."""
        return _sha256(
            {
                "packages": sorted(spec.canonical() for spec in self.conda_specs()),
                "channels": self.channels,
                "pip": sorted(requirement.text for requirement in self.pip),
            }
        )


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_declarations(
    declarations: Any, channels: Sequence[str] = (), allowed_channels: Sequence[str] = ()
) -> list[EnvironmentSpec]:
    """Check and normalise all declared environments, with ``channels`` where one has none.

    ``allowed_channels`` are the only ones that a declaration may name; empty allows all.
    Raises SpecError with every problem found, each with the path of the option.
    """
    problems: list[str] = []
    default = _channels(_Reader({"channels": list(channels)}, "", problems))
    allowed = tuple(
        _Reader({"allowed_channels": list(allowed_channels)}, "", problems).each("allowed_channels", check_channel)
    )
    specs = []
    for index, declaration in enumerate(declarations):
        reader = _Reader(declaration, f"environments[{index}]", problems)
        spec = _environment(reader, default)
        _refuse_channels(spec, allowed, reader)
        specs.append(spec)
    _refuse_twice([spec.name for spec in specs], "environments[{}].name", problems)
    if problems:
        raise SpecError(problems)
    return specs


class _Reader:
    """Reads typed values out of one mapping and collects what is wrong."""

    def __init__(self, values: Any, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self.values: Mapping[str, Any] = values if isinstance(values, Mapping) else {}
        if not isinstance(values, Mapping):
            self.problem("", f"is {_kind(values)}; a mapping with a name is expected")

    def problem(self, key: str, text: str) -> None:
        where = ".".join(part for part in (self.path, key) if part)
        self.problems.append(f"{where}: {text}")

    def get(self, key: str) -> Any:
        value = self.values.get(key)
        return _MISSING if value is None else value

    def text(self, key: str) -> str:
        value = self.get(key)
        if value is _MISSING:
            return ""
        if not isinstance(value, str):
            self.problem(key, f"{value!r} is {_kind(value)}; a quoted string is expected")
            return ""
        return value.strip()

    def choice(self, key: str, choices: Sequence[str]) -> str:
        value = self.get(key)
        if value is _MISSING:
            return choices[0]
        if value not in choices:
            self.problem(key, f"{value!r} is not one of {', '.join(choices)}")
            return choices[0]
        return str(value)

    def flag(self, key: str) -> bool:
        value = self.get(key)
        if value is _MISSING or isinstance(value, bool):
            return value is True
        self.problem(key, f"{value!r} is {_kind(value)}; true or false is expected")
        return False

    def texts(self, key: str) -> list[tuple[int, str]]:
        """The strings of a list with their positions."""
        values = self.get(key)
        if values is _MISSING:
            return []
        if not isinstance(values, list):
            self.problem(key, f"is {_kind(values)}; a list of strings is expected")
            return []
        found = []
        for index, value in enumerate(values):
            if isinstance(value, str) and value.strip():
                found.append((index, value.strip()))
            else:
                what = "is blank" if isinstance(value, str) else f"is {_kind(value)}"
                self.problem(f"{key}[{index}]", f"{what}; a string is expected")
        return found

    def each(self, key: str, read: Callable[[str], Read]) -> list[Read]:
        """Every string of a list, read by a function that raises ValueError."""
        found = []
        for index, text in self.texts(key):
            try:
                found.append(read(text))
            except ValueError as error:
                self.problem(f"{key}[{index}]", str(error))
        return found


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    for kind, name in names.items():
        if isinstance(value, kind):
            return name
    return "a mapping" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _environment(reader: _Reader, default_channels: tuple[str, ...]) -> EnvironmentSpec:
    _refuse_unknown(reader)
    packages = _packages(reader)
    pip = reader.each("pip", Requirement.parse)
    _refuse_both(packages, pip, reader)
    return EnvironmentSpec(
        name=_name(reader),
        present=reader.choice("state", _STATES) == "present",
        packages=tuple(packages),
        channels=default_channels if reader.get("channels") is _MISSING else _channels(reader),
        pip=tuple(pip),
        variables=_variables(reader),
        kernel=_kernel(reader),
        latest=reader.choice("update", ("minimal", "latest")) == "latest",
        prune=reader.flag("prune"),
        exported=reader.get("state") == "exported",
        imports=tuple(reader.each("imports", _module)),
        pip_check=reader.get("pip_check") is _MISSING or reader.flag("pip_check"),
    )


def _refuse_unknown(reader: _Reader) -> None:
    for key in reader.values:
        if key not in KEYS:
            close = get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(KEYS)}"
            reader.problem(str(key), f"is not a known key; {hint}")


def _name(reader: _Reader) -> str:
    name = reader.text("name")
    if not name:
        if reader.get("name") is _MISSING or isinstance(reader.get("name"), str):
            reader.problem("name", "is missing or blank; every environment needs a name")
    elif name in _RESERVED_NAMES:
        reader.problem("name", f"'{name}' is conda's own installation, which is not managed here")
    elif not _NAME.fullmatch(name):
        accepted = "letters, digits, '.', '_' and '-', with a letter or digit first"
        reader.problem("name", f"'{name}' is not a usable name; accepted are {accepted}")
    return name


def _packages(reader: _Reader) -> list[MatchSpec]:
    packages = reader.each("packages", MatchSpec.parse)
    _refuse_twice([spec.name for spec in packages], f"{reader.path}.packages[{{}}]", reader.problems)
    python = _python(reader)
    listed = next((spec for spec in packages if spec.name == "python"), None)
    if python and listed and python != listed:
        text = f"{python.text!r} and {listed.text!r} in packages are two versions of Python; give one of them"
        reader.problem("python", text)
    return [python, *packages] if python and not listed else packages


def _python(reader: _Reader) -> MatchSpec | None:
    value = reader.get("python")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        reader.problem("python", f"{value!r} is a number, in which 3.10 and 3.1 are the same; quote the version")
        return None
    text = reader.text("python")
    if not text:
        return None
    plain = re.fullmatch(r"[0-9][0-9.]*", text)
    try:
        if text[0].isalpha():
            raise ValueError("it starts with a letter")
        version = VersionSpec.parse(f"={text}" if plain else text)
    except ValueError as error:
        reader.problem("python", f"'{text}' is not a version such as '3.12' or '>=3.11,<3.13': {error}")
        return None
    return MatchSpec("python", version, text=f"python {text}")


def _channels(reader: _Reader) -> tuple[str, ...]:
    """The channels without 'nodefaults', which is a switch of other tools and not a channel."""
    channels = reader.each("channels", check_channel)
    kept = tuple(channel for channel in channels if channel != "nodefaults")
    if channels and not kept:
        reader.problem("channels", "has only 'nodefaults', which is not a channel; name at least one channel")
    return kept


def _module(name: str) -> str:
    if not _MODULE.fullmatch(name):
        raise ValueError(f"'{name}' is not the name of a module, such as 'numpy' or 'scipy.stats'")
    return name


def _refuse_channels(spec: EnvironmentSpec, allowed: Sequence[str], reader: _Reader) -> None:
    """Refuse channels that are not allowed, and the configured ones, which nobody knows here."""
    if not allowed or not spec.present:
        return
    accepted = f"allowed_channels has {', '.join(allowed)}"
    if not spec.channels:
        reader.problem("channels", f"is empty, so that conda's configuration would decide; {accepted}")
    named = [*spec.channels, *(package.channel for package in spec.packages if package.channel)]
    for channel in dict.fromkeys(named):
        if not channel_allowed(channel, allowed):
            reader.problem("channels", f"'{channel}' is not allowed; {accepted}")


def _refuse_both(packages: Sequence[MatchSpec], pip: Sequence[Requirement], reader: _Reader) -> None:
    names = [requirement.name for requirement in pip]
    _refuse_twice(names, f"{reader.path}.pip[{{}}]", reader.problems)
    for name in sorted({spec.name for spec in packages} & set(names)):
        reader.problem("pip", f"'{name}' is also in packages; let either conda or pip install it")


def _refuse_twice(names: Sequence[str], path: str, problems: list[str]) -> None:
    for index, name in enumerate(names):
        first = names.index(name)
        if name and first != index:
            problems.append(f"{path.format(index)}: '{name}' is declared twice, first in {path.format(first)}")


def _variables(reader: _Reader) -> dict[str, str]:
    values = reader.get("variables")
    if values is _MISSING:
        return {}
    if not isinstance(values, Mapping):
        reader.problem("variables", f"is {_kind(values)}; a mapping from names to strings is expected")
        return {}
    found = {}
    for name, value in values.items():
        if not _VARIABLE.fullmatch(str(name)):
            reader.problem(f"variables.{name}", "is not a name for a variable; accepted are A-Z, a-z, 0-9 and '_'")
        elif name == "PATH" or name.startswith("CONDA_"):
            reader.problem(f"variables.{name}", "is set by conda itself and cannot be declared")
        elif not isinstance(value, str):
            reader.problem(f"variables.{name}", f"is {_kind(value)}; a quoted string is expected")
        else:
            found[str(name)] = str(value)
    return found


def _kernel(reader: _Reader) -> str:
    value = reader.get("jupyter_kernel")
    if value is _MISSING or value is False:
        return ""
    if value is True:
        return str(reader.values.get("name", ""))
    if isinstance(value, str) and value.strip():
        return value.strip()
    reader.problem("jupyter_kernel", f"{value!r} is neither true, false nor a name to display")
    return ""
