"""Turning PyPI wheels into conda packages.

A wheel's layout is the "Binary distribution format" of the Python Packaging User Guide; its dependencies are
read from the core metadata. A pure wheel becomes one `noarch: python` package; any other becomes one package
for each interpreter, with launchers whose interpreter path is replaced at installation. Conda has no extras:
what a required extra adds is written out among the dependencies of the package that asks for it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from functools import cached_property
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename

from .names import conda_constraint, conda_name, manylinux_glibc, next_minor, python_bounds
from .package import PLACEHOLDER, Package, Record, to_json

#: Packages whose test suites are left out: together a seventh of everything unpacked.
WITHOUT_TESTS = frozenset({"matplotlib", "numpy", "pandas", "scikit-learn", "scipy"})
#: Test folders that the library itself imports from.
NEEDED_TESTS = ("numpy/_core/tests/",)

LAUNCHER = """\
#!{prefix}/bin/python
import sys

from {module} import {name}

if __name__ == "__main__":
    sys.exit({function}())
"""


@dataclass(frozen=True)
class Wheel:
    """A wheel file and the Python series that it was locked for."""

    path: Path
    pythons: tuple[str, ...]

    @cached_property
    def _parsed(self) -> tuple[str, str, frozenset[Tag]]:
        name, version, _, tags = parse_wheel_filename(self.path.name)
        return str(name), str(version), tags

    @property
    def pypi_name(self) -> str:
        return self._parsed[0]

    @property
    def version(self) -> str:
        return self._parsed[1]

    @property
    def pure(self) -> bool:
        return any(tag.platform == "any" and tag.abi == "none" for tag in self._parsed[2])

    @property
    def glibc(self) -> str | None:
        return manylinux_glibc({tag.platform for tag in self._parsed[2]})

    @cached_property
    def dist_info(self) -> str:
        with zipfile.ZipFile(self.path) as archive:
            return next(n.split("/")[0] for n in archive.namelist() if re.match(r"[^/]+\.dist-info/METADATA$", n))

    @cached_property
    def metadata(self) -> Message:
        with zipfile.ZipFile(self.path) as archive:
            return Parser().parsestr(archive.read(f"{self.dist_info}/METADATA").decode())

    @cached_property
    def requirements(self) -> list[Requirement]:
        return [Requirement(text) for text in self.metadata.get_all("Requires-Dist") or []]

    @cached_property
    def scripts(self) -> dict[str, str]:
        """Console scripts: command -> module:function."""
        parser = ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        with zipfile.ZipFile(self.path) as archive:
            name = f"{self.dist_info}/entry_points.txt"
            if name in archive.namelist():
                parser.read_string(archive.read(name).decode())
        section = parser["console_scripts"] if parser.has_section("console_scripts") else {}
        return {command: re.sub(r"\s*\[.*\]$", "", target) for command, target in section.items()}


class Catalogue:
    """All wheels of the kit, to look up what an extra means."""

    def __init__(self, wheels: Iterable[Wheel]):
        self.wheels = list(wheels)
        self._by_name: dict[str, list[Wheel]] = {}
        for wheel in self.wheels:
            self._by_name.setdefault(wheel.pypi_name, []).append(wheel)

    def depends(self, wheel: Wheel, python: str) -> list[str]:
        """The conda dependencies of a wheel under one Python series."""
        found: dict[str, set[str]] = {}
        self._collect(wheel, python, frozenset({""}), found, set())
        return sorted(f"{name} {','.join(sorted(parts))}".strip() for name, parts in found.items())

    def _collect(
        self,
        wheel: Wheel,
        python: str,
        extras: frozenset[str],
        found: dict[str, set[str]],
        seen: set[tuple[str, frozenset[str]]],
    ) -> None:
        for requirement in wheel.requirements:
            if not applies(requirement, python, extras):
                continue
            name = canonicalize_name(requirement.name)
            if name != wheel.pypi_name:
                constraint = conda_constraint(requirement.specifier)
                found.setdefault(conda_name(name), set()).update(filter(None, constraint.split(",")))
            key = (name, frozenset(requirement.extras))
            if requirement.extras and key not in seen:
                seen.add(key)
                for other in self._by_name.get(name, []):
                    if python in other.pythons:
                        self._collect(other, python, key[1], found, seen)


def applies(requirement: Requirement, python: str, extras: frozenset[str]) -> bool:
    """Whether a requirement counts under a Python series, for the plain package ("") or for extras."""
    if requirement.marker is None:
        return "" in extras
    plain = requirement.marker.evaluate(marker_environment(python, ""))
    if plain or "" in extras:
        return plain and "" in extras
    return any(requirement.marker.evaluate(marker_environment(python, extra)) for extra in extras)


def marker_environment(python: str, extra: str) -> dict[str, str]:
    """What markers see on the platform that the kit is made for."""
    full = f"{python}.9"
    target: Mapping[str, str] = {
        "extra": extra,
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": full,
        "python_version": python,
        "sys_platform": "linux",
    }
    return {**default_environment(), **target}  # type: ignore[dict-item]


@dataclass(frozen=True)
class Plan:
    """One package to make of a wheel: for one interpreter, or (None) for all."""

    wheel: Wheel
    python: str | None
    depends: tuple[str, ...]


def plans(catalogue: Catalogue) -> list[Plan]:
    """What to make: a pure wheel with the same needs under every Python is made once."""
    made: list[Plan] = []
    for wheel in catalogue.wheels:
        needs = {python: tuple(catalogue.depends(wheel, python)) for python in wheel.pythons}
        if wheel.pure and len(set(needs.values())) == 1:
            made.append(Plan(wheel, None, next(iter(needs.values()))))
        else:
            made += [Plan(wheel, python, depends) for python, depends in needs.items()]
    return made


def convert(plan: Plan, channel: Path) -> Record:
    """Make the package that a plan describes."""
    wheel = plan.wheel
    if plan.python is None:
        bounds = python_bounds(wheel.metadata.get("Requires-Python") or "")
        package = _package(plan, "pyh_0", f"python {bounds}".strip(), noarch="python")
        link: dict[str, object] = {"type": "python"}
        if wheel.scripts:
            link["entry_points"] = [f"{command} = {target}" for command, target in wheel.scripts.items()]
        package.info["info/link.json"] = to_json({"noarch": link, "package_metadata_version": 1})
        _add_files(package, wheel, "site-packages", "python-scripts")
        return package.write(channel)
    bounds = f"python >={plan.python},<{next_minor(plan.python)}"
    package = _package(plan, f"py{plan.python.replace('.', '')}_0", bounds)
    _add_files(package, wheel, f"lib/python{plan.python}/site-packages", "bin")
    for command, target in wheel.scripts.items():
        package.add(f"bin/{command}", launcher(target), 0o755, has_prefix=True)
    return package.write(channel)


def _package(plan: Plan, build: str, python: str, noarch: str | None = None) -> Package:
    wheel = plan.wheel
    depends = [*plan.depends, python]
    if wheel.glibc:
        depends.append(f"__glibc >={wheel.glibc},<3.0.a0")
    licence = wheel.metadata.get("License-Expression") or ""
    return Package(conda_name(wheel.pypi_name), wheel.version, build, depends, noarch=noarch, license=licence)


def launcher(target: str) -> bytes:
    """The start script of a console entry point."""
    module, function = target.split(":")
    name = function.split(".")[0]
    return LAUNCHER.format(prefix=PLACEHOLDER, module=module, name=name, function=function).encode()


def _add_files(package: Package, wheel: Wheel, site: str, scripts: str) -> None:
    """Copy a wheel's files to where a package has them, and write RECORD anew."""
    skipped = {f"{wheel.dist_info}/{name}" for name in ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER")}
    with zipfile.ZipFile(wheel.path) as archive:
        for item in archive.infolist():
            if item.is_dir() or item.filename in skipped or is_unneeded_test(wheel.pypi_name, item.filename):
                continue
            path = destination(item.filename, wheel, site, scripts)
            data, is_script = archive.read(item), path.startswith(f"{scripts}/")
            executable = is_script or (item.external_attr >> 16) & 0o111
            has_prefix = is_script and data.startswith(b"#!python")
            if has_prefix:
                data = f"#!{PLACEHOLDER}/bin/python".encode() + data.removeprefix(b"#!python")
            package.add(path, data, 0o755 if executable else 0o644, has_prefix=has_prefix)
    package.add(f"{site}/{wheel.dist_info}/INSTALLER", b"conda\n")
    package.add(f"{site}/{wheel.dist_info}/REQUESTED", b"")
    package.add(f"{site}/{wheel.dist_info}/RECORD", record(package, site, f"{wheel.dist_info}/RECORD"))


def is_unneeded_test(pypi_name: str, path: str) -> bool:
    return pypi_name in WITHOUT_TESTS and "/tests/" in path and not path.startswith(NEEDED_TESTS)


def destination(path: str, wheel: Wheel, site: str, scripts: str) -> str:
    """Where a file of a wheel goes, by the scheme that its .data folder names."""
    data_folder = wheel.dist_info.removesuffix(".dist-info") + ".data/"
    if not path.startswith(data_folder):
        return f"{site}/{path}"
    scheme, rest = path.removeprefix(data_folder).split("/", 1)
    roots = {"purelib": f"{site}/", "platlib": f"{site}/", "scripts": f"{scripts}/", "data": ""}
    return roots.get(scheme, f"include/{wheel.pypi_name}/") + rest


def record(package: Package, site: str, own: str) -> bytes:
    """RECORD ("Recording installed projects"): path, hash and size of each file."""
    rows = []
    for member in package.members.values():
        path = os.path.relpath(member.path, site)
        digest = base64.urlsafe_b64encode(hashlib.sha256(member.data).digest()).rstrip(b"=").decode()
        rows.append(f"{json.dumps(path) if ',' in path else path},sha256={digest},{len(member.data)}\n")
    return ("".join(sorted(rows)) + f"{own},,\n").encode()
