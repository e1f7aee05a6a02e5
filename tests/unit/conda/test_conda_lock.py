# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Locks: what is read and written, the exact words for what is refused, and laws over generated ones.

Sources: CEP 23 (https://conda.org/learn/ceps/cep-0023) for the text, and the schema of conda-lock's unified lockfile
(https://schemas.conda.org/conda-lock-v1.schema.json).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import (
    Lock,
    LockedPackage,
    LockedRequirement,
    LockError,
    from_conda_lock,
    in_link_order,
    parse_lock,
    platform_of,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import PackageRecord
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.conda.strategies import bounded, numeric, texts, versions

A, B, C = "a" * 64, "b" * 64, "0123456789abcdef" * 4
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
TINY = "https://conda.example/artifactory/api/conda/tiny"
PYTHON = f"{TINY}/linux-64/python-3.11.9-h1_0.conda"
PURE = "https://other.example/forge/noarch/pure-1.0-pyh_0.tar.bz2"
TEXT = f"""\
# Lock of the conda environment lab, made by playbooks/lock.yml of pystack.infra. Commit it; do not edit it.
# platform: linux-64
# declaration: sha256:{C}
@EXPLICIT
{PYTHON}#sha256:{A}
{PURE}#sha256:{B}
# pip: iniconfig==2.0.0 --hash=sha256:{A} --hash=sha256:{B}
# pip: tool @ https://files.example/tool-1.0.tar.gz --hash=sha256:{C}
"""
# What 'conda list --explicit --sha256' prints.
BY_CONDA = f"""\
# This file may be used to create an environment using:
# $ conda create --name <env> --file <this file>
# platform: linux-64
# created-by: conda 26.7.1
@EXPLICIT
{PYTHON}#{A}
{PURE}#{B}
"""
NO_LOCK = "stands where '@EXPLICIT' is expected, so this is no lock"
MAKE = "make the lock with playbooks/lock.yml"
OR_CONDA = f"{MAKE}, or with 'conda list --explicit --sha256'"
WHY = "without a sha256 nobody can tell whether a file is the one that was locked"
HEX = "'sha256:' with 64 lower-case hexadecimal digits is expected"
NETRC = (
    "carries credentials, which everybody who may read the lock would see; "
    "put them into ~/.netrc (mode 0600) and give the plain URL"
)


def read(text: str) -> Lock:
    return parse_lock(text, "lab.lock")


def refusal(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(LockError) as error:
        function(*arguments)
    return str(error.value)


# ---------------------------------------------------------------- the text


def test_a_lock_of_ours_is_read_in_full() -> None:
    lock = read(TEXT)
    assert (lock.name, lock.platform, lock.declaration) == ("lab", "linux-64", C)
    assert lock.packages == (
        LockedPackage(PYTHON, A, "python", "3.11.9", "h1_0", TINY, "linux-64"),
        LockedPackage(PURE, B, "pure", "1.0", "pyh_0", "https://other.example/forge", "noarch"),
    )
    assert lock.pip == (
        LockedRequirement("iniconfig", "2.0.0", hashes=(f"sha256:{A}", f"sha256:{B}")),
        LockedRequirement("tool", url="https://files.example/tool-1.0.tar.gz", hashes=(f"sha256:{C}",)),
    )
    assert lock.channels() == (TINY, "https://other.example/forge")
    assert lock.text() == TEXT


def test_a_package_becomes_a_record_without_what_its_url_does_not_tell() -> None:
    assert read(TEXT).records() == {
        "python": PackageRecord("python", "3.11.9", "h1_0", 0, TINY, "linux-64", PYTHON, A),
        "pure": PackageRecord("pure", "1.0", "pyh_0", 0, "https://other.example/forge", "noarch", PURE, B),
    }


def test_pip_gets_a_requirements_file_with_hashes() -> None:
    assert read(TEXT).requirements() == (
        f"iniconfig==2.0.0 --hash=sha256:{A} --hash=sha256:{B}\n"
        f"tool @ https://files.example/tool-1.0.tar.gz --hash=sha256:{C}\n"
    )
    assert read(BY_CONDA).requirements() == ""


def test_what_conda_prints_is_the_same_lock_but_for_what_conda_does_not_know() -> None:
    assert read(BY_CONDA) == replace(read(TEXT), name="", declaration="", pip=())
    assert read(BY_CONDA).text().splitlines()[:2] == ["# platform: linux-64", "@EXPLICIT"]


@pytest.mark.parametrize(
    ("urls", "platform"),
    [([PYTHON, PURE], "linux-64"), ([PURE], "noarch"), ([PYTHON.replace("-64", "-aarch64")], "linux-aarch64")],
)
def test_without_its_line_the_platform_is_that_of_the_packages(urls: list[str], platform: str) -> None:
    lock = read("\n".join(["@EXPLICIT", *(f"{url}#{A}" for url in urls)]))
    assert lock.platform == platform
    assert f"# platform: {platform}\n" in lock.text()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n  \n"),
        lambda text: "".join(f"  {line}\t\n" for line in text.splitlines()),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("@EXPLICIT", "# anything: else\n#\n@EXPLICIT\n# made by hand"),
        lambda text: text.replace("iniconfig==", "INI_config == ").replace("INI_config", "Iniconfig"),
        lambda text: text.replace(f"--hash=sha256:{A} --hash=sha256:{B}", f"--hash=sha256:{B} --hash=sha256:{A}"),
    ],
)
def test_what_does_not_change_a_lock(change: Callable[[str], str]) -> None:
    assert change(TEXT) != TEXT
    assert read(change(TEXT)).text() == TEXT


def test_an_empty_environment_has_a_lock() -> None:
    lock = read("# platform: linux-64\n@EXPLICIT\n")
    assert lock == Lock("linux-64", ())
    assert (lock.text(), lock.channels(), lock.records()) == ("# platform: linux-64\n@EXPLICIT\n", (), {})


def test_names_of_distributions_are_normalised_and_sorted() -> None:
    lines = [f"# pip: {name}==1 --hash=sha256:{A}" for name in ("Zope.Interface", "b_c", "A")]
    lock = read("\n".join(["# platform: noarch", "@EXPLICIT", *lines]))
    assert [requirement.name for requirement in lock.pip] == ["a", "b-c", "zope-interface"]
    shuffled = replace(lock, pip=lock.pip[::-1])
    assert (shuffled.text(), shuffled.requirements()) == (lock.text(), lock.requirements())


def test_hashes_are_a_set() -> None:
    made = LockedRequirement("a", "1", hashes=(f"sha256:{B}", f"sha256:{A}", f"sha256:{B}"))
    assert made.text() == f"a==1 --hash=sha256:{A} --hash=sha256:{B}"
    assert LockedRequirement.parse(f"{made.text()} --hash=sha256:{A}").hashes == (f"sha256:{A}", f"sha256:{B}")


def test_the_digest_of_a_lock_stays_what_it_is() -> None:
    """Generations are named after it: another digest of the same lock would make all hosts build anew."""
    assert read(TEXT).digest() == "ff35d918d41b78d8f3285562060a3b7abcea0ec3d53e37851613957879e5221b"


# ---------------------------------------------------------------- packages


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (PYTHON, ("python", "3.11.9", "h1_0", TINY, "linux-64")),
        ("http://h.example:8081/c/noarch/x-1-0.conda", ("x", "1", "0", "http://h.example:8081/c", "noarch")),
        ("https://[2001:db8::7]:80/c/noarch/x-1-0.conda", ("x", "1", "0", "https://[2001:db8::7]:80/c", "noarch")),
        ("file:///srv/c/linux-64/x-1-0.tar.bz2", ("x", "1", "0", "file:///srv/c", "linux-64")),
        (
            "https://h.example/c/label/rc/linux-64/libstdcxx-ng-13.2.0-hc0a3c3a_7.conda",
            ("libstdcxx-ng", "13.2.0", "hc0a3c3a_7", "https://h.example/c/label/rc", "linux-64"),
        ),
        ("https://h.example/c/noarch/x-1%212.0-0.conda", ("x", "1!2.0", "0", "https://h.example/c", "noarch")),
        ("https://h.example/c/noarch/x-1!2.0-0.conda", ("x", "1!2.0", "0", "https://h.example/c", "noarch")),
        ("https://h.example/c/noarch/x-1%2Bcpu-0.conda", ("x", "1+cpu", "0", "https://h.example/c", "noarch")),
        ("https://h.example/c/noarch/x-1+cpu-0.conda", ("x", "1+cpu", "0", "https://h.example/c", "noarch")),
        ("https://h.example/c/noarch/Rpy2-1-0.conda", ("rpy2", "1", "0", "https://h.example/c", "noarch")),
    ],
)
def test_a_url_tells_what_a_package_is(url: str, expected: tuple[str, ...]) -> None:
    package = LockedPackage.read(url, A)
    assert (package.name, package.version, package.build, package.channel, package.subdir) == expected
    assert (package.url, package.sha256) == (url, A)


