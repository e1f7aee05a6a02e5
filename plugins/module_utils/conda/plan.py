# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What has to happen to an environment. Nothing here reads or changes a file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import kernel
from .match import MatchSpec
from .records import PackageRecord, Snapshot, extras
from .requirement import Requirement
from .spec import EnvironmentSpec, SpecError
from .state import State


@dataclass(frozen=True)
class Actual:
    """What there is: ``occupied`` says that something, an environment or not, has the path."""

    prefix: str
    occupied: bool = False
    snapshot: Snapshot = field(default_factory=Snapshot)
    kernel: Mapping[str, Any] | None = None
    state: State | None = None


@dataclass(frozen=True)
class PipChanges:
    """Requirements for ``pip install`` and names for ``pip uninstall``."""

    install: tuple[Requirement, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """``action`` is none, create, update, remove or rebuild. ``install`` goes to conda as it is,
    ``remove`` are packages to prune; ``kernel`` is the content to write, or None to leave it;
    ``reasons`` say in words why there is something to do."""

    action: str = "none"
    install: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    pip: PipChanges = field(default_factory=PipChanges)
    set_variables: tuple[str, ...] = ()
    unset_variables: tuple[str, ...] = ()
    kernel: Mapping[str, Any] | None = None
    remove_kernel: bool = False
    reasons: tuple[str, ...] = ()

    def steps(self) -> tuple[str, ...]:
        """What is going to be done, in words."""
        if self.action in ("none", "remove"):
            return () if self.action == "none" else ("remove the environment",)
        command = "update" if self.action == "update" else "create"
        steps = ["remove what an interrupted run left"] if self.action == "rebuild" else []
        steps += [" ".join((f"conda {command}:", *self.install))] if self.install or command == "create" else []
        steps += [f"conda remove: {' '.join(self.remove)}"] if self.remove else []
        steps += [f"pip install: {' '.join(found.text for found in self.pip.install)}"] if self.pip.install else []
        steps += [f"pip uninstall: {' '.join(self.pip.remove)}"] if self.pip.remove else []
        steps += [f"set variables: {' '.join(self.set_variables)}"] if self.set_variables else []
        steps += [f"unset variables: {' '.join(self.unset_variables)}"] if self.unset_variables else []
        steps += ["write the Jupyter kernel"] if self.kernel is not None else []
        steps += ["remove the Jupyter kernel"] if self.remove_kernel else []
        return tuple(steps)


def make_plan(spec: EnvironmentSpec, actual: Actual) -> Plan:
    """Compare a declaration with what there is.

    Raises SpecError where the path is taken by something else, and for a Jupyter kernel
    without ipykernel.
    """
    if not spec.present:
        return _removal(spec.name, actual)
    state = actual.state
    if actual.occupied and state is None and not actual.snapshot.exists:
        raise SpecError(
            [f"{spec.name}: {actual.prefix} exists and is not a conda environment; move it away or rename yours"]
        )
    if state and actual.occupied and (state.interrupted("create", "remove") or not actual.snapshot.exists):
        return _creation(spec, actual, "rebuild", _interruption(state))
    if not actual.snapshot.exists:
        return _creation(spec, actual, "create", ("the environment does not exist",))
    return _update(spec, actual)


def _interruption(state: State) -> tuple[str, ...]:
    words = {"create": "creating", "remove": "removing", "update": "updating"}
    return (f"an earlier run was interrupted while {words.get(state.operation, 'changing')} the environment",)


def _removal(name: str, actual: Actual) -> Plan:
    ours = kernel.belongs_to(actual.kernel, actual.prefix)
    if actual.occupied and not actual.snapshot.exists and actual.state is None:
        raise SpecError([f"{name}: {actual.prefix} exists and is not a conda environment, so it is not removed"])
    if not (actual.occupied or ours or actual.state):
        return Plan()
    return Plan("remove", remove_kernel=ours, reasons=("the environment is declared absent",))


def _creation(spec: EnvironmentSpec, actual: Actual, action: str, reasons: tuple[str, ...]) -> Plan:
    _require_ipykernel(spec, {})
    wanted = _wanted_kernel(spec, actual)
    return Plan(
        action,
        install=tuple(package.canonical() for package in spec.conda_specs()),
        pip=PipChanges(install=spec.pip),
        set_variables=tuple(sorted(spec.variables)),
        kernel=wanted if wanted != actual.kernel else None,
        remove_kernel=wanted is None and kernel.belongs_to(actual.kernel, actual.prefix),
        reasons=reasons,
    )


def _update(spec: EnvironmentSpec, actual: Actual) -> Plan:
    snapshot = actual.snapshot
    _require_ipykernel(spec, snapshot.conda)
    conda_reasons = list(unmet(spec.conda_specs(), snapshot.conda))
    if actual.state and actual.state.interrupted("update"):
        conda_reasons.extend(_interruption(actual.state))
    if spec.latest and spec.packages:
        conda_reasons.append("update is 'latest', so the solver looks for newer packages")
    removable = prunable(spec, snapshot)
    pip = pip_changes(spec, snapshot, actual.state)
    changed, unset = _variable_changes(spec, actual)
    wanted = _wanted_kernel(spec, actual)
    stale = wanted is None and kernel.belongs_to(actual.kernel, actual.prefix)
    reasons = [
        *conda_reasons,
        *(f"{name} is not needed by a declared package" for name in removable),
        *(f"pip requirement {requirement.text} is not met" for requirement in pip.install),
        *(f"pip package {name} is no longer declared" for name in pip.remove),
        *(f"variable {name} differs" for name in changed),
        *(f"variable {name} is no longer declared" for name in unset),
    ]
    if wanted is not None and wanted != actual.kernel:
        reasons.append("the Jupyter kernel is missing" if actual.kernel is None else "the Jupyter kernel differs")
    if stale:
        reasons.append("the Jupyter kernel is not declared")
    return Plan(
        "update" if reasons else "none",
        install=tuple(package.canonical() for package in spec.conda_specs()) if conda_reasons else (),
        remove=removable,
        pip=pip,
        set_variables=changed,
        unset_variables=unset,
        kernel=wanted if wanted != actual.kernel else None,
        remove_kernel=stale,
        reasons=tuple(reasons),
    )


def unmet(specs: Iterable[MatchSpec], records: Mapping[str, PackageRecord]) -> list[str]:
    """One sentence for each specification that the records do not meet."""
    found = []
    for spec in specs:
        record = records.get(spec.name)
        if record is None:
            found.append(f"{spec.name} is missing")
        elif not spec.matches(record):
            found.append(f"{record.title()} does not meet '{spec.text}'")
    return found


def prunable(spec: EnvironmentSpec, snapshot: Snapshot) -> tuple[str, ...]:
    """The conda packages to prune: those that nothing declared needs.

    pip stays, since conda makes it part of Python; ipykernel stays under a declared kernel.
    """
    if not spec.prune:
        return ()
    roots = [package.name for package in spec.conda_specs()] + ["pip"]
    roots += ["ipykernel"] if spec.kernel else []
    return tuple(extras(roots, snapshot.conda))


def pip_changes(spec: EnvironmentSpec, snapshot: Snapshot, state: State | None) -> PipChanges:
    """What pip has to do. Extras cannot be seen in an environment, so a requirement with extras
    counts as met only when it was declared, and installed, before."""
    before = state.pip if state else ()
    install = tuple(requirement for requirement in spec.pip if not _met(requirement, snapshot, before))
    if not spec.prune:
        return PipChanges(install)
    declared = {requirement.name for requirement in spec.pip}
    earlier = {Requirement.parse(text).name for text in before}
    return PipChanges(install, tuple(sorted((earlier - declared) & set(snapshot.pip()))))


def _met(requirement: Requirement, snapshot: Snapshot, before: Sequence[str]) -> bool:
    found = snapshot.python.get(requirement.name)
    if found is None or (requirement.extras and requirement.text not in before):
        return False
    return found.url == requirement.url if requirement.url else requirement.accepts(found.version)


def _variable_changes(spec: EnvironmentSpec, actual: Actual) -> tuple[tuple[str, ...], tuple[str, ...]]:
    present = actual.snapshot.variables
    changed = sorted(name for name, value in spec.variables.items() if present.get(name) != value)
    earlier = set(actual.state.variables) if actual.state and spec.prune else set()
    return tuple(changed), tuple(sorted((earlier - set(spec.variables)) & set(present)))


def _wanted_kernel(spec: EnvironmentSpec, actual: Actual) -> dict[str, Any] | None:
    return kernel.content(actual.prefix, spec.kernel, spec.variables) if spec.kernel else None


def _require_ipykernel(spec: EnvironmentSpec, records: Mapping[str, PackageRecord]) -> None:
    declared = {package.name for package in spec.packages} | {requirement.name for requirement in spec.pip}
    if spec.kernel and "ipykernel" not in declared and "ipykernel" not in records:
        raise SpecError([f"{spec.name}: jupyter_kernel needs ipykernel; add it to packages"])


@dataclass(frozen=True)
class View:
    """What a diff shows of an environment: lines by package, variables, the kernel, the generation.

    ``hashes`` are the packages' sha256 where they are known."""

    packages: Mapping[str, str] = field(default_factory=dict)
    pip: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    kernel: Mapping[str, Any] | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    generation: str = ""


def view(snapshot: Snapshot, found_kernel: Mapping[str, Any] | None, generation: str = "") -> View:
    """What a diff shows of the present environment."""
    packages = {name: record.line() for name, record in snapshot.conda.items()}
    hashes = {name: record.sha256 for name, record in snapshot.conda.items() if record.sha256}
    pip = {name: distribution.title() for name, distribution in snapshot.pip().items()}
    return View(packages, pip, snapshot.variables, found_kernel, hashes, generation)


def render(before: View, after: View) -> dict[str, str]:
    """The two texts of Ansible's diff. Values of variables may be secret and are not shown."""
    both = set(before.packages) & set(after.packages) & set(before.hashes) & set(after.hashes)
    replaced = {
        name
        for name in both
        if before.packages[name] == after.packages[name] and before.hashes[name] != after.hashes[name]
    }
    return {"before": _text(before, before, replaced), "after": _text(after, before, replaced)}


def _text(shown: View, before: View, replaced: Collection[str]) -> str:
    """The lines of one side. Only packages that differ in nothing else are shown with their hash."""
    lines = [f"generation: {shown.generation}"] if shown.generation else []
    lines += [
        shown.packages[name] + (f" sha256:{shown.hashes[name][:12]}" if name in replaced else "")
        for name in sorted(shown.packages)
    ]
    lines += [f"pip: {shown.pip[name]}" for name in sorted(shown.pip)]
    for name in sorted(shown.variables):
        changed = before.variables.get(name, shown.variables[name]) != shown.variables[name]
        lines.append(f"variable: {name}" + (" (changed)" if changed else ""))
    if shown.kernel is not None:
        changed = before.kernel is not None and before.kernel != shown.kernel
        lines.append(f"kernel: {shown.kernel.get('display_name')}" + (" (changed)" if changed else ""))
    return "".join(f"{line}\n" for line in lines)
