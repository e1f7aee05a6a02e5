# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Installing a lock by py-rattler: the program that class Rattler runs under a Python that has it.

Its argument is a file with the request, a JSON object: ``prefix`` and ``cache`` (directories), ``packages`` (those of
the lock, see ``Archive``), ``specs`` (what was declared) and ``requested`` (the same by name of package). Its answer is
one JSON object on standard output: ``error`` is empty, or one sentence.

The lock says what to install, so no index of a channel is read. As conda does for explicit files, the record of a
package is made of the archive itself and kept beside its content in the cache:

    <cache>/<name>-<version>-<build>/                            what was in an archive with the lock's sha256
    <cache>/<name>-<version>-<build>/info/repodata_record.json   its record; an entry without it is not complete
    <cache>/.fetch-*/                                            a download under way

Sources: the standards CEP 32 "Management and structure of conda environments" and CEP 34 "Contents of conda packages"
(https://conda.org/learn/ceps/), PEP 552 (the head of files of bytecode), and py-rattler 0.28's documentation.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

_WORK = ".fetch-"
_RECORD = os.path.join("info", "repodata_record.json")
_CHUNK_BYTES = 1 << 18
_DOWNLOADS = 8
_ATTEMPTS = 3
_FILES_PER_PROCESS = 100
_OTHERS_WRITE = 0o022
_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d+) ?([^)]*)\)")
_SOURCE = re.compile(r"(lib/python([0-9]+)\.([0-9]+t?)/)(site-packages/(?:.*/)?)([^/]+)\.py")
_HEAD = struct.Struct("<4xIII")  # flags, and the source's time and size, behind the magic number


class Failure(Exception):
    """Nothing can be installed; the message is one sentence."""


@dataclass(frozen=True)
class Archive:
    """A package of the lock. ``channel`` is a URL without the platform, which is ``subdir``."""

    url: str
    sha256: str
    name: str
    version: str
    build: str
    channel: str
    subdir: str
    file_name: str

    @property
    def identity(self) -> str:
        """What the package is called in the cache and in ``conda-meta``."""
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def path(self) -> str:
        """The archive itself where its channel is a directory (``file://``), else nothing."""
        parts = urlsplit(self.url)
        return unquote(parts.path) if parts.scheme == "file" else ""


# ---------------------------------------------------------------- the program


def main(path: str) -> None:
    """Carry out the request in a file, answer, and end this process."""
    os.umask(0o022)
    error = ""
    try:
        with open(path, encoding="utf-8") as stream:
            install(json.load(stream))
    except Exception as problem:
        traceback.print_exc()
        error = sentence(problem)
    print(json.dumps({"error": error}), flush=True)
    # At the interpreter's own end py-rattler has been seen to abort it.
    os._exit(1 if error else 0)


def install(request: Mapping[str, Any]) -> None:
    """Make a new prefix of exactly the packages of a request; Failure, or an error of py-rattler, when that fails."""
    archives = [Archive(**package) for package in request["packages"]]
    prefix, cache = request["prefix"], request["cache"]
    with _alone(cache):
        asyncio.run(_install(archives, prefix, cache))
        records = [_read_json(_conda_meta(prefix, f"{archive.identity}.json")) for archive in archives]
        tighten(prefix)
        compiled = share_bytecode(prefix, records)
    for archive, record in zip(archives, records):
        spec = request["requested"].get(archive.name, "")
        finished = complete(record, archive, spec, compiled.get(archive.name, ()))
        _write_json(_conda_meta(prefix, f"{archive.identity}.json"), finished)
    # Says that backups may leave a directory out.
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(prefix, "CACHEDIR.TAG"))
    with open(_conda_meta(prefix, "history"), "w", encoding="utf-8") as stream:
        stream.write(history(archives, request["specs"]))


def sentence(problem: BaseException) -> str:
    """Why the installation failed. py-rattler puts the cause behind what failed, line by line."""
    text = str(problem)
    if isinstance(problem, Failure):
        return text
    if isinstance(problem, OSError) and problem.filename:
        return f"{problem.filename}: {problem.strerror}"
    lines = list(dict.fromkeys(line.strip() for line in text.replace("Caused by: ", "").splitlines() if line.strip()))
    return "; ".join(lines) or type(problem).__name__


