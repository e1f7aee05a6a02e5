# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Carrying plans out, or predicting what they would do."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from . import kernel, state
from .files import lock, read_json, write_atomically, write_json
from .plan import Actual, Plan, View, make_plan, pip_changes, prunable, render, unmet, view
from .records import Difference, PackageRecord, Snapshot, difference, read_snapshot
from .requirement import Requirement
from .runner import Conda, RunError, Solution
from .spec import EnvironmentSpec, SpecError

REGISTRY = "~/.conda/environments.txt"
_PIP = ("--disable-pip-version-check", "--no-input")


@dataclass(frozen=True)
class Settings:
    """Where things are, and whether this is a rehearsal."""

    envs_dir: str
    kernels_dir: str
    conda: Conda
    check: bool = False
    lock_timeout: float = 600

    def prefix(self, name: str) -> str:
        """The path of an environment."""
        return os.path.join(self.envs_dir, name)


@dataclass(frozen=True)
class Outcome:
    """What happened to one environment, or in check mode what would."""

    name: str
    prefix: str
    action: str
    changed: bool
    resolved: bool = True
    reasons: tuple[str, ...] = ()
    conda: Difference = field(default_factory=Difference)
    pip: Difference = field(default_factory=Difference)
    diff: Mapping[str, str] = field(default_factory=dict)
    duration_s: Mapping[str, float] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        """The outcome as the module returns it."""
        return {
            "name": self.name,
            "prefix": self.prefix,
            "action": self.action,
            "changed": self.changed,
            "resolved": self.resolved,
            "reasons": list(self.reasons),
            "added": list(self.conda.added),
            "removed": list(self.conda.removed),
            "updated": list(self.conda.updated),
            "pip": {
                "added": list(self.pip.added),
                "removed": list(self.pip.removed),
                "updated": list(self.pip.updated),
            },
            "duration_s": dict(self.duration_s),
        }

    def ansible_diff(self) -> dict[str, str]:
        """The outcome as an entry of Ansible's diff."""
        header = f"{self.prefix} (conda environment)"
        return {"before_header": header, "after_header": header, **self.diff}


class Stopwatch:
    """Adds up the seconds spent in named phases."""

    def __init__(self) -> None:
        self.seconds = {"solve_and_install": 0.0, "pip": 0.0, "verify": 0.0}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside to ``name``."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - start

    def rounded(self) -> dict[str, float]:
        """Seconds by phase, to the millisecond."""
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}


