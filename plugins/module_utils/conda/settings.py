# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""What the module conda_env is told about the host and the run, beside the declarations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Union

from .lock import Lock
from .rattler import Rattler
from .runner import Conda

ENGINES = ("conda", "rattler")
LOCK_MODES = ("prefer", "require", "none")
DRIFT_CHECKS = ("fast", "full", "none")
#: What makes a new environment of a lock.
Engine = Union[Conda, Rattler]


@dataclass(frozen=True)
class LockFile:
    """A lock, and its path on the controller."""

    path: str
    lock: Lock


@dataclass(frozen=True)
class Settings:
    """Where things are, how it is done, and whether this is a rehearsal. ``locks`` are by environment."""

    envs_dir: str
    kernels_dir: str
    conda: Conda
    engine: Engine
    check: bool = False
    lock_timeout: float = 600
    locks: Mapping[str, LockFile] = field(default_factory=dict)
    lock_mode: str = "prefer"
    keep_generations: int = 3
    drift_check: str = "fast"
    allowed_channels: tuple[str, ...] = ()

    def prefix(self, name: str) -> str:
        """The path of an environment."""
        return os.path.join(self.envs_dir, name)

    def lock_of(self, name: str) -> LockFile | None:
        """The lock that an environment is installed from, if it is."""
        return None if self.lock_mode == "none" else self.locks.get(name)

    def engine_name(self) -> str:
        """The engine as the user names it."""
        return "conda" if isinstance(self.engine, Conda) else "rattler"

    def holding(self, handle: int) -> Settings:
        """The same, where every process that is started keeps a descriptor open."""
        conda = replace(self.conda, keep_open=(handle,))
        engine = conda if isinstance(self.engine, Conda) else replace(self.engine, keep_open=(handle,))
        return replace(self, conda=conda, engine=engine)