def test_the_name_of_a_file_is_decoded() -> None:
    names = [LockedPackage.read(f"https://h.example/c/noarch/x-{v}-0.conda", A).file_name for v in ("1%212", "1!2")]
    assert names == ["x-1!2-0.conda", "x-1!2-0.conda"]


PLAIN = "is not the plain URL of a file (http, https or file, without a query)"
FOLDER = "is not in a channel's folder of a platform, such as linux-64 or noarch"
OPTION = "has an option; only --hash=sha256:… is accepted"
MARKERS = "is not understood: markers (after ';') are not supported; decide in the inventory"
URL = "is not understood: its URL carries credentials; put them into ~/.netrc (mode 0600) and give the plain URL"
FILE = "is not a package's file (name-version-build.conda or .tar.bz2)"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("numpy=1.26", f"'numpy=1.26' {PLAIN}"),
        ("/srv/c/noarch/x-1-0.conda", f"'/srv/c/noarch/x-1-0.conda' {PLAIN}"),
        ("<<<<<<< HEAD", f"'<<<<<<< HEAD' {PLAIN}"),
        (f"ftp://h/c/noarch/x-1-0.conda#{A}", f"'ftp://h/c/noarch/x-1-0.conda' {PLAIN}"),
        (f"file://host/c/noarch/x-1-0.conda#{A}", f"'file://host/c/noarch/x-1-0.conda' {PLAIN}"),
        (f"https:///c/noarch/x-1-0.conda#{A}", f"'https:///c/noarch/x-1-0.conda' {PLAIN}"),
        (f"https://h/c/noarch/x-1-0.conda extra#{A}", f"'https://h/c/noarch/x-1-0.conda extra' {PLAIN}"),
        # conda would put a variable's value there.
        (f"https://h/$USER/noarch/x-1-0.conda#{A}", f"'https://h/$USER/noarch/x-1-0.conda' {PLAIN}"),
        (f"https://h/c/noarch/x-1-0.conda?k=secret#{A}", f"'https://h/c/noarch/x-1-0.conda?***' {PLAIN}"),
        (f"https://h/é/noarch/x-1-0.conda#{A}", f"'https://h/\\xe9/noarch/x-1-0.conda' {PLAIN}"),
        (f"https://h/c/noarch/{'x' * 200}", f"'{'x' * 120}...' {FILE}"),
        (f"https://me:secret@h/c/noarch/x-1-0.conda#{A}", f"'***@h/c/noarch/x-1-0.conda' {NETRC}"),
        (f"https://secret@h/c/noarch/x-1-0.conda#{A}", f"'***@h/c/noarch/x-1-0.conda' {NETRC}"),
        (f"https://h/t/secret/c/noarch/x-1-0.conda#{A}", f"'https://h/t/***/c/noarch/x-1-0.conda' {NETRC}"),
        (f"https://me:sec/ret@h/c/noarch/x-1-0.conda#{A}", f"'***@h/c/noarch/x-1-0.conda' {PLAIN}"),
        (f"https://h/c/noarch/x-1.conda#{A}", f"'x-1.conda' {FILE}"),
        (f"https://h/c/noarch/x-1-0.zip#{A}", f"'x-1-0.zip' {FILE}"),
        (f"https://h/c/noarch/x-1-0%0A.conda#{A}", f"'x-1-0\\n.conda' {FILE}"),
        (f"https://h/c/noarch/a%2Fx-1-0.conda#{A}", f"'a/x-1-0.conda' {FILE}"),
        (f"https://h/c/linux/x-1-0.conda#{A}", f"'https://h/c/linux/x-1-0.conda' {FOLDER}"),
        (f"https://h/x-1-0.conda#{A}", f"'https://h/x-1-0.conda' {FOLDER}"),
        (f"https://noarch/x-1-0.conda#{A}", f"'https://noarch/x-1-0.conda' {FOLDER}"),
        (f"https://h/c/noarch/x-1..2-0.conda#{A}", "version '1..2' has an empty component"),
        ("https://h/c/noarch/x-1-0.conda", f"x-1-0.conda has no sha256, and {WHY}; {OR_CONDA}"),
        ("https://h/c/noarch/x-1-0.conda#", f"x-1-0.conda has no sha256, and {WHY}; {OR_CONDA}"),
        (
            f"https://h/c/noarch/x-1-0.conda#{MD5}",
            "x-1-0.conda has an md5 sum, which is no protection: "
            f"another file can be made to have the same; {OR_CONDA}",
        ),
        (
            f"https://h/c/noarch/x-1-0.conda#md5:{MD5.upper()}",
            "x-1-0.conda has an md5 sum, which is no protection: "
            f"another file can be made to have the same; {OR_CONDA}",
        ),
        (f"https://h/c/noarch/x-1-0.conda#{A.upper()}", f"x-1-0.conda has '{A.upper()}' for a hash; {HEX}"),
        (f"https://h/c/noarch/x-1-0.conda#sha256:{A[1:]}", f"x-1-0.conda has '{A[1:]}' for a hash; {HEX}"),
        ("https://h/c/noarch/x-1-0.conda#sha256:", f"x-1-0.conda has 'sha256:' for a hash; {HEX}"),
        (
            f"https://h/c/noarch/python-3.12-0.conda#{A}",
            "python-3.12-0.conda is a second package python, after python-3.11.9-h1_0.conda",
        ),
        ("# no URL for: x-1-0.conda", f"conda does not know where it took 'x-1-0.conda' from; {MAKE}"),
        ("# platform: linux-64", "a second line '# platform:'; one is expected"),
        (f"# declaration: sha256:{A}", "a second line '# declaration:'; one is expected"),
        ("# pip: -r requirements.txt", f"pip requirement '-r requirements.txt' {OPTION}"),
        (f"# pip: a==1 --pre --hash=sha256:{A}", f"pip requirement 'a==1 --pre' {OPTION}"),
        ("# pip: a==1 --index-url https://me:secret@h", f"pip requirement 'a==1 --index-url ***@h' {OPTION}"),
        ("# pip: a", "pip requirement 'a' is not pinned; 'name==version' or 'name @ URL' is expected"),
        ("# pip: a>=1", "pip requirement 'a>=1' is not pinned; 'name==version' or 'name @ URL' is expected"),
        ("# pip: a==1,<2", "pip requirement 'a==1,<2' is not pinned; 'name==version' or 'name @ URL' is expected"),
        ("# pip: a==1.*", "pip requirement 'a==1.*' is not pinned; 'name==version' or 'name @ URL' is expected"),
        ("# pip: a[b]==1", "pip requirement 'a[b]==1' has extras; a lock has the packages that they stand for instead"),
        ("# pip: a==1; x", f"pip requirement 'a==1; x' {MARKERS}"),
        ("# pip:", "pip requirement '' is not understood: a name with conditions, or 'name @ URL', is expected"),
        ("# pip: a==1", f"pip requirement 'a==1' has no --hash=sha256:…, and {WHY}; {MAKE}"),
        (f"# pip: a==1 --hash=md5:{MD5}", f"pip requirement 'a==1' has 'md5:{MD5}' for a hash; {HEX}"),
        (f"# pip: a==1 --hash={A}", f"pip requirement 'a==1' has '{A}' for a hash; {HEX}"),
        (f"# pip: a==1 --hash=sha256:{A} --hash=", f"pip requirement 'a==1' has '' for a hash; {HEX}"),
        (f"# pip: a @ git+https://h/a --hash=sha256:{A}", f"'git+https://h/a' {PLAIN}"),
        (f"# pip: a @ https://h/a.whl?k=secret --hash=sha256:{A}", f"'https://h/a.whl?***' {PLAIN}"),
        (f"# pip: a @ https://h/t/secret/a.whl --hash=sha256:{A}", f"'https://h/t/***/a.whl' {NETRC}"),
        (f"# pip: a @ https://me:secret@h/a.whl --hash=sha256:{A}", f"pip requirement 'a @ https://***@h/a.whl' {URL}"),
        (f"# pip: Tool==1 --hash=sha256:{A}", "pip requirement tool is there twice"),
    ],
)
def test_lines_that_are_refused(line: str, message: str) -> None:
    said = refusal(read, TEXT + line + "\n")
    assert said == f"lab.lock: line 9: {message}"
    assert "secret" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"there is no line '@EXPLICIT', so this is no lock; {OR_CONDA}"),
        ("# platform: linux-64\n", f"there is no line '@EXPLICIT', so this is no lock; {OR_CONDA}"),
        (
            f"# platform: linux-64\n{PYTHON}#{A}\n@EXPLICIT\n",
            f"line 2: '{PYTHON}#{'a' * (119 - len(PYTHON))}...' {NO_LOCK}; {OR_CONDA}",
        ),
        ("name: lab\n", f"line 1: 'name: lab' {NO_LOCK}; {OR_CONDA}"),
        ("\ufeff#\n", f"line 1: '\\ufeff#' {NO_LOCK}; {OR_CONDA}"),
        ("# platform: linux\n", "line 1: platform 'linux' is not one that conda knows, such as linux-64"),
        (f"# declaration: {A}\n", f"line 1: the declaration has '{A}' for a hash; {HEX}"),
        ("@EXPLICIT\n", "neither a line '# platform:' nor a package tells the platform"),
        (
            f"@EXPLICIT\n{PYTHON}#{A}\nhttps://h/c/osx-64/x-1-0.conda#{A}\n",
            "there are packages for linux-64 and for osx-64; one platform is expected",
        ),
        (
            f"# platform: linux-aarch64\n@EXPLICIT\n{PURE}#{A}\n{PYTHON}#{A}\n",
            "python-3.11.9-h1_0.conda is for linux-64, and the lock for linux-aarch64",
        ),
        (
            f"# platform: noarch\n@EXPLICIT\n{PYTHON}#{A}\n",
            "python-3.11.9-h1_0.conda is for linux-64, and the lock for noarch",
        ),
    ],
)
def test_texts_that_are_no_locks(text: str, message: str) -> None:
    assert refusal(read, text) == f"lab.lock: {message}"


