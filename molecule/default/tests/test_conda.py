"""miniconda and conda_env did their part, as seen by an ordinary user under umask 077."""

import json

import pytest

from tests.support.hosts import as_nobody, drift, login_shell, records, unreadable

testinfra_hosts = ["docker://pystack-deb13", "docker://pystack-el9"]

BASE, ENVIRONMENT = "/opt/miniconda3", "/opt/conda/envs/py4fi"
MODULES = [
    "IPython",
    "jupyterlab",
    "matplotlib",
    "notebook",
    "numpy",
    "openpyxl",
    "pandas",
    "scipy",
    "sklearn",
    "tables",
    "yaml",
]


@pytest.mark.parametrize("directory", [BASE, "/opt/conda/envs"])
def test_everything_is_roots_and_readable_for_all(host, directory):
    assert unreadable(host, directory) == []


def test_the_marker_names_the_verified_installer(host):
    marker = json.loads(host.file(f"{BASE}/.pystack-installer.json").content_string)
    assert marker["file"].endswith(".sh")
    assert len(marker["sha256"]) == 64


def test_conda_reads_our_configuration(host):
    info = json.loads(as_nobody(host, f"{BASE}/bin/conda info --json"))
    assert {url.split("/")[-2] for url in info["channels"]} == {"conda-forge"}
    assert info["envs_dirs"][0] == "/opt/conda/envs"
    assert info["pkgs_dirs"][0] == "/opt/conda/pkgs"
    assert any(path.startswith("/etc/conda/") for path in info["config_files"])


def test_a_login_shell_starts_in_the_environment(host):
    seen = login_shell(host, "set -u; command -v python; echo $CONDA_DEFAULT_ENV; conda --version 2>/dev/null")
    python, name, conda = seen.splitlines()
    assert python == f"{ENVIRONMENT}/bin/python"
    assert name in ("py4fi", ENVIRONMENT)
    assert conda.startswith("conda ")


def test_the_profile_survives_a_strict_shell(host):
    assert login_shell(host, "set -eu; for f in /etc/profile.d/*.sh; do . $f; done; echo whole") == "whole"


def test_an_ordinary_user_makes_environments_of_her_own(host):
    script = (
        "export HOME=$(mktemp -d); . /etc/profile.d/pystack-conda.sh;"
        "conda create -q -y -n mine six >/dev/null 2>&1;"
        "conda run -n mine python -c 'import six; print(six.__file__)'"
    )
    assert "/.conda/envs/mine/" in as_nobody(host, script, interpreter="bash")


def test_the_books_packages_import(host):
    script = f"cd /tmp && HOME=/tmp MPLCONFIGDIR=$(mktemp -d) {ENVIRONMENT}/bin/python -c 'import {', '.join(MODULES)}'"
    as_nobody(host, script)


def test_the_environment_is_consistent(host):
    as_nobody(host, f"{ENVIRONMENT}/bin/python -m pip check")
    assert drift(host, ENVIRONMENT) == []


def test_no_staging_path_is_left_in_scripts(host):
    heads = host.check_output(f"head -qn1 {ENVIRONMENT}/bin/jupyter* {ENVIRONMENT}/bin/ipython")
    interpreters = {line for line in heads.splitlines() if line.startswith("#!")}
    assert interpreters, "no script was looked at"
    assert all(line.startswith(f"#!{ENVIRONMENT}/bin/python") for line in interpreters), interpreters


def test_every_package_came_from_the_declared_channel_with_its_hash(host):
    found = records(host, ENVIRONMENT).values()
    assert {record["url"].split("/")[-3] for record in found} == {"conda-forge"}
    assert all(len(record["sha256"]) == 64 for record in found)


def test_the_kernel_is_registered_for_all(host):
    kernel = json.loads(host.file("/usr/local/share/jupyter/kernels/py4fi/kernel.json").content_string)
    assert kernel["argv"][0] == f"{ENVIRONMENT}/bin/python"
    assert kernel["display_name"] == "Python for Finance"
