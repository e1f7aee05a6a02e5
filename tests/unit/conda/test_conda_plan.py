# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Plans: a declaration and what there is, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda import kernel
from ansible_collections.pystack.infra.plugins.module_utils.conda.plan import (
    Actual,
    Plan,
    View,
    make_plan,
    render,
    view,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import (
    Distribution,
    PackageRecord,
    Snapshot,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.spec import SpecError, read_declarations
from ansible_collections.pystack.infra.plugins.module_utils.conda.state import State

PREFIX = "/envs/e"


def record(name: str, version: str, *depends: str) -> PackageRecord:
    return PackageRecord(name, version, "0", channel="https://h.example/forge", depends=depends)


CONDA = {
    found.name: found
    for found in (
        record("python", "3.11.8", "openssl", "pip"),
        record("openssl", "3.3"),
        record("pip", "24", "python"),
        record("numpy", "1.26", "python"),
        record("scipy", "1.13", "numpy", "fortran"),
        record("fortran", "5"),
    )
}
PYTHON = {
    "numpy": Distribution("numpy", "1.26", "conda"),
    "foo": Distribution("foo", "1.5", "pip"),
    "wheel": Distribution("wheel", "1", "pip", "https://h.example/w.whl"),
}
SNAPSHOT = Snapshot(True, CONDA, PYTHON, {"A": "1", "B": "2"})
ACTUAL = Actual(PREFIX, True, SNAPSHOT)


def plan(actual: Actual = ACTUAL, **declaration: Any) -> Plan:
    return make_plan(read_declarations([{"name": "e", **declaration}])[0], actual)


@pytest.mark.parametrize(
    "declaration",
    [
        {},
        {"python": "3.11", "packages": ["numpy>=1.26", "scipy"]},
        {"pip": ["foo>=1,<2", "numpy"]},
        {"pip": ["wheel @ https://h.example/w.whl"]},
        {"variables": {"A": "1"}},
        {"packages": ["scipy"], "prune": True},
    ],
)
def test_what_is_met_needs_nothing(declaration: dict[str, Any]) -> None:
    assert plan(**declaration) == Plan()


@pytest.mark.parametrize(
    ("declaration", "reasons", "install"),
    [
        ({"packages": ["numpy", "pandas"]}, ["pandas is missing"], ["numpy", "pandas"]),
        ({"packages": ["numpy>=2"]}, ["numpy 1.26 0 does not meet 'numpy>=2'"], ["numpy[version='>=2']"]),
        ({"python": "3.12"}, ["python 3.11.8 0 does not meet 'python 3.12'"], ["python=3.12"]),
        (
            {"packages": ["other::numpy"]},
            ["numpy 1.26 0 does not meet 'other::numpy'"],
            ["other::numpy"],
        ),
        (
            {"packages": ["numpy"], "update": "latest"},
            ["update is 'latest', so the solver looks for newer packages"],
            ["numpy"],
        ),
        ({"pip": ["foo==2"]}, ["pip requirement foo==2 is not met"], []),
        ({"pip": ["bar"]}, ["pip requirement bar is not met"], []),
        ({"pip": ["foo[extra]"]}, ["pip requirement foo[extra] is not met"], []),
        (
            {"pip": ["wheel @ https://h.example/2.whl"]},
            ["pip requirement wheel @ https://h.example/2.whl is not met"],
            [],
        ),
        ({"variables": {"A": "2", "C": ""}}, ["variable A differs", "variable C differs"], []),
        (
            {"packages": ["numpy"], "prune": True},
            ["fortran is not needed by a declared package", "scipy is not needed by a declared package"],
            [],
        ),
    ],
)
def test_updates(declaration: dict[str, Any], reasons: list[str], install: list[str]) -> None:
    found = plan(**declaration)
    assert found.action == "update"
    assert list(found.reasons) == reasons
    assert list(found.install) == install


def test_latest_without_packages_asks_nobody() -> None:
    assert plan(update="latest") == Plan()


def test_extras_count_as_met_once_they_were_declared() -> None:
    actual = replace(ACTUAL, state=State(pip=("foo[extra]",)))
    assert plan(actual, pip=["foo[extra]"]) == Plan()


def test_prune_removes_only_what_was_declared_before() -> None:
    actual = replace(ACTUAL, state=State(pip=("foo==1", "gone"), variables=("B", "X")))
    packages = ["scipy"]
    assert plan(actual, packages=packages) == Plan()
    found = plan(actual, packages=packages, prune=True)
    assert (found.pip.remove, found.unset_variables, found.remove) == (("foo",), ("B",), ())
    assert found.reasons == ("pip package foo is no longer declared", "variable B is no longer declared")
    assert plan(actual, packages=packages, prune=True, pip=["foo"], variables={"B": "2"}) == Plan()


def test_creation() -> None:
    found = plan(Actual(PREFIX), packages=["numpy"], pip=["foo"], variables={"A": "1"})
    assert (found.action, found.reasons) == ("create", ("the environment does not exist",))
    assert found.install == ("numpy", "python", "pip")
    assert [requirement.text for requirement in found.pip.install] == ["foo"]
    assert found.set_variables == ("A",)


@pytest.mark.parametrize(
    ("status", "operation", "action", "reason"),
    [
        ("building", "create", "rebuild", "an earlier run was interrupted while creating the environment"),
        ("building", "remove", "rebuild", "an earlier run was interrupted while removing the environment"),
        ("building", "update", "update", "an earlier run was interrupted while updating the environment"),
        ("ready", "create", "none", ""),
    ],
)
def test_interrupted_runs(status: str, operation: str, action: str, reason: str) -> None:
    found = plan(replace(ACTUAL, state=State(status, operation)), packages=["numpy"])
    assert (found.action, " ".join(found.reasons)) == (action, reason)
    assert found.install == (() if action == "none" else ("numpy",))


def test_our_directory_without_conda_meta_is_rebuilt() -> None:
    assert plan(Actual(PREFIX, True, state=State("building", "create"))).action == "rebuild"
    assert plan(Actual(PREFIX, True, state=State("ready", "update"))).action == "rebuild"
    assert plan(Actual(PREFIX, False, state=State("building", "create"))).action == "create"


def test_a_directory_of_somebody_else_is_left_alone() -> None:
    with pytest.raises(SpecError) as error:
        plan(Actual(PREFIX, True))
    assert str(error.value) == "e: /envs/e exists and is not a conda environment; move it away or rename yours"
    with pytest.raises(SpecError) as error:
        plan(Actual(PREFIX, True), state="absent")
    assert str(error.value) == "e: /envs/e exists and is not a conda environment, so it is not removed"


def test_absent() -> None:
    own, other = kernel.content(PREFIX, "e", {}), kernel.content("/elsewhere", "e", {})
    assert plan(Actual(PREFIX), state="absent") == Plan()
    assert plan(Actual(PREFIX, kernel=other), state="absent") == Plan()
    assert plan(state="absent").action == "remove"
    assert plan(Actual(PREFIX, kernel=own), state="absent").remove_kernel
    assert plan(Actual(PREFIX, state=State()), state="absent").action == "remove"


WITH_IPYKERNEL = replace(SNAPSHOT, conda={**CONDA, "ipykernel": record("ipykernel", "6", "python")})


def test_kernel() -> None:
    wanted = kernel.content(PREFIX, "Label", {})
    actual = Actual(PREFIX, True, WITH_IPYKERNEL)
    assert plan(actual, jupyter_kernel="Label").reasons == ("the Jupyter kernel is missing",)
    assert plan(actual, jupyter_kernel="Label").kernel == wanted
    there = replace(actual, kernel=wanted)
    assert plan(there, jupyter_kernel="Label") == Plan()
    assert plan(there, jupyter_kernel="Other").reasons == ("the Jupyter kernel differs",)
    assert plan(there).reasons == ("the Jupyter kernel is not declared",)
    assert plan(replace(actual, kernel=kernel.content("/other", "", {}))) == Plan()
    pruned = plan(there, jupyter_kernel="Label", packages=["scipy"], prune=True)
    assert pruned == Plan(), "ipykernel stays as long as the kernel is declared"


def test_kernel_needs_ipykernel() -> None:
    for actual in (ACTUAL, Actual(PREFIX)):
        with pytest.raises(SpecError) as error:
            plan(actual, jupyter_kernel=True)
        assert str(error.value) == "e: jupyter_kernel needs ipykernel; add it to packages"
    assert plan(Actual(PREFIX), jupyter_kernel=True, pip=["ipykernel"]).kernel


def test_diff_texts() -> None:
    before = view(SNAPSHOT, {"display_name": "Label", "env": {}})
    numpy = record("numpy", "2.0")
    after = View(
        {**before.packages, "numpy": numpy.line()},
        {"foo": "foo 2"},
        {"A": "secret", "B": "2", "C": "new"},
        {"display_name": "Label", "env": {"A": "secret"}},
    )
    texts = render(before, after)
    assert texts["before"].splitlines()[2:] == [
        "openssl 3.3 0 forge",
        "pip 24 0 forge",
        "python 3.11.8 0 forge",
        "scipy 1.13 0 forge",
        "pip: foo 1.5",
        "pip: wheel 1",
        "variable: A",
        "variable: B",
        "kernel: Label",
    ]
    assert texts["after"].splitlines()[1] == "numpy 2.0 0 forge"
    assert texts["after"].splitlines()[6:] == [
        "pip: foo 2",
        "variable: A (changed)",
        "variable: B",
        "variable: C",
        "kernel: Label (changed)",
    ]
    assert render(View(), View()) == {"before": "", "after": ""}