# ---------------------------------------------------------------- laws

names = st.sampled_from(["numpy", "_libgcc_mutex", "7zip", "backports.zoneinfo", "r-base", "libstdcxx-ng", "x"])
builds = st.text("abcXYZ019_.+", min_size=1, max_size=8)
hashes = st.integers(0, 2**256 - 1).map("{:064x}".format)
channels = st.sampled_from([TINY, "https://h.example:8081/c", "file:///srv/c", "http://[::1]/c/label/rc"])
platforms = st.sampled_from(["linux-64", "linux-aarch64", "osx-arm64"])
packages = st.builds(
    lambda channel, subdir, name, version, build, end, digest: LockedPackage.read(
        f"{channel}/{subdir}/{name}-{version}-{build}{end}", digest
    ),
    *(channels, st.sampled_from(["PLATFORM", "noarch"]).map(lambda subdir: subdir.replace("PLATFORM", "linux-64"))),
    *(names, versions | versions.map(lambda text: text.replace("!", "%21").replace("+", "%2B")), builds),
    *(st.sampled_from([".conda", ".tar.bz2"]), hashes),
)
digests = st.sets(hashes.map("sha256:{}".format), min_size=1, max_size=3).map(lambda found: tuple(sorted(found)))
distributions = st.sampled_from(["a", "b-c", "zope-interface", "x2"])
requirements = st.builds(LockedRequirement, distributions, numeric, st.just(""), digests) | st.builds(
    LockedRequirement, distributions, st.just(""), st.just("https://files.example/x-1.0.whl"), digests
)


