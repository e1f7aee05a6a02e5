# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Filters about what a host is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.pystack.infra.plugins.module_utils import platforms


def platform_problems(facts: Any, role: str) -> list[str]:
    """Check the types, then leave the decision to module_utils."""
    if not isinstance(facts, Mapping):
        raise AnsibleFilterError(f"pystack.infra.platform_problems needs ansible_facts, got {type(facts).__name__}")
    try:
        return platforms.platform_problems(facts, role)
    except KeyError as error:
        raise AnsibleFilterError(f"pystack.infra.platform_problems: the fact {error} was not gathered") from error


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"platform_problems": platform_problems}
