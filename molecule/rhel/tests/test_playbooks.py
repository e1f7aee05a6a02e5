"""What a platform team does with the playbooks: one lock for both hosts, the same generation on them, and questions.

Everything comes after test_lan.py: the environments are changed.
"""

import os
import re
import subprocess

import pytest
import yaml

from tests.kit.paths import ROOT
from tests.support.hosts import as_nobody, drift, records

CONTAINERS = {"pystack-jupyter1": "jupyter1.bank.example", "pystack-jupyter2": "jupyter2.bank.example"}
testinfra_hosts = [f"docker://{container}" for container in CONTAINERS]

MIRROR = "https://mirror.bank.example/artifactory"
ENVIRONMENT = "/opt/conda/envs/py4fi"


def playbook(name, *arguments):
    """Output of a playbook on both hosts. Its failure fails the test."""
    done = subprocess.run(
        [
            "ansible-playbook", f"playbooks/{name}.yml", "--inventory", "inventories/rhel",
            "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], *arguments,
        ],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def locked(tmp_path_factory):
    """The directory of the locks, and what making and installing them said."""
    locks = tmp_path_factory.mktemp("locks")
    where = ["--extra-vars", f"conda_env_locks_dir={locks}"]
    solved = playbook("lock", *where)
    installed = playbook("jupyter", *where, "--extra-vars", "conda_env_lock_mode=require", "--tags", "conda_env")
    return locks, solved, installed


def test_one_host_solves_for_both(locked):
    locks, solved, _ = locked
    assert [path.name for path in locks.iterdir()] == ["py4fi-linux-64.lock"]
    written = re.findall(
        r"^changed: \[(\S+) -> localhost\] => \(item=py4fi-linux-64.lock: (\d+) packages", solved, re.M
    )
    assert [host for host, _ in written] == ["jupyter1.bank.example"] and int(written[0][1]) > 100
    urls = [line for line in (locks / "py4fi-linux-64.lock").read_text().splitlines() if "://" in line]
    assert [url for url in urls if not url.startswith(f"{MIRROR}/api/conda/")] == []


def test_both_hosts_have_the_same_generation(host, locked):
    locks, _, installed = locked
    assert re.search(rf"^{re.escape(CONTAINERS[host.backend.name])} +: ok=\d+ +changed=1 ", installed, re.M), installed
    generation = host.check_output(f"readlink {ENVIRONMENT}")
    assert re.fullmatch(r"_generations/py4fi/[0-9a-f]{12}", generation)
    text = (locks / "py4fi-linux-64.lock").read_text()
    assert all(f"{record['url']}#sha256:{record['sha256']}" in text for record in records(host, ENVIRONMENT).values())
    assert drift(host, ENVIRONMENT) == []


def test_jupyter_runs_from_the_generation(host, locked):
    host.check_output("systemctl restart jupyter")
    # Its script hands over to Python a moment later.
    pid = "$(systemctl show --value --property MainPID jupyter)"
    host.check_output(
        f"timeout 60 sh -c 'until grep -q {ENVIRONMENT}/bin/jupyter-lab /proc/{pid}/cmdline; do sleep 0.2; done'"
    )
    assert "/_generations/py4fi/" in host.check_output(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
    kernel = yaml.safe_load(host.file("/usr/local/share/jupyter/kernels/py4fi/kernel.json").content_string)
    assert "/_generations/py4fi/" in kernel["argv"][0]
    assert as_nobody(host, f"{kernel['argv'][0]} -c 'import pandas; print(pandas.__name__)'") == "pandas"


def test_the_questions_are_answered(locked, tmp_path):
    assert re.search(r"py4fi +3\.11\.\S+ +\d+ .* frozen", playbook("environments"))
    assert re.search(r"openpyxl +3\.1\.\d+ ", playbook("search", "--extra-vars", "spec=openpyxl"))
    playbook("export", "--extra-vars", f"conda_env_export_dir={tmp_path}")
    for name in CONTAINERS.values():
        assert yaml.safe_load((tmp_path / name / "py4fi.yml").read_text())["name"] == "py4fi"
        assert "@EXPLICIT" in (tmp_path / name / "py4fi.lock").read_text()
