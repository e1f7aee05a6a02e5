# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Environments with a lock: every content is a generation of its own, and a link names the one in use."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import generations, integrity, kernel, registry, state
from .files import read_json, write_json
from .generations import Book, Generations
from .lock import Lock, LockedRequirement, platform_of
from .match import channel_allowed
from .outcome import Outcome, Sight, Stopwatch, compare
from .plan import Actual, unmet, view
from .records import Distribution, Snapshot, read_snapshot, read_variables
from .runner import RunError
from .settings import LockFile, Settings
from .spec import EnvironmentSpec, SpecError

_SHOWN = 5
_FROZEN = (
    "This environment is managed by pystack.infra and the same on all hosts. Change its declaration and its lock, "
    "or make an environment of your own."
)


@dataclass(frozen=True)
class LockedPlan:
    """``target`` is the id of the generation that is to be in use, ``build`` whether it has to be made first.
    ``kernel`` is the content to write, or None to leave it."""

    action: str
    target: str
    build: bool = False
    faults: tuple[integrity.Fault, ...] = ()
    set_variables: bool = False
    kernel: Mapping[str, Any] | None = None
    remove_kernel: bool = False
    reasons: tuple[str, ...] = ()

    def steps(self, current: str) -> tuple[str, ...]:
        """What is going to be done, in words."""
        steps = [f"build generation {self.target}"] if self.build else []
        if self.target != current:
            steps.append(f"switch from {current} to {self.target}" if current else f"switch to {self.target}")
        steps += ["set variables"] if self.set_variables else []
        steps += ["write the Jupyter kernel"] if self.kernel is not None else []
        steps += ["remove the Jupyter kernel"] if self.remove_kernel else []
        return tuple(steps)


