"""A container that stands in for a freshly rented droplet: systemd, sshd, root's key, and nothing else."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.kit.docker import docker
from tests.kit.paths import NETWORK

_SECONDS_TO_BOOT = 60


def make_key(key: Path) -> None:
    """A new SSH key pair at a path, in place of an old one."""
    key.parent.mkdir(parents=True, exist_ok=True)
    for old in (key, key.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)


def rent(name: str, address: str, image: str, key: Path, *more: str) -> None:
    """Start one and wait until root can log in with the key. Raises RuntimeError when it does not come up.

    more: further arguments of `docker run`.
    """
    docker(
        "run", "--detach", "--name", name, "--hostname", "droplet", "--network", NETWORK, "--ip", address,
        # systemd without --privileged; SYS_ADMIN for the sandboxes of services, NET_ADMIN for the host's own firewall.
        "--env", "container=docker", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN",
        "--security-opt", "seccomp=unconfined", "--tmpfs", "/run", "--tmpfs", "/run/lock",
        "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
        # Thousands of small files: volumes are faster than some of Docker's storage drivers.
        "--volume", "/opt", "--volume", "/root", *more, image,
    )  # fmt: skip
    docker("exec", name, "install", "-d", "-m", "700", "/root/.ssh")
    subprocess.run(
        ["docker", "exec", "--interactive", name, "tee", "/root/.ssh/authorized_keys"],
        input=key.with_suffix(".pub").read_bytes(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    deadline = time.monotonic() + _SECONDS_TO_BOOT
    # The unit is called ssh on Debian and sshd on EL; the answer has a line for each.
    while "active" not in docker("exec", name, "systemctl", "is-active", "ssh", "sshd", check=False).splitlines():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not start within {_SECONDS_TO_BOOT} s: docker logs {name}")
        time.sleep(0.2)