def unique(elements: Any) -> Any:
    return st.lists(elements, max_size=5, unique_by=lambda element: element.name)


locks = st.builds(
    Lock,
    st.just("linux-64"),
    unique(packages).map(tuple),
    unique(requirements).map(lambda found: tuple(sorted(found, key=lambda requirement: requirement.name))),
    st.sampled_from(["", "lab", "Lab-2.x_y"]),
    st.just("") | hashes,
)
# CEP 23, word for word: how a client should be able to read a line of an explicit file.
CEP_23 = (
    r"(?:(?P<url_p>.+)(?:[/\\]))?(?P<fn>[^/\\#]+(?:\.tar\.bz2|\.conda))"
    r"(?:#((?P<md5>[0-9a-f]{32})|((sha256:)?(?P<sha256>[0-9a-f]{64}))))?$"
)


@bounded
@given(locks)
def test_what_is_written_is_read_again(lock: Lock) -> None:
    assert read(lock.text()) == lock
    assert read(lock.text()).text() == lock.text()
    # Without the word before the hash, as conda prints it.
    assert read(re.sub(r"^(\w+://.*#)sha256:", r"\1", lock.text(), flags=re.MULTILINE)) == lock


@bounded
@given(locks)
def test_conda_reads_a_package_a_line_and_nothing_else(lock: Lock) -> None:
    lines = [line for line in lock.text().splitlines() if not line.startswith("#")]
    assert lines[0] == "@EXPLICIT"
    found = [re.match(CEP_23, line) for line in lines[1:]]
    assert [(match["url_p"], match["fn"], match["sha256"]) for match in found if match] == [
        (*package.url.rsplit("/", 1), package.sha256) for package in lock.packages
    ]


