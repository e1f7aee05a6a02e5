"""What happens to a host over the years: downloads and installers that fail, upgrades, a crash, the removal.

The tests follow each other on a host: the first ones must leave the version that converge installed, the next ones
bring a newer one, the last one takes everything away.
"""

import hashlib
import shlex

import pytest

from tests.support.hosts import as_nobody, tree, unreadable
from tests.support.play import INSTALLERS, kill_when, kit_variables, play, start

testinfra_hosts = ["docker://pystack-miniconda", "docker://pystack-miniconda-el9"]

PREFIX = "/opt/miniconda3"
WORK = f"{PREFIX}.pystack-installing"
OLD, NEW = "26.5.3", "26.7.1"
DEPOT = "http://127.0.0.1:8099"
WATCHED = ("/etc", "/opt", "/root", "/tmp", "/var/tmp")  # noqa: S108 - looked at, not written to

# Ends in the middle: half of a conda is there.
FAILING = """#!/bin/sh
while getopts bp: option; do [ "$option" = b ] || prefix=$OPTARG; done
mkdir -p "$prefix/bin" "$prefix/conda-meta"
echo half > "$prefix/bin/conda"
echo "No space left on device" >&2
exit 1
"""


def file_name(version):
    return f"Miniconda3-kit_{version}-Linux-x86_64.sh"


def wanted(version, **others):
    """Variables of the role for one version of the kit's Miniconda."""
    names = {
        "distribution": "miniconda",
        "version": f"kit_{version}",
        "checksum": kit_variables()["kit_installers"][file_name(version)],
        "channels": ["tiny"],
        "allowlist_channels": ["tiny"],
        **others,
    }
    return {f"miniconda_{name}": value for name, value in names.items()}


def served(host):
    """The version of conda that people are served with."""
    return as_nobody(host, f"{PREFIX}/bin/conda --version 2>/dev/null").removeprefix("conda ")


@pytest.fixture(scope="module")
def depot(host):
    """A web server on the host with one installer that was cut off and one that fails in the middle."""
    script = f"""
        mkdir -p /srv/depot/cut-off /srv/depot/failing
        python3 -c 'import sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as source: sys.stdout.buffer.write(source.read(1 << 20))' \\
            {INSTALLERS}/{file_name(NEW)} > /srv/depot/cut-off/{file_name(NEW)}
        printf %s {shlex.quote(FAILING)} > /srv/depot/failing/{file_name(NEW)}
        setsid python3 -m http.server 8099 --bind 127.0.0.1 --directory /srv/depot > /dev/null 2>&1 &
        echo $! > /run/depot.pid
        timeout 10 bash -c 'until (: < /dev/tcp/127.0.0.1/8099) 2> /dev/null; do sleep 0.1; done'
    """
    host.check_output(script)
    yield DEPOT
    host.check_output("kill $(cat /run/depot.pid); rm -r /srv/depot /run/depot.pid")


# What is asked for, and what the refusal has to say. The first ones go on at the same time, on prefixes of their own.
CUT_OFF, FAILS = f"{DEPOT}/cut-off", f"{DEPOT}/failing"
HALF = {"base_url": FAILS, "checksum": hashlib.sha256(FAILING.encode()).hexdigest()}
TOGETHER = {
    "wrong checksum": ({"prefix": "/opt/fresh", "checksum": "0" * 64}, [f"{INSTALLERS}/{file_name(NEW)}", "checksum"]),
    "cut-off download": ({"base_url": CUT_OFF}, [f"{CUT_OFF}/{file_name(NEW)}", "checksum", "Nothing was changed"]),
    "failing installer": ({"prefix": "/opt/half", **HALF}, [f"{FAILS}/{file_name(NEW)}", "taken back", "No space"]),
    "somebody else's directory": ({"prefix": "/opt/theirs"}, ["/opt/theirs exists", "this role did not install it"]),
}
AFTERWARDS = {
    "failing replacement": (HALF, [f"{FAILS}/{file_name(NEW)}", "taken back", "No space left on device"]),
    "removal of somebody else's": (
        {"prefix": "/opt/theirs", "state": "absent"},
        ["/opt/theirs exists", "this role did not install it"],
    ),
}


