"""config, clean, run, init: settings and care."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml

from . import config, prefix
from .activation import activate_scripts, entering
from .config import ROOT
from .errors import ArgumentError, CondaKeyError
from .output import emit, warn

INIT_BLOCK = """\
# >>> conda initialize >>>
# Written by 'conda init'.
if [ -f "{root}/etc/profile.d/conda.sh" ]; then
    . "{root}/etc/profile.d/conda.sh"
else
    export PATH="{root}/bin:$PATH"
fi
# <<< conda initialize <<<
"""
INIT_PATTERN = re.compile(r"# >>> conda initialize >>>.*?# <<< conda initialize <<<\n", re.S)


def settings_file(args: Namespace) -> Path:
    """The file that `conda config` reads and writes."""
    if args.file:
        return Path(args.file)
    if args.system:
        return Path(ROOT, ".condarc")
    if args.env or args.name or args.prefix:
        return Path(prefix.existing(args.name, args.prefix), ".condarc")
    return Path.home() / ".condarc"


def settings(args: Namespace) -> None:
    """conda config"""
    file = settings_file(args)
    values: dict[str, Any] = config.load(file) if file.is_file() else {}
    if args.show is not None:
        show_settings(args)
    elif args.show_sources:
        show_sources(args)
    elif args.get is not None:
        get_settings(args, file, values)
    elif change_settings(args, values):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(values, sort_keys=False) if values else "")
        if args.json:
            emit({"get": {}, "rc_path": str(file), "success": True, "warnings": []})


def show_settings(args: Namespace) -> None:
    current = config.settings() | {"envs_dirs": config.envs_dirs(), "pkgs_dirs": config.pkgs_dirs()}
    if unknown := [key for key in args.show if config.known(key) not in current]:
        raise ArgumentError(f"Invalid configuration parameters: {', '.join(unknown)}")
    chosen = {key: current[config.known(key)] for key in args.show} if args.show else current
    emit(chosen) if args.json else print(yaml.safe_dump(chosen, sort_keys=True), end="")


def show_sources(args: Namespace) -> None:
    found = {str(source.path): source.values for source in config.sources()}
    if variables := config.from_variables(dict(os.environ)):
        found["envvars"] = variables
    if args.json:
        emit(found)
        return
    for name, values in found.items():
        print(f"==> {name} <==\n{yaml.safe_dump(values, sort_keys=False)}")


def get_settings(args: Namespace, file: Path, values: dict[str, Any]) -> None:
    chosen = {key: values[key] for key in args.get or values if key in values}
    if args.json:
        emit({"get": chosen, "rc_path": str(file), "success": True, "warnings": []})
        return
    for key, value in chosen.items():
        lines = (
            [f"--add {key} {item!r}" for item in reversed(value)]
            if isinstance(value, list)
            else [f"--set {key} {value}"]
        )
        print("\n".join(lines))


def change_settings(args: Namespace, values: dict[str, Any]) -> bool:
    """Apply the changes to a file's values; tell whether there were any."""
    for key, value in [*args.add, *args.prepend]:
        listed(values, key, value).insert(0, value)
    for key, value in args.append:
        listed(values, key, value).append(value)
    for key, value in args.set:
        values[checked(key)] = yaml.safe_load(value)
    for key, value in args.remove:
        if value not in values.get(key, []):
            raise CondaKeyError(f"'{key}': value '{value}' not present in config", key=key)
        values[key].remove(value)
    for key in args.remove_key:
        if key not in values:
            raise CondaKeyError(f"'{key}': undefined in config", key=key)
        del values[key]
    return any((args.add, args.prepend, args.append, args.set, args.remove, args.remove_key))


def checked(key: str) -> str:
    if config.known(key) not in config.DEFAULTS:
        raise CondaKeyError(f"'{key}': unknown parameter", key=key)
    return config.known(key)


def listed(values: dict[str, Any], key: str, value: str) -> list[str]:
    """A list setting without the value that is about to be placed in it."""
    items: list[str] = values.setdefault(checked(key), [])
    if value in items:
        warn(f"Warning: '{value}' already in '{key}' list, moving it")
        items.remove(value)
    return items


def clean(args: Namespace) -> None:
    """Empty the package caches, in the parts that the options name."""
    parts = {
        "index": args.all or args.index_cache,
        "packages": args.all or args.packages,
        "tarballs": args.all or args.tarballs,
    }
    if not any(parts.values()):
        raise ArgumentError("At least one removal target must be given. See 'conda clean --help'.")
    gone = [path for folder in config.pkgs_dirs() for path in cached(Path(folder)) if parts[part_of(path)]]
    for path in [] if args.dry_run else gone:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    if args.json:
        emit({"success": True, "removed": [str(path) for path in gone]})
    else:
        print(f"{'Would remove' if args.dry_run else 'Removed'} {len(gone)} entries of the package caches.")


def cached(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name not in ("urls", "urls.txt")) if folder.is_dir() else []


def part_of(path: Path) -> str:
    if path.name == "cache":
        return "index"
    return "packages" if path.is_dir() else "tarballs"


def run(args: Namespace) -> int:
    """Run a command in an environment; its exit code is the answer."""
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise ArgumentError("the following arguments are required: executable_call")
    target = prefix.existing(args.name, args.prefix)
    environment = {
        **os.environ,
        **{key: value for key, value in entering(target).items() if value is not None},
    }
    if scripts := activate_scripts(target):
        sourced = "".join(f'. "{script}"\n' for script in scripts)
        words = ["sh", "-c", f'{sourced}exec "$@"', "conda-run", *words]
    try:
        return subprocess.run(words, env=environment, cwd=args.cwd, check=False).returncode
    except FileNotFoundError:
        warn(f"{words[0]}: command not found")
        return 127


def init(args: Namespace) -> None:
    """Let shells read conda.sh when they start."""
    block = "" if args.reverse else INIT_BLOCK.format(root=ROOT)
    for shell in args.shells or ["bash"]:
        file = Path("/etc/profile.d/conda.sh") if args.system else Path.home() / f".{shell}rc"
        old = file.read_text() if file.exists() else ""
        new = INIT_PATTERN.sub("", old) + block
        if new != old and not args.dry_run:
            file.write_text(new)
        print(f"{'no change' if new == old else 'modified':<13} {file}")
