# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Filters over module_utils/conda/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import parse_lock
from ansible_collections.pystack.infra.plugins.module_utils.conda.locked import lock_problems
from ansible_collections.pystack.infra.plugins.module_utils.conda.settings import LockFile
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import SpecError, read_declarations


def environment_problems(
    environments: Any,
    channels: Any = (),
    allowed_channels: Any = (),
    locks: Mapping[str, Mapping[str, str]] | None = None,
    platform: str = "",
) -> list[str]:
    """What the module conda_env would refuse, known on the controller before any host changes."""
    try:
        specs = read_declarations(environments, channels, allowed_channels)
    except SpecError as error:
        return list(error.problems)
    problems = []
    for spec in specs:
        found = (locks or {}).get(spec.name)
        if spec.present and found:
            lock = parse_lock(str(found["text"]), str(found["path"]))
            problems += lock_problems(spec, LockFile(str(found["path"]), lock), platform, list(allowed_channels))
    return problems


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"environment_problems": environment_problems}
