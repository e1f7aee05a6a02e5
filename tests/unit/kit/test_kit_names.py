"""Names and version constraints of the kit's channels."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from tests.kit.conda.names import conda_constraint, conda_name, manylinux_glibc, next_minor, python_bounds


@pytest.mark.parametrize(
    ("pypi", "conda"),
    [
        ("tables", "pytables"),
        ("matplotlib", "matplotlib-base"),
        ("Et.XmlFile", "et_xmlfile"),
        ("numpy", "numpy"),
    ],
)
def test_conda_name(pypi: str, conda: str) -> None:
    assert conda_name(pypi) == conda


@pytest.mark.parametrize(
    ("specifiers", "constraint"),
    [
        ("", ""),
        (">=1.2,<2", "<2,>=1.2"),
        ("~=1.4.2", ">=1.4.2,1.4.*"),
        ("==3.*", "3.*"),
        ("===1.0", "==1.0"),
        ("!=1.5", "!=1.5"),
    ],
)
def test_conda_constraint(specifiers: str, constraint: str) -> None:
    assert conda_constraint(SpecifierSet(specifiers)) == constraint


def test_python_bounds_drop_single_exclusions() -> None:
    assert python_bounds(">=3.8, !=3.9.0, !=3.9.1") == ">=3.8"


def test_next_minor() -> None:
    assert next_minor("3.9") == "3.10.0a0"


@pytest.mark.parametrize(
    ("platforms", "glibc"),
    [
        ({"manylinux_2_27_x86_64", "manylinux_2_28_x86_64"}, "2.27"),
        ({"manylinux2014_x86_64"}, "2.17"),
        ({"any"}, None),
    ],
)
def test_manylinux_glibc(platforms: set[str], glibc: str | None) -> None:
    assert manylinux_glibc(platforms) == glibc
