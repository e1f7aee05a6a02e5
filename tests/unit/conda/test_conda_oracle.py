# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Versions, conditions and specifications, against another implementation of conda's rules: py-rattler.

It runs in a process of its own, since it has been seen to abort the interpreter at its end.

Rattler is not conda. Where the two differ, and conda 24.7, CEP 29 or CEP 33 (https://conda.org/learn/ceps/) agrees with
this collection, nothing is generated:

- A trailing underscore behind a word: for conda 'rc_' is a word, so that 'rc_' < 'rca'; rattler compares 'rc' first.
- A beginning that ends with a word, or with a zero: in conda '=1a' takes '1alpha' and '=1.2.0' does not take '1.2rc1'.
- A beginning with a local version, also in '~=': rattler leaves the local version out of it.
- ' =' before a build: conda's own example '>=1.0 , < 2.0 =py34_0' is for rattler the build '=py34_0'.
- A '*' inside a version, and regular expressions: rattler has neither.

Both differ from CEP 29 in that '={version} {build}' is exactly this version.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.match import MatchSpec
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import PackageRecord
from ansible_collections.pystack.infra.plugins.module_utils.conda.version import VersionOrder, VersionSpec
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.conda.strategies import bounded, locals_, mains, versions

ORACLE = """
import json, os, sys
import rattler

def order(one, other):
    a, b = rattler.Version(one), rattler.Version(other)
    return (a > b) - (a < b)

def meets(version, spec):
    return rattler.VersionSpec(spec).matches(rattler.Version(version))

def matches(spec, version, build):
    build = getattr(rattler, "BuildString", str)(build)
    record = rattler.PackageRecord("numpy", rattler.VersionWithSource(version), build, 0, "linux-64")
    return rattler.MatchSpec(spec).matches(record)

print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(globals()[name](*arguments)), flush=True)
os._exit(0)
"""


class Oracle:
    """Puts questions to rattler: the name of a function above, and its arguments."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin and process.stdout
        self.questions, self.answers = process.stdin, process.stdout

    def is_there(self) -> bool:
        return bool(self.answers.readline())

    def __call__(self, *question: str) -> Any:
        print(json.dumps(question), file=self.questions, flush=True)
        answer = self.answers.readline()
        assert answer, f"rattler does not understand {question}"
        return json.loads(answer)


@pytest.fixture(scope="module")
def ask() -> Iterator[Oracle]:
    command = [sys.executable, "-c", ORACLE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        oracle = Oracle(process)
        assert oracle.is_there(), "py-rattler is missing: make setup"
        yield oracle


# Marked, since hosts have neither rattler nor a Python that is new enough for it.


@pytest.mark.controller
@bounded
@given(st.data())
def test_order(ask: Oracle, data: st.DataObject) -> None:
    one, other = (
        data.draw(versions | mains.map("{}_".format).filter(lambda text: text[-2].isdigit())) for _ in range(2)
    )
    a, b = VersionOrder(one), VersionOrder(other)
    assert ask("order", one, other) == (a > b) - (a < b), (one, other)


beginnings = mains.filter(lambda text: re.search(r"[1-9][0-9]*$", text) is not None)
relations = st.builds(str.__add__, st.sampled_from(["", "==", "!=", "<", "<=", ">", ">="]), versions)
prefixes = st.builds(
    lambda pair, main: pair[0] + main + pair[1],
    st.sampled_from([("=", ""), ("", ".*"), ("", "*"), ("!=", ".*"), ("=", ".*"), (">=", ".*")]),
    beginnings,
)
compatible = st.builds("~={}.{}".format, beginnings, st.integers(0, 3))
conditions = relations | prefixes | compatible | st.sampled_from(["*", "=*"])
specs = st.builds(
    lambda groups: "|".join(",".join(group) for group in groups),
    st.lists(st.lists(conditions, min_size=1, max_size=3), min_size=1, max_size=2),
)


def below(spec: str, data: st.DataObject) -> str:
    """A version, often one that begins like one in the specification."""
    word = data.draw(st.sampled_from(spec.replace("|", ",").split(",")))
    start = word.strip("=<>!~*").rstrip(".").partition("+")[0]
    tail = data.draw(st.sampled_from(["", ".0", ".1", ".7", "rc1", ".dev", "0", "+1"]))
    return data.draw(st.just(start + tail) | versions) if start else data.draw(versions)


@pytest.mark.controller
@bounded
@given(st.data())
def test_conditions(ask: Oracle, data: st.DataObject) -> None:
    spec = data.draw(specs)
    version = below(spec, data)
    assert ask("meets", version, spec) is VersionSpec.parse(spec).matches(version), (spec, version)


builds = st.sampled_from(["py36_0", "py311h1_2", "0", "h1_1"])
wanted_builds = builds | st.sampled_from(["py*", "*_0", "*", "*36*"])


@pytest.mark.controller
@bounded
@given(st.data())
def test_specifications(ask: Oracle, data: st.DataObject) -> None:
    spec, build = data.draw(specs), data.draw(builds)
    forms = [
        "numpy {spec}",
        "numpy {spec} {build}",
        "numpy[version='{spec}',build='{build}']",
        "numpy[build='{build}']",
    ]
    form = data.draw(
        st.sampled_from([*forms, "numpy=={exact}={build}", "numpy={exact}={build}", "numpy ={exact} {build}"])
    )
    exact = data.draw(mains) + data.draw(locals_)
    text = form.format(spec=spec, build=data.draw(wanted_builds), exact=exact)
    version = below(exact if "exact" in form else spec, data)
    read = MatchSpec.parse(text)
    result = read.matches(PackageRecord("numpy", version, build))
    assert ask("matches", text, version, build) is result, (text, version, build)
    assert ask("matches", read.canonical(), version, build) is result, (read.canonical(), version, build)
