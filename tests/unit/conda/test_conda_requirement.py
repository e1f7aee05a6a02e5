# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Requirements for pip."""

from __future__ import annotations

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.requirement import (
    PipVersion,
    Requirement,
    normalise,
)
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

numbers = st.lists(st.sampled_from(["0", "1", "2", "10"]), min_size=1, max_size=3).map(".".join)
versions = st.builds(
    lambda epoch, release, pre, post, dev, local: epoch + release + pre + post + dev + local,
    st.sampled_from(["", "", "1!"]),
    numbers,
    st.sampled_from(["", "", "a1", ".beta2", "-rc", "pre3", "c4"]),
    st.sampled_from(["", "", ".post1", "-2", "rev3", "post"]),
    st.sampled_from(["", "", ".dev1", "dev"]),
    st.sampled_from(["", "", "+a", "+1", "+a-1"]),
)


@given(versions, versions)
def test_order_is_that_of_packaging(one: str, two: str) -> None:
    mine = PipVersion.parse(one), PipVersion.parse(two)
    theirs = Version(one), Version(two)
    assert (mine[0] < mine[1], mine[0] == mine[1]) == (theirs[0] < theirs[1], theirs[0] == theirs[1])


@given(versions, st.sampled_from(["==", "!=", ">=", "<="]), versions)
def test_inclusive_conditions_are_those_of_packaging(version: str, operator: str, wanted: str) -> None:
    wanted = wanted if operator in ("==", "!=") else wanted.partition("+")[0]
    expected = SpecifierSet(operator + wanted).contains(version, prereleases=True)
    assert Requirement.parse(f"x{operator}{wanted}").accepts(version) == expected


@pytest.mark.parametrize(
    ("conditions", "meets", "misses"),
    [
        ("", "1 nonsense", ""),
        ("==1.2", "1.2 1.2.0 1.2+local", "1.2.1 1.2.post1 nonsense"),
        ("==1.2+a", "1.2+a", "1.2 1.2+b"),
        ("==1.*", "1.0 1.9rc1", "2.0 1!1.0"),
        ("==1.0.*", "1 1.0.7", "1.1"),
        ("!=1.2", "1.3", "1.2"),
        ("!=1.*", "2.0", "1.5"),
        ("~=1.2", "1.2 1.9", "1.1 2.0"),
        ("~=1.2.0", "1.2.5", "1.3"),
        ("~=1!1.2", "1!1.3", "1.3"),
        (">=1, <2", "1 1.9", "0.9 2 2.0rc1 2.0.dev1"),
        ("<2.0rc1", "2.0a1", "2.0rc1"),
        (">1", "1.0.1 2", "1 1.post1 1+local"),
        (">1.post1", "1.post2", "1.post1"),
        ("(>=1)", "1", "0"),
    ],
)
def test_conditions(conditions: str, meets: str, misses: str) -> None:
    requirement = Requirement.parse(f"x {conditions}")
    assert [text for text in meets.split() if not requirement.accepts(text)] == []
    assert [text for text in misses.split() if requirement.accepts(text)] == []


def test_names_extras_and_urls() -> None:
    found = Requirement.parse(" Foo.Bar_baz [Two, one] >= 1 ")
    assert (found.name, found.extras, found.text) == ("foo-bar-baz", "one,two", "Foo.Bar_baz [Two, one] >= 1")
    assert Requirement.parse("foo@https://h.example/foo.whl").url == "https://h.example/foo.whl"
    assert Requirement.parse("foo @ git+ssh://git@h.example/foo").url == "git+ssh://git@h.example/foo"
    assert normalise("A__b..C-d") == "a-b-c-d"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a name with conditions, or 'name @ URL', is expected"),
        ("-r requirements.txt", "a name with conditions, or 'name @ URL', is expected"),
        ("--index-url=https://h.example", "a name with conditions, or 'name @ URL', is expected"),
        ("./directory", "a name with conditions, or 'name @ URL', is expected"),
        ("git+https://h.example/foo", "'+https://h.example/foo' is not a condition such as '>=1.2'"),
        ("foo ===1", "'===1' is not a condition such as '>=1.2'"),
        ("foo>=1,", "'' is not a condition such as '>=1.2'"),
        ("foo>=1.*", "'>=1.*' joins '>=' with '*'"),
        ("foo==1a.*", "'1a.*' is not a prefix of a version"),
        ("foo>=one", "'one' is not a version that pip knows"),
        ("foo~=1", "'~=1' needs at least two components, as in '~=1.2'"),
        ("foo; python_version<'3.9'", "markers (after ';') are not supported; decide in the inventory"),
        ("foo @ foo.whl", "'foo.whl' is not a URL"),
    ],
)
def test_what_is_not_understood(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Requirement.parse(text)
    assert str(error.value) == f"pip requirement '{text}' is not understood: {message}"


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError) as error:
        Requirement.parse("foo @ git+https://me:secret@h.example/foo")
    assert str(error.value) == (
        "pip requirement 'foo @ git+https://***@h.example/foo' is not understood: its URL carries credentials; "
        "put them into ~/.netrc (mode 0600) and give the plain URL"
    )
