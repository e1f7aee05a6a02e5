"""The container that serves the kit over http and https, under the names that its URLs carry, on two networks.

Hosts on the first network reach this machine's network, too; the second is a closed LAN, of which the server is part.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from tests.kit.docker import docker, inspect
from tests.kit.paths import (
    LAN,
    LAN_NAME,
    LAN_SERVER_ADDRESS,
    LAN_SUBNET,
    NETWORK,
    SERVER,
    SERVER_ADDRESS,
    SERVER_NAMES,
    SUBNET,
    URL_PATH,
)

_SCRIPT = Path(__file__).with_name("serve.py")
_SECONDS_TO_START = 20


def ensure_network() -> None:
    if inspect("network", NETWORK) is None:
        docker("network", "create", "--subnet", SUBNET, NETWORK)


def ensure_lan() -> None:
    """The network without a way out."""
    if inspect("network", LAN) is None:
        docker("network", "create", "--internal", "--subnet", LAN_SUBNET, LAN)


def ensure(mounts: dict[Path, str], pem: Path, image: str) -> None:
    """Serve folders below the base URL, with key and certificate of a PEM file.

    A server of something else (another checkout's, or an older kit's) is replaced. Raises RuntimeError when it does
    not start.
    """
    ensure_network()
    ensure_lan()
    identity = served(mounts, pem)
    found = inspect("container", SERVER)
    if found is not None:
        joined = {NETWORK, LAN} <= set(found["NetworkSettings"]["Networks"])
        same = (found["Config"]["Labels"] or {}).get("pystack.kit") == identity
        if found["State"]["Running"] and joined and same:
            return
        docker("rm", "--force", "--volumes", found["Id"])
    volumes = [f"--volume={folder}:/srv/{URL_PATH}/{path}:ro" for folder, path in mounts.items()]
    docker(
        "create", "--init", "--name", SERVER, "--network", NETWORK, "--ip", SERVER_ADDRESS,
        "--label", f"pystack.kit={identity}", *volumes, "--stop-signal", "SIGTERM",
        f"--volume={_SCRIPT}:/kit/serve.py:ro", f"--volume={pem}:/kit/server.pem:ro",
        image, "python3", "/kit/serve.py", "/srv", "/kit/server.pem",
    )  # fmt: skip
    docker("network", "connect", "--ip", LAN_SERVER_ADDRESS, "--alias", LAN_NAME, LAN, SERVER)
    docker("start", SERVER)
    _wait()


def served(mounts: dict[Path, str], pem: Path) -> str:
    """Identifies what is served, and how: the folders (named by their content), the certificate, the script."""
    parts = (sorted((str(folder), path) for folder, path in mounts.items()), str(pem), SERVER_NAMES)
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(pem.read_bytes() + _SCRIPT.read_bytes())
    return digest.hexdigest()[:16]


def _wait() -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while "serving" not in docker("logs", SERVER):
        found = inspect("container", SERVER)
        if time.monotonic() > deadline or found is None or not found["State"]["Running"]:
            raise RuntimeError(f"the kit's server did not start: docker logs {SERVER}")
        time.sleep(0.1)


def remove() -> None:
    """Remove the server and, when nothing else uses them, the networks."""
    found = inspect("container", SERVER)
    if found is not None:
        docker("rm", "--force", "--volumes", found["Id"])
    for name in (NETWORK, LAN):
        network = inspect("network", name)
        if network is not None and not network["Containers"]:
            docker("network", "rm", network["Id"])
