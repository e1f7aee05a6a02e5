"""`conda env` and `conda export`: environments as files, their list, their variables."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import history, show
from .change import apply_specs, check_target, create_from, remove_environment
from .channels import NO_DEFAULTS, name_of
from .config import load
from .errors import ArgumentError, CondaEnvException, CondaValueError, EnvironmentFileNotFound
from .output import emit, warn
from .prefix import (
    check_changeable,
    description,
    existing,
    installed,
    is_environment,
    located,
    name_for,
    pip_packages,
    set_variables,
    spec_name,
    variables,
)

KNOWN_SECTIONS = frozenset({"name", "prefix", "channels", "dependencies", "variables", "category", "platforms"})


@dataclass
class EnvironmentFile:
    """What an environment.yml asks for."""

    path: Path
    name: str | None = None
    prefix: str | None = None
    channels: list[str] = field(default_factory=list)
    specs: list[str] = field(default_factory=list)
    pip: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def read(name: str) -> EnvironmentFile:
    path = Path(name).absolute()
    if not path.is_file():
        raise EnvironmentFileNotFound(f"'{path}' file not found", filename=str(path))
    data = load(path)
    if unknown := sorted(set(data) - KNOWN_SECTIONS):
        warn(f"EnvironmentSectionNotValid: ignored in '{path}': {', '.join(unknown)}")
    dependencies = data.get("dependencies") or []
    return EnvironmentFile(
        path=path,
        name=data.get("name"),
        prefix=data.get("prefix"),
        channels=list(data.get("channels") or []),
        specs=[item for item in dependencies if isinstance(item, str)],
        pip=[line for item in dependencies if isinstance(item, dict) for line in item.get("pip") or []],
        variables={key: str(value) for key, value in (data.get("variables") or {}).items()},
    )


def env_create(args: Namespace) -> None:
    file = read(args.file[0] if args.file else "environment.yml")
    prefix = target(args, file)
    check_target(prefix, replace=args.yes or args.force)
    args.yes = True
    create_from(with_channels(args, file), prefix, file.specs)
    finish(args, file, prefix)


def env_update(args: Namespace) -> None:
    file = read(args.file[0] if args.file else "environment.yml")
    prefix = target(args, file)
    args.yes = True
    if not is_environment(prefix):
        create_from(with_channels(args, file), prefix, file.specs)
    else:
        check_changeable(prefix)
        before = history.requested(prefix)
        apply_specs(with_channels(args, file), prefix, file.specs, prune=args.prune)
        left = [spec for name, spec in before.items() if name not in set(map(spec_name, file.specs))]
        if args.prune and left and not args.dry_run:
            history.append(prefix, [], [], left, "remove")
    finish(args, file, prefix)


def target(args: Namespace, file: EnvironmentFile) -> str:
    if args.name or args.prefix:
        return located(args.name, args.prefix)
    if not (file.name or file.prefix):
        raise CondaValueError("Unable to determine environment name: give -n, -p or a `name:` in the file")
    return located(file.name, None if file.name else file.prefix)


def with_channels(args: Namespace, file: EnvironmentFile) -> Namespace:
    """The file's channels come after those of the command line, and before the configured ones."""
    args.channel = [*args.channel, *file.channels]
    args.override_channels = args.override_channels or NO_DEFAULTS in file.channels
    return args


def finish(args: Namespace, file: EnvironmentFile, prefix: str) -> None:
    """The parts of a file that are not conda's packages."""
    if args.dry_run:
        return
    if file.pip:
        command = [f"{prefix}/bin/python", "-m", "pip", "install", "-U", *words(file.pip)]
        done = subprocess.run(command, cwd=file.path.parent, stdout=sys.stderr if args.json else None, check=False)
        if done.returncode:
            raise CondaEnvException("Pip failed")
    if file.variables:
        set_variables(prefix, dict(file.variables))


def words(lines: Iterable[str]) -> list[str]:
    """Lines of a pip section; an option and its value stand on one line."""
    return [word for line in lines for word in (line.split(None, 1) if line.startswith("-") else [line])]


def env_remove(args: Namespace) -> None:
    if not (args.name or args.prefix):
        raise ArgumentError("one of the arguments -n/--name -p/--prefix is required")
    remove_environment(args, existing(args.name, args.prefix))


def env_list(args: Namespace) -> None:
    show.environments(args)


def exported(args: Namespace, prefix: str) -> dict[str, Any]:
    records = sorted(installed(prefix), key=lambda record: record["name"])
    channels = [] if args.ignore_channels else list(args.channel)
    if args.from_history:
        dependencies: list[Any] = list(history.requested(prefix).values())
    else:
        suffix = {r["name"]: "" if args.no_builds else f"={r['build']}" for r in records}
        dependencies = [f"{r['name']}={r['version']}{suffix[r['name']]}" for r in records]
        if not args.ignore_channels:
            channels += [name_of(description(record)["base_url"]) for record in records]
        if pip := pip_packages(prefix):
            dependencies.append({"pip": [f"{p['name']}=={p['version']}" for p in sorted(pip, key=lambda p: p["name"])]})
    data: dict[str, Any] = {"name": name_for(prefix) or prefix, "channels": list(dict.fromkeys(channels))}
    data["dependencies"] = dependencies
    if own := variables(prefix):
        data["variables"] = own
    return {key: value for key, value in data.items() if value} | {"prefix": prefix}


def export(args: Namespace) -> None:
    data = exported(args, existing(args.name, args.prefix))
    as_json = args.json or args.format in ("json", "environment-json")
    text = json.dumps(data, indent=2) + "\n" if as_json else yaml.safe_dump(data, sort_keys=False)
    if args.file:
        Path(args.file[0]).write_text(text)
    else:
        print(text, end="")


def config_vars(args: Namespace) -> None:
    prefix = existing(args.name, args.prefix)
    if args.action == "list":
        own = variables(prefix)
        emit(own) if args.json else print("\n".join(f"{key} = {value}" for key, value in own.items()))
    elif args.action == "set":
        set_variables(prefix, dict(word.partition("=")[::2] for word in args.words))
    else:
        set_variables(prefix, dict.fromkeys(args.words))
