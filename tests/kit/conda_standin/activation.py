"""Entering and leaving environments in a POSIX shell: what `conda shell.posix …` prints for `eval`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from .config import ROOT, settings
from .errors import ArgumentError
from .prefix import by_word, name_for, variables

Changes = dict[str, str | None]


def scripts(prefix: str, folder: str) -> list[str]:
    return [str(path) for path in sorted(Path(prefix, "etc/conda", folder).glob("*.sh"))]


def activate_scripts(prefix: str) -> list[str]:
    return scripts(prefix, "activate.d")


def level() -> int:
    return max(int(os.environ.get("CONDA_SHLVL") or 0), 0)


def search_path(add: str | None, drop: str | None) -> str:
    """PATH with one environment's commands in front and another's gone; conda itself stays reachable."""
    parts = [part for part in os.environ.get("PATH", "").split(":") if part and part != f"{drop}/bin"]
    if f"{ROOT}/condabin" not in parts:
        parts.insert(0, f"{ROOT}/condabin")
    return ":".join([f"{add}/bin", *parts] if add else parts)


def shown(prefix: str) -> Changes:
    """The variables that tell which environment is active."""
    name = name_for(prefix) or prefix
    modifier = f"({name}) " if settings()["changeps1"] else ""
    return {
        "CONDA_DEFAULT_ENV": name,
        "CONDA_PREFIX": prefix,
        "CONDA_PROMPT_MODIFIER": modifier,
        **prompt(modifier),
    }


def prompt(modifier: str) -> Changes:
    """PS1 with another modifier in front, where the shell has a prompt."""
    current = os.environ.get("PS1")
    if not current:
        return {}
    return {"PS1": modifier + current.removeprefix(os.environ.get("CONDA_PROMPT_MODIFIER") or "")}


def entering(prefix: str) -> Changes:
    """The changes of variables that activate an environment; the one before is kept for `deactivate`."""
    depth, active = level(), os.environ.get("CONDA_PREFIX")
    changes: Changes = {"PATH": search_path(prefix, active), **shown(prefix), **variables(prefix)}
    changes |= {"CONDA_EXE": f"{ROOT}/bin/conda", "CONDA_PYTHON_EXE": f"{ROOT}/bin/python"}
    if active and active != prefix:
        changes |= {
            f"CONDA_PREFIX_{depth}": active,
            **dict.fromkeys(set(variables(active)) - set(variables(prefix))),
        }
    changes["CONDA_SHLVL"] = str(depth if active == prefix else depth + 1)
    return changes


def leaving() -> Changes:
    """The changes that go back to the environment before, or to none."""
    depth, active = level(), os.environ["CONDA_PREFIX"]
    previous = os.environ.get(f"CONDA_PREFIX_{depth - 1}")
    changes: Changes = dict.fromkeys(variables(active))
    changes |= {"PATH": search_path(previous, active), "CONDA_SHLVL": str(max(depth - 1, 0))}
    if previous:
        return changes | {f"CONDA_PREFIX_{depth - 1}": None, **shown(previous), **variables(previous)}
    gone = dict.fromkeys(("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_PROMPT_MODIFIER"))
    return changes | gone | prompt("")


def statements(changes: Changes) -> list[str]:
    """Shell code for changes; the prompt is not exported, for it is the shell's own."""
    lines: list[str] = []
    for name, value in changes.items():
        if value is None:
            lines.append(f"unset {name}")
        else:
            lines.append(f"{'' if name == 'PS1' else 'export '}{name}={shlex.quote(value)}")
    return lines


def sourced(files: list[str]) -> list[str]:
    return [f". {shlex.quote(file)}" for file in files]


def activate(words: list[str]) -> list[str]:
    names = [word for word in words if not word.startswith("-")]
    if len(names) > 1:
        raise ArgumentError(f"activate does not accept more than one argument:\n{names}")
    prefix = by_word(names[0] if names else "base")
    active = os.environ.get("CONDA_PREFIX")
    left = sourced(list(reversed(scripts(active, "deactivate.d")))) if active else []
    return [*left, *statements(entering(prefix)), *sourced(activate_scripts(prefix))]


def deactivate() -> list[str]:
    active = os.environ.get("CONDA_PREFIX")
    if not active:
        return []
    previous = os.environ.get(f"CONDA_PREFIX_{level() - 1}")
    left = sourced(list(reversed(scripts(active, "deactivate.d"))))
    return [*left, *statements(leaving()), *sourced(activate_scripts(previous) if previous else [])]


def reactivate() -> list[str]:
    """After a change of the active environment: its variables and scripts anew."""
    active = os.environ.get("CONDA_PREFIX")
    return [*statements(entering(active)), *sourced(activate_scripts(active))] if active else []


def hook() -> list[str]:
    lines = [Path(ROOT, "etc/profile.d/conda.sh").read_text()]
    return [*lines, "conda activate base"] if settings()["auto_activate"] else lines


def shell(words: list[str]) -> None:
    """conda shell.posix activate|deactivate|reactivate|hook"""
    operation, rest = (words[0], words[1:]) if words else ("hook", [])
    operations = {
        "activate": lambda: activate(rest),
        "deactivate": deactivate,
        "hook": hook,
        "reactivate": reactivate,
    }
    if operation not in operations:
        raise ArgumentError(f"invalid choice: {operation!r} (choose from {', '.join(operations)})")
    print("\n".join(operations[operation]()))
