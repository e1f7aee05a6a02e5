"""create, install, update, remove: the commands that change an environment."""

from __future__ import annotations

import fnmatch
import re
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

from . import history, solver
from .channels import SUBDIR, resolve, selected
from .config import ROOT, load, settings
from .errors import (
    ArgumentError,
    CondaEnvironmentError,
    CondaError,
    CondaValueError,
    DirectoryNotACondaEnvironmentError,
    EnvironmentFileNotFound,
    PackageNotInstalledError,
    PackagesNotFoundInPrefixError,
)
from .output import emit
from .prefix import (
    by_word,
    check_changeable,
    description,
    existing,
    installed,
    is_environment,
    located,
    register,
    spec_name,
    with_dependencies,
    with_dependents,
)
from .transaction import Transaction, confirm


def specs_from_files(files: list[str]) -> list[str]:
    """The specifications of --file: plain lists, explicit lists of addresses, or YAML."""
    specs: list[str] = []
    for name in files:
        path = Path(name)
        if not path.is_file():
            raise EnvironmentFileNotFound(f"'{name}' file not found", filename=name)
        if path.suffix in (".yml", ".yaml"):
            specs += [item for item in load(path).get("dependencies") or [] if isinstance(item, str)]
        else:
            lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in path.read_text().splitlines())
            specs += [line for line in lines if line and not line.startswith("@")]
    return specs


def is_explicit(specs: list[str]) -> bool:
    return bool(specs) and all("://" in spec for spec in specs)


def explicit_target(specs: list[str]) -> tuple[list[str], list[str]]:
    """An explicit list as exact specifications, and the channels that hold its files."""
    exact: list[str] = []
    urls: list[str] = []
    for spec in specs:
        address, _, digest = spec.partition("#")
        folder, _, file = address.rpartition("/")
        name, version, build = re.sub(r"\.(conda|tar\.bz2)$", "", file).rsplit("-", 2)
        digest = digest.removeprefix("sha256:")
        key = {32: "md5", 64: "sha256"}.get(len(digest))
        exact.append(f"{name}[version='=={version}',build='{build}'{f',{key}={digest}' if key else ''}]")
        urls.append(SUBDIR.sub("", folder))
    return exact, list(dict.fromkeys(urls))


def create(args: Namespace) -> None:
    if not (args.name or args.prefix):
        raise ArgumentError("one of the arguments -n/--name -p/--prefix is required")
    prefix = located(args.name, args.prefix)
    check_target(prefix, replace=args.yes or args.json or settings()["always_yes"] or args.dry_run)
    if args.clone:
        source = by_word(args.clone)
        wanted = list(history.requested(source).values())
        Transaction(prefix, solver.prefix_records(source), wanted, wanted, replace=True).run(args)
        return
    specs = args.packages + specs_from_files(args.file)
    if not args.no_default_packages:
        names = set(map(spec_name, specs))
        specs += [spec for spec in settings()["create_default_packages"] if spec_name(spec) not in names]
    create_from(args, prefix, specs)


def check_target(prefix: str, replace: bool) -> None:
    """Refuse to create over base, over a folder that is no environment, or over one without consent."""
    if prefix == ROOT:
        raise CondaValueError("The target prefix is the base prefix. Aborting.")
    if is_environment(prefix):
        check_changeable(prefix)
        if not replace:
            raise CondaValueError(f"prefix already exists: {prefix}")
    elif Path(prefix).exists() and (not Path(prefix).is_dir() or any(Path(prefix).iterdir())):
        text = f"The target directory exists, but it is not a conda environment.\nTarget directory: {prefix}"
        raise DirectoryNotACondaEnvironmentError(text, target_directory=prefix)


def create_from(args: Namespace, prefix: str, specs: list[str]) -> None:
    """Make a new environment of specifications; none give an empty one."""
    if is_explicit(specs):
        exact, urls = explicit_target(specs)
        target = solver.solve(exact, resolve(urls))
        Transaction(prefix, target, exact, [], replace=True).run(args)
        return
    target = solver.solve(specs, selected(args.channel, args.override_channels)) if specs else []
    Transaction(prefix, target, specs, specs, replace=True).run(args)


def install(args: Namespace) -> None:
    """`install` and `update`: what is not named stays as it is where the solver can keep it."""
    prefix = existing(args.name, args.prefix)
    check_changeable(prefix, args.override_frozen)
    if args.revision is not None:
        revert(args, prefix, int(args.revision))
        return
    specs = args.packages + specs_from_files(args.file)
    if is_explicit(specs):
        install_explicit(args, prefix, specs)
        return
    updating = args.command in ("update", "upgrade")
    if not specs and not (updating and args.all):
        raise CondaValueError("too few arguments, must supply command line package specs or --file")
    if updating:
        check_installed(prefix, specs)
    apply_specs(args, prefix, specs, everything=updating and args.all)