class Locked:
    """One declaration, its lock, what there is, and the plan that leads from one to the other.

    Raises SpecError for a lock that does not belong to the declaration or to this host, and where the path is
    taken by something else; ValueError naming a damaged file.
    """

    def __init__(self, settings: Settings, spec: EnvironmentSpec, file: LockFile) -> None:
        self.settings = settings
        self.spec = spec
        self.file = file
        self.own = Generations(settings.envs_dir, spec.name)
        self.current = self.own.current()
        self.actual, self.book = _inspect(settings, self.own, self.current)
        problems = _obstacles(settings, spec, self.actual, self.current)
        problems += lock_problems(spec, file, platform_of(platform.machine()), settings.allowed_channels)
        if problems:
            raise SpecError(problems)
        self.plan = self._make_plan()

    # ------------------------------------------------------------ plan

    def _make_plan(self) -> LockedPlan:
        digest = self.file.lock.digest()
        reasons, faults = self._reasons(digest)
        target = self.current if not reasons else self._reusable(digest)
        build = not target
        target = target or generations.free_id(self.own, digest)
        prefix = self.own.prefix(target)
        variables = {} if build else read_variables(prefix)
        wanted = kernel.content(prefix, self.spec.kernel, self.spec.variables) if self.spec.kernel else None
        write_kernel = wanted is not None and wanted != self.actual.kernel
        remove_kernel = wanted is None and kernel.belongs_to(self.actual.kernel, self.own.link)
        more = [f"variable {name} differs" for name in sorted(_differing(variables, self.spec.variables))]
        set_variables = bool(more)
        if write_kernel:
            more.append(f"the Jupyter kernel {'is missing' if self.actual.kernel is None else 'differs'}")
        if remove_kernel:
            more.append("the Jupyter kernel is not declared")
        action = self._action(reasons, faults, more)
        return LockedPlan(
            action=action,
            target=target,
            build=build,
            faults=tuple(faults),
            set_variables=set_variables,
            kernel=wanted if write_kernel else None,
            remove_kernel=remove_kernel,
            reasons=tuple(reasons or more),
        )

    def _reasons(self, digest: str) -> tuple[list[str], list[integrity.Fault]]:
        """Why the generation in use is not the right one, and what is broken in it."""
        if not self.actual.occupied:
            return ["the environment does not exist"], []
        if not self.current:
            return ["the environment was kept in place until now"], []
        if self.book is None:
            return [f"generation {self.current} is not complete"], []
        if self.book.digest != digest:
            return [f"generation {self.current} is in use, and the lock asks for {digest[: generations.ID_LENGTH]}"], []
        faults = generations.damage(self.own, self.current, self.book, self.settings.drift_check)
        return _in_words(faults), faults

    def _reusable(self, digest: str) -> str:
        """A complete and sound generation with this content that is not in use, or nothing."""
        for identity in generations.candidates(self.own, digest):
            book = None if identity == self.current else generations.read_book(self.own, identity)
            check = "full" if self.settings.drift_check == "full" else "fast"
            if book is not None and book.digest == digest and not generations.damage(self.own, identity, book, check):
                return identity
        return ""

    def _action(self, reasons: Sequence[str], faults: Sequence[object], more: Sequence[str]) -> str:
        if not self.actual.occupied:
            return "create"
        if faults:
            return "rebuild"
        return "update" if reasons or more else "none"

    # ------------------------------------------------------------ predict, carry out

    @property
    def works(self) -> bool:
        """Whether there is anything to do."""
        return self.plan.action != "none"

    def predict(self) -> Outcome:
        """What carrying the plan out would do; the lock says it exactly."""
        return self._outcome(_expected(self.file.lock, self.spec), self._wanted_kernel(), Stopwatch())

    def carry_out(self) -> Outcome:
        """Bring the environment to its lock; RunError, OSError or ValueError when that fails.

        Until the link is swapped everything goes on as before; whatever is cut short after that is found and
        ended by the next run.
        """
        plan, watch = self.plan, Stopwatch()
        # The target counts already: a generation that is about to be used again must not be taken for an old one.
        history = generations.history_after(self._history(), plan.target)
        self._collect(history)
        if plan.build:
            self._build(watch)
        elif plan.set_variables:
            _write_variables(self.own.prefix(plan.target), self.spec.variables)
        if plan.target != self.current:
            generations.activate(self.own, plan.target)
            registry.unregister(self.own.directory)
            registry.register(self.own.link)
        if plan.kernel is not None:
            kernel.write(self.settings.kernels_dir, self.spec.name, plan.kernel)
        elif plan.remove_kernel:
            kernel.remove(self.settings.kernels_dir, self.spec.name)
        self._keep_books(history)
        self._collect(history)
        book = self.book if plan.target == self.current else generations.read_book(self.own, plan.target)
        after = book.snapshot(dict(self.spec.variables)) if book else Snapshot()
        return self._outcome(after, self._wanted_kernel(), watch)

    def _history(self) -> tuple[str, ...]:
        return self.actual.state.generations if self.actual.state else ()

    def _keep_books(self, history: tuple[str, ...]) -> None:
        operation = "update" if self.actual.occupied else "create"
        before = self.actual.state
        if before is not None and self.plan.action == "none":
            operation = before.operation
        wanted = replace(state.ready(self.spec, before, operation), generations=history)
        if wanted != before:
            state.write(self.settings.envs_dir, self.spec.name, wanted)

    def _collect(self, history: Sequence[str]) -> None:
        """Remove the generations that nobody needs any more, and what was never completed."""
        for identity in generations.surplus(self.own, history, self.settings.keep_generations):
            generations.remove(self.own, identity)

    def _wanted_kernel(self) -> Mapping[str, Any] | None:
        return None if self.plan.remove_kernel else self.plan.kernel or self.actual.kernel

    def _outcome(self, after: Snapshot, found_kernel: Mapping[str, Any] | None, watch: Stopwatch) -> Outcome:
        plan = self.plan
        changed = plan.action != "none"
        before = self.actual.snapshot
        found = compare(
            Sight(before, view(before, self._portable(self.actual.kernel, self.current), self.current)),
            Sight(after, view(after, self._portable(found_kernel, plan.target), plan.target)),
        )
        return Outcome(
            name=self.spec.name,
            prefix=self.actual.prefix,
            action=plan.action,
            changed=changed,
            reasons=plan.reasons if changed else (),
            plan=plan.steps(self.current),
            generation=plan.target,
            lock=self.file.path,
            duration_s=watch.rounded(),
            **found,
        )

    def _portable(self, found: Mapping[str, Any] | None, identity: str) -> Mapping[str, Any] | None:
        """A kernel without its generation, which is no change that a person has to look at."""
        return found and kernel.moved(found, self.own.prefix(identity), self.own.link)

    # ------------------------------------------------------------ build

    def _build(self, watch: Stopwatch) -> None:
        """Make the target generation beside the one in use; leaves nothing when it fails."""
        lock, prefix = self.file.lock, self.own.prefix(self.plan.target)
        wrong = integrity.check_archives(lock.packages)
        if wrong:
            raise RunError("; ".join(wrong))
        if self.plan.faults:
            _drop_from_cache(self.own.prefix(self.current))
        os.makedirs(self.own.directory, mode=0o755, exist_ok=True)
        try:
            with watch.phase("install"):
                specs = tuple(package.canonical() for package in self.spec.conda_specs())
                self.settings.engine.install(prefix, lock, specs)
            with watch.phase("pip"):
                self._install_pip(prefix)
            with watch.phase("verify"):
                snapshot = self._verify(prefix)
            _write_variables(prefix, self.spec.variables)
            generations.freeze(prefix, _FROZEN)
            self._write_book(prefix, snapshot)
        except Exception:
            shutil.rmtree(prefix, ignore_errors=True)
            raise

    def _install_pip(self, prefix: str) -> None:
        text = self.file.lock.requirements()
        if not text:
            return
        with tempfile.TemporaryDirectory(prefix="pystack-") as directory:
            path = os.path.join(directory, "requirements.txt")
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
            # Without dependencies: the lock has all of them, with hashes.
            self.settings.conda.pip(prefix, ["install", "--require-hashes", "--no-deps", "-r", path])

    def _verify(self, prefix: str) -> Snapshot:
        """Prove that a new generation is what the lock says, and that it works."""
        snapshot = read_snapshot(prefix)
        wrong = mismatches(self.file.lock, snapshot) or _in_words(integrity.check_files(prefix))
        if wrong:
            raise RunError(f"the installation reported success, but {'; '.join(wrong)}")
        if self.spec.pip_check and "pip" in snapshot.conda:
            self.settings.conda.check_pip(prefix)
        if self.spec.imports:
            self.settings.conda.check_imports(prefix, self.spec.imports)
        return snapshot

    def _write_book(self, prefix: str, snapshot: Snapshot) -> None:
        book = Book(
            digest=self.file.lock.digest(),
            engine=self.settings.engine_name(),
            conda=tuple(snapshot.conda[name] for name in sorted(snapshot.conda)),
            pip=tuple(found for _name, found in sorted(snapshot.pip().items())),
            files=integrity.manifest(prefix),
        )
        generations.write_book(self.own, self.plan.target, book)


