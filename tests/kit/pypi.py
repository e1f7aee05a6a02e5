"""A Python package index (PEP 503) with a few wheels, where Artifactory has one."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.kit.conda import fetch

INPUTS = (Path(__file__), fetch.INDEX.file)
#: Where it is below the base URL, as Artifactory has a repository of this kind.
SIMPLE = "api/pypi/global-pypi/simple"
Log = Callable[[str], None]


def build(out: Path, work: Path, log: Log) -> None:
    """Make the index below out, with downloads kept below work."""
    log("building a package index")
    python = fetch.bootstrap(work)
    with ThreadPoolExecutor(1) as pool:
        wheels = fetch.wheels(fetch.INDEX, work, fetch.download(fetch.INDEX, work, python, pool))
    write_index(out / SIMPLE, wheels)


def write_index(folder: Path, wheels: Iterable[Path]) -> None:
    """A page for each project with links that carry hashes, the files beside it, and a page of projects."""
    names = set()
    for wheel in wheels:
        name = canonicalize_name(parse_wheel_filename(wheel.name)[0])
        names.add(name)
        (folder / name).mkdir(parents=True, exist_ok=True)
        data = wheel.read_bytes()
        (folder / name / wheel.name).write_bytes(data)
        link = f"{wheel.name}#sha256={hashlib.sha256(data).hexdigest()}"
        with (folder / name / "index.html").open("a") as file:
            file.write(f'<!DOCTYPE html>\n<a href="{html.escape(link)}">{html.escape(wheel.name)}</a><br>\n')
    listed = "".join(f'<a href="{name}/">{name}</a><br>\n' for name in sorted(names))
    (folder / "index.html").write_text(f"<!DOCTYPE html>\n{listed}")
