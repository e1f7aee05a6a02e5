"""Locking and downloading what the kit is made of, with hashes checked.

Locks are the committed `tests/kit/requirements/*.txt`. To write them anew:

    python -c 'from tests.kit.conda.fetch import relock; relock()'
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
#: What the locks are resolved for: the wheels' platform (PEP 600).
PLATFORM = "x86_64-manylinux_2_28"
#: PyPI is reached with the system's certificates; the second name is the newer one of the same switch.
UV_ENVIRONMENT = {"UV_NATIVE_TLS": "true", "UV_SYSTEM_CERTS": "true"}


# Parts of the kit that are built at the same time share it.
_bootstrapping = threading.Lock()


@dataclass(frozen=True)
class Lock:
    """One locked list of distributions for one Python series."""

    name: str
    python: str
    small: bool = False
    with_dependencies: bool = True
    constraint: str | None = None
    parts: int = 1

    @property
    def file(self) -> Path:
        return REQUIREMENTS / f"{self.name}.txt"

    def folder(self, work: Path) -> Path:
        """Where its wheels are kept: named by the lock's content, so that a new lock is a new folder."""
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()[:12]
        return work / "wheels" / f"{self.name}-{digest}"


BOOTSTRAP = Lock("bootstrap", "3.11")
TINY = Lock("tiny-3.11", "3.11", small=True)
OLDER = Lock("older-3.11", "3.11", small=True, with_dependencies=False)
OLDER_FULL = Lock("older-full-3.11", "3.11", with_dependencies=False)
FULL = Lock("full-3.11", "3.11", constraint="tiny-3.11", parts=4)
SECOND = Lock("full-3.13", "3.13", constraint="tiny-3.11", parts=2)
LOCKS = (TINY, OLDER, FULL, OLDER_FULL, SECOND)
#: What the package index offers, beside the channels.
INDEX = Lock("index", "3.11", with_dependencies=False)


def find_tool(name: str) -> str | None:
    """A command of the running environment, or the first on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command; on failure raise with what it said."""
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def relock() -> None:
    """Resolve every *.in anew: the newest versions that fit, as wheels, with hashes and no address."""
    uv = find_tool("uv")
    if uv is None:
        raise RuntimeError("relocking needs uv")
    for lock in (BOOTSTRAP, INDEX, *LOCKS):
        options = ["--python-version", lock.python, "--python-platform", PLATFORM, "--only-binary", ":all:"]
        options += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--upgrade"]
        if lock.constraint:
            options += ["--constraint", f"{lock.constraint}.txt"]
        if not lock.with_dependencies:
            options.append("--no-deps")
        command = [uv, "pip", "compile", *options, "-o", lock.file.name, f"{lock.name}.in"]
        subprocess.run(command, check=True, cwd=REQUIREMENTS, env=os.environ | UV_ENVIRONMENT)


def entries(lock_text: str) -> list[str]:
    """The single requirements of a lock file, each with its hashes."""
    joined = lock_text.replace("\\\n", " ")
    return [re.sub(r"\s+", " ", line).strip() for line in joined.splitlines() if "--hash=" in line]


@cache
def locked_for(python: str) -> frozenset[tuple[str, str]]:
    """Name and version of everything locked for a Python series."""
    texts = (lock.file.read_text() for lock in LOCKS if lock.python == python)
    found = (entry.split(" ", 1)[0].split("==") for text in texts for entry in entries(text))
    return frozenset((canonicalize_name(name.split("[")[0]), version) for name, version in found)


def pythons_of(wheel: Path) -> set[str]:
    """The Python series that a pure wheel is locked for; others serve only the lock they are found in."""
    name, version, _, tags = parse_wheel_filename(wheel.name)
    if any(tag.platform != "any" for tag in tags):
        return set()
    return {lock.python for lock in LOCKS if (name, str(version)) in locked_for(lock.python)}


def bootstrap(work: Path) -> Path:
    """The build's own virtual environment (pip and py-rattler), made once; give its python."""
    with _bootstrapping:
        return _bootstrap(work)


def _bootstrap(work: Path) -> Path:
    home = work / BOOTSTRAP.folder(work).name
    python, complete = home / "bin/python", home / ".complete"
    if complete.exists():
        return python
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    if uv := find_tool("uv"):
        run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], UV_ENVIRONMENT)
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        run([sys.executable, "-m", "venv", str(home)])
        install = [str(python), "-m", "pip", "install", "--quiet"]
    run([*install, "--require-hashes", "--only-binary", ":all:", "-r", str(BOOTSTRAP.file)], UV_ENVIRONMENT)
    complete.touch()
    return python


def download(lock: Lock, work: Path, python: Path, pool: Executor) -> list[Future[None]]:
    """Start the downloads of a lock's wheels that are not there yet; give what to wait for."""
    folder = lock.folder(work)
    if (folder / ".complete").exists():
        return []
    folder.mkdir(parents=True, exist_ok=True)
    requirements = entries(lock.file.read_text())
    return [
        pool.submit(_download_part, lock, folder, python, i, requirements[i :: lock.parts]) for i in range(lock.parts)
    ]


def _download_part(lock: Lock, folder: Path, python: Path, number: int, requirements: list[str]) -> None:
    listing = folder / f"part-{number}.txt"
    listing.write_text("\n".join(requirements) + "\n")
    tag = lock.python.replace(".", "")
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    options = ["--python-version", lock.python, "--implementation", "cp"]
    options += [part for abi in (f"cp{tag}", "abi3", "none") for part in ("--abi", abi)]
    options += [part for platform in platforms for part in ("--platform", platform)]
    command = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += [
        "--no-cache-dir",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        *options,
        "-r",
        str(listing),
    ]
    run(command, {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    listing.unlink()


def wheels(lock: Lock, work: Path, pending: list[Future[None]]) -> list[Path]:
    """Wait for a lock's downloads, then give its wheels."""
    for part in pending:
        part.result()
    folder = lock.folder(work)
    found = sorted(folder.glob("*.whl"))
    wanted = len(entries(lock.file.read_text()))
    if len(found) != wanted:
        raise RuntimeError(f"{lock.name}: {len(found)} wheels in place of {wanted}")
    (folder / ".complete").touch()
    return found