def _inspect(settings: Settings, own: Generations, current: str) -> tuple[Actual, Book | None]:
    """What there is; the book of a complete generation stands for its records."""
    book = generations.read_book(own, current) if current else None
    snapshot = book.snapshot(read_variables(own.prefix(current))) if book else read_snapshot(own.link)
    actual = Actual(
        prefix=own.link,
        occupied=os.path.lexists(own.link),
        snapshot=snapshot,
        kernel=kernel.read(settings.kernels_dir, own.name),
        state=state.read(settings.envs_dir, own.name),
    )
    return actual, book


def _obstacles(settings: Settings, spec: EnvironmentSpec, actual: Actual, current: str) -> list[str]:
    """What must not be replaced by a link."""
    if current or not actual.occupied:
        return []
    if os.path.islink(actual.prefix):
        return [f"{spec.name}: {actual.prefix} is a symbolic link to something else; remove it by hand"]
    if not actual.snapshot.exists and actual.state is None:
        return [f"{spec.name}: {actual.prefix} exists and is not a conda environment; move it away or rename yours"]
    own = os.path.realpath(settings.conda.executable)
    if own.startswith(os.path.realpath(actual.prefix) + os.sep):
        return [f"{spec.name}: {actual.prefix} is the installation of conda_executable and is not replaced"]
    return []


