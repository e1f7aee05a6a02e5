"""conda-meta/history: what was asked for and what changed, in conda's own layout."""

from __future__ import annotations

import ast
import re
import shlex
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .prefix import installed, spec_name
from .version import VERSION

SPECS_LINE = re.compile(r"# (update|remove|neutered) specs: (\[.*\])$", re.M)


@dataclass(frozen=True)
class Revision:
    """One change of an environment."""

    date: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


def identities(records: Iterable[dict[str, Any]]) -> set[str]:
    """Packages as the history names them: channel/subdir::name-version-build."""
    return {
        f"{channel_of(record)}/{record['subdir']}::{record['name']}-{record['version']}-{record['build']}"
        for record in records
    }


def channel_of(record: dict[str, Any]) -> str:
    return str(record.get("channel") or "").rstrip("/").removesuffix(f"/{record['subdir']}")


def append(
    prefix: str,
    before: Iterable[dict[str, Any]],
    after: Iterable[dict[str, Any]],
    specs: list[str],
    kind: str = "update",
) -> None:
    """Note one command: what went, what came, and what the user had asked for."""
    old, new = identities(before), identities(after)
    lines = [
        time.strftime("==> %Y-%m-%d %H:%M:%S <=="),
        f"# cmd: {shlex.join(sys.argv)}",
        f"# conda version: {VERSION}",
    ]
    lines += [f"-{name}" for name in sorted(old - new)] + [f"+{name}" for name in sorted(new - old)]
    if specs:
        lines.append(f"# {kind} specs: {specs!r}")
    file = Path(prefix, "conda-meta/history")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as history:
        history.write("\n".join(lines) + "\n")


def text(prefix: str) -> str:
    file = Path(prefix, "conda-meta/history")
    return file.read_text() if file.is_file() else ""


def requested(prefix: str) -> dict[str, str]:
    """Name -> what the user last asked of it, for the packages that are still there."""
    found: dict[str, str] = {}
    for kind, listed in SPECS_LINE.findall(text(prefix)):
        for spec in ast.literal_eval(listed):
            found.pop(spec_name(spec), None)
            if kind != "remove":
                found[spec_name(spec)] = spec
    present = {record["name"] for record in installed(prefix)}
    return {name: spec for name, spec in found.items() if name in present}


def revisions(prefix: str) -> list[Revision]:
    """The changes so far; a command that changed nothing counts only as the first."""
    found: list[Revision] = []
    for block in re.split(r"^==> ", text(prefix), flags=re.M)[1:]:
        date, _, body = block.partition(" <==")
        added = tuple(line[1:] for line in body.splitlines() if line.startswith("+"))
        removed = tuple(line[1:] for line in body.splitlines() if line.startswith("-"))
        if added or removed or not found:
            found.append(Revision(date, added, removed))
    return found


def state_at(prefix: str, number: int) -> set[str]:
    """The packages that were installed at a revision."""
    state: set[str] = set()
    for revision in revisions(prefix)[: number + 1]:
        state = (state - set(revision.removed)) | set(revision.added)
    return state
