# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Going back to a generation that was in use before: a link is swapped, nothing is built."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from . import generations, kernel, state
from .generations import Book, Generations
from .outcome import Sight, compare
from .plan import view
from .records import read_variables

PREVIOUS = "previous"


class RollbackError(ValueError):
    """A generation that cannot be gone back to; the message says why and what there is."""


@dataclass(frozen=True)
class Rollback:
    """One environment's way back; nothing has to be done where ``target`` is ``current``."""

    own: Generations
    current: str
    target: str
    before: Book
    after: Book

    def result(self, kernels_dir: str) -> dict[str, Any]:
        """The step as the module returns it."""
        found = compare(
            self._sight(self.before, self.current, kernels_dir), self._sight(self.after, self.target, kernels_dir)
        )
        packages = found["conda"]
        return {
            "name": self.own.name,
            "prefix": self.own.link,
            "changed": self.current != self.target,
            "from": self.current,
            "to": self.target,
            "added": list(packages.added),
            "removed": list(packages.removed),
            "updated": list(packages.updated),
            "diff": {"before_header": self.own.link, "after_header": self.own.link, **found["diff"]},
        }

    def _sight(self, book: Book, identity: str, kernels_dir: str) -> Sight:
        snapshot = book.snapshot(read_variables(self.own.prefix(identity)))
        return Sight(snapshot, view(snapshot, kernel.read(kernels_dir, self.own.name), identity))

    def carry_out(self, kernels_dir: str) -> None:
        """Swap the link, and lead the Jupyter kernel to the same generation."""
        if self.current == self.target:
            return
        generations.activate(self.own, self.target)
        found = kernel.read(kernels_dir, self.own.name)
        if found is not None and kernel.belongs_to(found, self.own.link):
            moved = kernel.moved(found, self.own.prefix(self.current), self.own.prefix(self.target))
            kernel.write(kernels_dir, self.own.name, moved)


def plan_rollback(envs_dir: str, name: str, wanted: str = PREVIOUS) -> Rollback:
    """Find the generation to go back to: an id, or the one that was in use before the present one.

    Raises RollbackError, naming the generations that there are, when there is none or it is damaged.
    """
    own = Generations(envs_dir, name)
    current = own.current()
    before = generations.read_book(own, current) if current else None
    if before is None:
        raise RollbackError(f"{name}: {own.link} is not a locked environment, so there is nothing to go back to")
    target = _previous(own, current) if wanted == PREVIOUS else wanted
    after = generations.read_book(own, target) if target else None
    if after is None:
        what = "no earlier generation" if wanted == PREVIOUS else f"no generation '{wanted}'"
        raise RollbackError(f"{name}: there is {what}; there are {', '.join(own.complete())}, in use is {current}")
    faults = generations.damage(own, target, after, "fast")
    if faults:
        raise RollbackError(f"{name}: generation {target} is damaged ({faults[0].title()}), so it is not used")
    return Rollback(own, current, target, before, after)


def can_go_back(envs_dir: str, name: str) -> bool:
    """Whether an environment has an earlier generation."""
    own = Generations(envs_dir, name)
    current = own.current()
    return bool(current and _previous(own, current))


def locked_environments(envs_dir: str) -> list[str]:
    """The names of all environments that have generations, sorted."""
    directory = os.path.join(envs_dir, generations.DIRECTORY)
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    return [name for name in names if Generations(envs_dir, name).current()]


def _previous(own: Generations, current: str) -> str:
    """The generation that was put to use before the present one; empty when there is none."""
    kept = state.read(own.envs_dir, own.name)
    order = generations.in_order(own, kept.generations if kept else ())
    position = order.index(current) if current in order else 0
    return order[position - 1] if position else ""
