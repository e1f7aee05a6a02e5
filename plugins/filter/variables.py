# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Filters about the variables of roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.pystack.infra.plugins.module_utils import variables


def unknown_variables(names: Any, argument_specs: Any) -> list[str]:
    """Check the types, then leave the decision to module_utils."""
    if isinstance(names, (str, bytes, Mapping)) or not isinstance(names, Iterable):
        raise AnsibleFilterError(
            "pystack.infra.unknown_variables needs a list of variable names, got " + type(names).__name__
        )
    names = list(names)
    for name in names:
        if not isinstance(name, str):
            raise AnsibleFilterError(
                f"pystack.infra.unknown_variables needs names that are strings, got {type(name).__name__}: {name!r}"
            )
    if not isinstance(argument_specs, Mapping):
        raise AnsibleFilterError(
            "pystack.infra.unknown_variables needs the parsed meta/argument_specs.yml, got "
            + type(argument_specs).__name__
        )
    try:
        return variables.unknown_variables([str(name) for name in names], argument_specs)
    except TypeError as error:
        raise AnsibleFilterError(f"pystack.infra.unknown_variables: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"unknown_variables": unknown_variables}