@bounded
@given(st.data(), locks)
def test_the_digest_is_of_the_content_alone(data: Any, lock: Lock) -> None:
    moved = [
        LockedPackage.read(f"{data.draw(channels)}/{package.subdir}/{package.file_name}", package.sha256)
        for package in data.draw(st.permutations(lock.packages))
    ]
    other = Lock(lock.platform, tuple(moved), tuple(data.draw(st.permutations(lock.pip))), "other", A)
    assert other.digest() == lock.digest()
    assert re.fullmatch("[0-9a-f]{64}", lock.digest())


@bounded
@given(locks, hashes)
@example(read(TEXT), C)
def test_the_digest_tells_any_two_contents_apart(lock: Lock, other: str) -> None:
    variants = [lock, replace(lock, platform="linux-aarch64")]
    for index, package in enumerate(lock.packages):
        before, after = lock.packages[:index], lock.packages[index + 1 :]
        url = package.url.replace(f"/{package.name}-", f"/{package.name}y-")
        changed = [replace(package, sha256=other), LockedPackage.read(url, package.sha256)]
        variants += [replace(lock, packages=(*before, *middle, *after)) for middle in ((), *zip(changed))]
    for index, requirement in enumerate(lock.pip):
        before_pip, after_pip = lock.pip[:index], lock.pip[index + 1 :]
        changed_pip = [replace(requirement, hashes=(f"sha256:{other}",)), replace(requirement, name="other")]
        changed_pip += [replace(requirement, version="7.7", url=""), replace(requirement, url=f"{PURE}.whl")]
        variants += [replace(lock, pip=(*before_pip, *middle, *after_pip)) for middle in ((), *zip(changed_pip))]
    contents = {
        (
            variant.platform,
            frozenset((package.file_name, package.sha256) for package in variant.packages),
            frozenset(requirement.text() for requirement in variant.pip),
        )
        for variant in variants
    }
    assert len({variant.digest() for variant in variants}) == len(contents)


