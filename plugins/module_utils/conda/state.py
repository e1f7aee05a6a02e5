# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Bookkeeping beside the environments: what was declared, and whether a run was cut short.

``<envs_dir>/.pystack/<name>.json`` says ``building`` before the first change and ``ready`` after
the last one, so a run that was killed in between is recognised by the next one.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from .files import read_json, remove_file, write_json
from .spec import EnvironmentSpec

BUILDING = "building"
READY = "ready"
_LISTS = ("declared", "pip", "variables", "generations")
_TEXTS = ("status", "operation", "spec_digest", "python")


@dataclass(frozen=True)
class State:
    """``operation`` is the last one begun (create, update, remove). ``pip`` holds requirements
    and ``variables`` names that were declared at some time and not pruned since; ``generations``
    are ids in the order in which they were put to use."""

    status: str = READY
    operation: str = "update"
    spec_digest: str = ""
    declared: tuple[str, ...] = ()
    python: str = ""
    pip: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    generations: tuple[str, ...] = ()

    def interrupted(self, *operations: str) -> bool:
        """Whether one of these operations was begun and not ended."""
        return self.status == BUILDING and self.operation in operations


def directory(envs_dir: str) -> str:
    """Where the bookkeeping of all environments below ``envs_dir`` lives."""
    return os.path.join(envs_dir, ".pystack")


def scratch(envs_dir: str) -> str:
    """Where a run has its temporary files, on the file system of the environments."""
    return os.path.join(directory(envs_dir), "scratch")


def path(envs_dir: str, name: str) -> str:
    """The state file of one environment."""
    return os.path.join(directory(envs_dir), f"{name}.json")


def read(envs_dir: str, name: str) -> State | None:
    """The state of one environment, None when there is none; ValueError for a damaged file."""
    source = path(envs_dir, name)
    data = read_json(source)
    if data is None:
        return None
    if data.get("status") not in (BUILDING, READY) or not _well_typed(data):
        raise ValueError(f"{source} is damaged; remove it to have the environment adopted as it is")
    known: dict[str, Any] = {key: data[key] for key in _TEXTS if key in data}
    known.update({key: tuple(data[key]) for key in _LISTS if key in data})
    return State(**known)


def _well_typed(data: dict[str, Any]) -> bool:
    texts = all(isinstance(data.get(key, ""), str) for key in _TEXTS)
    return texts and all(isinstance(data.get(key, []), list) for key in _LISTS)


def write(envs_dir: str, name: str, state: State) -> None:
    """Write the state of one environment in one step."""
    write_json(path(envs_dir, name), asdict(state))


def remove(envs_dir: str, name: str) -> None:
    """Forget an environment."""
    remove_file(path(envs_dir, name))


def ready(spec: EnvironmentSpec, before: State | None, operation: str) -> State:
    """The state after a run. Without prune, what was declared before is remembered for later."""
    kept = State() if before is None or spec.prune else before
    requirements = {requirement.text for requirement in spec.pip}
    return State(
        status=READY,
        operation=operation,
        spec_digest=spec.digest(),
        declared=tuple(sorted(package.name for package in spec.packages)),
        python=spec.python(),
        pip=tuple(sorted(requirements | set(kept.pip))),
        variables=tuple(sorted(set(spec.variables) | set(kept.variables))),
        generations=before.generations if before else (),
    )