def check_installed(prefix: str, specs: list[str]) -> None:
    present = {record["name"] for record in installed(prefix)}
    for spec in specs:
        if spec_name(spec) not in present:
            raise PackageNotInstalledError(prefix, spec_name(spec))


def apply_specs(
    args: Namespace, prefix: str, specs: list[str], *, everything: bool = False, prune: bool = False
) -> None:
    """Solve for new specifications beside what is there, and change the environment.

    Unless pruning, what was asked for stays asked for, and what nothing needs stays installed.
    """
    records = solver.prefix_records(prefix)
    named = set(map(spec_name, specs))
    others = {} if prune else {n: spec for n, spec in kept_specs(prefix).items() if n not in named}
    if everything:
        wanted, locked = [*others, *specs], []
    else:
        wanted = [*others.values(), *specs]
        locked = records if args.freeze_installed else [r for r in records if r.name.normalized not in named]
    constraints = [] if "python" in named else python_series(prefix)
    target = solver.solve(wanted, selected(args.channel, args.override_channels), locked, constraints)
    Transaction(prefix, target, wanted, specs).run(args)


def kept_specs(prefix: str) -> dict[str, str]:
    """What was asked for, and the bare names of packages that none of it needs."""
    requested = history.requested(prefix)
    records = installed(prefix)
    needed = with_dependencies(requested, records)
    return {**{r["name"]: r["name"] for r in records if r["name"] not in needed}, **requested}


def python_series(prefix: str) -> list[str]:
    """Keep the interpreter's series, as conda does unless python itself is asked for."""
    versions = [record["version"] for record in installed(prefix) if record["name"] == "python"]
    return [f"python {'.'.join(version.split('.')[:2])}.*" for version in versions]


def install_explicit(args: Namespace, prefix: str, specs: list[str]) -> None:
    """Add the files of an explicit list; whatever else is installed stays."""
    exact, urls = explicit_target(specs)
    new = solver.solve(exact, resolve(urls))
    names = {record.name.normalized for record in new}
    kept = [record for record in solver.prefix_records(prefix) if record.name.normalized not in names]
    Transaction(prefix, [*kept, *new], exact, []).run(args)


def revert(args: Namespace, prefix: str, number: int) -> None:
    if not 0 <= number < len(history.revisions(prefix)):
        raise CondaError(f"no such revision: {number}")
    exact: list[str] = []
    urls: list[str] = []
    for package in sorted(history.state_at(prefix, number)):
        address, _, stem = package.partition("::")
        name, version, build = stem.rsplit("-", 2)
        exact.append(f"{name}=={version}={build}")
        urls.append(SUBDIR.sub("", address))
    target = solver.solve(exact, resolve(urls))
    Transaction(prefix, target, exact, []).run(args)


def remove(args: Namespace) -> None:
    """Remove packages with all that needs them, then what nothing asked for needs any more."""
    prefix = existing(args.name, args.prefix)
    check_changeable(prefix, args.override_frozen)
    if args.all:
        remove_environment(args, prefix)
        return
    if not args.packages:
        raise CondaValueError("no package names supplied, try `conda remove --help`")
    records = installed(prefix)
    gone = matching(args.packages, records, prefix)
    if not args.force_remove:
        gone = with_dependents(gone, records)
        if roots := set(history.requested(prefix)) - gone:
            gone = {record["name"] for record in records} - with_dependencies(
                roots, [r for r in records if r["name"] not in gone]
            )
    if prefix == ROOT and "conda" in gone:
        raise CondaEnvironmentError("cannot remove conda from the base environment")
    target = [record for record in solver.prefix_records(prefix) if record.name.normalized not in gone]
    wanted = [spec for name, spec in history.requested(prefix).items() if name not in gone]
    Transaction(prefix, target, wanted, args.packages, kind="remove").run(args)


def matching(patterns: list[str], records: list[dict[str, Any]], prefix: str) -> set[str]:
    names = [record["name"] for record in records]
    hits = {pattern: fnmatch.filter(names, spec_name(pattern)) for pattern in patterns}
    if absent := [pattern for pattern, found in hits.items() if not found]:
        raise PackagesNotFoundInPrefixError(absent, prefix)
    return {name for found in hits.values() for name in found}


def remove_environment(args: Namespace, prefix: str) -> None:
    if prefix == ROOT:
        raise CondaEnvironmentError("cannot remove root environment, add -n NAME or -p PREFIX option")
    unlink = [description(record) for record in installed(prefix)]
    answer = {"success": True, "actions": {"FETCH": [], "PREFIX": prefix, "UNLINK": unlink}, "prefix": prefix}
    if args.dry_run:
        answer["dry_run"] = True
    else:
        confirm(args)
        shutil.rmtree(prefix)
        register(prefix, present=False)
    if args.json:
        emit(answer)
    elif not args.quiet:
        print(f"\nRemove all packages in environment {prefix}:\n")
