"""Package repositories of the Red Hat family: declared, taken away, exclusive, and what goes wrong with them.

What goes wrong ends with a sentence that names the variable to look at, and the last good repositories stay.
"""

import re

import pytest

from tests.kit.paths import BASE_URL
from tests.support.hosts import tree
from tests.support.play import kit_variables, play, start

testinfra_hosts = ["docker://pystack-linux-base-el9"]

FILE, FOLDER = "/etc/yum.repos.d/pystack.repo", "/etc/yum.repos.d"
VARIABLE = "linux_base_dnf_repositories"
RPMS = f"{BASE_URL}/rpm-rocky/9"
# Nobody listens there.
REFUSED = "http://127.0.0.1:9/os/"


def kits():
    """The repositories that converge has declared."""
    return kit_variables()[VARIABLE]


def repository(name, key="kit_rpm_key", **others):
    """One more of the kit's repositories."""
    values = {"id": name.lower(), "name": name, "baseurl": f"{RPMS}/{name}/x86_64/os/", "gpgkey": kit_variables()[key]}
    return {**values, **others}


def first(**others):
    """The kit's repositories, the first one changed."""
    return [{**kits()[0], **others}, *kits()[1:]]


def options(variables):
    """Of a run of the role's packages alone. No test here is about authorities; the tests before may have left none."""
    return {"linux_base_ca_certificates": [], **variables}, {"more": ("--tags", "linux_base_install")}


def run(host, variables=None, **how):
    declared, limits = options(variables or {})
    return play(host, "linux_base", declared, **limits, **how)


def repositories(host):
    """What dnf looks at, by id."""
    lines = host.check_output("dnf --quiet repolist --enabled").splitlines()
    return {line.split()[0] for line in lines if not line.startswith("repo id")}


def test_the_file_has_the_declared_repositories_and_every_package_is_checked(host):
    content = host.file(FILE).content_string
    assert re.findall(r"(?m)^\[(.+)\]$", content) == [entry["id"] for entry in kits()]
    assert set(re.findall(r"(?m)^gpgcheck *= *(.*)$", content)) == {"1"}
    assert repositories(host) >= {entry["id"] for entry in kits()}


# ---------------------------------------------------------------- what goes wrong


WRONG = {
    "repository that nobody serves": (lambda: {VARIABLE: first(baseurl=REFUSED)}, [VARIABLE, REFUSED]),
    "release that the mirror does not have": (
        lambda: {VARIABLE: first(baseurl=re.sub(r"/(9|\$releasever)/", "/8/", kits()[0]["baseurl"]))},
        [VARIABLE, "/rpm-rocky/8/", "404"],
    ),
    "key that is not on the host": (
        lambda: {VARIABLE: first(gpgkey="file:///etc/pki/rpm-gpg/nowhere")},
        [VARIABLE, "/etc/pki/rpm-gpg/nowhere"],
    ),
    "key that anybody can exchange on its way": (
        lambda: {VARIABLE: first(gpgkey=f"{RPMS}/key.asc")},
        [f"{VARIABLE}[0].gpgkey is", f"{RPMS}/key.asc", "https://"],
    ),
    "package that nobody signed": (
        lambda: {VARIABLE: [*kits(), repository("Unsigned")], "linux_base_packages": ["pystack-unsigned"]},
        [VARIABLE, "pystack-unsigned", "gpgkey"],
    ),
    "package that a stranger signed": (
        lambda: {VARIABLE: [*kits(), repository("Foreign")], "linux_base_packages": ["pystack-foreign"]},
        [VARIABLE, "pystack-foreign", "gpgkey"],
    ),
    "package that Debian has": (
        lambda: {"linux_base_packages": ["build-essential"]},
        ["linux_base_packages", "no package build-essential"],
    ),
    "package that EPEL has": (
        lambda: {"linux_base_tools": {"RedHat": ["htop"]}},
        ["linux_base_tools", "no package htop", "EPEL"],
    ),
}
# Found in the host's repositories, not by looking at the variables: by then the repositories are declared.
LATE = {"package that nobody signed", "package that a stranger signed"}


def state(host):
    return tree(host, "/etc"), host.check_output("rpm -qa | sort")