lines = st.one_of(
    texts,
    st.builds("{}{}".format, st.sampled_from(["# pip: ", "# platform: ", "# declaration: ", "https://h/c/"]), texts),
    st.builds("https://h.example/c/noarch/{}#{}".format, texts, hashes),
    st.sampled_from(["@EXPLICIT", "# platform: linux-64", f"{PYTHON}#{A}", f"# pip: a==1 --hash=sha256:{A}"]),
)


@bounded
@given(st.lists(lines, max_size=6).map("\n".join))
@example(f"@EXPLICIT\nhttps://[/c/noarch/x-1-0.conda#{A}")
@example(f"@EXPLICIT\nhttps://me:secret\u2100@h/c/noarch/x-1-0.conda#{A}")
def test_any_text_is_a_lock_or_is_refused_in_words(text: str) -> None:
    try:
        lock = read("# platform: linux-64\n@EXPLICIT\n" + text if "EXPLICIT" not in text else text)
    except LockError as error:
        assert str(error).startswith("lab.lock: ")
        assert "secret" not in str(error)
    else:
        assert read(lock.text()) == lock


# ---------------------------------------------------------------- conda-lock's files


def entry(name: str, version: str, manager: str = "conda", **more: Any) -> dict[str, Any]:
    """A package as conda-lock writes it."""
    url = f"https://conda.example/forge/linux-64/{name}-{version}-0.conda"
    if manager == "pip":
        url = f"https://files.example/packages/{name}-{version}-py3-none-any.whl"
    entry: dict[str, Any] = {"name": name, "version": version, "manager": manager, "platform": "linux-64"}
    return {**entry, "dependencies": {}, "url": url, "hash": {"md5": MD5, "sha256": A}, "category": "main"} | more


DOCUMENT: dict[str, Any] = {
    "version": 1,
    "metadata": {
        "content_hash": {"linux-64": B, "osx-64": C},
        "channels": [{"url": "forge", "used_env_vars": []}],
        "platforms": ["linux-64", "osx-64"],
        "sources": ["environment.yml"],
    },
    "package": [
        entry("numpy", "1.26.4", dependencies={"python": ">=3.11", "libblas": ">=3"}, optional=False),
        entry("libblas", "3.9.0", optional=False),
        entry("python", "3.11.9", dependencies={"openssl": "", "__glibc": ">=2.17"}, optional=False),
        entry("openssl", "3.3.0", category=None),
        entry("tzdata", "2024a", url="https://conda.example/forge/noarch/tzdata-2024a-0.conda", optional=False),
        entry("pytest", "8.0", category="dev", optional=True),
        entry("docs", "1.0", categories=["dev", "docs"]),
        entry("shared", "1.0", categories=["dev", "main"]),
        entry("extra", "1.0", optional=True),
        entry("Foo.Bar", "2.0.0", "pip", optional=False),
        entry("tool", "1.0", "pip", url="https://h.example/tool.zip#sha256=0", source={"type": "url", "url": "x"}),
        entry("lint", "1.0", category="dev"),
        entry("python", "3.12.0", platform="osx-64", url="https://conda.example/forge/osx-64/python-3.12.0-0.conda"),
    ],
}


