# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Locks: the exact packages of an environment, each with its sha256.

Sources: CEP 23 "Text spec input files" (https://conda.org/learn/ceps/cep-0023), whose explicit form is what conda
installs without a solver (sha256 from conda 24.9 on); conda-lock's unified lockfile, version 1
(https://schemas.conda.org/conda-lock-v1.schema.json); pip's documentation of "Secure installs" (``--require-hashes``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from .match import SUBDIRS, redact, split_subdir
from .records import PackageRecord
from .requirement import Requirement
from .version import VersionOrder

_MACHINES = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}
_HEAD = "# Lock of the conda environment {}, made by playbooks/lock.yml of pystack.infra. Commit it; do not edit it."
_NAME = re.compile(re.escape(_HEAD).replace(r"\{\}", r"([A-Za-z0-9][A-Za-z0-9._-]*)"))
_FIELD = re.compile(r"#\s*(platform|declaration|pip):\s*(.*)")
_EXPLICIT = "@EXPLICIT"
# conda leaves out such a package.
_WITHOUT_URL = "# no URL for: "
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"(?:md5:)?[0-9a-fA-F]{32}")
_FILE = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)-(?P<version>[A-Za-z0-9_.!+]+)-(?P<build>[A-Za-z0-9_.+]+)(?:\.conda|\.tar\.bz2)"
)
# Not all that a URL may hold: no query, where tokens hide, and no '$', in which conda and pip see a variable.
_URL = re.compile(
    r"(?:https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?|file://)(?:/[A-Za-z0-9._~%!+:,;=&()*'-]+)+"
)
_HIDDEN = re.compile(r"\S+(?=@)|(?<=\?)\S+")
_LONGEST_QUOTE = 120
_MAKE = "make the lock with playbooks/lock.yml"
_OR_CONDA = f"{_MAKE}, or with 'conda list --explicit --sha256'"
_EXPECTED = "'sha256:' with 64 lower-case hexadecimal digits is expected"
_WHY = "without a sha256 nobody can tell whether a file is the one that was locked"


class LockError(ValueError):
    """A lock that cannot be used; the message begins with its path and, where it has lines, the line."""


def _quoted(text: str) -> str:
    """A piece of a file as messages show it: without credentials, printable and not too long."""
    hidden = _HIDDEN.sub("***", redact(text))
    return ascii(hidden if len(hidden) <= _LONGEST_QUOTE else f"{hidden[:_LONGEST_QUOTE]}...")


def _check_url(url: str) -> None:
    if redact(url) != url:
        raise ValueError(
            f"{_quoted(url)} carries credentials, which everybody who may read the lock would see; "
            "put them into ~/.netrc (mode 0600) and give the plain URL"
        )
    if not _URL.fullmatch(url):
        raise ValueError(f"{_quoted(url)} is not the plain URL of a file (http, https or file, without a query)")


def _check_sha256(digest: str, what: str) -> None:
    if _MD5.fullmatch(digest):
        raise ValueError(
            f"{what} has an md5 sum, which is no protection: another file can be made to have the same; {_OR_CONDA}"
        )
    if not digest:
        raise ValueError(f"{what} has no sha256, and {_WHY}; {_OR_CONDA}")
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{what} has {_quoted(digest)} for a hash; {_EXPECTED}")


def _digits(digest: str) -> str:
    """What follows ``sha256:``; empty for every other text."""
    return digest[len("sha256:") :] if digest.startswith("sha256:") else ""


@dataclass(frozen=True)
class LockedPackage:
    """One conda package: where it is and what is in it. All but the first two follow from the URL; ``channel`` is
    without the platform, which is ``subdir``."""

    url: str
    sha256: str
    name: str
    version: str
    build: str
    channel: str
    subdir: str

    @classmethod
    def read(cls, url: str, sha256: str) -> LockedPackage:
        """Take a URL such as ``https://host/channel/linux-64/numpy-1.26.4-py311_0.conda`` apart.

        Raises ValueError for other URLs, for credentials, which are not repeated, and without a sha256.
        """
        _check_url(url)
        folder, _slash, last = url.rpartition("/")
        file_name = unquote(last)
        found = _FILE.fullmatch(file_name)
        if not found:
            raise ValueError(f"{_quoted(file_name)} is not a package's file (name-version-build.conda or .tar.bz2)")
        channel, subdir = split_subdir(folder)
        if not subdir or channel.endswith("/"):
            raise ValueError(f"{_quoted(url)} is not in a channel's folder of a platform, such as linux-64 or noarch")
        VersionOrder(found["version"])  # proves that it can be compared
        _check_sha256(sha256, file_name)
        return cls(url, sha256, found["name"].lower(), found["version"], found["build"], channel, subdir)

    @property
    def file_name(self) -> str:
        """The last part of the URL, decoded: ``numpy-1.26.4-py311_0.conda``."""
        return unquote(self.url.rpartition("/")[2])

    def record(self) -> PackageRecord:
        """The package as a record; its build number and needs, which no URL tells, are left at nothing."""
        return PackageRecord(
            name=self.name,
            version=self.version,
            build=self.build,
            channel=self.channel,
            subdir=self.subdir,
            url=self.url,
            sha256=self.sha256,
        )


