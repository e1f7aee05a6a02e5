"""Rough weather: the environment in use goes on serving, and the next run repairs what there is to repair.

The tests follow each other; each says what it leaves to the next.
"""

import copy
from pathlib import Path

import pytest
import yaml
from ansible_collections.pystack.infra.plugins.module_utils.conda.generations import ID_LENGTH
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import parse_lock

from tests.support.hosts import as_nobody, drift, records, unreadable
from tests.support.play import CHANNELS, kill_when, play, start

testinfra_hosts = ["docker://pystack-conda-env"]

ENVS, CONDA = "/opt/conda/envs", "/opt/miniconda3/bin/conda"
PKGS = "/opt/conda/pkgs"
LAB, GENERATIONS = f"{ENVS}/lab", f"{ENVS}/_generations/lab"
SUPPORT = Path(__file__).parents[3] / "tests" / "support"
PORT = 8099
DECLARED = {
    **yaml.safe_load((Path(__file__).parents[1] / "vars" / "main.yml").read_text()),
    "conda_env_default": "",
    "conda_env_environments": [{"name": "lab", "python": "3.11", "packages": ["openpyxl=3.1.2"]}],
}


def declared(locks, version="3.1.2", **variables):
    found = copy.deepcopy({**DECLARED, **variables})
    found["conda_env_environments"][0]["packages"] = [f"openpyxl={version}"]
    return {**found, "conda_env_locks_dir": str(locks)}


@pytest.fixture(scope="module")
def locks(host, tmp_path_factory):
    """Locks of the same environment with an old and a new package, in directories of these names; the old one is
    installed."""
    folder = tmp_path_factory.mktemp("locks")
    for name, version in (("old", "3.1.2"), ("new", "3.1.5")):
        result = play(host, "conda_env", declared(folder / name, version), tasks_from="lock")
        assert result.code == 0, result.output
    result = play(host, "conda_env", declared(folder / "old"))
    assert result.code == 0, result.output
    return folder


def elsewhere(locks, name, url):
    """The new lock with its packages from another place; gives the directory."""
    folder = locks / name
    folder.mkdir(exist_ok=True)
    text = (locks / "new" / "lab-linux-64.lock").read_text()
    (folder / "lab-linux-64.lock").write_text(text.replace(f"{CHANNELS}/tiny", url))
    return folder


def serves(host, version="3.1.2"):
    """Whether the environment works, with this version, and nothing half-built is beside it."""
    books = host.check_output(f"cd {GENERATIONS} && ls -d *.json | sed s/.json//").split()
    prefixes = host.check_output(f"cd {GENERATIONS} && ls -A | grep -v json$").split()
    seen = as_nobody(host, f"{LAB}/bin/python -c 'import openpyxl; print(openpyxl.__version__)'")
    return (seen, sorted(prefixes)) == (version, sorted(books)) and drift(host, LAB) == []


def use_the_old_lock(host, locks):
    """Afterwards the next run with the new lock has something to build."""
    back = play(host, "conda_env", declared(locks / "old"))
    assert (back.code, back.changed) == (0, 1) and serves(host), back.output
    host.check_output(f"cd {GENERATIONS} && rm -r $(ls | grep -v $(basename $(readlink {LAB})))")


def empty_the_cache(host):
    """Packages have to come from the mirror."""
    host.check_output(f"rm -rf {PKGS}/openpyxl-* {PKGS}/et_xmlfile-* {PKGS}/cache")


# ---------------------------------------------------------------- runs


