"""Bad input: one message that names the variable, what is wrong and what is accepted; before any change.

site.yml meets one bare host under as many names as there are cases, each with the variables of its case. Every name is
refused, and the host stays bare.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.kit import images, server
from tests.kit.docker import docker

ROOT = Path(__file__).resolve().parents[2]
HOST = "pystack-bare"
CONNECTION: dict[str, object] = {
    "ansible_connection": "community.docker.docker",
    "ansible_host": HOST,
    "ansible_become": False,
}
# Directories that roles write to; package managers and systemd keep the rest of a bare host busy by themselves.
_WATCHED = ["/etc", "/opt", "/home", "/usr/local", "/srv", "/swapfile"]


@pytest.fixture(scope="module")
def bare_host() -> Iterator[str]:
    image = images.IMAGES["deb12"]
    images.ensure(image, print)
    server.ensure_network()
    docker("rm", "--force", "--volumes", HOST, check=False)
    docker("run", "--detach", "--name", HOST, "--network", "pystack-kit", image.tag, "sleep", "infinity")
    yield HOST
    docker("rm", "--force", "--volumes", HOST)


def fingerprint(host: str) -> str:
    """Names, modes and times of everything below the watched directories."""
    return docker(
        "exec", host, "sh", "-c", f"find {' '.join(_WATCHED)} -printf '%p %m %s %T@ %l\\n' 2>/dev/null | sort"
    )


def site(tmp_path: Path, hosts: dict[str, dict[str, object]], variables: dict[str, object]) -> tuple[int, str]:
    """Exit code and output of site.yml on an inventory."""
    inventory = tmp_path / "inventory.yml"
    groups = {"jupyter": {"hosts": hosts}} if hosts else {}
    inventory.write_text(yaml.safe_dump({"all": {"vars": variables, "children": groups}}))
    done = subprocess.run(
        ["ansible-playbook", "site.yml", "--inventory", str(inventory)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def said(output: str, host: str) -> str:
    """What a run has against a host, as one line for searching. Fails unless that ends its run, without a change."""
    recap = re.search(rf"(?m)^{re.escape(host)} +: ok=\d+ +changed=0 +unreachable=0 +failed=1 ", output)
    assert recap, output[-3000:]
    parts = re.split(r"(?m)^(?=fatal: \[|TASK \[|PLAY |\[ERROR\])", output)
    return " ".join(" ".join(part for part in parts if part.startswith(f"fatal: [{host}]")).split())


def make_certificate(
    *, days: int = 30, ca: bool = False, key: ec.EllipticCurvePrivateKey | None = None
) -> tuple[str, str]:
    """A certificate and the key it was made with, as PEM text."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), secret.decode()


def environment(**keys: object) -> dict[str, object]:
    return {"conda_env_environments": [{"name": "lab", **keys}]}


def repository(**keys: object) -> dict[str, object]:
    """One declared repository, with keys changed, or left out where they are None."""
    whole = {"id": "base", "baseurl": "https://mirror.example/9/", "gpgkey": "https://mirror.example/key.asc", **keys}
    return {"linux_base_dnf_repositories": [{key: value for key, value in whole.items() if value is not None}]}


def certificate(of_another_key: bool = False, days: int = 30, ca: bool = False) -> dict[str, object]:
    pem, key = make_certificate(days=days, ca=ca)
    return {
        "jupyter_ssl_certificate": pem,
        "jupyter_ssl_private_key": make_certificate()[1] if of_another_key else key,
    }