@dataclass(frozen=True)
class LockedRequirement:
    """One distribution for pip: a version or a URL, and the hashes (``sha256:<hex>``) of the files that it may be."""

    name: str
    version: str = ""
    url: str = ""
    hashes: tuple[str, ...] = ()

    def text(self) -> str:
        """The line of a requirements file: ``iniconfig==2.0.0 --hash=sha256:…`` or ``iniconfig @ https://… …``."""
        what = f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"
        return " ".join([what, *(f"--hash={digest}" for digest in sorted(set(self.hashes)))])

    @classmethod
    def parse(cls, text: str) -> LockedRequirement:
        """Read what :meth:`text` writes.

        Raises ValueError for what is not pinned, has no sha256 or has other options, extras or credentials.
        """
        words = text.split()
        hashes = [word[len("--hash=") :] for word in words if word.startswith("--hash=")]
        rest = " ".join(word for word in words if not word.startswith("--hash="))
        what = f"pip requirement {_quoted(rest)}"
        if re.search(r"(?<!\S)-", rest):
            raise ValueError(f"{what} has an option; only --hash=sha256:… is accepted")
        found = Requirement.parse(rest)
        version = found.conditions[0].value if len(found.conditions) == 1 else ""
        pinned = version and found.conditions[0].operator == "==" and not version.endswith(".*")
        if found.extras:
            raise ValueError(f"{what} has extras; a lock has the packages that they stand for instead")
        if found.url:
            _check_url(found.url)
        elif not pinned:
            raise ValueError(f"{what} is not pinned; 'name==version' or 'name @ URL' is expected")
        if not hashes:
            raise ValueError(f"{what} has no --hash=sha256:…, and {_WHY}; {_MAKE}")
        for digest in hashes:
            if not _SHA256.fullmatch(_digits(digest)):
                raise ValueError(f"{what} has {_quoted(digest)} for a hash; {_EXPECTED}")
        return cls(found.name, version, found.url, tuple(sorted(set(hashes))))


@dataclass(frozen=True)
class Lock:
    """An environment without its files. ``packages`` are in an order in which each comes after what it needs, ``pip``
    in the order of names; ``declaration`` is the sha256 (hex) of the declaration that was solved, or empty."""

    platform: str
    packages: tuple[LockedPackage, ...]
    pip: tuple[LockedRequirement, ...] = ()
    name: str = ""
    declaration: str = ""

    def text(self) -> str:
        """The lock file: conda reads it, pip's lines are comments to conda, and a package is a line of a diff."""
        lines = [_HEAD.format(self.name)] if self.name else []
        lines += [f"# platform: {self.platform}"]
        lines += [f"# declaration: sha256:{self.declaration}"] if self.declaration else []
        lines += [_EXPLICIT, *(f"{package.url}#sha256:{package.sha256}" for package in self.packages)]
        lines += [f"# pip: {requirement.text()}" for requirement in _by_name(self.pip)]
        return "".join(f"{line}\n" for line in lines)

    def digest(self) -> str:
        """The sha256 (hex) of what gets installed: neither the order, nor the mirror, nor the name changes it, but the
        URL of a requirement that has no version does."""
        value = {
            "platform": self.platform,
            "packages": sorted([package.file_name, package.sha256] for package in self.packages),
            "pip": sorted(requirement.text() for requirement in self.pip),
        }
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

    def requirements(self) -> str:
        """The text of a requirements file for ``pip install --require-hashes``; empty when there are none."""
        return "".join(f"{requirement.text()}\n" for requirement in _by_name(self.pip))

    def records(self) -> dict[str, PackageRecord]:
        """The conda packages by name."""
        return {package.name: package.record() for package in self.packages}

    def channels(self) -> tuple[str, ...]:
        """The URLs of the channels, without platforms, in the order of their first packages."""
        return tuple(dict.fromkeys(package.channel for package in self.packages))


