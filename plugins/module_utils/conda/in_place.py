# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Environments without a lock: kept in place, where only what is declared is enforced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace

from . import generations, kernel, registry, state
from .files import read_json, write_json
from .generations import Generations
from .outcome import Outcome, Sight, Stopwatch, compare
from .plan import Actual, Plan, View, make_plan, pip_changes, prunable, unmet, view
from .records import PackageRecord, Snapshot, read_snapshot
from .requirement import Requirement
from .runner import Conda, RunError, Solution
from .settings import Settings
from .spec import EnvironmentSpec, SpecError


class InPlace:
    """One declaration, what there is, and the plan that leads from one to the other.

    Raises SpecError for a declaration that cannot be carried out, ValueError naming a damaged file.
    """

    def __init__(self, settings: Settings, spec: EnvironmentSpec) -> None:
        self.settings = settings
        self.spec = spec
        self.actual = inspect(settings, spec.name)
        self.plan = make_plan(spec, self.actual)
        problems = _obstacles(settings, spec, self.actual, self.plan)
        if problems:
            raise SpecError(problems)

    @property
    def works(self) -> bool:
        """Whether there is anything to do."""
        return self.plan.action != "none"

    def carry_out(self) -> Outcome:
        """Bring the environment to its declaration; RunError, OSError or ValueError when that fails."""
        settings, spec, actual, plan = self.settings, self.spec, self.actual, self.plan
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
        return self._outcome(done.snapshot, view(done.snapshot, done.kernel), watch)

    def predict(self) -> Outcome:
        """What carrying the plan out would do; conda is asked only where it has work."""
        spec, actual, plan = self.spec, self.actual, self.plan
        watch = Stopwatch()
        if plan.action == "remove":
            left = None if plan.remove_kernel else actual.kernel
            return self._outcome(Snapshot(), view(Snapshot(), left), watch)
        with watch.phase("solve_and_install"):
            solution = _rehearse(self.settings, spec, actual, plan)
        after = _predicted(actual, plan, solution or Solution(), spec)
        wanted = None if plan.remove_kernel else plan.kernel or actual.kernel
        shown = view(after, wanted)
        predicted = replace(shown, pip={**shown.pip, **_predicted_pip(plan.pip.install)})
        if solution is None:
            unresolved = {package.name: f"{package.text} (not resolved)" for package in spec.conda_specs()}
            predicted = replace(predicted, packages={**predicted.packages, **unresolved})
        return replace(self._outcome(after, predicted, watch), resolved=solution is not None)

    def _outcome(self, after: Snapshot, shown: View, watch: Stopwatch) -> Outcome:
        plan, actual = self.plan, self.actual
        before = Sight(actual.snapshot, view(actual.snapshot, actual.kernel))
        found = compare(before, Sight(after, shown))
        conda = found["conda"]
        changed = (
            plan.action in ("create", "rebuild", "remove")
            or before.view != shown
            or any((conda.added, conda.removed, conda.updated))
        )
        return Outcome(
            name=self.spec.name,
            prefix=actual.prefix,
            action=plan.action if changed else "none",
            changed=changed,
            reasons=plan.reasons if changed else (),
            plan=plan.steps() if changed else (),
            duration_s=watch.rounded(),
            **found,
        )


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


def _obstacles(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan) -> list[str]:
    """What forbids to remove a directory, however the plan came about."""
    if plan.action not in ("remove", "rebuild"):
        return []
    if os.path.islink(actual.prefix) and not Generations(settings.envs_dir, spec.name).current():
        return [f"{spec.name}: {actual.prefix} is a symbolic link; remove it by hand"]
    own = os.path.realpath(settings.conda.executable)
    if own.startswith(os.path.realpath(actual.prefix) + os.sep):
        return [f"{spec.name}: {actual.prefix} is the installation of conda_executable and is not removed"]
    return []


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
    """Remove an environment with its generations, its line in conda's registry and its state, in this order."""
    prefix = settings.prefix(name)
    generations.remove_all(Generations(settings.envs_dir, name))
    if os.path.lexists(prefix):
        shutil.rmtree(prefix)
    registry.unregister(prefix)
    state.remove(settings.envs_dir, name)


def _create(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan, watch: Stopwatch) -> None:
    if plan.action == "rebuild":
        _clear(settings, spec.name)
    _begin(settings, spec.name, None, "create")
    try:
        with watch.phase("solve_and_install"):
            settings.conda.solve("create", actual.prefix, plan.install, spec.channels, dry_run=False)
        _finish(settings, spec, plan, None, "create", watch)
        registry.register(actual.prefix)
    except Exception:
        _clear(settings, spec.name)
        raise


def _update(settings: Settings, spec: EnvironmentSpec, actual: Actual, plan: Plan, watch: Stopwatch) -> None:
    _begin(settings, spec.name, actual.state, "update")
    own = Generations(settings.envs_dir, spec.name)
    if own.current():
        generations.thaw(own, own.current())
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
        conda.pip(prefix, ["install", *(requirement.text for requirement in changes.install)])
    if changes.remove:
        conda.pip(prefix, ["uninstall", "-y", *changes.remove])


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
