"""The conda part of the offline kit: channels, installers and a stand-in for conda.

Everything is made of PyPI's wheels (locked with hashes) and of Debian's CPython; see `cpython` for why the
second interpreter is 3.13. `build` writes what an http server then offers, where Artifactory would:

    api/conda/full, api/conda/tiny     conda channels (api/conda/conda-forge and api/conda/main lead to full)
    ext-miniforge/*.sh, *.sh.sha256    installers with Miniconda's interface
    kit.json                           what there is
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from . import cpython, fetch, wheels
from .fetch import LOCKS, REQUIREMENTS, Lock
from .installer import DISTRIBUTIONS, Site, payload, write_installer
from .package import Package, Record, share, write_index
from .standin import SOURCE, VERSIONS, standin_package

#: Files whose content decides the result.
INPUTS = sorted(
    file
    for folder in (Path(__file__).parent, SOURCE, REQUIREMENTS)
    for file in folder.rglob("*")
    if file.is_file() and "__pycache__" not in file.parts and file.stem != "index"
)
#: Where they are below the base URL.
CHANNELS, INSTALLERS = "api/conda", "ext-miniforge"
#: Names under which the large channel is offered as well.
CHANNEL_ALIASES = ("conda-forge", "main")
#: Processes that convert wheels, and threads that wait for downloads.
WORKERS, THREADS = 2, 8

Log = Callable[[str], None]
Pending = dict[str, list[Future[None]]]


def build(out: Path, work: Path, *, images: dict[str, str], base_url: str, log: Log) -> dict[str, Any]:
    """Make the kit's conda part below `out`, with downloads kept below `work`."""
    return _Build(out, work, images, base_url, log).run()


class _Build:
    def __init__(self, out: Path, work: Path, images: dict[str, str], base_url: str, log: Log):
        self.out, self.work, self.images, self.base_url, self.log = out, work, images, base_url, log
        self.full, self.tiny = out / CHANNELS / "full", out / CHANNELS / "tiny"
        self.records: list[Record] = []
        self.counts: dict[str, int] = {}
        self.converted: set[str] = set()

    def run(self) -> dict[str, Any]:
        self._prepare()
        # Workers are forked by a process without threads: here another part may be built at the same time.
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(WORKERS, mp_context=context) as processes, ThreadPoolExecutor(THREADS) as threads:
            python, interpreters, pending = self._start_downloads(threads)
            self._make_tiny(python, interpreters, pending, processes)
            installers = threads.submit(self._make_installers, python)
            self._make_full(interpreters, pending, processes)
            return self._summary(installers.result())

    def _prepare(self) -> None:
        for folder in (CHANNELS, INSTALLERS):
            shutil.rmtree(self.out / folder, ignore_errors=True)
        self.full.mkdir(parents=True)
        self.work.mkdir(parents=True, exist_ok=True)
        for alias in CHANNEL_ALIASES:
            (self.full.parent / alias).symlink_to("full")

    def _start_downloads(self, threads: ThreadPoolExecutor) -> tuple[Path, dict[str, Future[Path]], Pending]:
        self.log("conda: downloading wheels and interpreters")
        interpreters = {
            source.short: threads.submit(cpython.collect, source, self.images[source.image], self.work)
            for source in cpython.SOURCES
        }
        python = fetch.bootstrap(self.work)
        return (
            python,
            interpreters,
            {lock.name: fetch.download(lock, self.work, python, threads) for lock in LOCKS},
        )

    def _make_tiny(
        self, python: Path, interpreters: dict[str, Future[Path]], pending: Pending, processes: Executor
    ) -> None:
        """The small channel; all of it is in the large one as well."""
        self._convert([lock for lock in LOCKS if lock.small], pending, processes)
        self.records += [standin_package(version, self.full) for version in VERSIONS]
        self._add_interpreter(cpython.SOURCES[0], interpreters)
        self._share_tiny()

    def _share_tiny(self) -> None:
        share(self.records, self.full, self.tiny)
        self.counts["tiny"] = write_index(self.tiny, self.records)
        self.log(f"conda: channel tiny has {self.counts['tiny']} packages")

    def _make_full(self, interpreters: dict[str, Future[Path]], pending: Pending, processes: Executor) -> None:
        self._convert([lock for lock in LOCKS if not lock.small], pending, processes)
        for source in cpython.SOURCES[1:]:
            self._add_interpreter(source, interpreters)
        self.records += [package.write(self.full) for package in metapackages(self.records)]
        self.counts["full"] = write_index(self.full, self.records)
        self.log(f"conda: channel full has {self.counts['full']} packages")

    def _convert(self, locks: list[Lock], pending: Pending, processes: Executor) -> None:
        """Turn the wheels of locks into packages, the largest first."""
        found = gather({lock: fetch.wheels(lock, self.work, pending[lock.name]) for lock in locks}, self.converted)
        self.converted |= {wheel.path.name for wheel in found}
        todo = sorted(wheels.plans(wheels.Catalogue(found)), key=lambda plan: -plan.wheel.path.stat().st_size)
        self.log(f"conda: making {len(todo)} packages")
        self.records += processes.map(partial(wheels.convert, channel=self.full), todo)

    def _add_interpreter(self, source: cpython.Source, interpreters: dict[str, Future[Path]]) -> None:
        folder = interpreters[source.short].result()
        self.records.append(cpython.python_package(source, folder, fetch.find_tool("patchelf"), self.full))

    def _make_installers(self, python: Path) -> list[dict[str, str]]:
        """Installers come from the small channel; what they install names the large one, as it is served."""
        site = Site(self.tiny, f"{self.base_url}/{CHANNELS}/conda-forge")
        packed = {version: payload(version, site, python, self.work) for version in VERSIONS}
        made = [write_installer(kind, packed[kind.version], self.out / INSTALLERS) for kind in DISTRIBUTIONS]
        self.log(f"conda: {len(made)} installers")
        return made

    def _summary(self, installers: list[dict[str, str]]) -> dict[str, Any]:
        summary = {
            "channels": self.counts,
            "conda_versions": list(VERSIONS),
            "installers": installers,
            "pythons": [source.short for source in cpython.SOURCES],
        }
        (self.out / "kit.json").write_text(json.dumps(summary, indent=2) + "\n")
        return summary


def gather(found: dict[Lock, list[Path]], known: set[str]) -> list[wheels.Wheel]:
    """One entry for each wheel that is not known yet, with the Python series that it serves."""
    paths = {path.name: path for files in found.values() for path in files if path.name not in known}
    series: dict[str, set[str]] = {name: set() for name in paths}
    for lock, files in found.items():
        for path in files:
            if path.name in series:
                series[path.name].add(lock.python)
    return [
        wheels.Wheel(path, tuple(sorted(series[name] | fetch.pythons_of(path)))) for name, path in sorted(paths.items())
    ]


def metapackages(records: list[Record]) -> list[Package]:
    """Packages without files that conda-forge has and PyPI has not: `matplotlib` above `matplotlib-base`."""
    versions = {r.entry["version"] for r in records if r.entry["name"] == "matplotlib-base"}
    return [
        Package("matplotlib", version, "0", [f"matplotlib-base {version}.*"], noarch="generic")
        for version in sorted(versions)
    ]
