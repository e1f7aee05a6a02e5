"""python -m benchmarks.bench [--runs N]: whole-process wall times against the obvious alternatives, as ratios.

Row 1: site.yml against the book's own script doing the same job, on twin hosts over SSH, interleaved.
Row 2: a second run of site.yml against `ansible -m setup`, the least that Ansible does, on the same host.
Figures go to standard output and .artifacts/bench.md; nothing is asserted, machines differ.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.kit import droplet, images
from tests.kit.__main__ import ensure as ensure_kit
from tests.kit.docker import docker
from tests.kit.paths import CACHE, ROOT

HERE = ROOT / ".cache" / "bench"
KEY = HERE / "id_ed25519"
TWINS = {"pystack-bench-script": "172.31.77.21", "pystack-bench-site": "172.31.77.22"}
_UPSTREAM = "https://repo.anaconda.com/miniconda/Miniconda3-latest-Linux-x86_64.sh"
_SSH = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-i", str(KEY)]


def boot(name: str, address: str) -> None:
    """A fresh host, in place of the last run's."""
    docker("rm", "--force", "--volumes", name, check=False)
    droplet.rent(name, address, images.IMAGES["deb12"].tag, KEY)


def timed(command: list[str], log: Path) -> float:
    """Seconds that a command takes; its output goes to a log. Raises RuntimeError when it fails."""
    started = time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:80]} failed, see {log}")
    return time.monotonic() - started


def script(address: str, log: Path) -> float:
    """The book's way: copy the script over, run it there."""
    variables = yaml.safe_load((CACHE / "inventory/group_vars/all.yml").read_text()) or {}
    arguments = [_UPSTREAM]
    if "miniconda_base_url" in variables:
        version = variables["miniconda_version"]
        file = f"{variables['miniconda_distribution'].capitalize()}3-{version}-Linux-x86_64.sh"
        arguments = [f"{variables['miniconda_base_url']}/{file}", variables["miniconda_channel_alias"]]
    book = str(Path(__file__).with_name("book.sh"))
    copy = timed(["scp", *_SSH, book, f"root@{address}:book.sh"], log)
    return copy + timed(["ssh", *_SSH, f"root@{address}", "bash", "book.sh", *arguments], log)


def inventory(address: str) -> list[str]:
    directory = HERE / "inventory"
    directory.mkdir(exist_ok=True)
    host = {
        "ansible_host": address,
        "ansible_ssh_private_key_file": str(KEY),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no",
    }
    (directory / "hosts.yml").write_text(yaml.safe_dump({"jupyter": {"hosts": {"bench": host}}}))
    return [f"--inventory={path}" for path in (ROOT / "inventories/cloud", CACHE / "inventory", directory)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    ensure_kit(os.environ.get("PYSTACK_UPSTREAM", "0"), el9=False)
    droplet.make_key(KEY)
    # New twins have new host keys at old addresses.
    os.environ["ANSIBLE_SSH_ARGS"] = (
        "-o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    )
    logs = ROOT / ".artifacts"
    logs.mkdir(exist_ok=True)
    times: dict[str, list[float]] = {"script": [], "site": [], "again": [], "setup": []}
    (by_script, by_site) = TWINS.items()
    try:
        for number in range(1, runs + 1):
            print(f"run {number} of {runs}", file=sys.stderr, flush=True)
            boot(*by_script)
            times["script"].append(script(by_script[1], logs / f"bench-script-{number}.log"))
            boot(*by_site)
            where = inventory(by_site[1])
            site = ["ansible-playbook", "site.yml", *where]
            times["site"].append(timed(site, logs / f"bench-site-{number}.log"))
            times["again"].append(timed(site, logs / f"bench-again-{number}.log"))
            times["setup"].append(timed(["ansible", "jupyter", "-m", "setup", *where], logs / "bench-setup.log"))
    finally:
        for name in TWINS:
            docker("rm", "--force", "--volumes", name, check=False)
    table = render(times)
    (logs / "bench.md").write_text(table)
    print(table)
    return 0


def render(times: dict[str, list[float]]) -> str:
    """Medians in seconds, all single values, and the ratio of the medians."""

    def row(what: str, ours: str, theirs: str, other: str) -> str:
        a, b = statistics.median(times[ours]), statistics.median(times[theirs])
        single = "; ".join(f"{x:.1f} / {y:.1f}" for x, y in zip(times[ours], times[theirs]))
        return f"| {what} | {a:.1f} s | {other} | {b:.1f} s | {a / b:.2f} | {single} |"

    return "\n".join([
        "| ours | median | against | median | ratio | single runs |",
        "| --- | --- | --- | --- | --- | --- |",
        row("site.yml on a bare host", "site", "script", "the book's script on its twin"),
        row("site.yml again, nothing to change", "again", "setup", "ansible -m setup on that host"),
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
