# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Carrying declarations out, or predicting what that would do: all are planned before the first change."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Union

from . import state
from .exported import Exported
from .files import lock, scratch
from .in_place import InPlace
from .locked import Locked
from .outcome import ApplyError, Outcome
from .runner import RunError
from .settings import Settings
from .spec import EnvironmentSpec, SpecError

Job = Union[Exported, InPlace, Locked]


def apply(settings: Settings, specs: Sequence[EnvironmentSpec]) -> list[Outcome]:
    """Bring every environment to its declaration, or in check mode say what that would do.

    Raises SpecError for a declaration that cannot be carried out, TimeoutError when another run holds the lock,
    and ApplyError for a failure.
    """
    nothing = settings.check or _nothing_to_write(settings, specs)
    path = os.path.join(state.directory(settings.envs_dir), "lock")
    with nullcontext() if nothing else lock(path, settings.lock_timeout) as handle:
        return _apply_all(settings if handle is None else settings.holding(handle), specs)


def _nothing_to_write(settings: Settings, specs: Sequence[EnvironmentSpec]) -> bool:
    """Whether nothing is declared and nothing exists, so that not even a lock is made."""
    if all(spec.exported for spec in specs):
        return True
    return not any(spec.present for spec in specs) and not os.path.isdir(settings.envs_dir)


def _apply_all(settings: Settings, specs: Sequence[EnvironmentSpec]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for job in _jobs(settings, specs):
        try:
            outcomes.append(job.predict() if settings.check else _carry_out(settings, job))
        except RunError as error:
            raise ApplyError(f"{job.spec.name}: {error}", outcomes, error.details) from error
        except (OSError, ValueError) as error:
            raise ApplyError(f"{job.spec.name}: {error}", outcomes, {}) from error
    return outcomes


def _carry_out(settings: Settings, job: Job) -> Outcome:
    with scratch(state.scratch(settings.envs_dir)) if job.works else nullcontext():
        return job.carry_out()


def _jobs(settings: Settings, specs: Sequence[EnvironmentSpec]) -> list[Job]:
    jobs: list[Job] = []
    problems: list[str] = []
    for spec in specs:
        try:
            jobs.append(_job(settings, spec))
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return jobs


def _job(settings: Settings, spec: EnvironmentSpec) -> Job:
    if spec.exported:
        return Exported(settings, spec)
    file = settings.lock_of(spec.name) if spec.present else None
    if spec.present and settings.lock_mode == "require" and file is None:
        raise SpecError(
            [f"{spec.name}: lock_mode is 'require', and there is no lock for it; make one with playbooks/lock.yml"]
        )
    return Locked(settings, spec, file) if file else InPlace(settings, spec)