def _by_name(pip: Iterable[LockedRequirement]) -> tuple[LockedRequirement, ...]:
    return tuple(sorted(pip, key=lambda requirement: requirement.name))


@dataclass
class _Draft:
    """What was read of a lock so far."""

    fields: dict[str, str] = field(default_factory=dict)
    explicit: bool = False
    packages: dict[str, LockedPackage] = field(default_factory=dict)
    pip: dict[str, LockedRequirement] = field(default_factory=dict)

    def add_line(self, line: str) -> None:
        if line == _EXPLICIT:
            self.explicit = True
        elif line.startswith("#"):
            self._add_comment(line)
        elif line and not self.explicit:
            raise ValueError(f"{_quoted(line)} stands where '{_EXPLICIT}' is expected, so this is no lock; {_OR_CONDA}")
        elif line:
            url, _mark, digest = line.partition("#")
            self.add_package(LockedPackage.read(url, _digits(digest) or digest))

    def _add_comment(self, line: str) -> None:
        found, name = _FIELD.fullmatch(line), _NAME.fullmatch(line)
        if name:
            self.fields["name"] = name[1]
        elif found and found[1] == "pip":
            self.add_requirement(LockedRequirement.parse(found[2]))
        elif found:
            self._add_field(found[1], found[2])
        elif line.startswith(_WITHOUT_URL):
            raise ValueError(f"conda does not know where it took {_quoted(line[len(_WITHOUT_URL) :])} from; {_MAKE}")

    def _add_field(self, key: str, value: str) -> None:
        if key in self.fields:
            raise ValueError(f"a second line '# {key}:'; one is expected")
        if key == "platform" and value not in SUBDIRS:
            raise ValueError(f"platform {_quoted(value)} is not one that conda knows, such as linux-64")
        if key == "declaration" and not _SHA256.fullmatch(_digits(value)):
            raise ValueError(f"the declaration has {_quoted(value)} for a hash; {_EXPECTED}")
        self.fields[key] = value

    def add_package(self, package: LockedPackage) -> None:
        if package.name in self.packages:
            first = self.packages[package.name].file_name
            raise ValueError(f"{package.file_name} is a second package {package.name}, after {first}")
        self.packages[package.name] = package

    def add_requirement(self, requirement: LockedRequirement) -> None:
        if requirement.name in self.pip:
            raise ValueError(f"pip requirement {requirement.name} is there twice")
        self.pip[requirement.name] = requirement

    def finish(self) -> Lock:
        if not self.explicit:
            raise ValueError(f"there is no line '{_EXPLICIT}', so this is no lock; {_OR_CONDA}")
        subdirs = sorted({package.subdir for package in self.packages.values()} - {"noarch"})
        platform = self.fields.get("platform") or _only(subdirs, bool(self.packages))
        for package in self.packages.values():
            if package.subdir not in (platform, "noarch"):
                raise ValueError(f"{package.file_name} is for {package.subdir}, and the lock for {platform}")
        return Lock(
            platform=platform,
            packages=tuple(self.packages.values()),
            pip=_by_name(self.pip.values()),
            name=self.fields.get("name", ""),
            declaration=_digits(self.fields.get("declaration", "")),
        )


def _only(subdirs: list[str], has_packages: bool) -> str:
    """The platform of a lock that does not name it."""
    if len(subdirs) > 1:
        raise ValueError(f"there are packages for {' and for '.join(subdirs)}; one platform is expected")
    if not has_packages:
        raise ValueError("neither a line '# platform:' nor a package tells the platform")
    return subdirs[0] if subdirs else "noarch"


def parse_lock(text: str, source: str) -> Lock:
    """Read a lock file of ours, or what ``conda list --explicit --sha256`` prints.

    Raises LockError, naming ``source`` and the line, for everything that is not understood.
    """
    draft = _Draft()
    for number, line in enumerate(text.split("\n"), 1):
        try:
            draft.add_line(line.strip())
        except ValueError as error:
            raise LockError(f"{source}: line {number}: {error}") from error
    try:
        return draft.finish()
    except ValueError as error:
        raise LockError(f"{source}: {error}") from error


def from_conda_lock(document: Mapping[str, Any], platform: str, source: str) -> Lock:
    """Take one platform out of conda-lock's unified lockfile: its packages of the category main.

    Raises LockError, naming ``source``, for other documents and versions, for a platform that it was not locked for,
    and for packages without a sha256.
    """
    try:
        return _from_conda_lock(document, platform)
    except ValueError as error:
        raise LockError(f"{source}: {error}") from error