def test_a_build_that_was_killed_is_repaired_by_the_next_run(host, locks):
    before = host.check_output(f"readlink {LAB}")
    lock = parse_lock((locks / "new" / "lab-linux-64.lock").read_text(), "the new lock")
    half_built = f"{GENERATIONS}/{lock.digest()[:ID_LENGTH]}"
    run = start(host, "conda_env", declared(locks / "new", "3.1.5"))
    kill_when(host, run, lock=f"{ENVS}/.pystack/lock", signs=[f"{half_built}/conda-meta"])
    assert host.file(half_built).exists and not host.file(f"{half_built}.json").exists
    assert host.check_output(f"readlink {LAB}") == before
    assert as_nobody(host, f"{LAB}/bin/python -c 'import openpyxl; print(openpyxl.__version__)'") == "3.1.2"
    result = play(host, "conda_env", declared(locks / "new", "3.1.5"))
    assert (result.code, result.changed) == (0, 1) and serves(host, "3.1.5"), result.output
    assert host.check_output(f"ls -A /tmp {ENVS}/.pystack | grep -e pystack-home -e scratch || true") == ""
    use_the_old_lock(host, locks)


def test_two_runs_at_once(host, locks):
    runs = [start(host, "conda_env", declared(locks / "new", "3.1.5")) for _ in range(2)]
    results = [run.wait() for run in runs]
    assert [result.code for result in results] == [0, 0], "\n".join(result.output for result in results)
    assert sorted(result.changed for result in results) == [0, 1], "one of them waited and found everything done"
    assert serves(host, "3.1.5")
    use_the_old_lock(host, locks)


# ---------------------------------------------------------------- disks and mirrors


def test_a_full_disk(host, locks):
    # A file system of 16 MB; Python alone is larger.
    result = play(host, "conda_env", declared(locks / "old", conda_env_envs_dir="/small/envs"))
    assert result.code == 2 and result.says("No space left on device"), result.output
    assert host.check_output("ls -A /small/envs/_generations/lab") == ""


@pytest.fixture(scope="module")
def mirror(host):
    """A copy of the channel on the host itself; gives a function that serves it until the next call."""
    program = "/srv/rough_mirror.py"
    host.check_output("printf %s %s > %s", "%s", (SUPPORT / "rough_mirror.py").read_text(), program)
    host.check_output(f"python3 {program} copy {CHANNELS}/tiny /srv/channel")

    def serve(*options):
        stop(host)
        host.check_output(f"python3 {program} serve /srv/channel {PORT} {' '.join(options)} > /srv/mirror.pid")
        return f"http://127.0.0.1:{PORT}"

    serve.program = program
    yield serve
    stop(host)


def stop(host):
    host.check_output("[ ! -e /srv/mirror.pid ] || kill $(cat /srv/mirror.pid) 2> /dev/null; rm -f /srv/mirror.pid")


def test_a_mirror_that_dies_half_way(host, locks, mirror):
    empty_the_cache(host)
    folder = elsewhere(locks, "mirror", mirror("--die-after", "1"))
    result = play(host, "conda_env", declared(folder, "3.1.5"))
    assert result.code == 2 and result.says("lab: conda create failed"), result.output
    assert serves(host)
    mirror()
    result = play(host, "conda_env", declared(folder, "3.1.5"))
    assert (result.code, result.changed) == (0, 1) and serves(host, "3.1.5"), result.output
    assert records(host, LAB)["openpyxl"]["url"].startswith(f"http://127.0.0.1:{PORT}/")
    use_the_old_lock(host, locks)


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_package_that_is_not_the_locked_one(host, locks, mirror, scheme):
    host.check_output(f"python3 {mirror.program} tamper /srv/channel openpyxl-3.1.5")
    empty_the_cache(host)
    folder = elsewhere(locks, scheme, mirror() if scheme == "http" else "file:///srv/channel")
    result = play(host, "conda_env", declared(folder, "3.1.5"))
    assert result.code == 2 and result.says("openpyxl"), result.output
    assert result.says("sha256" if scheme == "file" else "Invalid checksum"), result.output
    assert serves(host)
    # The same byte once more, and all is well.
    host.check_output(f"python3 {mirror.program} tamper /srv/channel openpyxl-3.1.5")


# ---------------------------------------------------------------- people


