# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What is installed in an environment, read from its files without running anything.

Sources: conda's documentation of the ``conda-meta`` directory, and the Python packaging
specification "Recording installed projects".
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from typing import Any

from .files import read_json
from .match import channel_name, split_subdir
from .requirement import normalise

_DEPENDENCY = re.compile(r"\s*(?:\S*::)?([A-Za-z0-9_][A-Za-z0-9_.-]*)")


@dataclass(frozen=True)
class PackageRecord:
    """One conda package; ``requested`` is the specification a person asked conda for, if any."""

    name: str
    version: str
    build: str
    build_number: int = 0
    channel: str = ""
    subdir: str = ""
    url: str = ""
    sha256: str = ""
    depends: tuple[str, ...] = field(default=(), compare=False)
    requested: str = field(default="", compare=False)

    def title(self) -> str:
        """``name version build``, as results show it."""
        return f"{self.name} {self.version} {self.build}"

    def line(self) -> str:
        """``name version build channel``, as a diff shows it."""
        return f"{self.title()} {channel_name(self.channel)}".rstrip()

    def result(self) -> dict[str, str]:
        """The record as modules return it."""
        keys = ("name", "version", "build", "channel", "subdir", "url", "sha256")
        return {key: getattr(self, key) for key in keys}

    def dependencies(self) -> list[str]:
        """The names of the packages that this one needs."""
        found = (_DEPENDENCY.match(text) for text in self.depends)
        return [match[1].lower() for match in found if match]


@dataclass(frozen=True)
class Distribution:
    """One installed Python distribution; ``owner`` is ``conda`` or ``pip``."""

    name: str
    version: str
    owner: str
    url: str = ""

    def title(self) -> str:
        """``name version``, as results show it."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Snapshot:
    """Everything in an environment that a declaration can be compared with."""

    exists: bool = False
    conda: Mapping[str, PackageRecord] = field(default_factory=dict)
    python: Mapping[str, Distribution] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def pip(self) -> dict[str, Distribution]:
        """The Python distributions that do not belong to a conda package."""
        return {name: found for name, found in self.python.items() if found.owner == "pip"}


@dataclass(frozen=True)
class Difference:
    """What happened, or would happen, between two sets; the values are names."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()


def difference(before: Mapping[str, object], after: Mapping[str, object]) -> Difference:
    """Compare two mappings from names to records (or anything comparable)."""
    return Difference(
        added=tuple(sorted(set(after) - set(before))),
        removed=tuple(sorted(set(before) - set(after))),
        updated=tuple(sorted(name for name in set(before) & set(after) if before[name] != after[name])),
    )


def is_environment(prefix: str) -> bool:
    """Whether a directory is a conda environment: it has a ``conda-meta`` directory."""
    return os.path.isdir(os.path.join(prefix, "conda-meta"))


def read_snapshot(prefix: str) -> Snapshot:
    """Read an environment; a missing one is empty.

    Raises ValueError, naming the file, for a damaged ``conda-meta``.
    """
    if not is_environment(prefix):
        return Snapshot()
    records, files = _read_records(prefix)
    return Snapshot(True, records, _read_distributions(prefix, files), read_variables(prefix))


def _read_records(prefix: str) -> tuple[dict[str, PackageRecord], set[str]]:
    """The records by name, and the directories of Python metadata that they own."""
    records: dict[str, PackageRecord] = {}
    owned: set[str] = set()
    for path in sorted(glob.glob(os.path.join(glob.escape(prefix), "conda-meta", "*.json"))):
        data = read_json(path) or {}
        record = parse_record(data, path)
        records[record.name] = record
        owned.update(os.path.dirname(name) for name in data.get("files", ()) if ".dist-info/" in name)
    return records, owned


def parse_record(data: Mapping[str, Any], source: str) -> PackageRecord:
    """Make a record of one object in conda's format (``conda-meta`` or a LINK action).

    Raises ValueError, naming ``source`` and the field that is missing.
    """
    try:
        channel, subdir = split_subdir(str(data.get("base_url") or data.get("channel") or ""))
        return PackageRecord(
            name=str(data["name"]),
            version=str(data["version"]),
            build=str(data["build"] if "build" in data else data["build_string"]),
            build_number=int(data.get("build_number", 0)),
            channel=channel,
            subdir=str(data.get("subdir") or data.get("platform") or subdir),
            url=str(data.get("url") or ""),
            sha256=str(data.get("sha256") or ""),
            depends=tuple(data.get("depends") or ()),
            requested=str(data.get("requested_spec") or ""),
        )
    except KeyError as error:
        raise ValueError(f"{source} has no field {error}, so it does not describe a package") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source} does not describe a package: {error}") from error


def _read_distributions(prefix: str, owned: set[str]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    pattern = os.path.join(glob.escape(prefix), "lib", "python*", "site-packages", "*.dist-info")
    for directory in sorted(glob.glob(pattern)):
        distribution = _read_distribution(directory, os.path.relpath(directory, prefix) in owned)
        if distribution:
            found[distribution.name] = distribution
    return found


def _read_distribution(directory: str, owned: bool) -> Distribution | None:
    headers = HeaderParser().parsestr(_text(os.path.join(directory, "METADATA")))
    if not headers["Name"] or not headers["Version"]:
        return None
    by_conda = owned or _text(os.path.join(directory, "INSTALLER")).strip() == "conda"
    return Distribution(
        normalise(headers["Name"]),
        headers["Version"].strip(),
        "conda" if by_conda else "pip",
        _source(directory),
    )


def _source(directory: str) -> str:
    """Where pip took a distribution from, when it was given a URL."""
    data = read_json(os.path.join(directory, "direct_url.json")) or {}
    commit = data.get("vcs_info") or {}
    if not commit:
        return str(data.get("url", ""))
    revision = commit.get("requested_revision")
    return f"{commit.get('vcs')}+{data.get('url')}" + (f"@{revision}" if revision else "")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def read_variables(prefix: str) -> dict[str, str]:
    """The variables that conda sets on activation (``conda-meta/state``)."""
    path = os.path.join(prefix, "conda-meta", "state")
    variables = (read_json(path) or {}).get("env_vars", {})
    if not isinstance(variables, dict):
        raise ValueError(f"{path} holds no mapping under 'env_vars'")
    return {str(name): str(value) for name, value in variables.items()}


def closure(roots: Iterable[str], records: Mapping[str, PackageRecord]) -> set[str]:
    """The installed packages that ``roots`` need, directly or not, with the roots themselves."""
    reached: set[str] = set()
    waiting = [name for name in roots if name in records]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(needed for needed in records[name].dependencies() if needed in records)
    return reached


def extras(roots: Iterable[str], records: Mapping[str, PackageRecord]) -> list[str]:
    """The installed packages that ``roots`` do not need."""
    return sorted(set(records) - closure(roots, records))