def lock_problems(spec: EnvironmentSpec, found: LockFile, host: str, allowed_channels: Sequence[str] = ()) -> list[str]:
    """Why a lock cannot be used for a declaration on a host of this platform."""
    lock = found.lock
    if lock.platform not in (host, "noarch"):
        return [f"{spec.name}: the lock {found.path} is for {lock.platform}, and this host is {host}"]
    records = lock.records()
    # A file's name does not tell the build number; the digest of the declaration covers it.
    stale = unmet([replace(package, build_number=None) for package in spec.conda_specs()], records)
    locked = {requirement.name: requirement for requirement in lock.pip}
    for requirement in spec.pip:
        there = locked.get(requirement.name)
        if there is None:
            stale.append(f"pip requirement {requirement.text} is missing")
        elif there.version and not requirement.url and not requirement.accepts(there.version):
            stale.append(f"{there.name} {there.version} does not meet '{requirement.text}'")
    if not stale and lock.declaration and lock.declaration != spec.lock_digest():
        stale.append("it was made for another declaration")
    problems = []
    if stale:
        problems.append(
            f"{spec.name}: the lock {found.path} is out of date: {'; '.join(stale)}. Make it again: "
            "ansible-playbook playbooks/lock.yml -i <your inventory>"
        )
    if spec.kernel and "ipykernel" not in records and "ipykernel" not in locked:
        problems.append(f"{spec.name}: jupyter_kernel needs ipykernel; add it to packages and make the lock again")
    foreign = [url for url in lock.channels() if not channel_allowed(url, allowed_channels)]
    problems += [
        f"{spec.name}: the lock {found.path} has packages from {url}, which allowed_channels does not have; "
        "add its URL, or make the lock again from other channels"
        for url in foreign
    ]
    return problems


def mismatches(lock: Lock, snapshot: Snapshot) -> list[str]:
    """How an environment differs from its lock, in words."""
    wanted, found = lock.records(), snapshot.conda
    wrong = [f"{name} is missing" for name in sorted(set(wanted) - set(found))]
    wrong += [f"{name} is not in the lock" for name in sorted(set(found) - set(wanted))]
    for name in sorted(set(wanted) & set(found)):
        locked, there = wanted[name], found[name]
        if (locked.version, locked.build, locked.subdir) != (there.version, there.build, there.subdir):
            wrong.append(f"{there.title()} is there in the place of {locked.title()}")
        elif there.sha256 and there.sha256 != locked.sha256:
            wrong.append(f"{name} has the sha256 {there.sha256[:12]}… in the place of {locked.sha256[:12]}…")
    pip, installed = {requirement.name: requirement for requirement in lock.pip}, snapshot.pip()
    wrong += [f"pip package {name} is missing" for name in sorted(set(pip) - set(installed))]
    wrong += [f"pip package {name} is not in the lock" for name in sorted(set(installed) - set(pip))]
    for name in sorted(set(pip) & set(installed)):
        if pip[name].version and pip[name].version != installed[name].version:
            wrong.append(f"{installed[name].title()} is there in the place of {name} {pip[name].version}")
    return wrong


def _expected(lock: Lock, spec: EnvironmentSpec) -> Snapshot:
    """The environment that a lock leads to."""
    pip = {found.name: Distribution(found.name, _version(found), "pip", found.url) for found in lock.pip}
    return Snapshot(True, lock.records(), pip, spec.variables)


def _version(found: LockedRequirement) -> str:
    """The version that is going to be installed: the pinned one, or what the name of a URL's file says."""
    stem = os.path.basename(found.url).replace(".tar.gz", "").split("-")
    return found.version or (stem[1] if len(stem) > 1 else "(version in the archive)")


def _differing(present: Mapping[str, str], wanted: Mapping[str, str]) -> set[str]:
    return {name for name in {*present, *wanted} if present.get(name) != wanted.get(name)}


def _in_words(faults: Sequence[integrity.Fault]) -> list[str]:
    """The first few faults, and how many more there are."""
    words = [fault.title() for fault in faults[:_SHOWN]]
    return [*words, f"{len(faults) - _SHOWN} more files differ"] if len(faults) > _SHOWN else words


def _write_variables(prefix: str, variables: Mapping[str, str]) -> None:
    path = os.path.join(prefix, "conda-meta", "state")
    content = read_json(path) or {"version": 1}
    if dict(content.get("env_vars", {})) != dict(variables):
        content["env_vars"] = dict(variables)
        write_json(path, content)


def _drop_from_cache(prefix: str) -> None:
    """Take the damaged packages of a prefix out of the package cache.

    Files in an environment are hard links to those in the cache, so what was edited here is edited there.
    """
    names = {fault.package for fault in integrity.check_files(prefix) if fault.package}
    for name, record in read_snapshot(prefix).conda.items():
        if name not in names:
            continue
        data = read_json(os.path.join(prefix, "conda-meta", f"{name}-{record.version}-{record.build}.json")) or {}
        cached = str(data.get("extracted_package_dir") or "")
        # Only what looks like the package's own directory: the record could have been edited, too.
        if os.path.basename(cached).startswith(f"{name}-{record.version}-{record.build}"):
            shutil.rmtree(cached, ignore_errors=True)
