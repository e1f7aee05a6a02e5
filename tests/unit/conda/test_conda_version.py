# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Conda's order of versions, and its conditions on them, against what conda documents.

Sources: the docstring of conda's ``VersionOrder`` (conda/models/version.py, conda 24.7), "Package match specifications"
in the documentation of conda-build (resources/package-spec), and the standards CEP 33 (versions and their order) and
CEP 29 (specifications), https://conda.org/learn/ceps/. What they leave out was tried with conda 24.7 itself.
"""

from __future__ import annotations

from itertools import combinations

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.version import VersionOrder, VersionSpec
from hypothesis import given
from hypothesis import strategies as st

# The order in the docstring of VersionOrder, with the local versions of CEP 33's; versions in one group are equal.
# (The docstring has 0.4 < 0.4.0, against its own rule that 1.1 == 1.1.0. CEP 33 and conda's code have them equal.)
DOCUMENTED_ORDER = [
    ["0.4", "0.4.0"],
    ["0.4.1.rc", "0.4.1.RC", "  0.4.1.rc  "],
    ["0.4.1+local"],
    ["0.4.1+0.local"],
    ["0.4.1", "0.4.1+0"],
    ["0.4.1+1.local"],
    ["0.5a1"],
    ["0.5b3"],
    ["0.5C1"],
    ["0.5"],
    ["0.9.6"],
    ["0.960923"],
    ["1.0"],
    ["1.0.4a3"],
    ["1.0.4b1"],
    ["1.0.4"],
    ["1.1dev1"],
    ["1.1_"],
    ["1.1a1"],
    ["1.1.0dev1", "1.1.dev1"],
    ["1.1.a1", "1.1.0a1"],
    ["1.1.0rc1", "1.1.rc1"],
    ["1.1.0", "1.1", "1.1.0.0", "1_1", "1-1", "01.01", "0!1.1"],
    ["1.1.0post1", "1.1.post1"],
    ["1.1post1"],
    ["1996.07.12"],
    ["1!0.4.1"],
    ["1!3.1.1.6"],
    ["2!0.4.1"],
]


def test_documented_order() -> None:
    for older, newer in combinations(DOCUMENTED_ORDER, 2):
        assert VersionOrder(older[0]) < VersionOrder(newer[0]), (older, newer)
        assert not VersionOrder(newer[0]) <= VersionOrder(older[0]), (older, newer)
    for group in DOCUMENTED_ORDER:
        assert len({VersionOrder(text) for text in group}) == 1, group
        for text in group:
            assert all(VersionOrder(text) == VersionOrder(other) for other in group), group


@pytest.mark.parametrize(
    ("text", "main", "local"),
    [
        ("1.2g.beta15.rc", ((0,), (1,), (2, "g"), (0, "beta", 15), (0, "rc")), ()),
        ("1!2.15.1_ALPHA", ((1,), (2,), (15,), (1,), (0, "alpha")), ()),
        ("1!2.15.1alpha_", ((1,), (2,), (15,), (1, "alpha_")), ()),
        ("1!2.15.1_alpha+1.2.3h123", ((1,), (2,), (15,), (1,), (0, "alpha")), ((1,), (2,), (3, "h", 123))),
        ("1.0.1_", ((0,), (1,), (0,), (1, "_")), ()),
        ("1.1post2.dev3", ((0,), (1,), (1, float("inf"), 2), (0, "DEV", 3)), ()),
    ],
)
def test_documented_parts(text: str, main: object, local: object) -> None:
    """The examples of CEP 33, in which the docstring's '_alpha' is put right, and its special words."""
    version = VersionOrder(text)
    assert (version.main, version.local) == (main, local)


def test_openssl_letters_with_a_trailing_underscore() -> None:
    """The docstring: 1.0.1 < 1.0.1a is False, and 1.0.1_ < 1.0.1a is True."""
    order = [
        "1.0.1dev",
        "1.0.1_",
        "1.0.1a",
        "1.0.1b",
        "1.0.1rc2",
        "1.0.1s",
        "1.0.1",
        "1.0.1post.a",
        "1.0.1post.b",
        "1.0.2",
    ]
    assert sorted(order, key=VersionOrder) == order
    assert not VersionOrder("1.0.1") < VersionOrder("1.0.1a")


def test_local_version_counts_only_between_equal_ones() -> None:
    assert VersionOrder("1.0") < VersionOrder("1.0+1") < VersionOrder("1.0+1.1") < VersionOrder("1.0.1")
    assert VersionOrder("1.0+0") == VersionOrder("1.0") != "1.0"
    assert VersionOrder("2.1+sirius6.0.3") < VersionOrder("2.1+sirius6.0.7") < VersionOrder("2.1")