@pytest.fixture(scope="module")
def failures(host, depot):
    """All of these runs, and what there was before and after them."""
    host.check_output("mkdir -p /opt/theirs/bin && echo mine > /opt/theirs/bin/conda")
    before = tree(host, *WATCHED)
    results = {}
    for cases in (TOGETHER, AFTERWARDS):
        runs = {name: start(host, "miniconda", wanted(NEW, **others)) for name, (others, _) in cases.items()}
        results |= {name: run.wait() for name, run in runs.items()}
    after = tree(host, *WATCHED)
    host.check_output("rm -r /opt/theirs")
    return results, before, after


@pytest.mark.parametrize("name", [*TOGETHER, *AFTERWARDS])
def test_a_failure_says_what_is_wrong(failures, name):
    result, (_, sentences) = failures[0][name], {**TOGETHER, **AFTERWARDS}[name]
    assert result.code == 2, result.output
    assert result.says(*sentences), result.output


def test_failures_leave_everything_as_it_was(host, failures):
    _, before, after = failures
    assert after == before
    assert served(host) == OLD


def test_conda_itself_has_a_version_of_its_own(host):
    result = play(host, "miniconda", wanted(OLD, conda_version=NEW))
    assert (result.code, result.changed) == (0, 1), result.output
    assert file_name(OLD) in host.file(f"{PREFIX}/.pystack-installer.json").content_string
    assert served(host) == NEW
    assert unreadable(host, PREFIX) == []
    again = play(host, "miniconda", wanted(OLD, conda_version=NEW))
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_newer_installer_replaces_the_older_one_even_after_a_crash(host):
    host.check_output(f"{PREFIX}/bin/conda create -q -y -n kept six 2>/dev/null")
    host.check_output(f"touch {PREFIX}/of-the-old-one")
    before = tree(host, "/opt/conda/envs")

    run = start(host, "miniconda", wanted(NEW))
    kill_when(host, run, lock=f"{WORK}/lock", signs=[f"{WORK}/previous", f"{PREFIX}/lib"])
    assert host.file(f"{WORK}/previous").is_directory, "the run ended before it was killed"
    assert host.run(f"ls {PREFIX}/.pystack-installer.json*").stdout == "", "half an installation counts as a whole one"

    result = play(host, "miniconda", wanted(NEW))
    assert result.code == 0 and result.changed > 0, result.output
    assert served(host) == NEW
    assert file_name(NEW) in host.file(f"{PREFIX}/.pystack-installer.json").content_string
    assert not host.file(WORK).exists and not host.file(f"{PREFIX}/of-the-old-one").exists
    assert unreadable(host, PREFIX) == []
    assert tree(host, "/opt/conda/envs") == before
    as_nobody(host, "/opt/conda/envs/kept/bin/python -c 'import six'")
    again = play(host, "miniconda", wanted(NEW))
    assert (again.code, again.changed) == (0, 0), again.output


def test_absent_leaves_nothing(host):
    result = play(host, "miniconda", wanted(OLD, state="absent"))
    assert result.code == 0 and result.changed > 0, result.output
    assert not host.file(PREFIX).exists and not host.file("/etc/conda").exists
    assert host.file("/opt/conda/envs/kept").is_directory, "environments stay, unless purge is set"
    purged = wanted(OLD, state="absent", purge=True)
    assert play(host, "miniconda", purged).changed > 0
    before = host.file("/root/bare-host").content_string.splitlines()
    assert sorted(host.check_output("find /etc /opt").splitlines()) == sorted(before)
    again = play(host, "miniconda", purged)
    assert (again.code, again.changed) == (0, 0), again.output