@pytest.fixture(scope="module")
def failures(host):
    """All of these runs, and what there was before and after those that fail before the repositories are declared."""
    start_of_all = run(host)
    assert start_of_all.code == 0, start_of_all.output[-3000:]
    before = state(host)
    together = {name: declare() for name, (declare, _) in WRONG.items() if name not in LATE}
    runs = {}
    for name, variables in together.items():
        declared, limits = options(variables)
        runs[name] = start(host, "linux_base", declared, **limits)
    results = {name: under_way.wait() for name, under_way in runs.items()}
    after = state(host)
    results |= {name: run(host, WRONG[name][0]()) for name in sorted(LATE)}
    return results, before, after


@pytest.mark.parametrize("name", WRONG)
def test_a_failure_names_the_variable(failures, name):
    result, (_, sentences) = failures[0][name], WRONG[name]
    assert result.code == 2, result.output[-3000:]
    assert result.says(*sentences), result.output[-3000:]


def test_the_last_good_repositories_stay(failures):
    _, before, after = failures
    assert after == before


def test_what_was_refused_is_not_installed(host, failures):
    installed = host.check_output("rpm -qa --queryformat '%{NAME}\\n'").splitlines()
    assert not {"pystack-unsigned", "pystack-foreign"} & set(installed)


# ---------------------------------------------------------------- what the operator changes


def test_repositories_that_leave_the_list_are_gone(host):
    """Among them those that the failures before have left declared."""
    fewer = run(host, {VARIABLE: kits()[:1]})
    assert fewer.code == 0 and fewer.changed > 0, fewer.output[-3000:]
    assert repositories(host) == {kits()[0]["id"]}
    assert re.findall(r"(?m)^\[(.+)\]$", host.file(FILE).content_string) == [kits()[0]["id"]]


def test_a_package_that_a_stranger_signed_is_taken_where_his_key_is_declared(host):
    """So that the refusal above was for the key and for nothing else."""
    keys = set(host.check_output("rpm --query gpg-pubkey").splitlines())
    wanted = [*kits(), repository("Foreign", key="kit_foreign_rpm_key")]
    try:
        result = run(host, {VARIABLE: wanted, "linux_base_packages": ["pystack-foreign"]})
        assert result.code == 0, result.output[-3000:]
        assert host.package("pystack-foreign").is_installed
    finally:
        host.run("rpm --erase pystack-foreign")
        # RPM's own list of keys holds for all repositories.
        for key in set(host.check_output("rpm --query gpg-pubkey").splitlines()) - keys:
            host.check_output(f"rpm --erase {key}")


def test_exclusive_repositories_are_the_only_ones_as_long_as_that_is_wanted(host):
    ours, others = {entry["id"] for entry in kits()}, f"{FOLDER}/somebodys.repo"
    # Of somebody else, and out of order: every dnf that looks at it fails.
    host.check_output(f"printf '[somebodys]\\nname=x\\nbaseurl={REFUSED}\\ngpgcheck=1\\n' > {others}")
    try:
        exclusive = run(host, {"linux_base_dnf_exclusive": True})
        assert exclusive.code == 0 and exclusive.changed > 0, exclusive.output[-3000:]
        assert repositories(host) == ours
        assert host.file(others).exists
        again = run(host, {"linux_base_dnf_exclusive": True})
        assert (again.code, again.changed) == (0, 0), again.output[-3000:]

        disturbed = run(host)
        assert disturbed.code == 2, disturbed.output[-3000:]
        assert disturbed.says("The repository somebodys cannot be read", "disable it on the host")
        assert repositories(host) == {*ours, "somebodys"}
    finally:
        host.check_output(f"rm {others}")


def test_upgrades_are_made_as_far_as_they_are_asked_for(host):
    def release():
        return host.package("pystack-sample").release

    safe = {"linux_base_upgrade": "safe"}
    assert release() == "1.el9", "converge was told to upgrade nothing"
    rehearsal = run(host, safe, check=True)
    assert rehearsal.code == 0 and rehearsal.changed > 0, rehearsal.output[-3000:]
    assert release() == "1.el9"

    upgraded = run(host, safe)
    assert upgraded.code == 0 and upgraded.changed > 0, upgraded.output[-3000:]
    assert release() == "2.el9"
    again = run(host, safe)
    assert (again.code, again.changed) == (0, 0), again.output[-3000:]


def test_hosts_without_declared_repositories_are_left_with_their_own(host):
    """Here those are none at all: what is installed is enough."""
    result = run(host, {VARIABLE: []})
    assert result.code == 0 and result.changed > 0, result.output[-3000:]
    assert repositories(host) == set()
    assert not host.file(FILE).exists
    assert host.run("ls /etc/pki/rpm-gpg/*pystack*").stdout == ""