def changed(number: int, **values: Any) -> dict[str, Any]:
    """The document with other values in one of its packages."""
    document = copy.deepcopy(DOCUMENT)
    document["package"][number].update(values)
    return document


def convert(document: Any, platform: str = "linux-64") -> Lock:
    return from_conda_lock(document, platform, "conda-lock.yml")


def test_a_platform_is_taken_out_of_conda_locks_file() -> None:
    lock = convert(DOCUMENT)
    assert [package.name for package in lock.packages] == ["libblas", "openssl", "shared", "tzdata", "python", "numpy"]
    assert lock.requirements() == (
        f"foo-bar==2.0.0 --hash=sha256:{A}\ntool @ https://h.example/tool.zip --hash=sha256:{A}\n"
    )
    assert (lock.platform, lock.name, lock.declaration) == ("linux-64", "", "")
    assert read(lock.text()) == lock
    assert [package.version for package in convert(DOCUMENT, "osx-64").packages] == ["3.12.0"]


def test_the_order_in_conda_locks_file_does_not_matter() -> None:
    turned = {**DOCUMENT, "package": DOCUMENT["package"][::-1]}
    assert convert(turned) == convert(DOCUMENT)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "this is no lock of conda-lock: a mapping with version, metadata and package is expected"),
        ([], "this is no lock of conda-lock: a mapping with version, metadata and package is expected"),
        ({"name": "lab"}, "this is no lock of conda-lock: a mapping with version, metadata and package is expected"),
        ({**DOCUMENT, "version": 2}, "version '2' of conda-lock's format is not known; 1 is"),
        ({"package": []}, "version 'None' of conda-lock's format is not known; 1 is"),
        ({"version": 1, "package": {}}, "package is not a list of mappings"),
        ({"version": 1, "package": ["x"]}, "package is not a list of mappings"),
        ({"version": 1, "package": []}, "there is nothing for linux-64; it is locked for no platform"),
        (
            {"version": 1, "package": [DOCUMENT["package"][-1], {**DOCUMENT["package"][-1], "platform": "win-64"}]},
            "there is nothing for linux-64; it is locked for osx-64, win-64",
        ),
        (changed(0, name=None), "a package has no name, or one that is not a string"),
        (changed(0, url=5), "package 'numpy': a package has no url, or one that is not a string"),
        (changed(0, manager=None), "package 'numpy': a package has no manager, or one that is not a string"),
        (changed(0, manager="npm"), "package 'numpy': 'npm' is neither conda nor pip"),
        (changed(9, version=2.0), "package 'Foo.Bar': a package has no version, or one that is not a string"),
        (
            changed(0, hash={"md5": MD5}),
            f"package 'numpy': there is no sha256, and {WHY}; lock again with a channel or an index that tells it",
        ),
        (
            changed(9, hash={}),
            f"package 'Foo.Bar': there is no sha256, and {WHY}; lock again with a channel or an index that tells it",
        ),
        (
            changed(0, hash=None),
            f"package 'numpy': there is no sha256, and {WHY}; lock again with a channel or an index that tells it",
        ),
        (changed(0, hash={"sha256": "x"}), f"package 'numpy': numpy-1.26.4-0.conda has 'x' for a hash; {HEX}"),
        (
            # conda-lock gives the commit for a sha256.
            changed(10, url="git+https://h/tool@0a1b", hash={"sha256": "0a1b" * 10}),
            f"package 'tool': '***@0a1b' {PLAIN}",
        ),
        (
            changed(1, name="numpy", url=DOCUMENT["package"][0]["url"]),
            "package 'numpy': numpy-1.26.4-0.conda is a second package numpy, after numpy-1.26.4-0.conda",
        ),
        (changed(10, name="foo_bar"), "package 'foo_bar': pip requirement foo-bar is there twice"),
        (
            changed(0, url="https://$USER:$SECRET@h/c/linux-64/numpy-1-0.conda"),
            f"package 'numpy': '***@h/c/linux-64/numpy-1-0.conda' {NETRC}",
        ),
        (
            changed(0, url="https://h/c/osx-64/numpy-1-0.conda"),
            "numpy-1-0.conda is for osx-64, and the lock for linux-64",
        ),
    ],
)
def test_files_of_conda_lock_that_are_refused(document: Any, message: str) -> None:
    assert refusal(convert, document) == f"conda-lock.yml: {message}"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@bounded
