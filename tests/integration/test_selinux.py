"""What jupyter_ssl declares to SELinux, against the real semanage and a real policy.

Containers have no SELinux in their kernel. The host here has Debian's reference policy and its tools; a double of one
function, libselinux's is_selinux_enabled, lets the modules go to work on them. Nothing is enforced: see docs/rhel.md.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import images
from tests.kit.docker import docker

ROOT = Path(__file__).resolve().parents[2]
HOST, BARE = "pystack-selinux", "pystack-selinux-bare"
IMAGE = images.Image(
    "selinux",
    "bookworm",
    (
        "netbase",
        "policycoreutils",
        "python3-selinux",
        "policycoreutils-python-utils",
        "selinux-policy-default",
        "selinux-utils",
    ),
)
_DOUBLE = "import selinux; selinux.is_selinux_enabled = lambda: 1\n"
VARIABLES = {"jupyter_ssl_port": 9443, "jupyter_ssl_home": "/srv/jupyter", "__jupyter_ssl_selinux": True}


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A host with a policy that says that SELinux is on."""
    images.ensure(IMAGE, print)
    docker("rm", "--force", "--volumes", HOST, check=False)
    # semanage renames whole directories, which some of Docker's storage drivers cannot; a volume can.
    store = ("--volume", "/var/lib/selinux")
    docker("run", "--detach", "--name", HOST, "--network", "none", *store, IMAGE.tag, "sleep", "infinity")
    path = "/usr/lib/python3/dist-packages/double.pth"
    docker("exec", HOST, "python3", "-c", f"open({path!r}, 'w').write({_DOUBLE!r})")
    yield HOST
    docker("rm", "--force", "--volumes", HOST)


@pytest.fixture(scope="module", params=["deb12", "el9"])
def bare(request: pytest.FixtureRequest) -> Iterator[str]:
    """A host of each family without the bindings, and without a repository that has them."""
    image = images.IMAGES[request.param]
    images.ensure(image, print)
    docker("rm", "--force", "--volumes", BARE, check=False)
    docker("run", "--detach", "--name", BARE, "--network", "none", image.tag, "sleep", "infinity")
    # Nothing waits for names that nobody can look up.
    docker("exec", BARE, "sh", "-c", "rm -rf /etc/apt/sources.list* /etc/yum.repos.d/*.repo")
    yield BARE
    docker("rm", "--force", "--volumes", BARE)


def run(host: str, tmp_path: Path, *tasks_from: str) -> tuple[int, int, str]:
    """Exit code, number of changes and output (as one line) of some tasks of the role."""
    tasks = [
        {"ansible.builtin.include_role": {"name": "pystack.infra.jupyter_ssl", "tasks_from": name}}
        for name in ("preflight", *tasks_from)
    ]
    play = tmp_path / "play.json"
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars": VARIABLES, "tasks": tasks}]))
    # Outranks the role's own look at the host.
    extra = json.dumps({"__jupyter_ssl_selinux": True, "ansible_connection": "community.docker.docker"})
    command = ["ansible-playbook", str(play), "--inventory", f"{host},", "--extra-vars", extra]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    text = " ".join((done.stdout + done.stderr).split())
    changed = int(text.rpartition("changed=")[2].split()[0]) if "changed=" in text else -1
    return done.returncode, changed, text


def label(host: str, path: str, *kind: str) -> str:
    """The type that the policy on the host has for a path."""
    return docker("exec", host, "matchpathcon", "-n", *kind, path).split(":")[2]


def test_files_and_port_are_declared_once(host: str, tmp_path: Path) -> None:
    code, changed, output = run(host, tmp_path, "selinux")
    assert code == 0, output[-3000:]
    assert changed >= 1
    assert {
        path: label(host, path)
        for path in ("/etc/jupyter/server/server.pem", "/etc/jupyter/ca.crt", "/etc/jupyter/tls/ca.key")
    } == dict.fromkeys(("/etc/jupyter/server/server.pem", "/etc/jupyter/ca.crt", "/etc/jupyter/tls/ca.key"), "cert_t")
    assert label(host, "/etc/jupyter/server/start") == "bin_t"
    assert label(host, "/srv/jupyter", "-m", "dir") == "user_home_dir_t"
    assert label(host, "/srv/jupyter/notebook/a.ipynb") == "user_home_t"
    assert label(host, "/etc/jupyter/server/jupyter_config.json") == "etc_t", "more was declared than needed"
    assert docker("exec", host, "semanage", "port", "--list", "--locallist").split()[-3:] == [
        "http_port_t",
        "tcp",
        "9443",
    ]

    code, changed, output = run(host, tmp_path, "selinux")
    assert (code, changed) == (0, 0), output[-3000:]


def test_absent_leaves_nothing_in_the_policy(host: str, tmp_path: Path) -> None:
    code, _, output = run(host, tmp_path, "selinux_absent")
    assert code == 0, output[-3000:]
    assert docker("exec", host, "semanage", "export").count(" -a ") == 0
    code, changed, output = run(host, tmp_path, "selinux_absent")
    assert (code, changed) == (0, 0), output[-3000:]


def test_bindings_that_cannot_be_had_are_named(bare: str, tmp_path: Path) -> None:
    code, changed, output = run(bare, tmp_path, "selinux")
    assert (code, changed) == (2, 0), output[-3000:]
    assert "SELinux is on and its Python bindings are needed" in output
    bindings = (
        "python3-policycoreutils"
        if "Rocky" in docker("exec", bare, "cat", "/etc/os-release")
        else "policycoreutils-python-utils"
    )
    assert bindings in output, output[-3000:]