def _from_conda_lock(document: Mapping[str, Any], platform: str) -> Lock:
    draft, needs = _Draft({"platform": platform}, explicit=True), {}
    for entry in _entries(document, platform):
        name = _string(entry, "name")
        try:
            manager = _string(entry, "manager")
            if manager not in ("conda", "pip"):
                raise ValueError(f"{_quoted(manager)} is neither conda nor pip")
            if manager == "pip":
                draft.add_requirement(_requirement(entry, name))
            else:
                package = LockedPackage.read(_string(entry, "url"), _sha256(entry))
                draft.add_package(package)
                needs[package.name] = tuple(map(str, _list(entry, "dependencies")))
        except ValueError as error:
            raise ValueError(f"package {_quoted(name)}: {error}") from error
    ordered = in_link_order(replace(draft.packages[name].record(), depends=needs[name]) for name in needs)
    draft.packages = {record.name: draft.packages[record.name] for record in ordered}
    return draft.finish()


def _entries(document: Any, platform: str) -> list[Mapping[str, Any]]:
    """The packages of a platform that every installation has."""
    if not isinstance(document, Mapping) or "package" not in document:
        raise ValueError("this is no lock of conda-lock: a mapping with version, metadata and package is expected")
    if document.get("version") != 1:
        raise ValueError(f"version {_quoted(str(document.get('version')))} of conda-lock's format is not known; 1 is")
    entries = document["package"]
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError("package is not a list of mappings")
    offered = sorted({str(entry.get("platform")) for entry in entries})
    if platform not in offered:
        raise ValueError(f"there is nothing for {platform}; it is locked for {', '.join(offered) or 'no platform'}")
    return [entry for entry in entries if entry.get("platform") == platform and _is_main(entry)]


def _is_main(entry: Mapping[str, Any]) -> bool:
    categories = _list(entry, "categories") or [entry.get("category") or "main"]
    return "main" in categories and not entry.get("optional")


def _list(entry: Mapping[str, Any], key: str) -> list[Any]:
    """The elements of a list, or the keys of a mapping; none of anything else."""
    value = entry.get(key)
    return list(value) if isinstance(value, (list, Mapping)) else []


def _string(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise ValueError(f"a package has no {key}, or one that is not a string")
    return str(value)


def _sha256(entry: Mapping[str, Any]) -> str:
    hashes = entry.get("hash")
    value = hashes.get("sha256") if isinstance(hashes, Mapping) else None
    if not value:
        raise ValueError(f"there is no sha256, and {_WHY}; lock again with a channel or an index that tells it")
    return str(value)


def _requirement(entry: Mapping[str, Any], name: str) -> LockedRequirement:
    """conda-lock says ``source`` of what was asked for by its URL. All else comes from an index, of which a mirror has
    the same file under another URL, so its version is kept."""
    url = _string(entry, "url").partition("#")[0]
    what = f"{name} @ {url}" if entry.get("source") else f"{name}=={_string(entry, 'version')}"
    return LockedRequirement.parse(f"{what} --hash=sha256:{_sha256(entry)}")


def in_link_order(records: Iterable[PackageRecord]) -> list[PackageRecord]:
    """Sort the records of one environment, so that each comes after what it needs of the others.

    What does not need each other is in the order of names, layer by layer; so are packages that need each other in a
    circle, which stay together.
    """
    waiting = {record.name: record for record in records}
    needs = {name: (set(record.dependencies()) & set(waiting)) - {name} for name, record in waiting.items()}
    ordered: list[PackageRecord] = []
    while needs:
        ready = sorted(name for name, missing in needs.items() if not missing) or sorted(_circle(needs))
        ordered.extend(waiting[name] for name in ready)
        needs = {name: missing - set(ready) for name, missing in needs.items() if name not in ready}
    return ordered


def _circle(needs: Mapping[str, set[str]]) -> set[str]:
    """Packages that need each other and nothing else: from anywhere else more can be reached."""
    return min((_reached(name, needs) for name in needs), key=lambda found: (len(found), min(found)))


def _reached(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    reached, waiting = {start}, [start]
    while waiting:
        new = needs[waiting.pop()] - reached
        reached |= new
        waiting.extend(new)
    return reached


def platform_of(machine: str) -> str:
    """conda's name for a Linux host: ``x86_64``, as ``uname -m`` says, is ``linux-64``.

    Raises ValueError, naming those that are known, for another machine.
    """
    if machine not in _MACHINES:
        raise ValueError(f"machine '{machine}' is not one of {', '.join(sorted(_MACHINES))}")
    return _MACHINES[machine]
