"""python -m tests.kit ensure | down: the offline kit's command line.

PYSTACK_UPSTREAM decides whether it is used: 0 = the kit; 1 = the real upstreams; auto = the real ones where conda's
channel answers within three seconds, else the kit.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from tests.kit import images, server
from tests.kit.paths import BANNER, BASE_URL, CACHE

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


def content_key(inputs: list[Path]) -> str:
    """Names the result by everything that decides it."""
    digest = hashlib.sha256(BASE_URL.encode())
    # Debian's CPython comes out of the host images.
    digest.update("".join(image.recipe for image in images.IMAGES.values()).encode())
    for path in sorted(inputs):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def ensure_content() -> Path:
    """Build channels and installers once; later calls find them by the hash of their inputs."""
    from tests.kit.conda import INPUTS, build

    content = CACHE / content_key(INPUTS)
    if not content.is_dir():
        log(f"building channels and installers ({BANNER})")
        unfinished = CACHE / f"{content.name}.building"
        shutil.rmtree(unfinished, ignore_errors=True)
        tags = {name: image.tag for name, image in images.IMAGES.items()}
        build(unfinished, CACHE / "work", images=tags, base_url=BASE_URL, log=log)
        for old in CACHE.glob("????????????????"):
            shutil.rmtree(old)
        unfinished.rename(content)
    return content


def variables(content: Path | None) -> dict[str, object]:
    """Inventory variables that lead a host to the kit (content given) or to the real upstreams."""
    found: dict[str, object] = {}
    if BUNDLE.is_file():
        # What this machine trusts, its hosts trust: without it nothing downloads behind a proxy that re-signs TLS.
        found["linux_base_ca_certificates"] = [{"name": "controller", "src": str(BUNDLE)}]
    if content is not None:
        kit = json.loads((content / "kit.json").read_text())
        newest = [row for row in kit["installers"] if row["distribution"] == "miniforge"][-1]
        found |= {
            "miniconda_distribution": newest["distribution"],
            "miniconda_version": newest["version"],
            "miniconda_checksum": newest["sha256"],
            "miniconda_base_url": f"{BASE_URL}/installers",
            "miniconda_channel_alias": f"{BASE_URL}/channels",
            # For scenarios that choose an installer: its file -> its checksum.
            "kit_installers": {Path(row["file"]).name: row["sha256"] for row in kit["installers"]},
        }
    return found


def write_inventory(content: Path | None) -> None:
    """An inventory source without hosts: group_vars/all that a run adds by a second -i."""
    inventory = CACHE / "inventory"
    (inventory / "group_vars").mkdir(parents=True, exist_ok=True)
    (inventory / "hosts.yml").write_text("all: {}\n")
    head = f"# {BANNER}\n" if content else "# the real upstreams\n"
    (inventory / "group_vars" / "all.yml").write_text(head + yaml.safe_dump(variables(content)))


def ensure(choice: str) -> None:
    upstream = wants_upstream(choice)
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda image: images.ensure(image, log), images.IMAGES.values()))
        server.ensure_network()
        if upstream:
            log("using the real upstreams")
            write_inventory(None)
            return
        content = ensure_content()
        server.ensure(content, images.IMAGES["deb12"].tag)
        write_inventory(content)
        log(f"ready: {BANNER}")


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