# The variables of a host, and what it is told.
CASES: list[tuple[dict[str, object], list[str]]] = [
    (
        {"jupyter_ssl_prot": 8889},
        ["jupyter_ssl_prot is not a variable of this role", "did you mean jupyter_ssl_port?"],
    ),
    ({"jupyter_ssl_port": 99999}, ["jupyter_ssl_port is 99999: accepted are 1024 to 65535"]),
    ({"jupyter_ssl_port": "eight"}, ["jupyter_ssl_port", "int"]),
    ({"jupyter_ssl_password": ""}, ["jupyter_ssl_password is empty: accepted are 12 or more characters"]),
    ({"jupyter_ssl_password": "s3cret"}, ["jupyter_ssl_password has 6 characters: accepted are 12 or more"]),
    (
        {"jupyter_ssl_password": "s3cret s3cret", "jupyter_ssl_password_algorithm": "sha256"},
        ["jupyter_ssl_password has 13 characters: accepted are 20 or more"],
    ),
    (environment(packages=["../numpy"]), ["conda_env_environments[0]", "../numpy"]),
    ({"conda_env_environments": [{"name": "a/b"}]}, ["conda_env_environments[0].name", "a/b"]),
    (
        environment(packages=["numpy"], channels=["https://user:hunter2@mirror.example/conda"]),
        ["conda_env_environments[0].channels", "credentials"],
    ),
    (
        {**environment(packages=["numpy"]), "conda_env_lock_mode": "require"},
        ["lab has no lock (looked at", "locks/lab-linux-64.lock)", "playbooks/lock.yml -i"],
    ),
    (environment(file="nowhere.yml"), ["environments[0].file", "nowhere.yml"]),
    (environment(lock_file="/nowhere/lab.lock"), ["environments[0].lock_file", "/nowhere/lab.lock"]),
    (
        {**environment(channels=["conda-forge"]), "conda_env_allowed_channels": ["bank"]},
        ["conda_env_environments[0].channels", "is not allowed; conda_env_allowed_channels has bank"],
    ),
    ({"conda_env_keep_generations": 0}, ["conda_env_keep_generations is 0: accepted are numbers from 1 on"]),
    ({"conda_env_engine": "mamba"}, ["conda_env_engine", "mamba", "rattler"]),
    (
        {"miniconda_channels": ["https://mirror.example/t/hunter2/conda"]},
        ["miniconda_channels", "credentials"],
    ),
    ({"miniconda_checksum": "sha256:abc"}, ["miniconda_checksum", "64"]),
    ({"miniconda_prefix": "/usr"}, ["miniconda_prefix is /usr"]),
    (
        {"linux_base_ca_certificates": [{"name": "bank", "src": "/nowhere/bank-ca.crt"}]},
        ["linux_base_ca_certificates has the src /nowhere/bank-ca.crt: accepted are PEM files"],
    ),
    (repository(gpgkey=None), ["linux_base_dnf_repositories", "gpgkey", "missing"]),
    (
        repository(gpgkey="http://mirror.example/key.asc"),
        ["linux_base_dnf_repositories[0].gpgkey is", "http://mirror.example/key.asc", "https://"],
    ),
    (
        repository(baseurl="https://user:hunter2@mirror.example/9/"),
        ["linux_base_dnf_repositories[0].baseurl has credentials"],
    ),
    (repository(id="bank baseos"), ["linux_base_dnf_repositories[0].id is", "bank baseos", "without spaces"]),
    ({"jupyter_ssl_password_algorithm": "md5"}, ["jupyter_ssl_password_algorithm", "md5", "argon2id", "sha256"]),
    (
        certificate(of_another_key=True),
        ["jupyter_ssl_private_key does not belong to jupyter_ssl_certificate"],
    ),
    (certificate(days=-1), ["jupyter_ssl_certificate expired on 20"]),
    (certificate(ca=True), ["jupyter_ssl_certificate is a CA (CA:TRUE)"]),
    ({"jupyter_ssl_certificate": make_certificate()[0]}, ["jupyter_ssl_private_key is empty"]),
]


@pytest.fixture(scope="module")
def output(bare_host: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of one run with all cases."""
    before = fingerprint(bare_host)
    hosts = {f"case-{number}": CONNECTION | variables for number, (variables, _) in enumerate(CASES)}
    code, text = site(tmp_path_factory.mktemp("cases"), hosts, {})
    assert code == 2, text[-3000:]
    assert fingerprint(bare_host) == before, "the host was changed before the input was refused"
    return text


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: json.dumps(CASES[number][0])[:60])
def test_variable(output: str, number: int) -> None:
    found = said(output, f"case-{number}")
    for sentence in CASES[number][1]:
        assert sentence in found, found[-3000:]


def test_no_secret_is_repeated(output: str) -> None:
    assert "hunter2" not in output
    assert "s3cret" not in output
    assert "PRIVATE KEY" not in output


def test_operating_system_that_is_not_supported(bare_host: str, tmp_path: Path) -> None:
    docker("exec", bare_host, "cp", "-a", "/etc/os-release", "/etc/os-release.kept")
    docker("exec", bare_host, "sh", "-c", "printf 'ID=alpine\\nNAME=Alpine\\nVERSION_ID=3\\n' > /etc/os-release")
    docker("exec", bare_host, "mv", "/etc/debian_version", "/etc/debian_version.kept")
    try:
        before = fingerprint(bare_host)
        code, text = site(tmp_path, {"other": dict(CONNECTION)}, {})
        assert (code, fingerprint(bare_host)) == (2, before), text[-3000:]
    finally:
        docker("exec", bare_host, "mv", "/etc/os-release.kept", "/etc/os-release")
        docker("exec", bare_host, "mv", "/etc/debian_version.kept", "/etc/debian_version")
    assert "linux_base supports AlmaLinux 9, CentOS 9, Debian 12" in said(text, "other"), text[-3000:]


def test_inventory_without_a_host(tmp_path: Path) -> None:
    code, output = site(tmp_path, {}, {})
    assert code == 2
    assert "The group `jupyter` of your inventory has no host." in " ".join(output.split())


def test_host_that_does_not_answer(tmp_path: Path) -> None:
    # A port of this machine's loopback that nobody listens on.
    host = {"ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_user": "root"}
    code, output = site(tmp_path, {"droplet": host}, {})
    assert code == 4, "unreachable hosts have an exit code of their own"
    assert "droplet cannot be reached as root at 127.0.0.1. Check ansible_host" in " ".join(output.split())
