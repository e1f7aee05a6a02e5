# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Package specifications and channels, against what conda documents.

Sources: "Package match specifications" in the documentation of conda-build (resources/package-spec), the docstring of
conda's ``MatchSpec`` (conda/models/match_spec.py, conda 24.7), and the standard CEP 29, https://conda.org/learn/ceps/.
What they leave out was tried with conda 24.7 itself.
"""

from __future__ import annotations

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.match import (
    MatchSpec,
    channel_name,
    check_channel,
    redact,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import PackageRecord
from hypothesis import given
from hypothesis import strategies as st

SHA256 = "0" * 63 + "1"
NUMPY = PackageRecord(
    "numpy", "1.26.4", "py311h1_2", 2, "https://conda.example/api/conda-forge", "linux-64", sha256=SHA256
)


@pytest.mark.parametrize(
    ("text", "canonical", "matches"),
    [
        ("numpy", "numpy", True),
        ("NumPy", "numpy", True),
        ("pandas", "pandas", False),
        ("numpy 1.26.4", "numpy==1.26.4", True),
        ("numpy 1.26", "numpy==1.26", False),
        ("numpy=1.26", "numpy=1.26", True),
        ("numpy=1.26.*", "numpy=1.26", True),
        ("numpy =1.26", "numpy=1.26", True),
        ("numpy 1.26.*", "numpy=1.26", True),
        ("numpy==1.26", "numpy==1.26", False),
        ("numpy==1.26.4", "numpy==1.26.4", True),
        ("numpy=1.26.4=py311*", "numpy==1.26.4[build='py311*']", True),
        ("numpy=1.26=py311*", "numpy==1.26[build='py311*']", False),
        ("numpy=1.26.*=py311*", "numpy=1.26[build='py311*']", True),
        # CEP 29 has '={version} {build}' for the beginning of a version; conda, and rattler, for all of it.
        ("numpy =1.26.4 py311h1_2", "numpy==1.26.4=py311h1_2", True),
        ("numpy =1.26 py311h1_2", "numpy==1.26=py311h1_2", False),
        ("numpy 1.26.4=py311h1_2", "numpy==1.26.4=py311h1_2", True),
        ("numpy >=1.0 , < 2.0 =py311h1_2", "numpy[version='>=1.0,<2.0',build='py311h1_2']", True),
        ("numpy>=1.0,<2.0=py27_0", "numpy[version='>=1.0,<2.0',build='py27_0']", False),
        ("numpy=1.25|1.26.4=py311*", "numpy[version='1.25.*|==1.26.4',build='py311*']", True),
        ("numpy =1.26|1.25 py311*", "numpy[version='1.26.*|==1.25',build='py311*']", True),
        ("numpy ==1.26.* py311*", "numpy=1.26[build='py311*']", True),
        ("numpy=*", "numpy[version='*']", True),
        ("numpy=*=py311*", "numpy[version='*',build='py311*']", True),
        ("numpy * *_3", "numpy[version='*',build='*_3']", False),
        ("numpy==1.26.4=py311h1_2", "numpy==1.26.4=py311h1_2", True),
        ("numpy 1.26.4 py312*", "numpy==1.26.4[build='py312*']", False),
        ("numpy>=1,<2", "numpy[version='>=1,<2']", True),
        ("numpy >= 1, < 2", "numpy[version='>=1,<2']", True),
        ("numpy>=2", "numpy[version='>=2']", False),
        ("numpy=1.25|=1.26", "numpy[version='1.25.*|1.26.*']", True),
        ("conda-forge::numpy", "conda-forge::numpy", True),
        ("defaults::numpy", "defaults::numpy", False),
        ("forge::numpy", "forge::numpy", False),
        ("api/conda-forge::numpy", "api/conda-forge::numpy", True),
        ("https://conda.example/api/conda-forge::numpy", "https://conda.example/api/conda-forge::numpy", True),
        ("https://other.example/conda-forge::numpy", "https://other.example/conda-forge::numpy", False),
        ("conda-forge/linux-64::numpy>=1", "conda-forge/linux-64::numpy[version='>=1']", True),
        ("conda-forge/noarch::numpy", "conda-forge/noarch::numpy", False),
        ("*::numpy", "numpy", True),
        ("*/linux-64::numpy>=1.0", "numpy[subdir='linux-64',version='>=1.0']", True),
        ("numpy[channel=conda-forge/linux-64]", "conda-forge/linux-64::numpy", True),
        (
            "numpy[channel='https://conda.example/api/conda-forge/noarch/']",
            "https://conda.example/api/conda-forge/noarch::numpy",
            False,
        ),
        ("numpy[channel='*']", "numpy", True),
        ("numpy[subdir=linux-64]", "numpy[subdir='linux-64']", True),
        ("numpy[channel=conda-forge]", "conda-forge::numpy", True),
        ("numpy[version='>=1', build=py311h1_2]", "numpy[version='>=1',build='py311h1_2']", True),
        ('numpy[version=">=1" build_number=2]', "numpy[version='>=1',build_number='2']", True),
        ("numpy[build_number=1]", "numpy[build_number='1']", False),
        ("numpy=1.26[build=py311*]", "numpy=1.26[build='py311*']", True),
        (f"numpy[sha256={SHA256}]", f"numpy[sha256='{SHA256}']", True),
        (f"numpy[sha256={'f' * 64}]", f"numpy[sha256='{'f' * 64}']", False),
    ],
)
def test_table(text: str, canonical: str, matches: bool) -> None:
    spec = MatchSpec.parse(text)
    assert spec.text == text
    assert spec.canonical() == canonical
    assert MatchSpec.parse(canonical) == spec
    assert spec.matches(NUMPY) is matches


@pytest.mark.parametrize(
    "text",
    [
        *("numpy", "numpy 1.8*", "numpy 1.8.1", "numpy >=1.8", "numpy ==1.8.1", "numpy 1.8|1.8*", "numpy >=1.8,<2"),
        *("numpy >=1.8,<2|1.9", "numpy 1.8.1 py27_0", "numpy=1.8.1=py27_0"),
    ],
)
def test_documented_for_one_package(text: str) -> None:
    """Conda-build: "the following are all valid match specifications for numpy-1.8.1-py27_0"."""
    assert MatchSpec.parse(text).matches(PackageRecord("numpy", "1.8.1", "py27_0"))


@pytest.mark.parametrize(
    ("text", "meets", "misses"),
    [
        ("numpy=1.11.1|1.11.3", "1.11.1/0 1.11.3/0", "1.11.2/0 1.11/0"),
        ("numpy>=1.8,<2", "1.8/0 1.9/0", "2.0/0"),
        ("numpy=1.11", "1.11/0 1.11.0/0 1.11.1/0 1.11.2/0 1.11.18/0", "1.1/0 1.12/0"),
        ("numpy==1.11", "1.11/0 1.11.0/0 1.11.0.0/0", "1.11.1/0"),
        ("numpy=1.11.2=*nomkl*", "1.11.2/py36_nomkl_0", "1.11.2/py36_0 1.11.3/py36_nomkl_0"),
        ("numpy=1.11.1|1.11.3=py36_0", "1.11.1/py36_0 1.11.3/py36_0", "1.11.1/py35_0 1.11.3/py27_0 1.11.2/py36_0"),
    ],
)
def test_documented_examples(text: str, meets: str, misses: str) -> None:
    """Conda-build: "Examples" of constraints on versions and build strings."""
    spec = MatchSpec.parse(text)
    for found in (*meets.split(), *misses.split()):
        version, _, build = found.partition("/")
        assert spec.matches(PackageRecord("numpy", version, build)) is (found in meets.split()), found


FUZZY = """pkg=1.8; pkg =1.8; pkg 1.8.*; pkg 1.8.* *; pkg=1.8.*; pkg=1.8.*=*; pkg =1.8.* *; pkg ==1.8.* *;
pkg[version=1.8.*]; pkg[version="1.8.*"]"""
EXACT = """pkg 1.8; pkg 1.8 *; pkg==1.8; pkg=1.8=*; pkg==1.8=*; pkg ==1.8 *; pkg[version=1.8]; pkg[version="1.8"]"""


@pytest.mark.parametrize(("texts", "extends"), [(FUZZY, True), (EXACT, False)])
def test_documented_equivalents(texts: str, extends: bool) -> None:
    """CEP 29: "Some examples ... with equivalent version specifiers in the same block"."""
    for text in texts.split(";"):
        spec = MatchSpec.parse(text)
        assert spec.matches(PackageRecord("pkg", "1.8.0", "0")), text
        assert spec.matches(PackageRecord("pkg", "1.8.3", "0")) is extends, text
        assert not spec.matches(PackageRecord("pkg", "1.80", "0")), text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("foo 1.0 py27_0", "foo==1.0=py27_0"),
        ("foo=1.0=py27_0", "foo==1.0=py27_0"),
        ("conda-forge::foo[version=1.0.*]", "conda-forge::foo=1.0"),
        ("conda-forge/linux-64::foo>=1.0", "conda-forge/linux-64::foo[version='>=1.0']"),
        ("*/linux-64::foo>=1.0", "foo[subdir='linux-64',version='>=1.0']"),
        ("foo[build=py2*, channel=conda-forge]", "conda-forge::foo[build='py2*']"),
    ],
)
def test_documented_canonical_forms(text: str, canonical: str) -> None:
    """The docstring of MatchSpec and CEP 29, which quotes every value."""
    assert MatchSpec.parse(text).canonical() == canonical


def test_the_channel_defaults_is_several() -> None:
    """Conda: "ChannelMatch('defaults').match('pkgs/free') is True", and not the other way round."""
    main = PackageRecord("numpy", "1", "0", channel="https://repo.anaconda.com/pkgs/main")
    assert MatchSpec.parse("defaults::numpy").matches(main)
    assert MatchSpec.parse("pkgs/main::numpy").matches(main)
    assert not MatchSpec.parse("pkgs/r::numpy").matches(main)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no package name"),
        ("*", "it has no package name"),
        ("=1.2", "it has no package name"),
        ("-y", "it has no package name"),
        ("numpy$", "unexpected '$' after the name"),
        ("numpy 1 b c", "'1 b c' is more than a version and a build"),
        ("numpy >=1 <2", "'>=1 <2' is more than a version and a build"),
        ("numpy 1 py-36", "'py-36' is not a build"),
        ("numpy=", "version '=' has a character that conda does not accept in versions"),
        ("numpy==1.*", "'==1.*' joins '==' with '*'; write '=1' instead"),
        ("numpy[version=1", "the bracket is not closed at its end"),
        ("numpy[version]", "'version' is not a list of key='value'"),
        ("numpy[version=1,version=2]", "version given twice"),
        # CEP 29 lets the bracket win; here what contradicts itself is refused.
        ("numpy=1[version=2]", "version given twice"),
        ("c::numpy[channel=d]", "channel given twice"),
        ("numpy[channel=c/noarch,subdir=linux-64]", "subdir given twice"),
        ("conda-*::numpy", "channel 'conda-*' has a '*'; give the whole name, or '*' for any channel"),
        (
            "numpy[license=MIT]",
            "unknown key 'license' (known: version, build, build_number, channel, subdir, sha256)",
        ),
        ("numpy[build='a b']", "'a b' is not a build"),
        ("numpy[build_number=x]", "build number 'x' is not a number"),
        ("numpy[build_number=\u0663]", "build number '\u0663' is not a number"),
        ("numpy[subdir=atari]", "unknown platform 'atari'"),
        ("numpy[sha256=abc]", "'abc' is not a sha256 of 64 lower-case hexadecimal digits"),
        ("::numpy", "a channel is blank; a channel's name or URL is expected"),
    ],
)
def test_what_is_not_understood(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        MatchSpec.parse(text)
    assert str(error.value) == f"package specification '{text}' is not understood: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://me:secret@conda.example/forge::numpy", "carries credentials"),
        ("https://me:p@secret@conda.example/forge::numpy", "carries credentials"),
        ("numpy[channel=https://conda.example/t/secret]", "carries credentials"),
        ("https://me:secret@conda.example/forge", r"unexpected '://\*\*\*@conda.example/forge' after the name"),
        ("https://conda.example/t/secret numpy", "unexpected '://conda.example/t/\\*\\*\\* numpy' after the name"),
    ],
)
def test_credentials_in_a_specification_are_refused_and_not_repeated(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        MatchSpec.parse(text)
    assert "secret" not in str(error.value)


names = st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,8}", fullmatch=True)
numbers = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}", fullmatch=True)
version_texts = st.builds(str.__add__, st.sampled_from(["==", "=", ">=", "<", "!=", "~=1."]), numbers)
builds = st.from_regex(r"[a-z0-9_]{1,6}\*?", fullmatch=True)
pairs = {
    "version": st.lists(version_texts, min_size=1, max_size=3).map(",".join),
    "build": builds,
    "build_number": st.integers(0, 9).map(str),
    "channel": st.sampled_from(["conda-forge", "https://h.example/c", "pkgs/main"]),
    "subdir": st.sampled_from(["noarch", "linux-64"]),
}


@given(names, st.fixed_dictionaries({}, optional=pairs))
def test_canonical_form_is_read_as_the_same(name: str, values: dict[str, str]) -> None:
    inside = ",".join(f"{key}='{value}'" for key, value in values.items())
    spec = MatchSpec.parse(f"{name}[{inside}]")
    again = MatchSpec.parse(spec.canonical())
    assert again == spec
    assert again.canonical() == spec.canonical()


@pytest.mark.parametrize(
    "channel", ["conda-forge", "pkgs/main", "https://conda.example/api/conda/forge", "file:///srv/channel", "/srv/c"]
)
def test_channels(channel: str) -> None:
    assert check_channel(channel) == channel


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (" ", "a channel is blank; a channel's name or URL is expected"),
        ("-c", "channel '-c' is neither a channel's name nor a URL"),
        ("a b", "channel 'a b' is neither a channel's name nor a URL"),
        (
            "https://me:secret@h.example/c",
            "channel 'https://***@h.example/c' carries credentials, which conda copies into many files; "
            "put them into ~/.netrc (mode 0600) and give the plain URL",
        ),
        (
            "https://token@h.example/c",
            "channel 'https://***@h.example/c' carries credentials, which conda copies into many files; "
            "put them into ~/.netrc (mode 0600) and give the plain URL",
        ),
        (
            "https://h.example/t/se-cret/c",
            "channel 'https://h.example/t/***/c' carries credentials, which conda copies into many files; "
            "put them into ~/.netrc (mode 0600) and give the plain URL",
        ),
    ],
)
def test_unusable_channels(channel: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        check_channel(channel)
    assert str(error.value) == message


def test_short_names_of_channels() -> None:
    assert channel_name("https://conda.example/api/conda-forge/linux-64") == "conda-forge"
    assert channel_name("https://conda.example/pkgs/main/") == "main"
    assert channel_name("conda-forge") == "conda-forge"


def test_redaction() -> None:
    assert redact("see https://a:b@h/t/x1/c and https://h/c") == "see https://***@h/t/***/c and https://h/c"
    assert redact("https://a:b@c@h/d") == "https://***@h/d"
    assert redact("no 'https://h/t/x1', but https://h/c") == "no 'https://h/t/***', but https://h/c"
    assert redact('"https://h","a@h"') == '"https://h","a@h"'
