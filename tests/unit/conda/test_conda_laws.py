# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Laws of versions, of conditions on them, and of specifications, over generated ones.

Sources: CEP 33 (versions and their order) and CEP 29 (specifications), https://conda.org/learn/ceps/; for pip the
specification "Version specifiers" (https://packaging.python.org/en/latest/specifications/).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.match import MatchSpec, check_channel
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import PackageRecord
from ansible_collections.pystack.infra.plugins.module_utils.conda.requirement import PipVersion, Requirement
from ansible_collections.pystack.infra.plugins.module_utils.conda.version import VersionOrder, VersionSpec
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import Version

from tests.unit.conda.strategies import (
    all_versions,
    bounded,
    conditions,
    conjunctions,
    locals_,
    mains,
    numbers,
    numeric,
    texts,
)


def meets(version: str, spec: str) -> bool:
    return VersionSpec.parse(spec).matches(version)


# ---------------------------------------------------------------- the order


@bounded
@given(all_versions, all_versions)
def test_any_two_versions_are_in_exactly_one_relation(one: str, other: str) -> None:
    a, b = VersionOrder(one), VersionOrder(other)
    assert (a < b) + (a == b) + (a > b) == 1
    assert ((a < b), (a <= b), (a == b), (a != b)) == ((b > a), (b >= a), (b == a), (b != a))
    assert (a <= b) == (a < b or a == b)


@bounded
@given(all_versions, all_versions, all_versions)
def test_the_order_is_transitive_and_equal_versions_are_interchangeable(one: str, two: str, three: str) -> None:
    a, b, c = map(VersionOrder, (one, two, three))
    assert not (a < b and b < c) or a < c
    assert not (a <= b and b <= c) or a <= c
    assert a != b or (a < c, a == c, hash(a)) == (b < c, b == c, hash(b))


@bounded
@given(mains, locals_)
def test_ways_to_write_the_same_version(main: str, local: str) -> None:
    """CEP 33: case, dashes for underscores, zeros before numbers and behind everything, epoch 0, local 0."""
    version = main + local
    same = [version.upper(), f" {version} ", f"{main}.0{local}", f"{main}.0.0{local}", main.replace(".", "_") + local]
    same += [main.replace(".", "-") + local]
    same += [f"0!{version}"] if "!" not in version else []
    same += [f"{version}.0" if local else f"{version}+0", main.replace(".", ".0") + local]
    for text in same:
        assert VersionOrder(text) == VersionOrder(version), text
        assert hash(VersionOrder(text)) == hash(VersionOrder(version)), text


@bounded
@given(numbers, numbers)
def test_numbers_compare_as_numbers(one: list[int], other: list[int]) -> None:
    size = max(len(one), len(other))
    a, b = (found + [0] * (size - len(found)) for found in (one, other))
    first, second = (VersionOrder(".".join(map(str, found))) for found in (one, other))
    assert (first < second, first == second) == (a < b, a == b)


@bounded
@given(mains)
def test_what_comes_before_and_after_a_release(main: str) -> None:
    """CEP 33: dev before every other word, words before the release, post after it."""
    order = [f"{main}.{tail}" for tail in ("dev", "dev1", "_", "a", "a1", "b", "rc", "rc2", "z", "0", "post", "post1")]
    assert sorted(reversed(order), key=VersionOrder) == order


# ---------------------------------------------------------------- conditions


@bounded
@given(all_versions, all_versions)
@example("1.2", "1.2.0")
@example("1.2+0", "1.2")
def test_relations_are_those_of_the_order(version: str, wanted: str) -> None:
    a, b = VersionOrder(version), VersionOrder(wanted)
    results = {"": a == b, "==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}
    for operator, result in results.items():
        assert meets(version, operator + wanted) is result, operator
    assert meets(version, f">={wanted},<={wanted}") is (a == b)
    assert meets(version, f"<{wanted}|>{wanted}") is (a != b)


@bounded
@given(numbers, numbers)
@example([1, 20], [1, 2])
@example([1, 2], [1, 2, 0])
def test_a_beginning_takes_what_begins_so_and_nothing_else(version: list[int], prefix: list[int]) -> None:
    """CEP 29, fuzzy equality: "all the version segments before the glob match are equal"; what is missing is 0."""
    padded = (version + [0] * len(prefix))[: len(prefix)]
    text, start = (".".join(map(str, found)) for found in (version, prefix))
    for spec in (f"={start}", f"{start}.*", f"{start}*", f"={start}.*"):
        assert meets(text, spec) is (padded == prefix), spec
    assert meets(text, f"!={start}.*") is (padded != prefix)


@bounded
@given(numeric, mains.filter(lambda text: "!" not in text), locals_)
def test_a_beginning_takes_everything_below_it(start: str, rest: str, local: str) -> None:
    for version in (start, start + local, f"{start}.{rest}{local}", f"{start}_{rest}", f"{start}rc1", f"{start}post1"):
        assert meets(version, f"={start}"), version
        assert not meets(version, f"!={start}.*"), version
    for version in (f"{start}0", f"1!{start}.{rest}", f"1{start}"):
        assert meets(version, f"={start}") is (VersionOrder(version) == VersionOrder(start)), version


@bounded
@given(all_versions, mains, st.integers(0, 3))
@example("1.9", "1", 2)
@example("2.0", "1", 2)
def test_compatible_releases(version: str, start: str, last: int) -> None:
    """CEP 29: "~=0.5.3 expands to >=0.5.3,0.5.*"."""
    for found in (version, f"{start}.{last}", f"{start}.{last + 1}", f"{start}.7.1"):
        assert meets(found, f"~={start}.{last}") is meets(found, f">={start}.{last},{start}.*")


@bounded
@given(conjunctions, conjunctions, conditions, all_versions)
def test_or_is_union_and_is_intersection_and_binds_tighter(one: str, two: str, three: str, version: str) -> None:
    a, b, c = (meets(version, spec) for spec in (one, two, three))
    assert meets(version, f"{one}|{two}") is meets(version, f"{two} | {one}") is (a or b)
    assert meets(version, f"{one},{two}") is meets(version, f"{two} , {one}") is (a and b)
    assert meets(version, f"{one}|{two},{three}") is (a or (b and c))
    assert meets(version, f"{one},{three}|{two}") is ((a and c) or b)


@bounded
@given(all_versions, all_versions)
def test_opposites(version: str, wanted: str) -> None:
    for one, other in (("=={}", "!={}"), ("={}", "!={}.*"), ("<{}", ">={}"), (">{}", "<={}")):
        assert meets(version, one.format(wanted)) is not meets(version, other.format(wanted)), (one, other)


# ---------------------------------------------------------------- specifications

names = st.sampled_from(["numpy", "_libgcc_mutex", "7zip", "backports.zoneinfo", "r-base"])
builds = st.text("abcXYZ019_.+", min_size=1, max_size=8)


@bounded
@given(names, all_versions, builds, st.sampled_from(["https://h.example/c", "https://h.example/pkgs/main", "c"]))
def test_a_package_meets_what_names_it_exactly(name: str, version: str, build: str, channel: str) -> None:
    record = PackageRecord(name, version, build, 3, channel, "linux-64", sha256="0" * 64)
    brackets = f"version='{version}',build='{build}'"
    exact = [f"{name} {version} {build}", f"{name}=={version}={build}", f"{name}={version}={build}"]
    exact += [f"{name}[{brackets}]", f"{name} =={version} ={build}"]
    rest = f"build_number=3,sha256={'0' * 64}"
    for text in (*exact, f"{name}[{brackets},{rest}]", f"{channel}/linux-64::{name}=={version}[build={build}]"):
        spec = MatchSpec.parse(text)
        assert spec.matches(record), text
        assert not spec.matches(replace(record, name=f"{name}x")), text
        assert not spec.matches(replace(record, version=f"99{version}")), text
        assert not spec.matches(replace(record, build=f"{build}0")), text
        if text in exact:
            assert spec.canonical() == f"{name}=={version.lower()}={build}"
        else:
            assert MatchSpec.parse(spec.canonical()) == spec


@bounded
@given(conjunctions, conjunctions, all_versions, st.sampled_from(["", " ", "\t "]))
def test_a_specification_joins_what_its_parts_say(one: str, two: str, version: str, space: str) -> None:
    record = PackageRecord("x", version, "py36_0")
    expected = meets(version, f"{one}|{two}")
    positional = f"{one}{space}|{space}{two}".replace(",", f"{space},{space}")
    for text, result in ((f"x {positional}", expected), (f"x[version='{one}|{two}']", expected)):
        assert MatchSpec.parse(text).matches(record) is result, text
    for build in ("py*", "py27_0"):
        spec = MatchSpec.parse(f"x[version='{one}|{two}',build={build}]")
        assert spec.matches(record) is (expected and build == "py*")
        assert MatchSpec.parse(spec.canonical()) == spec


# ---------------------------------------------------------------- arbitrary text


def understood(read: Callable[[str], Any], text: str) -> Any:
    """What is read from a text, or None where it is refused as documented: with a ValueError that says why."""
    try:
        return read(text)
    except ValueError as error:
        assert str(error)
        # Only whole specifications are ever put into messages as they are written.
        assert read not in (MatchSpec.parse, Requirement.parse, check_channel) or "secret" not in str(error)
        return None


@bounded
@given(texts)
@example("^1{99999999999999999999}$")
@example("^" + "(" * 5000 + "$")
@example("9" * 5000)
def test_versions_and_conditions_of_any_text(text: str) -> None:
    version = understood(VersionOrder, text)
    assert version is None or VersionOrder(version.text) == version
    spec = understood(VersionSpec.parse, text)
    if spec is not None:
        assert VersionSpec.parse(spec.canonical()) == spec
        assert understood(spec.matches, "1.2rc1") in (True, False)


@bounded
@given(texts, texts)
@example("", "[channel=c/noarch]")
@example("*/noarch::numpy", "")
@example("https://[", "::numpy")
def test_specifications_of_any_text(start: str, end: str) -> None:
    for text in (start + end, f"numpy{start}{end}", f"numpy[{start}]", f"numpy[version='{start}']{end}"):
        spec = understood(MatchSpec.parse, text)
        if spec is not None:
            again = MatchSpec.parse(spec.canonical())
            assert (again, again.canonical()) == (spec, spec.canonical())
            assert spec.matches(PackageRecord("numpy", "1.2", "py36_0")) in (True, False)


@bounded
@given(texts)
@example("https://[")
def test_channels_of_any_text(text: str) -> None:
    assert understood(check_channel, text) in (None, text)


@bounded
@given(st.sampled_from(["", "numpy", "numpy>=", "numpy @ ", "numpy["]), texts)
@example("numpy @ ", "https://[")
def test_pip_requirements_of_any_text(start: str, text: str) -> None:
    found = understood(Requirement.parse, start + text)
    assert found is None or found.accepts("1.2") in (True, False)
    understood(PipVersion.parse, text)


# ---------------------------------------------------------------- pip, where its own library is at hand


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # More digits than a float holds, as nightly builds have them.
        ("1.0.dev20240101123456789", "1.0.dev20240101123456790"),
        ("1.0.post20240101123456789", "1.0.post20240101123456790"),
        ("1.0rc20240101123456789", "1.0rc20240101123456790"),
        ("1.0.dev" + "9" * 400, "1.0"),
    ],
)
def test_long_numbers_of_pip_count_in_full(one: str, other: str) -> None:
    assert Version(one) < Version(other)
    assert PipVersion.parse(one) < PipVersion.parse(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo>=\u0661.2", "'\u0661.2' is not a version that pip knows"),
        ("foo==\u0661.*", "'\u0661.*' is not a prefix of a version"),
        ("foo>=1+local", "'>=1+local' joins '>=' with a local version"),
        ("foo (>=1", "'(>=1' is not a condition such as '>=1.2'"),
        ("foo >=1)", "'1)' is not a version that pip knows"),
    ],
)
def test_what_pip_refuses_too(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Requirement.parse(text)
    assert str(error.value) == f"pip requirement '{text}' is not understood: {message}"


def test_a_token_in_a_requirement_is_not_repeated() -> None:
    with pytest.raises(ValueError) as error:
        Requirement.parse("git+https://h.example/t/secret/foo")
    assert "secret" not in str(error.value)
