"""The container that serves the kit over http on the kit's network, under the name that its URLs carry."""

from __future__ import annotations

from pathlib import Path

from tests.kit.docker import docker, inspect
from tests.kit.paths import NETWORK, SERVER, SERVER_ADDRESS, SUBNET


def ensure_network() -> None:
    if inspect("network", NETWORK) is None:
        docker("network", "create", "--subnet", SUBNET, NETWORK)


def ensure(content: Path, image: str) -> None:
    """Serve a directory. A server of another directory (another checkout's, or an older kit) is replaced."""
    ensure_network()
    found = inspect("container", SERVER)
    if found is not None:
        if found["State"]["Running"] and (found["Config"]["Labels"] or {}).get("pystack.kit") == str(content):
            return
        docker("rm", "--force", found["Id"])
    docker(
        "run", "--detach", "--init", "--name", SERVER, "--network", NETWORK, "--ip", SERVER_ADDRESS,
        "--label", f"pystack.kit={content}", "--volume", f"{content}:/srv:ro", "--stop-signal", "SIGTERM",
        image, "python3", "-m", "http.server", "80", "--directory", "/srv",
    )  # fmt: skip


def remove() -> None:
    """Remove the server and, when nothing else uses it, the network."""
    found = inspect("container", SERVER)
    if found is not None:
        docker("rm", "--force", found["Id"])
    network = inspect("network", NETWORK)
    if network is not None and not network["Containers"]:
        docker("network", "rm", network["Id"])
