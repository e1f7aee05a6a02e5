"""The few calls to the Docker command line that the kit needs."""

from __future__ import annotations

import json
import subprocess
from typing import Any


def docker(*arguments: str, check: bool = True) -> str:
    """Run docker and return its output. Raises RuntimeError with docker's own words."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode and check:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """What docker knows of an image, container or network; None when there is none of that name."""
    done = subprocess.run(["docker", kind, "inspect", name], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None
