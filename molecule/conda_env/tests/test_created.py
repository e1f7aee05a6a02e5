"""What converge promises: environments as declared, for everybody on the host."""

import json

import pytest

from tests.support.hosts import as_nobody, drift, login_shell, records, unreadable
from tests.support.play import CHANNELS

testinfra_hosts = ["docker://pystack-conda-env", "docker://pystack-conda-env-el9"]

ENVS, CONDA = "/opt/conda/envs", "/opt/miniconda3/bin/conda"
LAB = f"{ENVS}/lab"


def test_the_records_meet_the_declaration(host):
    found = records(host, LAB)
    assert found["python"]["version"].startswith("3.11.")
    assert found["openpyxl"]["version"] == "3.1.2"
    assert {record["url"].rsplit("/", 2)[0] for record in found.values()} == {f"{CHANNELS}/tiny"}
    assert all(len(record["sha256"]) == 64 for record in found.values())


@pytest.mark.parametrize("name", ["lab", "notebook"])
def test_every_file_is_what_its_package_brought(host, name):
    assert drift(host, f"{ENVS}/{name}") == []


def test_everybody_can_read_and_nobody_else_can_write(host):
    assert unreadable(host, ENVS) == []
    assert unreadable(host, "/usr/local/share/jupyter") == []


def test_an_ordinary_user_works_with_it(host):
    script = "import iniconfig, openpyxl; print(iniconfig.__name__, openpyxl.__version__)"
    assert as_nobody(host, f"{LAB}/bin/python -c '{script}'") == "iniconfig 3.1.2"
    assert "No broken requirements" in as_nobody(host, f"{LAB}/bin/python -m pip check 2>/dev/null")
    assert "iniconfig==2.0.0" in as_nobody(host, f"{LAB}/bin/python -m pip freeze 2>/dev/null").splitlines()


def test_variables_are_set_in_the_environment_only(host):
    run = f"{CONDA} run -n lab sh -c 'echo $LAB_GREETING' 2>/dev/null"
    assert as_nobody(host, run) == "good morning"
    assert as_nobody(host, "echo ${LAB_GREETING:-unset}") == "unset"


def test_a_login_shell_starts_in_the_default_environment(host):
    seen = login_shell(host, "set -u; command -v python; echo $LAB_GREETING")
    assert seen.splitlines() == [f"{LAB}/bin/python", "good morning"]


def test_jupyter_finds_the_kernel(host):
    kernel = json.loads(host.file("/usr/local/share/jupyter/kernels/notebook/kernel.json").content_string)
    assert kernel["argv"][0] == f"{ENVS}/notebook/bin/python"
    assert kernel["display_name"] == "Notebook"
    as_nobody(host, f"{kernel['argv'][0]} -m ipykernel_launcher --version")
