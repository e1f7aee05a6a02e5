# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Environments as files, for people and other machines; read from the environment, without a process."""

from __future__ import annotations

import platform

from .environment_file import write_environment_file
from .lock import Lock, LockedPackage, in_link_order, platform_of
from .match import channel_name
from .outcome import Outcome
from .records import Snapshot, read_snapshot
from .settings import Settings
from .spec import EnvironmentSpec, SpecError


class Exported:
    """An environment that is to be written down; SpecError where there is none, ValueError for a damaged one."""

    works = False

    def __init__(self, settings: Settings, spec: EnvironmentSpec) -> None:
        self.spec = spec
        self.prefix = settings.prefix(spec.name)
        self.snapshot = read_snapshot(self.prefix)
        if not self.snapshot.exists:
            raise SpecError([f"{spec.name}: {self.prefix} is not a conda environment, so it is not exported"])

    def carry_out(self) -> Outcome:
        """The environment's files."""
        return Outcome(
            name=self.spec.name,
            prefix=self.prefix,
            action="none",
            changed=False,
            records=tuple(self.snapshot.conda[name] for name in sorted(self.snapshot.conda)),
            exported={
                "environment_yml": environment_yml(self.spec, self.snapshot),
                "explicit": explicit(self.spec.name, self.snapshot),
            },
        )

    predict = carry_out


def environment_yml(spec: EnvironmentSpec, snapshot: Snapshot) -> str:
    """The environment as conda's environment.yml, with versions and without builds.

    Values of variables may be secret and are left out.
    """
    urls = sorted({record.channel for record in snapshot.conda.values() if record.channel})
    declared = {channel_name(channel) for channel in spec.channels}
    others = [url for url in urls if channel_name(url) not in declared]
    return write_environment_file(
        name=spec.name,
        channels=[*spec.channels, *others],
        packages=[f"{record.name}={record.version}" for _name, record in sorted(snapshot.conda.items())],
        pip=[f"{found.name}=={found.version}" for _name, found in sorted(snapshot.pip().items())],
        variables={},
    )


def explicit(name: str, snapshot: Snapshot) -> str:
    """The conda packages as a lock; empty where the records do not say where they came from."""
    records = in_link_order(snapshot.conda.values())
    if not all(record.url and record.sha256 for record in records):
        return ""
    packages = tuple(LockedPackage.read(record.url, record.sha256) for record in records)
    return Lock(platform=platform_of(platform.machine()), packages=packages, name=name).text()
