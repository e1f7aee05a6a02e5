"""Two servers of a bank, made by inventories/rhel: what is on them came from the LAN's mirror, as nothing else could.

Ansible knows the hosts by the inventory's names, Docker by those of the containers.
"""

import http.client
import json
import os
import re
import shlex
import socket
import ssl
from pathlib import Path

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.jupyter_client import Server

from tests.kit.paths import SERVER_ADDRESS
from tests.support.families import family
from tests.support.hosts import address, as_nobody, drift, login_shell, records

CONTAINERS = {"pystack-jupyter1": "jupyter1.bank.example", "pystack-jupyter2": "jupyter2.bank.example"}
testinfra_hosts = [f"docker://{container}" for container in CONTAINERS]

MIRROR = "https://mirror.bank.example/artifactory"
ENVIRONMENT, CONDA = "/opt/conda/envs/py4fi", "/opt/miniconda3/bin/conda"
PIP = f"{ENVIRONMENT}/bin/python -m pip"
PORT = 8888
_URL = re.compile(r"\w+://[^\s'\",\]]+")


def credentials(host):
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "credentials", CONTAINERS[host.backend.name])


def password(host):
    return (credentials(host) / "jupyter.password").read_text().strip()


def urls(text):
    """The addresses in a text, without their paths' ends: what is not on the mirror."""
    found = set(_URL.findall(text))
    assert found, f"no address in {text!r}"
    return {url for url in found if not url.startswith(f"{MIRROR}/")}


# ---------------------------------------------------------------- no way out


def test_a_host_reaches_nothing_outside_its_lan(host):
    connect = f"import socket; socket.create_connection(('{SERVER_ADDRESS}', 80), timeout=3)"
    refused = host.run(f"python3 -c {shlex.quote(connect)}")
    assert refused.rc == 1
    assert re.search("OSError|TimeoutError|ConnectionError", refused.stderr), refused.stderr


def test_the_address_that_it_does_not_reach_answers_others():
    """Otherwise the test above would prove nothing."""
    socket.create_connection((SERVER_ADDRESS, 80), timeout=3).close()


# ---------------------------------------------------------------- where everything came from


def test_every_package_of_the_environment_came_from_the_mirror(host):
    found = records(host, ENVIRONMENT).values()
    assert len(found) > 10
    assert {record["url"].rsplit("/", 2)[0] for record in found} == {f"{MIRROR}/api/conda/conda-forge"}
    assert drift(host, ENVIRONMENT) == []


def test_conda_asks_the_mirror_and_never_anacondas_channels(host):
    info = json.loads(as_nobody(host, f"{CONDA} info --json 2>/dev/null"))
    assert urls(" ".join(info["channels"])) == set()
    shown = as_nobody(host, f"{CONDA} config --show channels default_channels channel_alias 2>/dev/null")
    assert urls(shown) == set()
    settings = {name: "defaults" in value for name, value in re.findall(r"(?ms)^(\w+):(.*?)(?=^\w|\Z)", shown)}
    assert settings == {"channels": False, "default_channels": False, "channel_alias": False}, shown


def test_dnf_asks_the_mirror_and_nobody_else(host):
    shown = host.check_output("dnf --quiet repolist --enabled --verbose")
    sources = [line.partition(":")[2].strip() for line in shown.splitlines() if line.startswith("Repo-baseurl")]
    assert len(sources) == 2, shown
    assert urls(" ".join(sources)) == set()


def test_pip_asks_the_mirror_and_nobody_else(host):
    shown = as_nobody(host, f"{PIP} config list")
    assert f"global.index-url='{MIRROR}/api/pypi/global-pypi/simple" in shown
    assert urls(shown) == set()
    assert "extra-index-url" not in shown
    assert f"cert = {family(host).ca_bundle}" in host.file("/etc/pip.conf").content_string


def test_an_ordinary_user_installs_a_package_from_the_mirror(host):
    """By /etc/pip.conf alone: she has no environment variable and no settings of her own."""
    script = (
        f"cd $(mktemp -d); {PIP} install --verbose --no-cache-dir --disable-pip-version-check --target there iniconfig;"
        "PYTHONPATH=there python3 -c 'import iniconfig; print(iniconfig.__file__)'"
    )
    seen = as_nobody(host, f"{{ {script}; }} 2>&1")
    assert seen.splitlines()[-1].endswith("there/iniconfig/__init__.py"), seen[-3000:]
    assert urls(seen) == set()


def test_an_ordinary_user_makes_an_environment_from_the_mirror(host):
    script = (
        "export HOME=$(mktemp -d); . /etc/profile.d/pystack-conda.sh;"
        "conda create -q -y -n mine six >/dev/null 2>&1; cat $HOME/.conda/envs/mine/conda-meta/six-*.json"
    )
    assert json.loads(as_nobody(host, script, interpreter="bash"))["url"].startswith(f"{MIRROR}/api/conda/conda-forge/")


# ---------------------------------------------------------------- what the bank gets


def test_the_banks_authority_is_trusted_by_what_people_run(host):
    fetch = f"import urllib.request; print(urllib.request.urlopen('{MIRROR}/api/pypi/global-pypi/simple/').status)"
    assert as_nobody(host, f'python3 -c "{fetch}"') == "200"
    assert login_shell(host, f'{ENVIRONMENT}/bin/python -c "{fetch}"') == "200"


def test_who_trusts_the_authority_on_the_controller_sees_the_host_by_its_name(host):
    context = ssl.create_default_context(cafile=str(credentials(host) / "ca.crt"))
    connection = http.client.HTTPSConnection(address(host), PORT, timeout=10, context=context)
    connection.request("GET", "/api")
    assert connection.getresponse().status == 200
    assert ("DNS", CONTAINERS[host.backend.name]) in connection.sock.getpeercert()["subjectAltName"]


def test_jupyter_serves_with_the_password_that_lies_on_the_controller(host, tmp_path):
    pem = tmp_path / "server.pem"
    pem.write_text(host.file("/etc/jupyter/server/server.pem").content_string)
    server = Server(address(host), PORT, "/", str(pem))
    assert server.login("not the password").status == 401
    session = server.login(password(host))
    assert session.status == 302
    offered = json.loads(server.request("GET", "api/kernelspecs", cookies=session.cookies).body)["kernelspecs"]
    assert "py4fi" in offered


def test_the_service_is_sandboxed_and_enabled(host):
    assert host.service("jupyter").is_enabled
    assert host.service("jupyter").is_running
    assert host.process.get(user="jupyter", comm="jupyter-lab").group == "jupyter"


def test_the_firewall_lets_in_only_ssh_and_jupyter(host):
    assert family(host).open_ports(host) == {"22/tcp", f"{PORT}/tcp"}


@pytest.mark.parametrize("file", ["jupyter.password", "ca.crt"])
def test_no_two_hosts_share_a_secret(host, file):
    mine = (credentials(host) / file).read_text()
    others = [name for name in CONTAINERS.values() if name != CONTAINERS[host.backend.name]]
    assert others
    assert mine not in [(credentials(host).parent / name / file).read_text() for name in others]
