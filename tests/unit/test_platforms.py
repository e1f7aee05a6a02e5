# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Which operating systems the roles accept."""

from __future__ import annotations

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.platforms import SUPPORTED, platform_problems, release


def facts(distribution: str, version: str, family: str = "RedHat") -> dict[str, str]:
    return {"distribution": distribution, "distribution_version": version, "os_family": family}


@pytest.mark.parametrize(
    ("distribution", "version"),
    [
        ("Debian", "12"),
        ("Debian", "13.1"),
        ("Ubuntu", "22.04"),
        ("Ubuntu", "24.04"),
        ("RedHat", "9.0"),
        ("RedHat", "10.1"),
        ("Rocky", "9.6"),
        ("AlmaLinux", "9.6"),
        ("CentOS", "9"),
        ("CentOS", "10"),
        ("OracleLinux", "9.6"),
    ],
)
def test_supported(distribution: str, version: str) -> None:
    assert platform_problems(facts(distribution, version), "linux_base") == []


@pytest.mark.parametrize(
    ("distribution", "version"),
    [
        ("Debian", "11.9"),
        ("Debian", "forky/sid"),
        ("Ubuntu", "20.04"),
        ("Ubuntu", "22"),
        ("RedHat", "8.10"),
        ("CentOS", "7.9"),
        ("Fedora", "43"),
        ("Alpine", "3.22"),
        ("Rocky", ""),
    ],
)
def test_refused_with_one_sentence(distribution: str, version: str) -> None:
    (sentence,) = platform_problems(facts(distribution, version), "miniconda")
    assert sentence.startswith(f"This host runs {distribution} {version} (family RedHat): miniconda supports ")
    assert all(f"{name} {number}" in sentence for name, number in SUPPORTED.items())


def test_a_missing_fact_is_named() -> None:
    with pytest.raises(KeyError, match="distribution_version"):
        platform_problems({"distribution": "Debian", "os_family": "Debian"}, "linux_base")


@pytest.mark.parametrize(
    ("version", "numbers"), [("22.04", (22, 4)), ("9", (9,)), ("10.0", (10, 0)), ("trixie/sid", ()), ("", ())]
)
def test_release(version: str, numbers: tuple[int, ...]) -> None:
    assert release(version) == numbers
