# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Whether an environment's files are still what its packages brought, and who is using them.

Sources: the standards CEP 32 "Management and structure of conda environments" (``paths_data`` in
``conda-meta/*.json``) and CEP 34 "Contents of conda packages" (https://conda.org/learn/ceps/), the Python packaging
specification "Recording installed projects" (``RECORD``), and proc(5).
"""

from __future__ import annotations

import base64
import csv
import glob
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from .files import read_json
from .lock import LockedPackage

MISSING = "missing"
CHANGED = "changed"
NEW = "new"
_KINDS = {"softlink": "link", "directory": "directory"}  # everything else is a file
_BATCH = 256
_CHUNK_BYTES = 1 << 18
_SHOWN_DIGITS = 12
_MAPPED_PATH = 5


@dataclass(frozen=True)
class Fault:
    """A file that is not as its package brought it. ``path`` is relative to the prefix, ``kind`` is missing,
    changed or new, ``package`` the name of the package."""

    path: str
    kind: str
    package: str = ""

    def title(self) -> str:
        """``lib/x.py is missing (openpyxl)``, as results show it."""
        return f"{self.path} is {self.kind}" + (f" ({self.package})" if self.package else "")


# ---------------------------------------------------------------- what the packages list


@dataclass(frozen=True)
class _Listed:
    """A path of a package. ``kind`` is file, link or directory; without ``hashes`` any content will do."""

    path: str
    package: str
    kind: str = "file"
    hashes: frozenset[str] = frozenset()


def _listed(prefix: str) -> list[_Listed]:
    """Every path of every package but caches of bytecode, the packages' records, and what pip installed.

    Raises ValueError, naming the file, for a damaged record.
    """
    found: dict[str, _Listed] = {}
    for source in sorted(glob.glob(os.path.join(glob.escape(prefix), "conda-meta", "*.json"))):
        data = read_json(source) or {}
        package = str(data.get("name") or "")
        for listed in (_Listed(os.path.relpath(source, prefix), package), *_paths(data, package, source)):
            other = found.get(listed.path)
            found[listed.path] = _either(listed, other) if other else listed
    for listed in _listed_by_pip(prefix, set(found)):
        found.setdefault(listed.path, listed)
    return [listed for path, listed in found.items() if not _is_cache(path)]


def _paths(data: Mapping[str, Any], package: str, source: str) -> list[_Listed]:
    """What a record lists; old ones have names without hashes."""
    try:
        entries = (data.get("paths_data") or {}).get("paths") or [{"_path": path} for path in data.get("files") or ()]
        return [_path(entry, package) for entry in entries]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{source} does not list its files as conda does") from error


def _listed_by_pip(prefix: str, of_conda: set[str]) -> Iterator[_Listed]:
    """The files of the distributions that no conda package brought; pip's lists have their hashes."""
    pattern = os.path.join(glob.escape(prefix), "lib", "python*", "site-packages", "*.dist-info", "RECORD")
    for source in sorted(glob.glob(pattern)):
        if os.path.relpath(source, prefix) in of_conda:
            continue
        directory = os.path.dirname(source)
        site, package = os.path.split(directory)
        with open(source, encoding="utf-8", newline="") as stream:
            for row in csv.reader(stream):
                path = os.path.relpath(os.path.join(site, row[0]), prefix)
                yield _Listed(path, package.partition("-")[0], hashes=_recorded(row[1] if len(row) > 1 else ""))


def _recorded(text: str) -> frozenset[str]:
    """The sha256 (hex) of ``sha256=<base64 without padding>``; nothing for other hashes and for none."""
    algorithm, _mark, digest = text.partition("=")
    if algorithm != "sha256":
        return frozenset()
    return frozenset([base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()])


def _path(entry: Mapping[str, Any], package: str) -> _Listed:
    # Where the prefix was written into a file, its hash is another one than in the package.
    digest = entry.get("sha256_in_prefix") or ("" if entry.get("prefix_placeholder") else entry.get("sha256"))
    kind = _KINDS.get(entry.get("path_type", ""), "file")
    return _Listed(os.path.normpath(entry["_path"]), package, kind, frozenset([digest] if digest else ()))


def _either(one: _Listed, other: _Listed) -> _Listed:
    """One path of two packages, of which conda keeps either."""
    return replace(one, hashes=one.hashes | other.hashes if one.hashes and other.hashes else frozenset())


def _is_cache(path: str) -> bool:
    """Python writes and people remove these at any time."""
    return path.endswith(".pyc") or "__pycache__" in path


# ---------------------------------------------------------------- every file and its content


def check_files(prefix: str) -> list[Fault]:
    """Compare every file with its package's list: it is there, and has its hash where the list has one.

    Raises ValueError, naming the file, for a damaged record, and OSError for a file that cannot be read.
    """
    listed = _listed(prefix)
    batches = [listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing and reading let go of Python's lock
        return [fault for found in pool.map(partial(_faults, prefix), batches) for fault in found]


def _faults(prefix: str, batch: Iterable[_Listed]) -> list[Fault]:
    found = ((listed, _fault(os.path.join(prefix, listed.path), listed)) for listed in batch)
    return [Fault(listed.path, kind, listed.package) for listed, kind in found if kind]


def _fault(path: str, listed: _Listed) -> str:
    """What is wrong with a path, or nothing."""
    try:
        mode = os.lstat(path).st_mode
        if listed.kind != "file":
            expected = stat.S_ISLNK(mode) if listed.kind == "link" else os.path.isdir(path)
            return "" if expected else CHANGED
        if not listed.hashes:
            return ""
        # A package that was linked softly has its content behind a link.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return CHANGED
        return "" if _sha256(path) in listed.hashes else CHANGED
    except (FileNotFoundError, NotADirectoryError):
        return MISSING


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


# ---------------------------------------------------------------- every file, at a glance


def manifest(prefix: str) -> list[list[Any]]:
    """The size and the time of the last change of every file, for ``check_manifest``.

    One row for each directory of a package: ``[package, directory, names, sizes in bytes, times in ns]``; plain
    JSON. Raises ValueError for a damaged record and OSError for a file that is missing.
    """
    rows: dict[tuple[str, str], list[Any]] = {}
    for listed in _listed(prefix):
        if listed.kind != "directory":
            directory, name = os.path.split(listed.path)
            about = os.lstat(os.path.join(prefix, listed.path))
            row = rows.setdefault((listed.package, directory), [listed.package, directory, [], [], []])
            for column, value in zip(row[2:], (name, about.st_size, about.st_mtime_ns)):
                column.append(value)
    return list(rows.values())


def check_manifest(prefix: str, entries: Sequence[Sequence[Any]]) -> list[Fault]:
    """Compare sizes and times with a manifest, and look for packages that came later.

    No file is read, so that every run can afford it.
    """
    known = {name for row in entries if row[1] == "conda-meta" for name in row[2]}
    found = [Fault(os.path.join("conda-meta", name), NEW) for name in sorted(_records(prefix) - known)]
    for package, directory, names, sizes, times in entries:
        if not _is_same(os.path.join(prefix, directory), names, sizes, times):
            for name, size, time in zip(names, sizes, times):
                path = os.path.join(directory, name)
                kind = _difference(os.path.join(prefix, path), size, time)
                found += [Fault(path, kind, package)] if kind else []
    return found


def _records(prefix: str) -> set[str]:
    """The names of the packages' records."""
    with suppress(FileNotFoundError), os.scandir(os.path.join(prefix, "conda-meta")) as entries:
        return {entry.name for entry in entries if entry.name.endswith(".json")}
    return set()


def _is_same(directory: str, names: Sequence[str], sizes: Sequence[int], times: Sequence[int]) -> bool:
    """Whether all files of a directory are as they were: one look at each, by its name alone."""
    try:
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        about = [os.stat(name, dir_fd=handle, follow_symlinks=False) for name in names]
    except OSError:
        return False
    finally:
        os.close(handle)
    return [one.st_size for one in about] == sizes and [one.st_mtime_ns for one in about] == times


def _difference(path: str, size: int, time: int) -> str:
    try:
        about = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    return "" if (about.st_size, about.st_mtime_ns) == (size, time) else CHANGED


# ---------------------------------------------------------------- archives in local channels


def check_archives(packages: Iterable[LockedPackage]) -> list[str]:
    """One sentence for each archive in a local channel (``file://``) that is missing or another one.

    conda compares what it downloads with its hash, but not what it takes from a directory.
    """
    local = [package for package in packages if package.url.startswith("file://")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [sentence for sentence in pool.map(_check_archive, local) if sentence]


def _check_archive(package: LockedPackage) -> str:
    path = unquote(urlsplit(package.url).path)
    try:
        actual = _sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return f"{package.name}: {path} is missing"
    if actual == package.sha256:
        return ""
    expected = package.sha256[:_SHOWN_DIGITS]
    return f"{package.name}: {path} has the sha256 {actual[:_SHOWN_DIGITS]}… where the lock has {expected}…"


# ---------------------------------------------------------------- processes


def processes_using(prefix: str, proc: str = "/proc") -> list[int]:
    """The ids of the processes that run, work or have mapped a file below a prefix, or were told one.

    That is as far as one may see them.
    """
    return sorted(pid for pid, paths in paths_in_use(proc) if is_used(prefix, paths))


def paths_in_use(proc: str = "/proc") -> Iterator[tuple[int, set[str]]]:
    """The id of every process, with its program, its directories and the files that it has mapped."""
    for name in os.listdir(proc):
        if name.isdigit():
            yield int(name), _paths_of(os.path.join(proc, name))


def is_used(prefix: str, paths: Iterable[str]) -> bool:
    """Whether one of these paths is a prefix or below it."""
    real = os.path.realpath(prefix)
    return any(path == real or path.startswith(f"{real}/") for path in paths)


def _paths_of(process: str) -> set[str]:
    """Nothing where the process has ended meanwhile, or belongs to somebody else."""
    found = set()
    for name in ("exe", "cwd", "root"):
        with suppress(OSError):
            found.add(os.readlink(os.path.join(process, name)))
    # In a container root may not see more than this of other users' processes.
    with suppress(OSError), open(os.path.join(process, "cmdline"), "rb") as words:
        found.update(os.fsdecode(word) for word in words.read().split(b"\0") if word.startswith(b"/"))
    with suppress(OSError), open(os.path.join(process, "maps"), encoding="utf-8", errors="surrogateescape") as maps:
        rows = (line.rstrip("\n").split(maxsplit=_MAPPED_PATH) for line in maps)
        found.update(row[_MAPPED_PATH] for row in rows if len(row) > _MAPPED_PATH)
    return found
