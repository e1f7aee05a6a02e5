# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Validation of declarations: what is accepted, and the exact words for what is not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import (
    EnvironmentSpec,
    SpecError,
    read_declarations,
)


def read(**declaration: Any) -> EnvironmentSpec:
    return read_declarations([{"name": "e", **declaration}])[0]


def problems(*declarations: Any, channels: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(SpecError) as error:
        read_declarations(declarations, channels)
    assert str(error.value) == "\n".join(error.value.problems)
    return error.value.problems


def test_the_smallest_declaration() -> None:
    assert read() == EnvironmentSpec("e")


def test_a_full_declaration() -> None:
    spec = read(
        state="present",
        python="3.11",
        packages=["numpy>=1", "ipykernel"],
        channels=["conda-forge", "nodefaults"],
        pip=["foo==1"],
        variables={"A": "1"},
        jupyter_kernel="Label",
        update="latest",
        prune=True,
    )
    assert [package.canonical() for package in spec.packages] == ["python=3.11", "numpy[version='>=1']", "ipykernel"]
    assert [package.canonical() for package in spec.conda_specs()][3:] == ["pip"]
    assert spec.python() == "python=3.11"
    assert (spec.channels, spec.kernel, spec.latest, spec.prune) == (("conda-forge",), "Label", True, True)
    assert spec.variables == {"A": "1"}


def test_channels_of_the_module_are_the_default() -> None:
    declarations = [{"name": "a"}, {"name": "b", "channels": ["own"]}, {"name": "c", "channels": []}]
    found = read_declarations(declarations, ["forge", "nodefaults"])
    assert [spec.channels for spec in found] == [("forge",), ("own",), ()]


@pytest.mark.parametrize(
    ("python", "canonical"),
    [
        ("3", "python=3"),
        ("3.11", "python=3.11"),
        ("=3.11", "python=3.11"),
        ("3.11.*", "python=3.11"),
        ("==3.11.4", "python==3.11.4"),
        (">=3.11,<3.13", "python[version='>=3.11,<3.13']"),
    ],
)
def test_python(python: str, canonical: str) -> None:
    assert read(python=python).python() == canonical


def test_python_may_be_said_twice_in_the_same_way() -> None:
    assert [package.canonical() for package in read(python="3.11", packages=["python=3.11"]).packages] == [
        "python=3.11"
    ]


def test_kernel_names() -> None:
    assert [read(jupyter_kernel=value).kernel for value in (None, False, True, " My kernel ")] == [
        "",
        "",
        "e",
        "My kernel",
    ]


def test_digest_depends_on_the_meaning_and_not_on_secrets() -> None:
    one = read(packages=["numpy=1.2", "scipy"], variables={"KEY": "secret"})
    assert one.digest() == read(packages=["scipy", "numpy 1.2.*"], variables={"KEY": "other"}).digest()
    assert one.digest() != read(packages=["scipy"], variables={"KEY": "secret"}).digest()


ACCEPTED = "accepted are letters, digits, '.', '_' and '-', with a letter or digit first"


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("text", "environments[0]: is a string; a mapping with a name is expected"),
        ({}, "environments[0].name: is missing or blank; every environment needs a name"),
        ({"name": " "}, "environments[0].name: is missing or blank; every environment needs a name"),
        ({"name": 1}, "environments[0].name: 1 is a number; a quoted string is expected"),
        ({"name": "a/b"}, f"environments[0].name: 'a/b' is not a usable name; {ACCEPTED}"),
        ({"name": ".pystack"}, f"environments[0].name: '.pystack' is not a usable name; {ACCEPTED}"),
        ({"name": "base"}, "environments[0].name: 'base' is conda's own installation, which is not managed here"),
        ({"name": "root"}, "environments[0].name: 'root' is conda's own installation, which is not managed here"),
        ({"name": "e", "state": "gone"}, "environments[0].state: 'gone' is not one of present, absent, exported"),
        ({"name": "e", "update": []}, "environments[0].update: [] is not one of minimal, latest"),
        ({"name": "e", "prune": "yes"}, "environments[0].prune: 'yes' is a string; true or false is expected"),
        ({"name": "e", "package": []}, "environments[0].package: is not a known key; did you mean 'packages'?"),
        (
            {"name": "e", "zzz": 1},
            "environments[0].zzz: is not a known key; known keys: name, state, python, packages, channels, pip, "
            "variables, jupyter_kernel, update, prune, imports, pip_check",
        ),
        (
            {"name": "e", "python": 3.1},
            "environments[0].python: 3.1 is a number, in which 3.10 and 3.1 are the same; quote the version",
        ),
        ({"name": "e", "python": ["3"]}, "environments[0].python: ['3'] is a list; a quoted string is expected"),
        (
            {"name": "e", "python": "three"},
            "environments[0].python: 'three' is not a version such as '3.12' or '>=3.11,<3.13': "
            "it starts with a letter",
        ),
        (
            {"name": "e", "python": ">=3.11,"},
            "environments[0].python: '>=3.11,' is not a version such as '3.12' or '>=3.11,<3.13': version is empty",
        ),
        (
            {"name": "e", "python": "3.11", "packages": ["python=3.12"]},
            "environments[0].python: 'python 3.11' and 'python=3.12' in packages are two versions of Python; "
            "give one of them",
        ),
        ({"name": "e", "packages": "numpy"}, "environments[0].packages: is a string; a list of strings is expected"),
        ({"name": "e", "packages": ["a", {}]}, "environments[0].packages[1]: is a mapping; a string is expected"),
        ({"name": "e", "packages": [" "]}, "environments[0].packages[0]: is blank; a string is expected"),
        (
            {"name": "e", "packages": ["numpy=>1"]},
            "environments[0].packages[0]: package specification 'numpy=>1' is not understood: "
            "version '>1' has a character that conda does not accept in versions",
        ),
        (
            {"name": "e", "packages": ["numpy>1", "numpy<2"]},
            "environments[0].packages[1]: 'numpy' is declared twice, first in environments[0].packages[0]",
        ),
        (
            {"name": "e", "channels": ["nodefaults"]},
            "environments[0].channels: has only 'nodefaults', which is not a channel; name at least one channel",
        ),
        (
            {"name": "e", "channels": ["https://u:p@h.example/c"]},
            "environments[0].channels[0]: channel 'https://***@h.example/c' carries credentials, which conda copies "
            "into many files; put them into ~/.netrc (mode 0600) and give the plain URL",
        ),
        (
            {"name": "e", "pip": ["-r x"]},
            "environments[0].pip[0]: pip requirement '-r x' is not understood: "
            "a name with conditions, or 'name @ URL', is expected",
        ),
        (
            {"name": "e", "pip": ["Foo", "foo>1"]},
            "environments[0].pip[1]: 'foo' is declared twice, first in environments[0].pip[0]",
        ),
        (
            {"name": "e", "packages": ["foo"], "pip": ["Foo"]},
            "environments[0].pip: 'foo' is also in packages; let either conda or pip install it",
        ),
        (
            {"name": "e", "variables": ["A=1"]},
            "environments[0].variables: is a list; a mapping from names to strings is expected",
        ),
        ({"name": "e", "variables": {"A": 1}}, "environments[0].variables.A: is a number; a quoted string is expected"),
        (
            {"name": "e", "variables": {"A": None}},
            "environments[0].variables.A: is a NoneType; a quoted string is expected",
        ),
        (
            {"name": "e", "variables": {"A": True}},
            "environments[0].variables.A: is a boolean; a quoted string is expected",
        ),
        (
            {"name": "e", "variables": {"A-B": "1"}},
            "environments[0].variables.A-B: is not a name for a variable; accepted are A-Z, a-z, 0-9 and '_'",
        ),
        (
            {"name": "e", "variables": {"PATH": "/"}},
            "environments[0].variables.PATH: is set by conda itself and cannot be declared",
        ),
        (
            {"name": "e", "jupyter_kernel": 3},
            "environments[0].jupyter_kernel: 3 is neither true, false nor a name to display",
        ),
    ],
)
def test_messages(declaration: Any, message: str) -> None:
    assert problems(declaration)[0] == message


def test_all_problems_are_told_at_once() -> None:
    found = problems({"name": "a", "stat": 1, "pip": ["-x"]}, {"name": "a"}, channels=("-c",))
    assert [problem.partition(": ")[0] for problem in found] == [
        "channels[0]",
        "environments[0].stat",
        "environments[0].pip[0]",
        "environments[1].name",
    ]
