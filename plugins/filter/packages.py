# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Filters about packages and their repositories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.pystack.infra.plugins.module_utils import package_errors, repositories


def repository_problems(entries: Any, variable: str) -> list[str]:
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, Mapping) for entry in entries):
        raise AnsibleFilterError("pystack.infra.repository_problems needs a list of dictionaries")
    return repositories.repository_problems(entries, variable)


def package_problem(result: Any, names_in: str = "", repositories_in: str = "the host's own configuration") -> str:
    if not isinstance(result, Mapping):
        raise AnsibleFilterError(f"pystack.infra.package_problem needs a task's result, got {type(result).__name__}")
    failures = [str(failure) for failure in [*(result.get("failures") or []), result.get("stderr") or ""]]
    return package_errors.package_problem(str(result.get("msg", "")), failures, names_in, repositories_in)


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"package_problem": package_problem, "repository_problems": repository_problems}
