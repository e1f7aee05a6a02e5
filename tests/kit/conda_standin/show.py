"""list, info, search: the commands that only tell."""

from __future__ import annotations

import os
import platform
import re
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from rattler import VirtualPackage

from . import BANNER, history, solver
from .channels import SUBDIR, configured_names, name_of, selected, urls_of
from .config import ROOT, envs_dirs, files, pkgs_dirs, settings
from .errors import PackagesNotFoundInChannelsError
from .output import emit, table
from .prefix import description, existing, installed, known_environments, name_for, pip_packages
from .version import VERSION


def packages(args: Namespace) -> None:
    """conda list"""
    prefix = existing(args.name, args.prefix)
    if args.revisions:
        revisions(args, prefix)
        return
    if args.explicit:
        explicit(args, prefix)
        return
    rows = [description(record) for record in installed(prefix)] + ([] if args.no_pip else pip_packages(prefix))
    rows.sort(key=lambda row: row["name"])
    if args.regex:
        pattern = re.compile(f"^(?:{args.regex})$" if args.full_name else args.regex)
        rows = [row for row in rows if pattern.search(row["name"])]
    if args.json:
        emit(rows)
    elif args.export:
        print("".join(f"{r['name']}={r['version']}={r['build_string']}\n" for r in rows), end="")
    else:
        print(f"# packages in environment at {prefix}:\n#")
        table(rows, ("name", "version", "build_string", "channel"), ("Name", "Version", "Build", "Channel"))


def explicit(args: Namespace, prefix: str) -> None:
    print("# This file may be used to create an environment using:")
    print("# $ conda create --name <env> --file <this file>\n# platform: linux-64\n@EXPLICIT")
    for record in installed(prefix):
        digest = f"#{record['md5']}" if args.md5 else f"#sha256:{record['sha256']}" if args.sha256 else ""
        print(record["url"] + digest)


def revisions(args: Namespace, prefix: str) -> None:
    """The changes of an environment; unlike conda's, an upgrade shows as a removal and an addition."""
    found = history.revisions(prefix)
    if args.json:
        emit(
            [
                {
                    "date": revision.date,
                    "downgrade": [],
                    "install": [name.split("::")[-1] for name in revision.added],
                    "remove": [name.split("::")[-1] for name in revision.removed],
                    "rev": number,
                    "upgrade": [],
                }
                for number, revision in enumerate(found)
            ]
        )
        return
    for number, revision in enumerate(found):
        changes = [
            *(f"    -{name}" for name in revision.removed),
            *(f"    +{name}" for name in revision.added),
        ]
        print("\n".join([f"{revision.date}  (rev {number})", *changes, ""]))


def details(prefix: str) -> dict[str, Any]:
    return {
        "active": prefix == os.environ.get("CONDA_PREFIX"),
        "base": prefix == ROOT,
        "frozen": Path(prefix, "conda-meta/frozen").exists(),
        "name": name_for(prefix),
        "writable": os.access(prefix, os.W_OK),
    }


def environments(args: Namespace) -> None:
    """conda env list, conda info --envs"""
    known = known_environments()
    if args.json:
        emit({"envs": known, "envs_details": {prefix: details(prefix) for prefix in known}})
        return
    print("\n# conda environments:\n#\n# * -> active\n# + -> frozen")
    for prefix in known:
        flags = details(prefix)
        mark = ("*" if flags["active"] else " ") + ("+" if flags["frozen"] else " ")
        print(f"{flags['name']:<22} {mark} {prefix}")
    print()


def virtual_packages() -> list[list[str]]:
    packages = (package.into_generic() for package in VirtualPackage.detect())
    return [[p.name.normalized, str(p.version), str(p.build_string)] for p in packages]


def facts() -> dict[str, Any]:
    """The fields of `conda info --json`."""
    active = os.environ.get("CONDA_PREFIX")
    known = known_environments()
    urls = [url for name in configured_names() for url in urls_of(name)]
    return {
        "active_prefix": active,
        "active_prefix_name": name_for(active) or active if active else None,
        "channels": [f"{url}/{subdir}" for url in urls for subdir in solver.PLATFORMS],
        "conda_build_version": "not installed",
        "conda_env_version": VERSION,
        "conda_location": str(Path(__file__).parent),
        "conda_prefix": ROOT,
        "conda_shlvl": int(os.environ.get("CONDA_SHLVL") or -1),
        "conda_version": VERSION,
        "config_files": [str(path) for path in files()],
        "default_prefix": active or ROOT,
        "envs": known,
        "envs_details": {prefix: details(prefix) for prefix in known},
        "envs_dirs": envs_dirs(),
        "offline": bool(settings()["offline"]),
        "pkgs_dirs": pkgs_dirs(),
        "platform": "linux-64",
        "python_version": f"{platform.python_version()}.final.0",
        "rc_path": str(Path.home() / ".condarc"),
        "root_prefix": ROOT,
        "root_writable": os.access(ROOT, os.W_OK),
        "solver": {"default": True, "name": "rattler", "user_agent": BANNER},
        "sys.executable": sys.executable,
        "sys.prefix": sys.prefix,
        "sys.version": sys.version,
        "sys_rc_path": f"{ROOT}/.condarc",
        "user_agent": f"conda/{VERSION} ({BANNER})",
        "user_rc_path": str(Path.home() / ".condarc"),
        "virtual_pkgs": virtual_packages(),
    }


def info(args: Namespace) -> None:
    if args.base:
        emit({"root_prefix": ROOT}) if args.json else print(ROOT)
        return
    if args.envs:
        environments(args)
        return
    known = facts()
    if args.json:
        emit(known)
        return
    print(f"\n{BANNER}\n")
    writable = "writable" if known["root_writable"] else "read only"
    packages = "\n".join("=".join(package) for package in known["virtual_pkgs"])
    for label, value in (
        ("active environment", str(known["active_prefix_name"])),
        ("active env location", str(known["active_prefix"])),
        ("shell level", str(known["conda_shlvl"])),
        ("user config file", known["user_rc_path"]),
        ("populated config files", "\n".join(known["config_files"])),
        ("conda version", VERSION),
        ("python version", known["python_version"]),
        ("virtual packages", packages),
        ("base environment", f"{ROOT}  ({writable})"),
        ("channel URLs", "\n".join(known["channels"])),
        ("package cache", "\n".join(known["pkgs_dirs"])),
        ("envs directories", "\n".join(known["envs_dirs"])),
        ("platform", known["platform"]),
        ("user-agent", known["user_agent"]),
        ("offline mode", str(known["offline"])),
    ):
        print(f"{label:>23} : " + value.replace("\n", "\n" + " " * 26))
    print()


def search(args: Namespace) -> None:
    urls = selected(args.channel, args.override_channels)
    spec = args.packages[0] if args.packages else "*"
    found = sorted(solver.search(spec, urls), key=lambda record: (record.name.normalized, record.version))
    if not found:
        raise PackagesNotFoundInChannelsError([spec], urls)
    records = [solver.as_dict(record) for record in found]
    if args.json:
        grouped: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            grouped.setdefault(record["name"], []).append(record)
        emit(grouped)
        return
    rows = [{**record, "channel": name_of(SUBDIR.sub("", record["channel"]))} for record in records]
    table(rows, ("name", "version", "build", "channel"), ("Name", "Version", "Build", "Channel"))