def test_beginnings_of_versions() -> None:
    """Conda's ``VersionOrder.startswith``: a word at the end may go on, a number may not."""
    pairs = [
        "0.4.1 0",
        "0.4.1 0.4",
        "0.4.1p1 0.4",
        "0.4.1p1 0.4.1p",
        "1.0 1.0.0",
        "0.4.1+1.3 0.4.1",
        "0.4.1+1.3 0.4.1+1",
    ]
    for text, prefix in map(str.split, pairs):
        assert VersionOrder(text).starts_with(VersionOrder(prefix)), (text, prefix)
    pairs = ["0.4.1p1 0.4.1q1", "0.4 0.4.1", "0.40 0.4", "1!0.4 0.4", "0.4.1 0.4.1+1.3", "0.4.1+1 0.4.1+1.3"]
    for text, prefix in map(str.split, pairs):
        assert not VersionOrder(text).starts_with(VersionOrder(prefix)), (text, prefix)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "version is empty"),
        ("  ", "version is empty"),
        ("1..2", "version '1..2' has an empty component"),
        ("1.2+", "version '1.2+' has an empty component"),
        ("+1.2", "version '+1.2' has an empty component"),
        ("1.2+3_", "version '1.2+3_' has an empty component"),
        ("1__2", "version '1__2' has an empty component"),
        ("1!", "version '1!' has an empty component"),
        ("3.5&1", "version '3.5&1' has a character that conda does not accept in versions"),
        ("0.5*", "version '0.5*' has a character that conda does not accept in versions"),
        ("\u0661.2", "version '\u0661.2' has a character that conda does not accept in versions"),
        ("1.2 3", "version '1.2 3' has a character that conda does not accept in versions"),
        ("1_2-3", "version '1_2-3' has a character that conda does not accept in versions"),
        ("x!1", "version 'x!1' has an epoch that is not a number"),
        ("1!2!3", "version '1!2!3' has an epoch that is not a number"),
        ("1+2+3", "version '1+2+3' has more than one '+'"),
    ],
)
def test_unusable_versions(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        VersionOrder(text)
    assert str(error.value) == message


def test_repr_names_the_version() -> None:
    assert repr(VersionOrder("1.2RC1")) == "VersionOrder('1.2rc1')"


parts = st.sampled_from(["0", "1", "2", "10", "0a1", "1rc2", "rc", "dev", "2dev3", "post", "1post1", "b"])
versions = st.builds(
    lambda epoch, main, tail, local: epoch + ".".join(main) + tail + local,
    st.sampled_from(["", "", "0!", "1!"]),
    st.lists(parts, min_size=1, max_size=4),
    st.sampled_from(["", "", "_"]),
    st.sampled_from(["", "", "+0", "+1", "+a.1"]),
)


@given(versions, versions, versions)
def test_total_order(one: str, two: str, three: str) -> None:
    a, b, c = sorted(map(VersionOrder, (one, two, three)))
    assert a <= b <= c and a <= c
    assert (a < b) + (a == b) + (a > b) == 1
    assert a != b or hash(a) == hash(b)
    assert a != b or (a < c) == (b < c)


@given(versions)
def test_every_version_meets_what_names_it(text: str) -> None:
    for spec in (text, f"=={text}", f"={text}", f"{text}.*", f">={text}", f"<={text}", "*"):
        assert VersionSpec.parse(spec).matches(text), spec
    for spec in (f"!={text}", f">{text}", f"<{text}", f"!={text}.*"):
        assert not VersionSpec.parse(spec).matches(text), spec


relations = st.builds(str.__add__, st.sampled_from(["", "=", "==", "!=", "<", "<=", ">", ">="]), versions)
conditions = relations | versions.map(lambda text: f"{text}.*") | st.sampled_from(["*", "1.*.3", "~=1.2", "!=1.2.*"])
specs = st.builds(
    lambda groups: "|".join(",".join(group) for group in groups),
    st.lists(st.lists(conditions, min_size=1, max_size=3), min_size=1, max_size=3),
)


@given(specs, versions)
def test_canonical_form_means_the_same(text: str, version: str) -> None:
    spec = VersionSpec.parse(text)
    again = VersionSpec.parse(spec.canonical())
    assert again == spec
    assert again.canonical() == spec.canonical()
    assert again.matches(version) == spec.matches(version)


@pytest.mark.parametrize(
    ("spec", "meets", "misses"),
    [
        ("1.2", "1.2 1.2.0", "1.2.1 1.1 1.2rc1"),
        ("=1.2", "1.2 1.2.5 1.2rc1", "1.20 1.3"),
        ("1.2.*", "1.2 1.2.5", "1.20 1.3"),
        ("1.2*", "1.2 1.2.5", "1.20 1.3"),
        ("=1.2.*", "1.2.5", "1.3"),
        ("=1.0a", "1.0a 1.0alpha1", "1.0b1 1.0"),
        ("=1+2", "1+2 1+2.5", "1+3 1"),
        ("==1.2", "1.2", "1.2.1"),
        ("!=1.2", "1.3", "1.2 1.2.0"),
        ("!=1.2.*", "1.3 1.20", "1.2 1.2.5"),
        ("~=1.2", "1.2 1.9", "1.1 2.0"),
        ("~=1.2.3", "1.2.3 1.2.9", "1.2.2 1.3"),
        ("~=0.5.3", "0.5.3 0.5.9", "0.5.2 0.6"),
        ("~=1!1.2", "1!1.2 1!1.9", "1.2 1!2"),
        ("~=3.3.2|==2.2", "2.2.0 3.3.3", "2.2.1 3.4"),
        (">=1.2.*", "1.2 1.3", "1.1"),
        (">= 1.2 , < 2", "1.2 1.9.9", "1.1 2.0"),
        ("1.0|1.2", "1.0 1.2", "1.1 1.2.1"),
        ("1.0|1.4*", "1.0 1.4 1.4.1b2", "1.2"),
        ("<=1.0", "0.9 0.9.1 1.0", "1.0.1"),
        (">1.0b4", "1.0b5 1.0rc1", "1.0b4 1.0a5"),
        (">=2,<3", "2.0 2.1 2.9", "3.0 1.0"),
        # The documentation has 3.0 for a match as well, against its own order.
        (">=1,<2|>3", "1 1.3 3.1", "2.2 3.0"),
        (">=2.7, !=3.0.*, !=3.1.*", "2.7.2 3.2 3.2a", "2.6.8 3.0.0 3.1"),
        ("=1.11", "1.11 1.11.0 1.11.1 1.11.18", "1.110 1.12 1"),
        ("==1.11", "1.11 1.11.0 1.11.0.0", "1.11.1"),
        ("=*", "0 1!7", ""),
        ("==*", "0 1!7", ""),
        (">=*,<2", "1", "2"),
        (">=1.2,<2", "1.2 1.9.9", "1.1 2.0 2.1"),
        ("=1.2|>=3", "1.2.1 3.0", "2.0"),
        ("1.2,1.2.*|3", "1.2 3", "1.2.1"),
        ("*", "0 1!7", ""),
        ("1.*.3", "1.2.3 1.0.0.3", "1.2.4 2.2.3"),
        ("*.3", "1.2.3 0.3", "1.2.30"),
        ("1.*RC1", "1.0rc1 1.0RC1", "1.0rc2"),
        (r"^1\.(2|4)$", "1.2 1.4", "1.3 1.2.1"),
        ("^1|2$", "1.5 3.2", "3.5"),
        ("1.6.*|^0.*$|1.7.1", "1.6.2 0.3 1.7.1", "1.7.2"),
        (r">=1,^.*\.7\.1$", "1.7.1 2.7.1", "0.7.1 1.7.2"),
        ("^1.*$,^.*2$", "1.2", "1.3 2.2"),
        ("^1{1,2}$", "1 11", "111 2"),
    ],
)
def test_specifications(spec: str, meets: str, misses: str) -> None:
    parsed = VersionSpec.parse(spec)
    assert [text for text in meets.split() if not parsed.matches(text)] == []
    assert [text for text in misses.split() if parsed.matches(text)] == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "version is empty"),
        (">=1,", "version is empty"),
        ("==1.2.*", "'==1.2.*' joins '==' with '*'; write '=1.2' instead"),
        ("<1.2*", "'<1.2*' joins '<' with '*'; write '<1.2' instead"),
        (">=1,<=2.*", "'<=2.*' joins '<=' with '*'; write '<=2' instead"),
        ("~=1.2.*", "'~=1.2.*' joins '~=' with '*'; write '=1.2' instead"),
        ("~=1", "'~=1' needs at least two components, as in '~=1.2'"),
        ("===1.2", "version '=1.2' has a character that conda does not accept in versions"),
        ("1.5||1.6", "version is empty"),
        ("^1.5", "version '^1.5' has a character that conda does not accept in versions"),
        ("(1|2),<3", "version '(1' has a character that conda does not accept in versions"),
        ("=<1", "version '<1' has a character that conda does not accept in versions"),
        ("1.(*).3", "version '1.(0).3' has a character that conda does not accept in versions"),
        ("^1($", "'^1($' is not a regular expression: missing ), unterminated subpattern at position 2"),
        ("^1{4294967296}$", "'^1{4294967296}$' is not a regular expression: the repetition number is too large"),
        ("^1[24]$", "'^1[24]$' has a [, with which conda reads no regular expression"),
        ("^1'2$", "'^1'2$' has a ', with which conda reads no regular expression"),
    ],
)
def test_unusable_specifications(spec: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        VersionSpec.parse(spec)
    assert str(error.value) == message