class ApplyError(Exception):
    """One environment failed; ``outcomes`` are those finished before it."""

    def __init__(self, message: str, outcomes: Sequence[Outcome], details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.outcomes = list(outcomes)
        self.details = dict(details)


def apply(settings: Settings, specs: Sequence[EnvironmentSpec]) -> list[Outcome]:
    """Bring every environment to its declaration, or in check mode say what that would do.

    All plans are made before the first change. Raises SpecError for a declaration that cannot be
    carried out, TimeoutError when another run holds the lock, and ApplyError for a failure.
    """
    nothing = settings.check or _nothing_there(settings, specs)
    path = os.path.join(state.directory(settings.envs_dir), "lock")
    with nullcontext() if nothing else lock(path, settings.lock_timeout) as handle:
        conda = settings.conda if handle is None else replace(settings.conda, keep_open=(handle,))
        return _apply_all(replace(settings, conda=conda), specs)


def _nothing_there(settings: Settings, specs: Sequence[EnvironmentSpec]) -> bool:
    """Whether nothing is declared and nothing exists, so that not even a lock is made."""
    return not any(spec.present for spec in specs) and not os.path.isdir(settings.envs_dir)


def _apply_all(settings: Settings, specs: Sequence[EnvironmentSpec]) -> list[Outcome]:
    actuals = [inspect(settings, spec.name) for spec in specs]
    plans = _plan_all(settings, specs, actuals)
    outcomes: list[Outcome] = []
    for spec, actual, plan in zip(specs, actuals, plans):
        try:
            step = _predict if settings.check else _carry_out
            outcomes.append(step(settings, spec, actual, plan))
        except RunError as error:
            raise ApplyError(f"{spec.name}: {error}", outcomes, error.details) from error
        except (OSError, ValueError) as error:
            raise ApplyError(f"{spec.name}: {error}", outcomes, {}) from error
    return outcomes


def inspect(settings: Settings, name: str) -> Actual:
    """Read what there is under a name; ValueError naming a damaged file."""
    prefix = settings.prefix(name)
    return Actual(
        prefix=prefix,
        occupied=os.path.lexists(prefix),
        snapshot=read_snapshot(prefix),
        kernel=kernel.read(settings.kernels_dir, name),
        state=state.read(settings.envs_dir, name),
    )


def _plan_all(settings: Settings, specs: Sequence[EnvironmentSpec], actuals: Sequence[Actual]) -> list[Plan]:
    plans: list[Plan] = []
    problems: list[str] = []
    for spec, actual in zip(specs, actuals):
        try:
            plan = make_plan(spec, actual)
            problems.extend(_obstacles(settings, spec, actual, plan))
            plans.append(plan)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return plans


def _obstacles(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan) -> list[str]:
    """What forbids to remove a directory, however the plan came about."""
    if plan.action not in ("remove", "rebuild"):
        return []
    if os.path.islink(actual.prefix):
        return [f"{spec.name}: {actual.prefix} is a symbolic link; remove it by hand"]
    own = os.path.realpath(settings.conda.executable)
    if own.startswith(os.path.realpath(actual.prefix) + os.sep):
        return [f"{spec.name}: {actual.prefix} is the installation of conda_executable and is not removed"]
    return []


def _carry_out(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan) -> Outcome:
    watch = Stopwatch()
    if plan.action == "none":
        _keep_books(settings, spec, actual)
    elif plan.action == "remove":
        _remove(settings, spec.name, plan)
    elif plan.action == "update":
        _update(settings, spec, actual, plan, watch)
    else:
        _create(settings, spec, actual, plan, watch)
    done = actual if plan.action == "none" else inspect(settings, spec.name)
    return _outcome(spec, actual, plan, done.snapshot, view(done.snapshot, done.kernel), watch)


def _keep_books(settings: Settings, spec: EnvironmentSpec, actual: Actual) -> None:
    """Remember a declaration that the environment meets already."""
    if spec.present:
        operation = actual.state.operation if actual.state else "update"
        wanted = state.ready(spec, actual.state, operation)
        if wanted != actual.state:
            state.write(settings.envs_dir, spec.name, wanted)


def _begin(settings: Settings, name: str, before: state.State | None, operation: str) -> None:
    begun = replace(before or state.State(), status=state.BUILDING, operation=operation)
    state.write(settings.envs_dir, name, begun)


def _remove(settings: Settings, name: str, plan: Plan) -> None:
    _begin(settings, name, None, "remove")
    if plan.remove_kernel:
        kernel.remove(settings.kernels_dir, name)
    _clear(settings, name)


def _clear(settings: Settings, name: str) -> None:
    """Remove an environment's directory, its line in conda's registry and its state, in this order."""
    prefix = settings.prefix(name)
    if os.path.lexists(prefix):
        shutil.rmtree(prefix)
    _unregister(prefix)
    state.remove(settings.envs_dir, name)


def _unregister(prefix: str) -> None:
    path = os.path.expanduser(REGISTRY)
    try:
        with open(path, encoding="utf-8") as stream:
            lines = stream.readlines()
    except FileNotFoundError:
        return
    kept = [line for line in lines if line.strip() != prefix]
    if kept != lines:
        write_atomically(path, "".join(kept), os.stat(path).st_mode & 0o777)


def _create(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan, watch: Stopwatch) -> None:
    if plan.action == "rebuild":
        _clear(settings, spec.name)
    _begin(settings, spec.name, None, "create")
    try:
        with watch.phase("solve_and_install"):
            settings.conda.solve("create", actual.prefix, plan.install, spec.channels, dry_run=False)
        _finish(settings, spec, plan, None, "create", watch)
    except Exception:
        _clear(settings, spec.name)
        raise


def _update(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan, watch: Stopwatch) -> None:
    _begin(settings, spec.name, actual.state, "update")
    try:
        with watch.phase("solve_and_install"):
            if plan.install:
                arguments = _install_arguments(spec, plan)
                settings.conda.solve("install", actual.prefix, arguments, spec.channels, dry_run=False)
            surplus = prunable(spec, read_snapshot(actual.prefix))
            if surplus:
                settings.conda.solve("remove", actual.prefix, surplus, (), dry_run=False)
        _finish(settings, spec, plan, actual.state, "update", watch)
    except Exception:
        _restore(settings, spec.name, actual.state)
        raise


def _restore(settings: Settings, name: str, before: state.State | None) -> None:
    """A failed update is found again by comparing, so its state is the one from before."""
    if before is None:
        state.remove(settings.envs_dir, name)
    else:
        state.write(settings.envs_dir, name, before)


def _install_arguments(spec: EnvironmentSpec, plan: Plan) -> tuple[str, ...]:
    return (("--update-specs",) if spec.latest else ()) + plan.install


def _finish(
    settings: Settings,
    spec: EnvironmentSpec,
    plan: Plan,
    before: state.State | None,
    operation: str,
    watch: Stopwatch,
) -> None:
    """Everything after conda's part: pip, variables, kernel, proof, state."""
    prefix = settings.prefix(spec.name)
    with watch.phase("pip"):
        _run_pip(settings.conda, prefix, spec, before)
    _write_variables(prefix, spec, plan)
    if plan.kernel is not None:
        kernel.write(settings.kernels_dir, spec.name, plan.kernel)
    elif plan.remove_kernel:
        kernel.remove(settings.kernels_dir, spec.name)
    with watch.phase("verify"):
        _verify(prefix, spec)
    state.write(settings.envs_dir, spec.name, state.ready(spec, before, operation))


def _run_pip(conda: Conda, prefix: str, spec: EnvironmentSpec, before: state.State | None) -> None:
    # Planned again: another Python, or a conda package, may have changed what pip has to do.
    changes = pip_changes(spec, read_snapshot(prefix), before)
    if changes.install:
        conda.pip(prefix, ["install", *_PIP, *(requirement.text for requirement in changes.install)])
    if changes.remove:
        conda.pip(prefix, ["uninstall", "-y", *_PIP, *changes.remove])


def _write_variables(prefix: str, spec: EnvironmentSpec, plan: Plan) -> None:
    if not plan.set_variables and not plan.unset_variables:
        return
    path = os.path.join(prefix, "conda-meta", "state")
    content = read_json(path) or {"version": 1}
    content["env_vars"] = _variables_after(content.get("env_vars", {}), spec, plan)
    write_json(path, content)


def _variables_after(present: Mapping[str, str], spec: EnvironmentSpec, plan: Plan) -> dict[str, str]:
    kept = {name: value for name, value in present.items() if name not in plan.unset_variables}
    return {**kept, **{name: spec.variables[name] for name in plan.set_variables}}


def _verify(prefix: str, spec: EnvironmentSpec) -> None:
    snapshot = read_snapshot(prefix)
    missing = unmet(spec.conda_specs(), snapshot.conda)
    met = state.ready(spec, None, "update")
    missing += [f"{found.text} is not met" for found in pip_changes(spec, snapshot, met).install]
    if missing:
        raise RunError(f"the installation reported success, but {'; '.join(missing)}")


def _outcome(
    spec: EnvironmentSpec, actual: Actual, plan: Plan, after: Snapshot, shown: View, watch: Stopwatch
) -> Outcome:
    conda = _titles(actual.snapshot.conda, after.conda)
    pip = _titles(actual.snapshot.pip(), after.pip())
    before = view(actual.snapshot, actual.kernel)
    changed = (
        plan.action in ("create", "rebuild", "remove")
        or before != shown
        or any((conda.added, conda.removed, conda.updated))
    )
    return Outcome(
        name=spec.name,
        prefix=actual.prefix,
        action=plan.action if changed else "none",
        changed=changed,
        reasons=plan.reasons if changed else (),
        conda=conda,
        pip=pip,
        diff=render(before, shown),
        duration_s=watch.rounded(),
    )


def _titles(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """A difference with titles (name, version, build) in the place of names."""
    found = difference(before, after)
    return Difference(
        tuple(after[name].title() for name in found.added),
        tuple(before[name].title() for name in found.removed),
        tuple(after[name].title() for name in found.updated),
    )


def _predict(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan) -> Outcome:
    """What carrying the plan out would do; conda is asked only where it has work."""
    watch = Stopwatch()
    if plan.action == "remove":
        left = None if plan.remove_kernel else actual.kernel
        return _outcome(spec, actual, plan, Snapshot(), view(Snapshot(), left), watch)
    with watch.phase("solve_and_install"):
        solution = _rehearse(settings, spec, actual, plan)
    after = _predicted(actual, plan, solution or Solution(), spec)
    wanted = None if plan.remove_kernel else plan.kernel or actual.kernel
    shown = view(after, wanted)
    predicted = replace(shown, pip={**shown.pip, **_predicted_pip(plan.pip.install)})
    if solution is None:
        unresolved = {package.name: f"{package.text} (not resolved)" for package in spec.conda_specs()}
        predicted = replace(predicted, packages={**predicted.packages, **unresolved})
    outcome = _outcome(spec, actual, plan, after, predicted, watch)
    return replace(outcome, resolved=solution is not None)


def _rehearse(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan) -> Solution | None:
    """Conda's answer to a dry run, None where conda is not installed yet."""
    if plan.action in ("none", "update") and not plan.install:
        return Solution()
    if not settings.conda.available():
        return None
    if plan.action == "update":
        arguments = _install_arguments(spec, plan)
        return settings.conda.solve("install", actual.prefix, arguments, spec.channels, dry_run=True)
    # conda would empty an existing prefix even in a rehearsal, so a rebuild gets a path of its own.
    own_path = os.path.join(settings.envs_dir, f".rehearsal-{spec.name}")
    prefix = actual.prefix if plan.action == "create" else own_path
    return settings.conda.solve("create", prefix, plan.install, spec.channels, dry_run=True)


def _predicted(actual: Actual, plan: Plan, solution: Solution, spec: EnvironmentSpec) -> Snapshot:
    old = actual.snapshot if plan.action in ("none", "update") else Snapshot()
    linked = {record.name: _unless_same(record, old.conda.get(record.name)) for record in solution.link}
    gone = (set(solution.unlink) | set(plan.remove)) - set(linked)
    conda = {name: record for name, record in old.conda.items() if name not in gone}
    python = {name: found for name, found in old.python.items() if name not in plan.pip.remove}
    return Snapshot(True, {**conda, **linked}, python, _variables_after(old.variables, spec, plan))


def _unless_same(record: PackageRecord, old: PackageRecord | None) -> PackageRecord:
    """The old record where conda would only link the same package again."""
    return old if old is not None and old.line() == record.line() else record


def _predicted_pip(requirements: Sequence[Requirement]) -> dict[str, str]:
    """Lines for what pip would install; only an exact pin tells the version beforehand."""
    lines = {}
    for found in requirements:
        pins = [condition.value for condition in found.conditions if condition.operator == "=="]
        exact = len(pins) == 1 and not pins[0].endswith("*")
        lines[found.name] = f"{found.name} {pins[0]}" if exact else f"{found.text} (version chosen by pip)"
    return lines
