"""From a declaration to a lock, to generations and back; on the host with the oldest Python.

The tests follow each other; each says what it leaves to the next.
"""

import copy
import json
from pathlib import Path

import pytest
import yaml

from tests.support.hosts import as_nobody, drift, records, tree, unreadable
from tests.support.play import CHANNELS, play

testinfra_hosts = ["docker://pystack-conda-env-el9"]

ENVS, CONDA = "/opt/conda/envs", "/opt/miniconda3/bin/conda"
LAB = f"{ENVS}/lab"
RATTLER = "/srv/envs"
DECLARED = {
    **yaml.safe_load((Path(__file__).parents[1] / "vars" / "main.yml").read_text()),
    "conda_env_default": "",
    "conda_env_allowed_channels": ["tiny", CHANNELS],
    "conda_env_environments": [
        {
            "name": "lab",
            "python": "3.11",
            "packages": ["openpyxl=3.1.2"],
            "pip": ["iniconfig==2.0.0"],
            "imports": ["openpyxl", "iniconfig"],
        }
    ],
}


def declared(locks, *, openpyxl="3.1.2", **variables):
    """The scenario's variables with another version, and where its locks are."""
    found = copy.deepcopy({**DECLARED, **variables})
    found["conda_env_environments"][0]["packages"] = [f"openpyxl={openpyxl}"]
    return {**found, "conda_env_locks_dir": str(locks)}


@pytest.fixture(scope="module")
def locks(tmp_path_factory):
    """A directory for locks; the first test fills it."""
    return tmp_path_factory.mktemp("locks")


def lines(lock):
    return [line for line in lock.read_text().splitlines() if line.startswith("http")]


def changes(result):
    """The lines of a diff that come and go."""
    found = [line.strip() for line in result.output.splitlines()]
    return [line for line in found if line[:1] in "+-" and line[:3] not in ("+++", "---", "")]


def state(host):
    return tree(host, ENVS, "/usr/local/share", "/root/.conda")


def generation(host):
    return host.check_output(f"readlink {LAB}").rpartition("/")[2]


def test_require_wants_a_lock_and_says_how_to_get_one(host, locks):
    before = state(host)
    refused = play(host, "conda_env", declared(locks, conda_env_lock_mode="require"))
    assert refused.code == 2 and refused.says("lab", "playbooks/lock.yml"), refused.output
    assert state(host) == before


def test_a_lock_names_every_package_with_its_hash(host, locks):
    solved = play(host, "conda_env", declared(locks), tasks_from="lock")
    assert solved.code == 0, solved.output
    (lock,) = locks.glob("lab-linux-64.lock")
    found = lines(lock)
    assert [line.rpartition("/")[2].partition("-")[0] for line in found][-2:] == ["et_xmlfile", "openpyxl"]
    assert all(line.startswith(f"{CHANNELS}/tiny/") and len(line.partition("#sha256:")[2]) == 64 for line in found)
    assert "# pip: iniconfig==2.0.0 --hash=sha256:" in lock.read_text()
    again = play(host, "conda_env", declared(locks), tasks_from="lock")
    assert (again.code, again.changed) == (0, 0), again.output
    assert not host.file(LAB).exists and not host.file(f"{ENVS}/.pystack/scratch").exists


def test_check_mode_shows_what_a_new_lock_would_change(host, locks):
    before = (locks / "lab-linux-64.lock").read_bytes()
    shown = play(host, "conda_env", declared(locks, openpyxl="3.1.5"), tasks_from="lock", check=True, diff=True)
    assert (shown.code, shown.changed) == (0, 1), shown.output
    assert (locks / "lab-linux-64.lock").read_bytes() == before
    packages = [line for line in changes(shown) if "#sha256:" in line]
    assert [line.partition("#")[0].rpartition("/")[2] for line in packages] == [
        *("openpyxl-3.1.2-pyh_0.conda", "openpyxl-3.1.5-pyh_0.conda"),
    ]


def test_the_environment_is_exactly_its_lock(host, locks):
    wanted = declared(locks, conda_env_lock_mode="require")
    result = play(host, "conda_env", wanted)
    assert (result.code, result.changed) == (0, 1), result.output
    locked = {
        line.partition("#sha256:")[0]: line.partition("#sha256:")[2] for line in lines(locks / "lab-linux-64.lock")
    }
    found = records(host, LAB)
    assert {record["url"]: record["sha256"] for record in found.values()} == locked
    assert drift(host, LAB) == [] and unreadable(host, f"{ENVS}/_generations") == []
    assert as_nobody(host, f"{LAB}/bin/python -c 'import openpyxl, iniconfig; print(openpyxl.__version__)'") == "3.1.2"
    again = play(host, "conda_env", wanted)
    assert (again.code, again.changed) == (0, 0), again.output


def test_conda_lists_clones_and_packs_it_but_does_not_change_it(host):
    listed = json.loads(host.check_output(f"{CONDA} list --json -n lab 2>/dev/null"))
    assert {"name": "openpyxl", "version": "3.1.2"}.items() <= next(
        r for r in listed if r["name"] == "openpyxl"
    ).items()
    known = json.loads(host.check_output(f"{CONDA} env list --json 2>/dev/null"))["envs"]
    assert LAB in known and [path for path in known if "_generations" in path] == []
    refused = host.run(f"{CONDA} install -q -y -n lab six")
    assert refused.rc == 1 and "managed by pystack.infra" in refused.stderr + refused.stdout
    host.check_output(f"{CONDA} create -q -y -n clone --clone lab 2>/dev/null")
    host.check_output(f"{CONDA} install -q -y -n clone six 2>/dev/null")
    assert {*records(host, f"{ENVS}/clone")} == {*records(host, LAB), "six"}
    host.check_output(f"{CONDA} env remove -q -y -n clone 2>/dev/null")


