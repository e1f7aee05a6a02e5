# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Solving a declaration once, and writing down what came out.

conda's answers do not name the URL and the sha256 of a package that lies in its cache already, but the records of
an environment do. So a lock is read from a real environment, made in scratch space and removed again; what was
downloaded for it stays in the package cache, where the installation finds it. pip is asked in that environment, too,
for only there is known what conda has brought already.

Sources: conda's documentation of explicit files; pip's "Installation Report" format, version 1.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from typing import Any

from . import state
from .files import scratch
from .lock import Lock, LockedPackage, LockedRequirement, in_link_order, platform_of
from .match import channel_allowed
from .records import read_snapshot
from .requirement import normalise
from .runner import Conda, RunError
from .spec import EnvironmentSpec


def make_lock(conda: Conda, envs_dir: str, spec: EnvironmentSpec, allowed_channels: tuple[str, ...] = ()) -> Lock:
    """Solve one declaration. Raises RunError when conda or pip cannot, or a package has no sha256."""
    with scratch(state.scratch(envs_dir)) as directory:
        prefix = os.path.join(directory, spec.name)
        conda.solve(
            "create", prefix, [package.canonical() for package in spec.conda_specs()], spec.channels, dry_run=False
        )
        records = in_link_order(read_snapshot(prefix).conda.values())
        vague = [record.name for record in records if not (record.url and record.sha256)]
        if vague:
            raise RunError(
                f"the channel's index has no URL or no sha256 for {', '.join(vague)}, so they cannot be locked"
            )
        packages = tuple(LockedPackage.read(record.url, record.sha256) for record in records)
        pip = _solve_pip(conda, prefix, spec)
    lock = Lock(
        platform=platform_of(platform.machine()),
        packages=packages,
        pip=pip,
        name=spec.name,
        declaration=spec.lock_digest(),
    )
    foreign = [
        url
        for url in lock.channels()
        if "://" in "".join(allowed_channels) and not channel_allowed(url, allowed_channels)
    ]
    if foreign:
        raise RunError(f"packages came from {', '.join(foreign)}, which allowed_channels does not have")
    return lock


def _solve_pip(conda: Conda, prefix: str, spec: EnvironmentSpec) -> tuple[LockedRequirement, ...]:
    if not spec.pip:
        return ()
    with tempfile.TemporaryDirectory(prefix="pystack-") as directory:
        report = os.path.join(directory, "report.json")
        wanted = [requirement.text for requirement in spec.pip]
        conda.pip(prefix, ["install", "--dry-run", "--quiet", "--report", report, *wanted])
        with open(report, encoding="utf-8") as stream:
            return read_report(json.load(stream))


def read_report(report: Mapping[str, Any]) -> tuple[LockedRequirement, ...]:
    """The requirements of pip's report with their hashes, sorted; RunError for one that cannot have a hash."""
    return tuple(sorted((_requirement(found) for found in report["install"]), key=lambda found: found.name))


def _requirement(found: Mapping[str, Any]) -> LockedRequirement:
    name, version = normalise(found["metadata"]["name"]), found["metadata"]["version"]
    source = found["download_info"]
    sha256 = (source.get("archive_info") or {}).get("hashes", {}).get("sha256")
    if not sha256:
        raise RunError(
            f"pip package {name} comes from {source.get('url')}, which has no sha256, so it cannot be locked"
        )
    direct = bool(found.get("is_direct"))
    return LockedRequirement(
        name=name,
        version="" if direct else version,
        url=source["url"] if direct else "",
        hashes=(f"sha256:{sha256}",),
    )
