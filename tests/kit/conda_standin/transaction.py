"""From a solution to a changed environment: plan, show, ask, do, note."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rattler import RepoDataRecord

from . import history, solver
from .config import pkgs_dirs, settings
from .errors import CondaSystemExit
from .output import emit, warn
from .prefix import description, installed, register, tidy


def identity(record: dict[str, Any]) -> tuple[str, ...]:
    return record["name"], record["version"], record["build"], record["subdir"]


@dataclass
class Transaction:
    """One change of one environment, decided but not yet made."""

    prefix: str
    target: Sequence[RepoDataRecord]
    wanted: list[str]
    asked: list[str]
    kind: str = "update"
    replace: bool = False

    def __post_init__(self) -> None:
        self.before = [] if self.replace else installed(self.prefix)
        self.after = [solver.as_dict(record) for record in self.target]
        old, new = set(map(identity, self.before)), set(map(identity, self.after))
        self.link = [record for record in self.after if identity(record) not in old]
        self.unlink = [record for record in self.before if identity(record) not in new]

    def to_fetch(self) -> list[dict[str, Any]]:
        """The packages that no package cache holds unpacked."""
        caches = [Path(folder) for folder in pkgs_dirs()]
        return [r for r in self.link if not any((cache / r["fn"].removesuffix(".conda")).is_dir() for cache in caches)]

    def as_json(self) -> dict[str, Any]:
        actions: dict[str, Any] = {"FETCH": self.to_fetch(), "PREFIX": self.prefix}
        if self.unlink:
            actions["UNLINK"] = [description(record) for record in self.unlink]
        if self.link:
            actions["LINK"] = [description(record) for record in self.link]
        return {"success": True, "actions": actions, "prefix": self.prefix}

    def show(self) -> None:
        print(f"\n## Package Plan ##\n\n  environment location: {self.prefix}\n")
        for title, records in (("INSTALLED or CHANGED", self.link), ("REMOVED or REPLACED", self.unlink)):
            if records:
                print(f"The following packages will be {title}:\n")
                print("".join(f"  {r['name']:<28} {r['version']}-{r['build']}\n" for r in records))

    def run(self, args: Namespace) -> None:
        """Carry it out as the command's options say."""
        quiet = args.json or args.quiet
        if not (self.link or self.unlink or self.replace):
            self._nothing_to_do(args)
            return
        if not quiet:
            self.show()
        if args.dry_run:
            emit({**self.as_json(), "dry_run": True}) if args.json else warn("\nDryRunExit: Dry run. Exiting.\n")
            return
        confirm(args)
        answer = self.as_json()
        self.apply()
        if args.json:
            emit(answer)
        elif not quiet:
            print("\nPreparing transaction: done\nVerifying transaction: done\nExecuting transaction: done")

    def _nothing_to_do(self, args: Namespace) -> None:
        if args.json:
            emit({"success": True, "message": "All requested packages already installed."})
        elif not args.quiet:
            print("\n# All requested packages already installed.\n")

    def apply(self) -> None:
        """Change the environment and note it; what is replaced goes only now that the solution is known."""
        if self.replace and Path(self.prefix).exists():
            shutil.rmtree(self.prefix)
        Path(self.prefix, "conda-meta").mkdir(parents=True, exist_ok=True)
        solver.install(self.prefix, self.target, self.wanted)
        tidy(self.prefix)
        history.append(self.prefix, self.before, self.after, self.asked, self.kind)
        register(self.prefix)


def confirm(args: Namespace) -> None:
    """Ask, unless told not to; no answer is a refusal."""
    if args.yes or args.json or settings()["always_yes"]:
        return
    try:
        answer = input("\nProceed ([y]/n)? ").strip().lower()
    except EOFError:
        answer = "n"
    if answer not in ("", "y", "yes"):
        raise CondaSystemExit("Exiting.")
