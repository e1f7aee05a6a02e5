# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What environments there are, read from their files without running anything.

Source: the standard CEP 32 "Management and structure of conda environments" (https://conda.org/learn/ceps/).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .generations import FROZEN, Generations
from .integrity import check_files, is_used, paths_in_use
from .match import channel_name, redact
from .records import PackageRecord, Snapshot, is_environment, read_snapshot
from .search import columns

_NOT_ENVIRONMENTS = (".", "_")
_HEAD = ("environment", "python", "packages", "pip", "generation", "others", "channels", "notes")


@dataclass(frozen=True)
class Generation:
    """One prefix of a locked environment. ``complete`` says that it can be used, ``in_use`` that a process does."""

    id: str
    current: bool
    complete: bool
    in_use: bool


@dataclass(frozen=True)
class Environment:
    """One environment. ``generations`` are in the order in which they were made; ``faults`` are titles, or None
    where nobody looked."""

    name: str
    prefix: str
    snapshot: Snapshot
    frozen: bool = False
    generations: tuple[Generation, ...] = ()
    faults: tuple[str, ...] | None = None

    def generation(self) -> str:
        """The id of the generation in use; nothing for an environment that is kept in place."""
        return next((found.id for found in self.generations if found.current), "")

    def python(self) -> str:
        """The version of Python, or nothing."""
        found = self.snapshot.conda.get("python")
        return found.version if found else ""

    def channels(self) -> list[str]:
        """The URLs of the channels that the packages are from."""
        urls = {redact(record.channel) for record in self.snapshot.conda.values()}
        return sorted(filter(None, urls))

    def result(self, packages: bool) -> dict[str, Any]:
        """The environment as the module returns it. Values of variables may be secret and are not shown."""
        known: dict[str, Any] = {
            "name": self.name,
            "prefix": self.prefix,
            "python": self.python(),
            "channels": self.channels(),
            "frozen": self.frozen,
            "generation": self.generation(),
            "generations": [asdict(found) for found in self.generations],
            "variables": sorted(self.snapshot.variables),
        }
        if packages:
            conda, pip = self.snapshot.conda, self.snapshot.pip()
            known["packages"] = [_package(conda[name]) for name in sorted(conda)]
            known["pip"] = [{"name": name, "version": pip[name].version} for name in sorted(pip)]
        if self.faults is not None:
            known["faults"] = list(self.faults)
        return known


def _package(record: PackageRecord) -> dict[str, str]:
    return {
        "name": record.name,
        "version": record.version,
        "build": record.build,
        "channel": redact(record.channel),
        "subdir": record.subdir,
        "url": redact(record.url),
        "sha256": record.sha256,
    }


# ---------------------------------------------------------------- reading


def names_below(envs_dir: str) -> list[str]:
    """The names of all environments below a directory, sorted; none where there is no such directory."""
    try:
        names = os.listdir(envs_dir)
    except FileNotFoundError:
        return []
    known = (name for name in names if not name.startswith(_NOT_ENVIRONMENTS))
    return sorted(name for name in known if is_environment(os.path.join(envs_dir, name)))


def read_environments(envs_dir: str, names: Sequence[str] | None = None, *, verify: bool = False) -> list[Environment]:
    """Read the named environments, or all; ``verify`` compares every file with its package's list.

    Raises ValueError for a name without an environment, and naming the file for a damaged one.
    """
    there = names_below(envs_dir)
    missing = [name for name in names or () if name not in there]
    if missing:
        known = f"there are {', '.join(there)}" if there else "there is none at all"
        raise ValueError(f"names: below {envs_dir} there is no environment {', '.join(missing)}; {known}")
    owners = {name: Generations(envs_dir, name) for name in (there if names is None else names)}
    # All processes are looked at once, and only where there is a question to them.
    found = any(generations.found() for generations in owners.values())
    in_use = {path for _pid, paths in paths_in_use() for path in paths} if found else set()
    return [_read(generations, in_use, verify) for generations in owners.values()]


def _read(generations: Generations, in_use: Collection[str], verify: bool) -> Environment:
    prefix = generations.link
    return Environment(
        name=generations.name,
        prefix=prefix,
        snapshot=read_snapshot(prefix),
        frozen=os.path.isfile(os.path.join(prefix, FROZEN)),
        generations=_generations(generations, in_use),
        faults=tuple(fault.title() for fault in check_files(prefix)) if verify else None,
    )


def _generations(own: Generations, in_use: Collection[str]) -> tuple[Generation, ...]:
    current, complete = own.current(), own.complete()

    def made(identity: str) -> tuple[int, str]:
        path = own.book_path(identity) if identity in complete else own.prefix(identity)
        return os.stat(path).st_mtime_ns, identity

    return tuple(
        Generation(identity, identity == current, identity in complete, is_used(own.prefix(identity), in_use))
        for identity in sorted(own.found(), key=made)
    )


# ---------------------------------------------------------------- for people


def table(environments: Sequence[Environment]) -> list[str]:
    """Lines with a head. ``packages`` and ``pip`` are numbers, as is ``others``, of the other generations."""
    return columns([_HEAD, *(_row(environment) for environment in environments)])


def _row(environment: Environment) -> tuple[str, ...]:
    current = environment.generation()
    notes = ["frozen"] if environment.frozen else []
    if environment.faults is not None:
        notes.append(f"damaged:{len(environment.faults)}" if environment.faults else "sound")
    return (
        environment.name,
        environment.python(),
        str(len(environment.snapshot.conda)),
        str(len(environment.snapshot.pip())),
        current,
        str(len(environment.generations) - bool(current)) if environment.generations else "",
        ",".join(sorted({channel_name(channel) for channel in environment.channels()})),
        ",".join(notes),
    )
