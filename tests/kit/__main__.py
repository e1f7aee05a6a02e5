"""python -m tests.kit ensure | down: the offline kit's command line.

PYSTACK_UPSTREAM decides whether it is used: 0 = the kit; 1 = the real upstreams; auto = the real ones where conda's
channel answers within three seconds, else the kit.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.kit import images, parts, server, tls
from tests.kit.paths import BANNER, BASE_URL, CACHE, SERVER_NAMES

PROBE = "https://conda.anaconda.org/conda-forge/noarch/repodata.json.zst"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_started = time.monotonic()


def log(message: str) -> None:
    print(f"kit {time.monotonic() - _started:5.1f} s  {message}", file=sys.stderr, flush=True)


def upstream_answers() -> bool:
    request = urllib.request.Request(PROBE, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310 - as above
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def wants_upstream(choice: str) -> bool:
    """What PYSTACK_UPSTREAM (0, 1 or auto) comes to on this machine."""
    if choice not in ("0", "1", "auto"):
        raise RuntimeError(
            f"PYSTACK_UPSTREAM is {choice!r}: accepted are 0 (the offline kit), 1 (the real upstreams) and auto"
        )
    return choice == "1" or (choice == "auto" and upstream_answers())


@dataclass(frozen=True)
class Kit:
    """What there is to serve: the parts' folders by name, and the authority of the server's certificate."""

    made: dict[str, Path]
    authority: Path


def variables(kit: Kit | None) -> dict[str, object]:
    """Inventory variables that lead a host to the kit or to the real upstreams (None)."""
    found: dict[str, object] = {}
    if BUNDLE.is_file():
        # What this machine trusts, its hosts trust: without it nothing downloads behind a proxy that re-signs TLS.
        found["linux_base_ca_certificates"] = [{"name": "controller", "src": str(BUNDLE)}]
    if kit is not None:
        found["kit_authority"] = kit.authority.read_text()
        if "conda" in kit.made:
            found |= conda_variables(kit.made["conda"])
        if "rpm" in kit.made:
            found |= rpm_variables(kit.made["rpm"])
    return found


def conda_variables(content: Path) -> dict[str, object]:
    """Where installers and channels are."""
    installers = json.loads((content / "kit.json").read_text())["installers"]
    newest = [row for row in installers if row["distribution"] == "miniforge"][-1]
    return {
        "miniconda_distribution": newest["distribution"],
        "miniconda_version": newest["version"],
        "miniconda_checksum": newest["sha256"],
        "miniconda_base_url": f"{BASE_URL}/ext-miniforge",
        "miniconda_channel_alias": f"{BASE_URL}/api/conda",
        # For scenarios that choose an installer: its file -> its checksum.
        "kit_installers": {Path(row["file"]).name: row["sha256"] for row in installers},
    }


def rpm_variables(content: Path) -> dict[str, object]:
    """Where RPMs are, and whose signatures they have."""
    key = (content / "keys" / "kit.asc").read_text()
    return {
        "linux_base_dnf_repositories": [
            {
                "id": f"kit-{name.lower()}",
                "name": f"Offline kit: {name} (stand-in)",
                "baseurl": f"{BASE_URL}/rpm-rocky/$releasever/{name}/$basearch/os/",
                "gpgkey": key,
            }
            for name in ("BaseOS", "AppStream")
        ],
        # For scenarios that write repositories themselves, and for such that meet a package of somebody else.
        "kit_rpm_key": key,
        "kit_foreign_rpm_key": (content / "keys" / "foreign.asc").read_text(),
    }


def write_inventory(kit: Kit | None) -> None:
    """An inventory source without hosts: group_vars/all that a run adds by a second -i."""
    inventory = CACHE / "inventory"
    (inventory / "group_vars").mkdir(parents=True, exist_ok=True)
    (inventory / "hosts.yml").write_text("all: {}\n")
    head = f"# {BANNER}\n" if kit and "conda" in kit.made else "# the real upstreams\n"
    (inventory / "group_vars" / "all.yml").write_text(head + yaml.safe_dump(variables(kit)))


def ensure_content(wanted: list[parts.Part]) -> Kit | None:
    """Build what is missing and serve everything; None when nothing is wanted."""
    if not wanted:
        return None
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda part: part.ensure(log), wanted))
    authority = tls.ensure(CACHE / "tls", SERVER_NAMES)
    mounts = parts.mounts(zip(wanted, folders, strict=True))
    server.ensure(mounts, authority.with_name("server.pem"), images.IMAGES["deb12"].tag)
    return Kit({part.name: folder for part, folder in zip(wanted, folders, strict=True)}, authority)


def ensure(choice: str, *, el9: bool = True) -> None:
    """Provide images, networks and, where the real upstreams are not used, what hosts install.

    choice: as PYSTACK_UPSTREAM. el9: whether hosts of EL 9 are wanted.
    """
    upstream = wants_upstream(choice)
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        hosts = [image for image in images.IMAGES.values() if el9 or image is not images.EL9]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda image: images.ensure(image, log), hosts))
        server.ensure_network()
        server.ensure_lan()
        write_inventory(ensure_content(parts.all_parts(upstream=upstream, el9=el9)))
        log("using the real upstreams" if upstream else f"ready: {BANNER}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kit", description=__doc__)
    parser.add_argument("command", choices=["ensure", "down"])
    command = parser.parse_args().command
    try:
        if command == "ensure":
            ensure(os.environ.get("PYSTACK_UPSTREAM", "0"))
        else:
            server.remove()
    except RuntimeError as error:
        print(f"kit: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
