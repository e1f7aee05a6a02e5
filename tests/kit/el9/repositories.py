"""Starts the container in which the RPM repositories are made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

_FOLDER = Path(__file__).parent
_MODULES = ("names", "places", "spec", "repack")
#: Files whose content decides the result, beside the image.
INPUTS = tuple(_FOLDER / f"{name}.py" for name in _MODULES)
_HOME = "/usr/lib/pystack-standin"
Log = Callable[[str], None]


def build(out: Path, work: Path, *, image: str, log: Log) -> None:
    """Make rpm-rocky/ and keys/ below out, with apt's downloads kept below work. Raises RuntimeError."""
    log("building RPM repositories of Debian's packages")
    downloads = work / "debs"
    downloads.mkdir(parents=True, exist_ok=True)
    command = [
        "docker", "run", "--rm", "--name", f"pystack-kit-repack-{os.getpid()}",
        # Thousands of small files: a volume is faster than some of Docker's storage drivers.
        "--volume", "/build", "--volume", f"{_FOLDER}:{_HOME}/el9:ro",
        "--volume", f"{out.resolve()}:/out", "--volume", f"{downloads.resolve()}:/debs",
        "--env", f"PYTHONPATH={_HOME}", "--env", "PYTHONDONTWRITEBYTECODE=1",
        image, "python3", "-m", "el9.repack", "/out", "/debs", f"{os.getuid()}:{os.getgid()}",
    ]  # fmt: skip
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            said.append(line)
            if line.startswith("el9: "):
                log(line.rstrip())
    if process.returncode:
        raise RuntimeError(f"the RPM repositories cannot be built:\n{''.join(said)[-4000:]}")
