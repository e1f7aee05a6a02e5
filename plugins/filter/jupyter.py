# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Filters over module_utils/passwords.py and module_utils/certificates.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.pystack.infra.plugins.module_utils import certificates, passwords


def _strings(filter_name: str, value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise AnsibleFilterError(f"{filter_name}: a list of strings is needed, not {type(value).__name__}")
    return [str(item) for item in value]


def _string(filter_name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise AnsibleFilterError(f"{filter_name}: a string is needed, not {type(value).__name__}")
    return str(value)


def password_problems(password: Any, variable: str, min_length: int = 12) -> list[str]:
    return passwords.password_problems(_string("password_problems", password), variable, min_length)


def certificate_problems(certificate: Any, private_key: Any, certificate_variable: str, key_variable: str) -> list[str]:
    name = "certificate_problems"
    return certificates.certificate_problems(
        _string(name, certificate), _string(name, private_key), certificate_variable, key_variable
    )


def subject_alt_names(names: Any) -> list[str]:
    try:
        return certificates.subject_alt_names(_strings("subject_alt_names", names))
    except ValueError as error:
        raise AnsibleFilterError(f"subject_alt_names: {error}") from error


def name_constraints(alt_names: Any) -> list[str]:
    try:
        return certificates.name_constraints(_strings("name_constraints", alt_names))
    except ValueError as error:
        raise AnsibleFilterError(f"name_constraints: {error}") from error


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "certificate_problems": certificate_problems,
            "name_constraints": name_constraints,
            "password_problems": password_problems,
            "subject_alt_names": subject_alt_names,
        }