@pytest.mark.parametrize("what", ["edited", "deleted"])
def test_a_damaged_file_is_repaired(host, locks, what):
    file = host.check_output(f"{LAB}/bin/python -c 'import openpyxl; print(openpyxl.__file__)'")
    host.check_output(f"echo 'raise SystemExit' >> {file}" if what == "edited" else f"rm {file}")
    rehearsal = play(host, "conda_env", declared(locks / "old"), check=True)
    assert (rehearsal.code, rehearsal.changed) == (0, 1), rehearsal.output
    result = play(host, "conda_env", declared(locks / "old"))
    assert (result.code, result.changed) == (0, 1) and serves(host), result.output
    again = play(host, "conda_env", declared(locks / "old"))
    assert (again.code, again.changed) == (0, 0), again.output


HOSTILE = """
channels: [nobody-knows-this]
channel_alias: http://127.0.0.1:9
default_channels: [http://127.0.0.1:9/evil]
denylist_channels: [tiny]
create_default_packages: [six]
pinned_packages: [openpyxl=3.1.5]
pkgs_dirs: [/nonexistent/pkgs]
offline: true
"""


def test_a_closed_umask_and_a_configuration_that_fights_ours(host, locks):
    host.check_output("printf %s %s > /root/.condarc", "%s", HOSTILE)
    host.check_output("printf '#!/bin/sh\\numask 077\\nexec python3 \"$@\"\\n' > /srv/python && chmod 755 /srv/python")
    unlocked = {"name": "own", "python": "3.11", "packages": ["openpyxl=3.1.2"]}
    both = [*DECLARED["conda_env_environments"], unlocked]
    wanted = declared(locks / "old", conda_env_envs_dir="/srv/fresh", ansible_python_interpreter="/srv/python")
    result = play(host, "conda_env", {**wanted, "conda_env_environments": both})
    host.check_output("rm /root/.condarc")
    assert result.code == 0, result.output
    for name in ("lab", "own"):
        assert {*records(host, f"/srv/fresh/{name}")} == {"python", "pip", "openpyxl", "et_xmlfile"}
        assert records(host, f"/srv/fresh/{name}")["openpyxl"]["version"] == "3.1.2"
    assert unreadable(host, "/srv/fresh") == []


def test_a_home_that_cannot_be_written(host, locks):
    wanted = declared(locks / "old", conda_env_envs_dir="/srv/homeless")
    result = play(host, "conda_env", wanted, environment={"HOME": "/proc"})
    assert result.code == 0, result.output
    assert as_nobody(host, "/srv/homeless/lab/bin/python -c 'import openpyxl; print(openpyxl.__version__)'") == "3.1.2"


TERMS = """#!/bin/sh
# What conda's plug-in for Terms of Service does: where CI is set it accepts them, and says nothing.
if [ -n "$CI$JENKINS_URL$CONDA_PLUGINS_AUTO_ACCEPT_TOS" ]; then touch /srv/accepted; fi
cat << EOF
{"error": "x", "exception_name": "CondaToSNonInteractiveError",
 "message": "Terms of Service have not been accepted for the following channels: https://repo.anaconda.com/pkgs/main"}
EOF
exit 1
"""


def test_terms_are_never_accepted_by_accident(host, locks):
    host.check_output("printf %s %s > /srv/conda && chmod 755 /srv/conda", "%s", TERMS)
    variables = declared(locks / "none", conda_env_envs_dir="/srv/terms", conda_env_conda_executable="/srv/conda")
    environment = {"CI": "true", "JENKINS_URL": "http://ci.example", "CONDA_PLUGINS_AUTO_ACCEPT_TOS": "yes"}
    for entry in ("main", "lock"):
        result = play(host, "conda_env", variables, environment=environment, tasks_from=entry)
        assert result.code == 2, result.output
        assert result.says("Terms of Service have to be accepted first for https://repo.anaconda.com/pkgs/main")
    assert not host.file("/srv/accepted").exists