@given(
    st.integers(0, len(DOCUMENT["package"]) - 1),
    st.sampled_from(sorted({*DOCUMENT["package"][0], "categories", "source"})),
    anything,
)
def test_a_strange_value_is_refused_in_words_or_does_not_matter(number: int, key: str, value: Any) -> None:
    try:
        lock = convert(changed(number, **{key: value}))
    except LockError as error:
        assert str(error).startswith("conda-lock.yml: ")
    else:
        assert read(lock.text()) == lock


# ---------------------------------------------------------------- the order


def graph(needs: Mapping[str, str]) -> list[PackageRecord]:
    return [PackageRecord(name, "1", "0", depends=tuple(f"{need} >=1" for need in needs[name])) for name in needs]


def ordered(needs: Mapping[str, str]) -> str:
    return "".join(record.name for record in in_link_order(graph(needs)))


@pytest.mark.parametrize(
    ("needs", "order"),
    [
        ({}, ""),
        ({"b": "", "a": "", "c": ""}, "abc"),
        ({"a": "b", "b": "c", "c": ""}, "cba"),
        ({"a": "z", "b": "", "z": ""}, "bza"),
        # What is not there, and what needs itself.
        ({"b": "x", "a": "a"}, "ab"),
        # A circle, with what it needs before it and what needs it behind.
        ({"a": "p", "p": "q", "q": "pz", "z": ""}, "zpqa"),
        ({"c": "a", "a": "b", "b": "a"}, "abc"),
        ({"b": "c", "c": "a", "a": "b"}, "abc"),
        # What needs one of a circle needs all of it.
        ({"g": "h", "h": "g", "b": "g"}, "ghb"),
        # Two circles, of which one needs the other.
        ({"a": "bd", "b": "a", "d": "c", "c": "d"}, "cdab"),
    ],
)
def test_needs_come_first_and_names_decide(needs: Mapping[str, str], order: str) -> None:
    assert ordered(needs) == order


letters = "abcdefgh"
subsets = st.lists(st.sets(st.sampled_from(letters)).map(sorted).map("".join), min_size=8, max_size=8)


def reachable(start: str, needs: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    waiting = list(needs[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(needs[name])
    return found


@bounded
@given(st.permutations(letters), subsets, st.permutations(range(8)))
def test_every_package_comes_after_what_it_needs(line: list[str], wishes: list[str], shuffle: list[int]) -> None:
    """Without circles: each needs only what stands before it in some line."""
    needs = {name: "".join(set(wishes[place]) & set(line[:place])) for place, name in enumerate(line)}
    order = ordered(needs)
    assert sorted(order) == list(letters)
    assert all(order.index(need) < order.index(name) for name in needs for need in needs[name])
    assert ordered({line[place]: needs[line[place]] for place in shuffle}) == order


@bounded
@given(subsets, st.permutations(letters))
def test_circles_disturb_nobody_else(wishes: list[str], shuffle: list[str]) -> None:
    needs = dict(zip(letters, wishes))
    order = ordered(needs)
    assert sorted(order) == list(letters)
    for name in letters:
        for need in reachable(name, needs):
            assert name in reachable(need, needs) or order.index(need) < order.index(name)
    assert ordered({name: needs[name] for name in shuffle}) == order


def test_the_order_of_a_large_environment() -> None:
    """As large as they get, with the circle of python and pip that all depend on."""
    records = [PackageRecord(f"p{index:03}", "1", "0", depends=("python",)) for index in range(800)]
    circle = [PackageRecord("python", "3", "0", depends=("pip",)), PackageRecord("pip", "24", "0", depends=("python",))]
    assert [record.name for record in in_link_order([*records, *circle])][:3] == ["pip", "python", "p000"]


# ---------------------------------------------------------------- machines


def test_machines() -> None:
    assert [platform_of(machine) for machine in ("x86_64", "aarch64")] == ["linux-64", "linux-aarch64"]
    with pytest.raises(ValueError) as error:
        platform_of("sparc")
    assert str(error.value) == "machine 'sparc' is not one of aarch64, x86_64"
