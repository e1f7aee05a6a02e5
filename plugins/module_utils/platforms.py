# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The operating systems that the roles support, and from which release on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Ansible's fact ``distribution`` -> the first release that is supported.
SUPPORTED: Mapping[str, str] = {
    "AlmaLinux": "9",
    "CentOS": "9",
    "Debian": "12",
    "OracleLinux": "9",
    "RedHat": "9",
    "Rocky": "9",
    "Ubuntu": "22.04",
}


def release(version: str) -> tuple[int, ...]:
    """A release's numbers, such as (22, 4) for "22.04"; empty for a testing release that has a name only."""
    return tuple(int(part) for part in re.findall(r"\d+", version)) if version[:1].isdigit() else ()


def platform_problems(facts: Mapping[str, Any], role: str) -> list[str]:
    """One sentence when a role does not support the host that these facts describe, else nothing.

    facts: Ansible's facts with ``distribution``, ``distribution_version`` and ``os_family``.
    """
    distribution, version = str(facts["distribution"]), str(facts["distribution_version"])
    first = SUPPORTED.get(distribution)
    if first is not None and release(version) >= release(first):
        return []
    supported = ", ".join(f"{name} {number}" for name, number in sorted(SUPPORTED.items()))
    return [
        f"This host runs {distribution} {version} (family {facts['os_family']}):"
        f" {role} supports {supported}, or later releases of them."
    ]
