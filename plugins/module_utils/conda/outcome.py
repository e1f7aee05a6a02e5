# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What happened to environments, in the words and shapes that users get to see."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .plan import View, render
from .records import Difference, PackageRecord, Snapshot, difference


@dataclass(frozen=True)
class Outcome:
    """What happened to one environment, or in check mode what would.

    ``plan`` are the steps in words, ``generation`` is the id of the one in use, ``lock`` the path of its lock on
    the controller; both are empty for an environment that is kept in place.
    """

    name: str
    prefix: str
    action: str
    changed: bool
    resolved: bool = True
    reasons: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    conda: Difference = field(default_factory=Difference)
    pip: Difference = field(default_factory=Difference)
    records: tuple[PackageRecord, ...] = ()
    generation: str = ""
    lock: str = ""
    diff: Mapping[str, str] = field(default_factory=dict)
    duration_s: Mapping[str, float] = field(default_factory=dict)
    exported: Mapping[str, str] = field(default_factory=dict)

    def result(self) -> dict[str, Any]:
        """The outcome as the module returns it."""
        return {
            "name": self.name,
            "prefix": self.prefix,
            "action": self.action,
            "changed": self.changed,
            "resolved": self.resolved,
            "reasons": list(self.reasons),
            "plan": list(self.plan),
            "added": list(self.conda.added),
            "removed": list(self.conda.removed),
            "updated": list(self.conda.updated),
            "pip": {
                "added": list(self.pip.added),
                "removed": list(self.pip.removed),
                "updated": list(self.pip.updated),
            },
            "records": [record.result() for record in self.records],
            "channels": sorted({record.channel for record in self.records if record.channel}),
            "generation": self.generation,
            "lock": self.lock,
            "duration_s": dict(self.duration_s),
            **self.exported,
        }

    def ansible_diff(self) -> dict[str, str]:
        """The outcome as an entry of Ansible's diff."""
        header = f"{self.prefix} (conda environment)"
        return {"before_header": header, "after_header": header, **self.diff}


class Stopwatch:
    """Adds up the seconds spent in named phases."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside to ``name``."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    def rounded(self) -> dict[str, float]:
        """Seconds by phase, to the millisecond."""
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}


class ApplyError(Exception):
    """One environment failed; ``outcomes`` are those finished before it."""

    def __init__(self, message: str, outcomes: Sequence[Outcome], details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.outcomes = list(outcomes)
        self.details = dict(details)


@dataclass(frozen=True)
class Sight:
    """An environment at one moment: its packages, and what a diff shows of it."""

    snapshot: Snapshot
    view: View


def compare(before: Sight, after: Sight) -> dict[str, Any]:
    """The fields of an Outcome that follow from what there was and what there is."""
    return {
        "conda": _titles(before.snapshot.conda, after.snapshot.conda),
        "pip": _titles(before.snapshot.pip(), after.snapshot.pip()),
        "records": tuple(after.snapshot.conda[name] for name in sorted(after.snapshot.conda)),
        "diff": render(before.view, after.view),
    }


def _titles(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """A difference with titles (name, version, build) in the place of names."""
    found = difference(before, after)
    return Difference(
        tuple(after[name].title() for name in found.added),
        tuple(before[name].title() for name in found.removed),
        tuple(after[name].title() for name in found.updated),
    )
