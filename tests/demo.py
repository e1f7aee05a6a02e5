"""python -m tests.demo up | down: the project's main job on this machine, a container standing in for a droplet.

The container is reached as a droplet is: over SSH, as root, with a key, by the inventory inventories/cloud.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import yaml

from tests.kit import droplet, images, server
from tests.kit.__main__ import ensure as ensure_kit
from tests.kit.docker import docker, inspect
from tests.kit.paths import BANNER, CACHE, ROOT

CONTAINER = "pystack-demo"
ADDRESS = "172.31.77.10"
PORT = 8888
DEMO = ROOT / ".cache" / "demo"
KEY = DEMO / "id_ed25519"
INVENTORY = DEMO / "inventory"


def free_port(wanted: int) -> int:
    """The wanted port of this machine's loopback, or another one where it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no free TCP port on 127.0.0.1")


def rent() -> None:
    """Start the stand-in for a droplet. One that runs is kept."""
    found = inspect("container", CONTAINER)
    if found is not None:
        if found["State"]["Running"] and KEY.exists():
            return
        docker("rm", "--force", "--volumes", found["Id"])
    droplet.make_key(KEY)
    known_hosts = ROOT / ".ansible" / "known_hosts"
    if known_hosts.exists():
        # A new droplet at an old address has new host keys.
        forget = ["ssh-keygen", "-q", "-R", ADDRESS, "-f", str(known_hosts)]
        subprocess.run(forget, check=True, stderr=subprocess.DEVNULL)
    shutil.rmtree(INVENTORY, ignore_errors=True)
    publish = f"127.0.0.1:{free_port(PORT)}:{PORT}"
    droplet.rent(CONTAINER, ADDRESS, images.IMAGES["deb13"].tag, KEY, "--publish", publish)


def write_inventory() -> None:
    """What a newcomer writes into inventories/cloud/hosts.yml: one address."""
    INVENTORY.mkdir(parents=True, exist_ok=True)
    host = {"ansible_host": ADDRESS, "ansible_ssh_private_key_file": str(KEY)}
    (INVENTORY / "hosts.yml").write_text(yaml.safe_dump({"jupyter": {"hosts": {"droplet": host}}}))


def provision() -> int:
    sources = [ROOT / "inventories" / "cloud", CACHE / "inventory", INVENTORY]
    command = ["ansible-playbook", "site.yml", *(f"--inventory={source}" for source in sources)]
    shown = "ansible-playbook site.yml -i inventories/cloud"
    print(f"\n$ {shown}     (and the inventories of the demo: the container's address)\n", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def published_port() -> int:
    found = inspect("container", CONTAINER)
    assert found is not None
    return int(found["NetworkSettings"]["Ports"][f"{PORT}/tcp"][0]["HostPort"])


def report(seconds: float, *, kit: bool) -> None:
    secrets = INVENTORY / ".credentials" / "droplet"
    ca = secrets / "ca.crt"
    openssl = ["openssl", "x509", "-in", str(ca), "-noout", "-fingerprint", "-sha256"]
    fingerprint = re.sub(
        r"^.*=", "", subprocess.run(openssl, capture_output=True, text=True, check=True).stdout.strip()
    )
    print(f"""
A droplet became a Jupyter server in {seconds:.0f} s.

  Open       https://127.0.0.1:{published_port()}   (or, on this machine, https://{ADDRESS}:{PORT})
  Password   {(secrets / "jupyter.password").read_text().strip()}
  Authority  {ca.relative_to(ROOT)}   (import it into the browser, or check the fingerprint in its warning)
  SHA-256    {fingerprint}
  Shell      ssh -i {KEY.relative_to(ROOT)} root@{ADDRESS}
  Stop it    make demo-stop
""")
    if kit:
        print(
            "  Packages came from the offline kit, since conda's channel was out of reach or not asked for"
            f"\n  ({BANNER}).\n"
        )


def up() -> int:
    ensure_kit(os.environ.get("PYSTACK_UPSTREAM", "auto"), el9=False)
    started = time.monotonic()
    rent()
    write_inventory()
    code = provision()
    if code:
        print(
            f"\nThe demo failed (exit code {code}); the container is left for a look: docker exec -it {CONTAINER} bash"
        )
        return code
    report(time.monotonic() - started, kit="miniconda_base_url" in (CACHE / "inventory/group_vars/all.yml").read_text())
    return 0


def down() -> int:
    found = inspect("container", CONTAINER)
    if found is not None:
        docker("rm", "--force", "--volumes", found["Id"])
    shutil.rmtree(DEMO, ignore_errors=True)
    server.remove()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    try:
        return up() if parser.parse_args().command == "up" else down()
    except RuntimeError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