def test_conda_pack_takes_it_to_another_place(host):
    python = "/opt/miniconda3/bin/python"
    host.check_output(f"{python} -m pip install -q --target /tmp/pack conda-pack==0.9.1 2>/dev/null")
    pack = f"from conda_pack import pack; pack(prefix='{LAB}', output='/tmp/lab.tar', force=True)"
    host.check_output(f'PYTHONPATH=/tmp/pack {python} -c "{pack}"')
    host.check_output("mkdir -p /srv/packed && tar -xf /tmp/lab.tar -C /srv/packed && rm /tmp/lab.tar")
    run = "/srv/packed/bin/python -c 'import sys, openpyxl, iniconfig; print(sys.prefix, openpyxl.__version__)'"
    assert as_nobody(host, run) == "/srv/packed 3.1.2"


def test_a_change_is_seen_before_it_happens_and_undone_afterwards(host, locks):
    first = generation(host)
    wanted = declared(locks, openpyxl="3.1.5")
    stale = play(host, "conda_env", wanted)
    assert stale.code == 2 and stale.says("is out of date: openpyxl 3.1.2 pyh_0 does not meet"), stale.output
    assert play(host, "conda_env", wanted, tasks_from="lock").code == 0
    before = state(host)
    rehearsal = play(host, "conda_env", wanted, check=True, diff=True)
    assert (rehearsal.code, rehearsal.changed) == (0, 1) and state(host) == before, rehearsal.output
    update = play(host, "conda_env", wanted, diff=True)
    assert (update.code, update.changed) == (0, 1), update.output
    assert changes(update) == changes(rehearsal)
    assert changes(update)[2:] == ["-openpyxl 3.1.2 pyh_0 tiny", "+openpyxl 3.1.5 pyh_0 tiny"]
    second = generation(host)

    back = play(host, "conda_env", DECLARED, tasks_from="rollback")
    assert (back.code, back.changed) == (0, 1), back.output
    assert back.says(f"lab: {first} in the place of {second}")
    assert (generation(host), records(host, LAB)["openpyxl"]["version"]) == (first, "3.1.2")
    assert play(host, "conda_env", wanted).changed == 1 and generation(host) == second


def test_rattler_makes_the_same_environment(host, locks):
    wanted = declared(locks, openpyxl="3.1.5", conda_env_engine="rattler", conda_env_envs_dir=RATTLER)
    rehearsal = play(host, "conda_env", wanted, check=True)
    assert rehearsal.code == 0 and not host.file(RATTLER).exists, rehearsal.output
    made = play(host, "conda_env", wanted)
    assert made.code == 0, made.output
    again = play(host, "conda_env", wanted)
    assert (again.code, again.changed) == (0, 0), again.output

    def identities(prefix):
        keys = ("name", "version", "build", "build_number", "subdir", "url", "sha256", "md5", "size")
        return {name: {key: record.get(key) for key in keys} for name, record in records(host, prefix).items()}

    prefix = f"{RATTLER}/lab"
    assert identities(prefix) == identities(LAB)
    assert drift(host, prefix) == [] and unreadable(host, f"{RATTLER}/_generations") == []
    assert (
        as_nobody(host, f"{prefix}/bin/python -c 'import openpyxl, iniconfig; print(openpyxl.__version__)'") == "3.1.5"
    )
    compiled = as_nobody(host, f"{prefix}/bin/python -c 'import openpyxl; print(openpyxl.__cached__)'")
    assert host.file(compiled).exists, "nobody can write there, and would compile in every process"


def test_conda_works_with_what_rattler_made(host):
    prefix = f"{RATTLER}/lab"
    listed = json.loads(host.check_output(f"{CONDA} list --json -p {prefix} 2>/dev/null"))
    assert {row["name"] for row in listed if row["channel"] == "tiny"} == {*records(host, prefix)}
    revisions = json.loads(host.check_output(f"{CONDA} list --revisions --json -p {prefix} 2>/dev/null"))
    assert len(revisions) == 1 and any(name.startswith("openpyxl-3.1.5") for name in revisions[0]["install"])
    asked = yaml.safe_load(host.check_output(f"{CONDA} env export --from-history -p {prefix} 2>/dev/null"))
    assert any(str(item).startswith("openpyxl") for item in asked["dependencies"])
    host.check_output(f"{CONDA} create -q -y -n clone --clone {prefix} 2>/dev/null")
    host.check_output(f"{CONDA} install -q -y -n clone six 2>/dev/null")
    assert {*records(host, f"{ENVS}/clone")} == {*records(host, prefix), "six"}
    host.check_output(f"{CONDA} env remove -q -y -n clone 2>/dev/null")


def test_an_export_makes_the_same_environment_somewhere_else(host, locks, tmp_path):
    result = play(host, "conda_env", declared(locks, conda_env_export_dir=str(tmp_path)), tasks_from="export")
    assert result.code == 0, result.output
    folder = tmp_path / host.backend.name
    assert yaml.safe_load((folder / "lab.yml").read_text())["name"] == "lab"
    assert lines(folder / "lab.lock") == lines(locks / "lab-linux-64.lock")


def test_absent_leaves_nothing_of_it(host, locks):
    for envs in (ENVS, RATTLER):
        gone = {"conda_env_environments": [{"name": "lab", "state": "absent"}], "conda_env_envs_dir": envs}
        result = play(host, "conda_env", {**declared(locks), **gone})
        assert (result.code, result.changed) == (0, 1), result.output
    left = r"find %s %s -maxdepth 2 \( -name lab -o -name lab.json -o -name _generations \)"
    assert host.check_output(left, ENVS, RATTLER) == ""
    assert "lab" not in host.check_output("cat /root/.conda/environments.txt")