@contextmanager
def _alone(cache: str) -> Iterator[None]:
    """Hold the cache, which this program alone writes, and clear it of what a killed one left."""
    os.makedirs(cache, mode=0o755, exist_ok=True)
    handle = os.open(cache, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for name in os.listdir(cache):
            if name.startswith(_WORK):
                shutil.rmtree(os.path.join(cache, name))
        yield
    finally:
        os.close(handle)


def _conda_meta(prefix: str, name: str) -> str:
    return os.path.join(prefix, "conda-meta", name)


def _read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as stream:
        value: dict[str, Any] = json.load(stream)
    return value


def _write_json(path: str, value: Mapping[str, Any]) -> None:
    """Write a file that everybody may read; py-rattler makes those of ``conda-meta`` for their owner alone."""
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=2, sort_keys=True)
    os.chmod(path, 0o644)


# ---------------------------------------------------------------- py-rattler


class _Scripts:
    """Hears of the packages' scripts, whose failures py-rattler passes over."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.failed: list[str] = []

    def on_post_link_start(self, package_name: str, script_path: str) -> int:
        self.names.append(f"{script_path} of {package_name}")
        return len(self.names) - 1

    def on_post_link_complete(self, index: int, success: bool) -> None:
        if not success:
            self.failed.append(self.names[index])


def _rattler(name: str = "") -> Any:
    """py-rattler or a part of it; only this Python has it."""
    try:
        return importlib.import_module(f"rattler{name}")
    except ImportError as error:
        raise Failure(f"{sys.prefix} has no py-rattler that works ({error}); remove it to have it made anew") from error


async def _install(archives: Sequence[Archive], prefix: str, cache: str) -> None:
    rattler, caching = _rattler(), _rattler(".package_cache")
    # Knows ~/.netrc, the system's certificates, SSL_CERT_FILE and the variables that name proxies.
    client = _rattler(".networking").Client.default_client()
    # What an entry holds may have been edited since, through an environment that has it as hard links.
    known = any(cached(cache, archive) for archive in archives)
    validation = caching.ValidationMode.full() if known else caching.ValidationMode.skip()
    await _provide(archives, Provider(cache, client))
    scripts = _Scripts()
    await rattler.install(
        records=[_record(rattler, cache, archive) for archive in archives],
        target_prefix=prefix,
        client=client,
        # Hard links like conda's: on XFS copies on write take three times as long.
        config=_rattler(".config").Config.from_toml("allow-ref-links = false"),
        package_cache=caching.PackageCache.new_layered([cache], validation_mode=validation),
        execute_link_scripts=True,
        reporter=scripts,
        show_progress=False,
    )
    if scripts.failed:
        raise Failure(f"{', '.join(scripts.failed)} failed, a script that has to run when the package is installed")


def _record(rattler: Any, cache: str, archive: Archive) -> Any:
    known = cached(cache, archive)
    hashes = {key: known[key] for key in ("md5", "sha256", "size")}
    found = rattler.PackageRecord.from_index_json(os.path.join(cache, archive.identity, _RECORD), **hashes)
    return rattler.RepoDataRecord(found, archive.file_name, archive.url, _channel(archive))


def _channel(archive: Archive) -> str:
    return f"{archive.channel}/{archive.subdir}"


# ---------------------------------------------------------------- the cache


def cached(cache: str, archive: Archive) -> dict[str, Any]:
    """The record of an archive whose content is in the cache, else nothing.

    py-rattler notes a package's sha256 before it fetches it, and takes what is there for it when that fails.
    """
    try:
        record = _read_json(os.path.join(cache, archive.identity, _RECORD))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return record if record.get("sha256") == archive.sha256 else {}


@dataclass(frozen=True)
class Provider:
    """Brings archives into the cache, none before it has been compared with its sha256."""

    cache: str
    client: Any

    async def provide(self, archive: Archive) -> None:
        """Have the content of an archive in the cache; Failure where it cannot be had."""
        if archive.path:
            await asyncio.to_thread(verify, archive.path, archive)
        if cached(self.cache, archive):
            return
        work = tempfile.mkdtemp(prefix=_WORK, dir=self.cache)
        try:
            path = archive.path
            if not path:
                path = os.path.join(work, archive.file_name)
                await self._download(archive, path)
                await asyncio.to_thread(verify, path, archive)
            await asyncio.to_thread(self._unpack, path, archive, work)
        finally:
            shutil.rmtree(work)

    async def _download(self, archive: Archive, path: str) -> None:
        streaming = _rattler(".package_streaming")
        for attempt in range(_ATTEMPTS):
            try:
                await streaming.download_to_path(self.client, archive.url, path)
            except Exception as error:
                # An OSError means that the answer broke off. All else py-rattler's client has tried again by itself.
                if attempt + 1 < _ATTEMPTS and isinstance(error, OSError):
                    continue
                raise Failure(await self._why_not(archive, error)) from error
            return

    async def _why_not(self, archive: Archive, error: Exception) -> str:
        status = _STATUS.search(str(error))
        if isinstance(error, OSError) or not status:
            cause = "" if isinstance(error, OSError) else await self._cause(archive)
            return f"{archive.url} cannot be fetched into {self.cache}: {cause or sentence(error)}"
        code, phrase = status.groups()
        if code in ("404", "410"):
            return (
                f"{archive.url} is not there (HTTP {code}): the channel no longer has the package, or this is not the "
                "mirror that the lock was made with; make the lock anew"
            )
        if code in ("401", "403", "407"):
            return f"{archive.url} is refused (HTTP {code}); credentials for it belong into ~/.netrc (mode 0600)"
        return f"{archive.url} cannot be fetched: HTTP {code} {phrase}".rstrip()

    async def _cause(self, archive: Archive) -> str:
        """Why a server cannot be reached. Only an installation tells it, so one is tried that ends there."""
        rattler = _rattler()
        record = rattler.PackageRecord(archive.name, archive.version, rattler.BuildString(archive.build), 0, "noarch")
        wanted = rattler.RepoDataRecord(record, archive.file_name, archive.url, _channel(archive))
        with tempfile.TemporaryDirectory(prefix=_WORK, dir=self.cache) as work:
            try:
                prefix, cache = os.path.join(work, "prefix"), os.path.join(work, "cache")
                await rattler.install([wanted], prefix, cache, show_progress=False)
            except Exception as error:
                return sentence(error).rpartition("; ")[2]
        return ""

    def _unpack(self, path: str, archive: Archive, work: str) -> None:
        content = os.path.join(work, "content")
        try:
            _sha256, md5 = _rattler(".package_streaming").extract(path, content)
        except OSError as error:
            raise Failure(f"{archive.url} cannot be unpacked in {self.cache}: {sentence(error)}") from error
        index = _read_json(os.path.join(content, "info", "index.json"))
        inside = f"{str(index.get('name')).lower()}-{index.get('version')}-{index.get('build')}"
        if inside != archive.identity:
            raise Failure(f"{archive.url} holds {inside}, which is not what it is called")
        record = {
            **index,
            "channel": _channel(archive),
            "fn": archive.file_name,
            "md5": md5.hex(),
            "sha256": archive.sha256,
            "size": os.path.getsize(path),
            "subdir": archive.subdir,
            "url": archive.url,
        }
        _write_json(os.path.join(content, _RECORD), record)
        entry = os.path.join(self.cache, archive.identity)
        if os.path.isdir(entry):
            shutil.rmtree(entry)
        os.rename(content, entry)


async def _provide(archives: Sequence[Archive], provider: Provider) -> None:
    """Have all archives in the cache. After a failure none is begun any more; those under way come to their end."""
    limit = asyncio.Semaphore(_DOWNLOADS)
    failures: list[Exception] = []

    async def provide(archive: Archive) -> None:
        async with limit:
            if not failures:
                try:
                    await provider.provide(archive)
                except Exception as error:
                    failures.append(error)

    await asyncio.gather(*map(provide, archives))
    if failures:
        raise failures[0]


def verify(path: str, archive: Archive) -> None:
    """Raise Failure unless a file has the sha256 of an archive."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise Failure(f"{archive.url} cannot be read: {error.strerror}") from error
    actual = digest.hexdigest()
    if actual != archive.sha256:
        raise Failure(f"{archive.url} is not what was locked: its sha256 is {actual} and not {archive.sha256}")


