# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Filters over module_utils/conda/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import SpecError, read_declarations


def environment_problems(environments: Any, channels: Any = ()) -> list[str]:
    """What the module conda_env would refuse, known on the controller before any host changes."""
    try:
        read_declarations(environments, channels)
    except SpecError as error:
        return list(error.problems)
    return []


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"environment_problems": environment_problems}