# ---------------------------------------------------------------- the prefix


def tighten(prefix: str) -> None:
    """Let nobody but the owner write; packages bring files, and py-rattler writes commands, that their group may."""
    waiting = [prefix]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    continue
                mode = entry.stat(follow_symlinks=False).st_mode
                if mode & _OTHERS_WRITE:
                    os.chmod(entry.path, mode & 0o7777 & ~_OTHERS_WRITE)
                if entry.is_dir():
                    waiting.append(entry.path)


@dataclass(frozen=True)
class _Bytecode:
    """Bytecode of a package: its path in a prefix and of its source there, and its place in the cache."""

    package: str
    path: str
    source: str
    target: str
    cached: str


def share_bytecode(prefix: str, records: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Give the ``noarch: python`` packages their bytecode: that from the cache, or new one, which is put there.

    Returns the paths of the files by name of package. Python tells by the head of such a file whether it belongs to
    a source. A source that cannot be compiled, such as a template, is no error.
    """
    every = [found for record in records for found in _bytecode(prefix, record)]
    new = [found for found in every if not (_fits(found) and _link(found.cached, found.target))]
    _compile(prefix, [found.source for found in new])
    there = [found for found in every if os.path.exists(found.target)]
    for found in set(new) & set(there):
        with suppress(FileNotFoundError):
            os.unlink(found.cached)
        _link(found.target, found.cached)
    paths: dict[str, list[str]] = {}
    for found in there:
        paths.setdefault(found.package, []).append(found.path)
    return paths


def _bytecode(prefix: str, record: Mapping[str, Any]) -> Iterator[_Bytecode]:
    """What there can be of a package; conda compiles no others either."""
    if record.get("noarch") != "python":
        return
    for source in record["files"]:
        found = _SOURCE.fullmatch(source)
        if found:
            library, major, minor, folder, name = found.groups()
            path = f"{folder}__pycache__/{name}.cpython-{major}{minor}.pyc"
            cached = os.path.join(record["extracted_package_dir"], path)
            path = library + path
            yield _Bytecode(record["name"], path, f"{prefix}/{source}", f"{prefix}/{path}", cached)


def _fits(found: _Bytecode) -> bool:
    """Whether there is bytecode in the cache, made of this source."""
    try:
        with open(found.cached, "rb", buffering=0) as stream:
            flags, seconds, size = _HEAD.unpack(stream.read(_HEAD.size))
    except (OSError, struct.error):
        return False
    about = os.stat(found.source)
    mask = 0xFFFFFFFF
    return (flags, seconds, size) == (0, int(about.st_mtime) & mask, about.st_size & mask)


def _link(source: str, target: str) -> bool:
    """Give a file another name; a copy where the file system cannot do that. False where there is one already."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        shutil.copyfile(source, target)
    return True


def _compile(prefix: str, sources: Sequence[str]) -> None:
    """Compile files by the environment's own Python, on all processors."""
    if not sources:
        return
    count = min(len(os.sched_getaffinity(0)), 1 + len(sources) // _FILES_PER_PROCESS)
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(partial(_run_compileall, prefix), [sources[start::count] for start in range(count)]))


def _run_compileall(prefix: str, sources: Sequence[str]) -> None:
    python = os.path.join(prefix, "bin", "python")
    # With this variable bytecode is checked by its content, at every import.
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    try:
        done = subprocess.run(
            [python, "-I", "-W", "ignore", "-m", "compileall", "-q", "-q", "-i", "-"],
            input="".join(f"{source}\n" for source in sources).encode(),
            capture_output=True,
            env=environment,
            close_fds=False,  # whoever holds the run's lock holds it
            check=False,
        )
    except OSError as error:
        raise Failure(f"{python} cannot be started: {error.strerror}") from error
    if done.returncode not in (0, 1):
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise Failure(f"{python} does not work: exit code {done.returncode}" + (f", {last}" if last else ""))


def complete(record: Mapping[str, Any], archive: Archive, spec: str, bytecode: Sequence[str]) -> dict[str, Any]:
    """A record of ``conda-meta`` with what conda would have written too: the URLs letter by letter, the bytecode, and
    the specification that asked for the package, if any."""
    paths = record["paths_data"]
    more = [{"_path": path, "path_type": "pyc_file"} for path in bytecode]
    asked = {"requested_spec": spec, "requested_specs": [spec]} if spec else {}
    return {
        **record,
        **asked,
        "channel": _channel(archive),
        "files": [*record["files"], *bytecode],
        "paths_data": {**paths, "paths": [*paths["paths"], *more]},
        "url": archive.url,
    }


def history(archives: Sequence[Archive], specs: Sequence[str]) -> str:
    """The history of a new environment, in conda's layout. conda's version is left out, since no conda was there:
    conda refuses environments of a newer one than itself."""
    lines = [time.strftime("==> %Y-%m-%d %H:%M:%S <=="), "# cmd: pystack.infra.conda_env engine=rattler"]
    lines += sorted(f"+{_channel(archive)}::{archive.identity}" for archive in archives)
    lines += [f"# update specs: {list(specs)!r}"] if specs else []
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1])
