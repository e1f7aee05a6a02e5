# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The fast engine: how it starts its driver, and what the driver does with real packages, channels and py-rattler."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import functools
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import textwrap
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda import rattler_driver
from ansible_collections.pystack.infra.plugins.module_utils.conda.integrity import check_files
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import Lock, LockedPackage
from ansible_collections.pystack.infra.plugins.module_utils.conda.rattler import Rattler
from ansible_collections.pystack.infra.plugins.module_utils.conda.records import read_snapshot
from ansible_collections.pystack.infra.plugins.module_utils.conda.runner import RunError

if TYPE_CHECKING:
    from tests.kit.conda.package import Package

MODULE_UTILS = Path(str(rattler_driver.__file__)).parent
SHA256 = "0" * 64
LOCK = Lock("linux-64", (LockedPackage.read("https://h.example/c/noarch/alpha-1.0-0.conda", SHA256),))
PYTHON_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
ARCHIVE = rattler_driver.Archive(
    "https://h.example/c/noarch/alpha-1.0-0.conda", SHA256, "alpha", "1.0", "0", "https://h.example/c", "noarch",
    "alpha-1.0-0.conda",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, on a machine whose files are private until somebody opens them."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.delenv("NETRC", raising=False)
    return path


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    path.chmod(0o755)
    return path


# ---------------------------------------------------------------- how the driver is started


@pytest.fixture
def pretend(tmp_path: Path) -> Callable[..., Rattler]:
    """An engine whose Python does as told: ``driver`` and ``request`` are the paths that it is given."""

    def engine(body: str, **more: Any) -> Rattler:
        text = f"#!{sys.executable}\nimport json, os, sys\n_, driver, request = sys.argv[1:]\n{textwrap.dedent(body)}"
        script(tmp_path / "engine/venv/bin/python", text)
        return Rattler(str(tmp_path / "engine"), **more)

    return engine


def failure(engine: Rattler, tmp_path: Path, lock: Lock = LOCK) -> RunError:
    with pytest.raises(RunError) as error:
        engine.install(str(tmp_path / "prefix"), lock, [])
    return error.value


def test_without_its_python_it_says_who_makes_it(tmp_path: Path) -> None:
    engine = Rattler(str(tmp_path))
    assert not engine.available()
    assert str(failure(engine, tmp_path)) == (
        f"rattler_dir: '{tmp_path}/venv/bin/python' is not there or not executable; "
        "the role conda_env makes it with conda_env_engine: rattler"
    )
    script(tmp_path / "venv/bin/python", "")
    assert engine.available()


def test_what_the_driver_is_given(pretend: Callable[..., Rattler], tmp_path: Path) -> None:
    seen = tmp_path / "seen.json"
    engine = pretend(f"""
        given = {{"flag": sys.argv[1], "request": json.load(open(request)), "source": open(driver).read()}}
        given["mode"] = os.stat(os.path.dirname(driver)).st_mode & 0o777
        given["directory"] = os.path.dirname(driver)
        json.dump(given, open({str(seen)!r}, "w"))
        print('{{"error": ""}}')
    """)
    engine.install("/p", LOCK, ["python=3.11", "c::alpha[version='>=1,<2']"])
    given = json.loads(seen.read_text())
    assert given["flag"] == "-I"
    assert given["source"] == (MODULE_UTILS / "rattler_driver.py").read_text()
    assert given["request"] == {
        "prefix": "/p",
        "cache": f"{tmp_path}/engine/pkgs",
        "packages": [vars(ARCHIVE)],
        "specs": ["python=3.11", "c::alpha[version='>=1,<2']"],
        "requested": {"python": "python=3.11", "alpha": "c::alpha[version='>=1,<2']"},
    }
    assert given["mode"] == 0o700
    assert not Path(given["directory"]).exists()


def test_nothing_personal_but_netrc_reaches_the_driver(
    pretend: Callable[..., Rattler], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen.json"
    engine = pretend(f"""
        json.dump({{**os.environ, "beside": os.path.dirname(driver)}}, open({str(seen)!r}, "w"))
        print('{{"error": ""}}')
    """)
    for name in ("PYTHONPATH", "CI", "XDG_CONFIG_HOME", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "x")
    engine.install("/p", LOCK, [])
    first = json.loads(seen.read_text())
    assert {"PYTHONPATH", "CI", "XDG_CONFIG_HOME", "NETRC"} & set(first) == set()
    assert (first["HOME"], first["HTTPS_PROXY"]) == (first["beside"], "x")
    (home / ".netrc").touch()
    engine.install("/p", LOCK, [])
    assert json.loads(seen.read_text())["NETRC"] == f"{home}/.netrc"
    monkeypatch.setenv("NETRC", str(seen))
    engine.install("/p", LOCK, [])
    assert json.loads(seen.read_text())["NETRC"] == str(seen)


def test_descriptors_that_are_kept(pretend: Callable[..., Rattler], tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        handle = held.fileno()
        pretend(f'os.fstat({handle})\nprint(\'{{"error": ""}}\')', keep_open=(handle,)).install("/p", LOCK, [])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", "exit code 3, and no answer; it printed nothing"),
        ("print('{broken'); sys.exit('out of\\nluck')", "exit code 1, and no answer; out of / luck"),
        ("os.kill(os.getpid(), 9)", "it was killed by signal 9"),
        ('print(\'{"error": "no https://u:pw@h.example/t/tk-1/c"}\')', "no https://***@h.example/t/***/c"),
    ],
)
def test_why_the_driver_failed(pretend: Callable[..., Rattler], tmp_path: Path, body: str, message: str) -> None:
    error = failure(pretend(body), tmp_path)
    assert str(error) == f"rattler install failed: {message}"
    assert set(error.details) == {"rc", "stdout", "stderr"}
    assert "pw@" not in str(error.details)


def test_after_its_answer_the_driver_may_end_as_it_likes(pretend: Callable[..., Rattler]) -> None:
    pretend('print(\'{"error": ""}\', flush=True); os.kill(os.getpid(), 6)').install("/p", LOCK, [])


def test_the_driver_comes_out_of_ansible_s_archive(pretend: Callable[..., Rattler], tmp_path: Path) -> None:
    """On a host the collection is a zip file that nobody unpacks."""
    archive = tmp_path / "payload.zip"
    package = "ansible_collections/pystack/infra/plugins/module_utils/conda"
    with zipfile.ZipFile(archive, "w") as target:
        for level in range(1, 6):
            target.writestr("/".join([*package.split("/")[:level], "__init__.py"]), "")
        for path in MODULE_UTILS.glob("*.py"):
            target.write(path, f"{package}/{path.name}")
    engine = pretend(f"open({str(tmp_path / 'seen')!r}, 'w').write(open(driver).read()); print('{{\"error\": \"\"}}')")
    program = f"""
        import sys
        sys.path.insert(0, {str(archive)!r})
        from {package.replace("/", ".")}.lock import Lock
        from {package.replace("/", ".")}.rattler import Rattler
        Rattler({engine.directory!r}).install("/p", Lock("linux-64", ()), [])
    """
    subprocess.run([sys.executable, "-I", "-c", textwrap.dedent(program)], check=True)
    assert (tmp_path / "seen").read_text() == (MODULE_UTILS / "rattler_driver.py").read_text()


# ---------------------------------------------------------------- parts of the driver


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (rattler_driver.Failure("a sentence"), "a sentence"),
        (
            RuntimeError("failed to link a.conda\nCaused by: failed to copy\nCaused by: No space left (os error 28)\n"),
            "failed to link a.conda; failed to copy; No space left (os error 28)",
        ),
        (RuntimeError("same\nCaused by: same"), "same"),
        (OSError(28, "No space left on device", "/p/x.pyc"), "/p/x.pyc: No space left on device"),
        (OSError("broke off"), "broke off"),
        (KeyError(), "KeyError"),
    ],
)
def test_problems_as_sentences(problem: Exception, message: str) -> None:
    assert rattler_driver.sentence(problem) == message


def test_history_in_conda_s_layout() -> None:
    other = replace(ARCHIVE, name="Aa", version="2", subdir="linux-64")
    lines = rattler_driver.history([ARCHIVE, other], ["alpha=1", "b[version='>=1']"]).splitlines()
    assert re.fullmatch(r"==> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d <==", lines[0])
    assert lines[1:] == [
        "# cmd: pystack.infra.conda_env engine=rattler",
        "+https://h.example/c/linux-64::Aa-2-0",
        "+https://h.example/c/noarch::alpha-1.0-0",
        """# update specs: ['alpha=1', "b[version='>=1']"]""",
    ]
    assert "specs" not in rattler_driver.history([ARCHIVE], [])


def test_nobody_else_writes_in_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "prefix/open").mkdir(parents=True)
    for path, mode in {"open": 0o777, "open/file": 0o664, "tool": 0o775}.items():
        if path != "open":
            (tmp_path / "prefix" / path).touch()
        (tmp_path / "prefix" / path).chmod(mode)
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o666)
    (tmp_path / "prefix/link").symlink_to(outside)
    rattler_driver.tighten(str(tmp_path / "prefix"))
    modes = {path: (tmp_path / "prefix" / path).stat().st_mode & 0o777 for path in ("open", "open/file", "tool")}
    assert modes == {"open": 0o755, "open/file": 0o644, "tool": 0o755}
    assert outside.stat().st_mode & 0o777 == 0o666


def test_only_one_driver_changes_a_cache(tmp_path: Path) -> None:
    cache = tmp_path / "pkgs"
    with rattler_driver._alone(str(cache)):
        handle = os.open(cache, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


def test_where_a_local_channel_is() -> None:
    assert replace(ARCHIVE, url="file:///srv/a%20b/noarch/c-1-0.conda").path == "/srv/a b/noarch/c-1-0.conda"
    assert ARCHIVE.path == ""


def test_after_a_failure_nothing_is_begun() -> None:
    begun = []

    class Provider(rattler_driver.Provider):
        async def provide(self, archive: rattler_driver.Archive) -> None:
            begun.append(archive)
            raise rattler_driver.Failure("no")

    with pytest.raises(rattler_driver.Failure, match="no"):
        asyncio.run(rattler_driver._provide([ARCHIVE] * 20, Provider("/cache", None)))
    assert len(begun) == 1


# ---------------------------------------------------------------- real packages, channels and py-rattler


def package(name: str, *depends: str, text: str = "", noarch: str | None = "generic") -> Package:
    """A package with one file, which its group may write."""
    from tests.kit.conda.package import Package

    made = Package(name, "1.0", "0", depends, noarch=noarch)
    made.add(f"share/{name}/data", (text or name).encode(), 0o664)
    return made


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves channels. Below /private it wants credentials; below /short it breaks its answers off at first."""

    asked: list[str]
    short: int

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/private/"):
            if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"me:hunter2").decode():
                self.send_error(401)
                return
            self.path = self.path[len("/private") :]
        if self.path.startswith("/short/"):
            self.path = self.path[len("/short") :]
            if type(self).short:
                type(self).short -= 1
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"PK")
                return
        super().do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


class World:
    """Channels as directories and behind a server, an engine, and prefixes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.channels = root / "channels"
        self.channels.mkdir()
        self.cache = root / "engine/pkgs"
        self.engine = Rattler(str(root / "engine"))
        script(root / "engine/venv/bin/python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        self.handler = type("OwnHandler", (Handler,), {"asked": [], "short": 0})
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(self.handler, directory=str(self.channels))
        )
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.local = self.channels.as_uri()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def asked(self) -> list[str]:
        """The paths that the server was asked for."""
        return list(self.handler.asked)  # type: ignore[attr-defined]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def publish(self, *packages: Package, channel: str = "main") -> list[tuple[str, str]]:
        """Write packages into a channel that has no index. Gives the path and sha256 of each."""
        records = [made.write(self.channels / channel) for made in packages]
        return [(f"{channel}/{record.subdir}/{record.file_name}", record.entry["sha256"]) for record in records]

    def lock(self, *files: tuple[str, str], base: str = "") -> Lock:
        return Lock(
            "linux-64", tuple(LockedPackage.read(f"{base or self.url}/{path}", sha256) for path, sha256 in files)
        )

    def install(self, name: str, lock: Lock, *specs: str) -> Path:
        prefix = self.root / "envs" / name
        before = os.umask(0o077)
        try:
            self.engine.install(str(prefix), lock, specs)
        finally:
            os.umask(before)
        assert check_files(str(prefix)) == []
        return prefix

    def failure(self, lock: Lock) -> str:
        message = str(failure(self.engine, self.root, lock))
        assert message.startswith("rattler install failed: ")
        return message[len("rattler install failed: ") :]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def meta(prefix: Path, name: str) -> dict[str, Any]:
    (path,) = prefix.glob(f"conda-meta/{name}-*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.controller
@pytest.mark.parametrize("local", [False, True], ids=["http", "file"])
def test_an_environment_is_exactly_its_lock(world: World, home: Path, local: bool) -> None:
    base = world.local if local else world.url
    files = world.publish(package("alpha"), package("beta", "alpha >=1", "__glibc", noarch=None))
    lock = world.lock(*files, base=base)
    prefix = world.install("lab", lock, "beta=1")
    found = read_snapshot(str(prefix)).conda
    assert found == lock.records()
    assert found["beta"].depends == ("__glibc", "alpha >=1")
    assert {name: record.requested for name, record in found.items()} == {"alpha": "", "beta": "beta=1"}
    archive = (world.channels / files[1][0]).read_bytes()
    record = meta(prefix, "beta")
    assert {key: record[key] for key in ("channel", "fn", "md5", "requested_specs", "size", "subdir", "url")} == {
        "channel": f"{base}/main/linux-64",
        "fn": "beta-1.0-0.conda",
        "md5": hashlib.md5(archive, usedforsecurity=False).hexdigest(),
        "requested_specs": ["beta=1"],
        "size": len(archive),
        "subdir": "linux-64",
        "url": f"{base}/main/linux-64/beta-1.0-0.conda",
    }
    assert (prefix / "share/alpha/data").read_text() == "alpha"
    assert names(prefix) == ["conda-meta", "share"]
    assert sorted(world.asked) == ([] if local else sorted(f"/{path}" for path, _sha256 in files))
    assert names(home) == []


@pytest.mark.controller
def test_addresses_stay_as_they_were_written(world: World) -> None:
    base = world.url.replace("127.0.0.1", "LocalHost")
    lock = world.lock(*world.publish(package("alpha")), base=base)
    assert read_snapshot(str(world.install("lab", lock))).conda == lock.records()


@pytest.mark.controller
def test_everybody_reads_and_nobody_else_writes(world: World) -> None:
    prefix = world.install("lab", world.lock(*world.publish(package("alpha"))))
    modes = {str(path.relative_to(prefix)): path.stat().st_mode & 0o777 for path in [prefix, *prefix.rglob("*")]}
    folders = {".", "conda-meta", "share", "share/alpha"}
    assert modes == {
        **dict.fromkeys(folders, 0o755),
        **dict.fromkeys(("conda-meta/alpha-1.0-0.json", "conda-meta/history", "share/alpha/data"), 0o644),
    }
    assert stat.S_IMODE(world.cache.stat().st_mode) == 0o755


@pytest.mark.controller
def test_conda_finds_its_way(world: World) -> None:
    """As far as a stand-in for conda, which reads the same files, can tell."""
    from tests.kit.conda_standin import history

    lock = world.lock(*world.publish(package("alpha"), package("beta", "alpha")))
    prefix = world.install("lab", lock, "beta[version='>=1']")
    (only,) = history.revisions(str(prefix))
    assert only.added == (f"{world.url}/main/noarch::alpha-1.0-0", f"{world.url}/main/noarch::beta-1.0-0")
    assert history.identities([meta(prefix, "alpha"), meta(prefix, "beta")]) == set(only.added)
    assert history.requested(str(prefix)) == {"beta": "beta[version='>=1']"}


@pytest.mark.controller
def test_a_package_of_the_older_format(world: World) -> None:
    index = json.dumps({key: value for key, value in package("old").index().items() if key != "subdir"})
    listed = {"_path": "share/old", "path_type": "hardlink", "sha256": hashlib.sha256(b"x").hexdigest()}
    texts = {"info/index.json": index, "info/paths.json": json.dumps({"paths": [listed], "paths_version": 1})}
    path = world.channels / "main/noarch/old-1.0-0.tar.bz2"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:bz2") as archive:
        for name, text in {**texts, "share/old": "x"}.items():
            item = tarfile.TarInfo(name)
            item.size = len(text)
            archive.addfile(item, io.BytesIO(text.encode()))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    prefix = world.install("lab", world.lock(("main/noarch/old-1.0-0.tar.bz2", sha256)))
    assert (prefix / "share/old").read_text() == "x"
    record = meta(prefix, "old")
    assert [record[key] for key in ("fn", "sha256", "subdir")] == ["old-1.0-0.tar.bz2", sha256, "noarch"]


@pytest.mark.controller
def test_an_empty_lock(world: World) -> None:
    assert names(world.install("lab", world.lock()) / "conda-meta") == ["history"]


# ---------------------------------------------------------------- hashes


@pytest.mark.controller
@pytest.mark.parametrize("local", [False, True], ids=["http", "file"])
def test_another_archive_is_refused_before_it_is_unpacked(world: World, local: bool) -> None:
    ((path, sha256),) = world.publish(package("alpha"))
    world.publish(package("alpha", text="another"))
    actual = hashlib.sha256((world.channels / path).read_bytes()).hexdigest()
    base = world.local if local else world.url
    message = world.failure(world.lock((path, sha256), base=base))
    assert message == f"{base}/{path} is not what was locked: its sha256 is {actual} and not {sha256}"
    assert names(world.cache) == []
    assert not (world.root / "prefix").exists()


@pytest.mark.controller
@pytest.mark.parametrize("local", [False, True], ids=["http", "file"])
def test_an_archive_that_is_in_the_cache_cannot_be_replaced_in_its_channel(world: World, local: bool) -> None:
    """A file of the cache is broken, so the archive is needed again; it is another one now."""
    files = world.publish(package("alpha"))
    lock = world.lock(*files, base=world.local if local else world.url)
    first = world.install("first", lock)
    (first / "share/alpha/data").write_text("wrong")
    world.publish(package("alpha", text="another"))
    assert re.search(r"is not what was locked|hash mismatch", world.failure(lock))


@pytest.mark.controller
@pytest.mark.parametrize("local", [False, True], ids=["http", "file"])
def test_equal_names_are_not_equal_archives(world: World, local: bool) -> None:
    base = world.local if local else world.url
    one = world.lock(*world.publish(package("alpha", text="one"), channel="one"), base=base)
    two = world.lock(*world.publish(package("alpha", text="two"), channel="two"), base=base)
    prefixes = [world.install(name, lock) for name, lock in (("a", one), ("b", two), ("c", one), ("d", two))]
    assert [(prefix / "share/alpha/data").read_text() for prefix in prefixes] == ["one", "two", "one", "two"]


@pytest.mark.controller
def test_what_is_in_the_cache_does_not_stand_in_for_what_cannot_be_fetched(world: World) -> None:
    world.install("one", world.lock(*world.publish(package("alpha", text="one"), channel="one")))
    ((path, sha256),) = world.publish(package("alpha", text="two"), channel="two")
    assert "is not there (HTTP 404)" in world.failure(world.lock((f"gone/{path}", sha256)))
    prefix = world.install("two", world.lock((path, sha256)))
    assert (prefix / "share/alpha/data").read_text() == "two"


# ---------------------------------------------------------------- the cache


@pytest.mark.controller
def test_what_is_in_the_cache_is_not_fetched_again(world: World) -> None:
    lock = world.lock(*world.publish(package("alpha"), package("beta")))
    first = world.install("first", lock)
    world.close()
    second = world.install("second", lock)
    assert len(world.asked) == 2
    assert (first / "share/alpha/data").samefile(second / "share/alpha/data")


@pytest.mark.controller
@pytest.mark.parametrize("local", [False, True], ids=["http", "file"])
def test_an_edited_environment_does_not_spoil_the_next_one(world: World, local: bool) -> None:
    lock = world.lock(*world.publish(package("alpha")), base=world.local if local else world.url)
    edited = world.install("edited", lock) / "share/alpha/data"
    edited.write_text("wrong")
    for name in ("next", "third"):
        assert (world.install(name, lock) / "share/alpha/data").read_text() == "alpha"
    assert edited.read_text() == "wrong"


@pytest.mark.controller
def test_what_a_killed_driver_left_is_not_used(world: World) -> None:
    lock = world.lock(*world.publish(package("alpha")))
    world.install("first", lock)
    entry = world.cache / "alpha-1.0-0"
    shutil.copytree(entry, world.cache / ".fetch-dead")
    (entry / "info/repodata_record.json").write_text('{"sha')
    (entry / "share/alpha/data").unlink()
    assert (world.install("second", lock) / "share/alpha/data").read_text() == "alpha"
    assert [path.name for path in world.cache.iterdir() if path.is_dir()] == ["alpha-1.0-0"]
    assert len(world.asked) == 2


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.controller
def test_a_package_that_is_gone(world: World) -> None:
    files = world.publish(package("alpha"), package("beta"))
    (world.channels / files[1][0]).unlink()
    assert world.failure(world.lock(*files)) == (
        f"{world.url}/{files[1][0]} is not there (HTTP 404): the channel no longer has the package, or this is not the "
        "mirror that the lock was made with; make the lock anew"
    )
    assert world.failure(world.lock(files[1], base=world.local)) == (
        f"{world.local}/{files[1][0]} cannot be read: No such file or directory"
    )


@pytest.mark.controller
def test_a_server_that_does_not_answer(world: World) -> None:
    lock = world.lock(*world.publish(package("alpha")))
    world.close()
    message = world.failure(lock)
    assert message.startswith(f"{world.url}/main/noarch/alpha-1.0-0.conda cannot be fetched into {world.cache}: ")
    assert message.endswith(": Connection refused (os error 111)")
    assert [path for path in world.cache.iterdir() if path.is_dir()] == []


@pytest.mark.controller
def test_a_download_that_broke_off_is_tried_again(world: World) -> None:
    lock = world.lock(*world.publish(package("alpha")), base=f"{world.url}/short")
    world.handler.short = 2  # type: ignore[attr-defined]
    world.install("lab", lock)
    assert len(world.asked) == 3
    shutil.rmtree(world.cache)
    world.handler.short = 3  # type: ignore[attr-defined]
    assert f"alpha-1.0-0.conda cannot be fetched into {world.cache}: error decoding" in world.failure(lock)


@pytest.mark.controller
def test_credentials_come_from_netrc_and_stay_there(world: World, home: Path) -> None:
    lock = world.lock(*world.publish(package("alpha")), base=f"{world.url}/private")
    assert world.failure(lock) == (
        f"{world.url}/private/main/noarch/alpha-1.0-0.conda is refused (HTTP 401); credentials for it belong into "
        "~/.netrc (mode 0600)"
    )
    (home / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    prefix = world.install("lab", lock)
    (prefix / "share/alpha/data").write_text("wrong")  # so that it has to be fetched once more
    assert (world.install("next", lock) / "share/alpha/data").read_text() == "alpha"
    written = [path for root in (prefix, world.cache) for path in root.rglob("*") if path.is_file()]
    assert [path for path in written if b"hunter2" in path.read_bytes()] == []


@pytest.mark.controller
def test_a_file_that_is_not_what_it_is_called(world: World) -> None:
    ((path, sha256),) = world.publish(package("alpha"))
    (world.channels / path).rename(world.channels / "main/noarch/gamma-1.0-0.conda")
    assert world.failure(world.lock(("main/noarch/gamma-1.0-0.conda", sha256))) == (
        f"{world.url}/main/noarch/gamma-1.0-0.conda holds alpha-1.0-0, which is not what it is called"
    )
    (world.channels / path).write_text("text")
    sha256 = hashlib.sha256(b"text").hexdigest()
    assert world.failure(world.lock((path, sha256))).startswith(
        f"{world.url}/{path} cannot be unpacked in {world.cache}: "
    )


@pytest.mark.controller
def test_a_script_that_fails_fails_the_installation(world: World) -> None:
    good, bad = package("good"), package("bad")
    good.add("bin/.good-post-link.sh", b'#!/bin/sh\necho ran > "$PREFIX/good"\n', 0o755)
    bad.add("bin/.bad-post-link.sh", b"#!/bin/sh\nexit 3\n", 0o755)
    files = world.publish(good, bad)
    assert (world.install("lab", world.lock(files[0])) / "good").read_text() == "ran\n"
    assert world.failure(world.lock(*files)) == (
        "bin/.bad-post-link.sh of bad failed, a script that has to run when the package is installed"
    )


@pytest.mark.controller
def test_an_engine_without_py_rattler(world: World) -> None:
    script(world.root / "engine/venv/bin/python", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    message = world.failure(world.lock(*world.publish(package("alpha"))))
    assert re.fullmatch(r"\S+ has no py-rattler that works \(.*rattler.*\); remove it to have it made anew", message)


# ---------------------------------------------------------------- bytecode


def python(log: Path, does: str = f'exec {sys.executable} "$@"') -> Package:
    """A package whose Python is the one of the tests; it notes what it holds open whenever it starts."""
    from tests.kit.conda.package import Package

    made = Package("python", f"{PYTHON_VERSION}.0", "0", (), noarch=None)
    made.add("bin/python", f"#!/bin/sh\nls -l /proc/self/fd | tr '\\n' ' ' >> {log}\n{does}\n".encode(), 0o755)
    made.add(f"lib/python{PYTHON_VERSION}/site-packages/native.py", b"x = 1\n")
    return made


def greeter() -> Package:
    from tests.kit.conda.package import Package

    made = Package("greeter", "1.0", "0", ("python",), noarch="python")
    made.add("site-packages/greeter/__init__.py", b"def hello():\n    return 'hello'\n", 0o664)
    made.add("site-packages/greeter/template.py", b"{{ cookiecutter }} =\n")
    made.add("site-packages/greeter/notes.txt", b"no source\n")
    made.add("python-scripts/greet.py", b"print('hello')\n")
    entry_points = {"type": "python", "entry_points": ["greet = greeter:hello"]}
    made.info["info/link.json"] = json.dumps({"noarch": entry_points, "package_metadata_version": 1})
    return made


LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
import greeter
print(greeter.__cached__, greeter.hello.__code__.co_filename)
"""


@pytest.mark.controller
def test_pure_python_is_compiled_once_for_all_environments(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    lock = world.lock(*world.publish(python(log), greeter()))
    with (tmp_path / "held").open("w") as held:
        world.engine = replace(world.engine, keep_open=(held.fileno(),))
        os.environ["SOURCE_DATE_EPOCH"] = "1"
        try:
            first = world.install("first", lock)
        finally:
            del os.environ["SOURCE_DATE_EPOCH"]
    assert log.read_text().count(f"-> {tmp_path}/held") == 1
    site = f"lib/python{PYTHON_VERSION}/site-packages"
    bytecode = f"{site}/greeter/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"
    assert [str(path.relative_to(first)) for path in first.rglob("*.pyc")] == [bytecode]
    assert stat.S_IMODE((first / bytecode).stat().st_mode) == 0o644
    assert stat.S_IMODE((first / "bin/greet").stat().st_mode) == 0o755
    record = meta(first, "greeter")
    assert bytecode in record["files"]
    assert {"_path": bytecode, "path_type": "pyc_file"} in record["paths_data"]["paths"]

    log.unlink()
    second = world.install("second", lock)
    assert log.read_text().count("total") == 1  # for the source that cannot be compiled
    assert meta(second, "greeter")["files"] == record["files"]
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", LOAD, str(second / site)], check=True, capture_output=True, text=True
    )
    assert loaded.stdout.split() == [str(second / bytecode), f"{second}/{site}/greeter/__init__.py"]
    # Python would have replaced what does not belong to its source.
    assert (second / bytecode).samefile(first / bytecode)


@pytest.mark.controller
def test_bytecode_of_another_source_is_not_taken(world: World, tmp_path: Path) -> None:
    log = tmp_path / "log"
    lock = world.lock(*world.publish(python(log), greeter()))
    first = world.install("first", lock)
    (bytecode,) = (world.cache / "greeter-1.0-0").rglob("*.pyc")
    stale = bytecode.read_bytes()
    bytecode.unlink()
    bytecode.write_bytes(stale[:8] + bytes(8) + stale[16:])
    second = world.install("second", lock)
    (made,) = second.rglob("*.pyc")
    assert made.read_bytes()[8:16] == next(first.rglob("*.pyc")).read_bytes()[8:16]
    assert made.samefile(bytecode)


@pytest.mark.controller
@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("echo no luck >&2; exit 5", "does not work: exit code 5, no luck"),
        ("kill -9 $$", "does not work: exit code -9"),
    ],
)
def test_an_environment_whose_python_does_not_work(world: World, tmp_path: Path, does: str, message: str) -> None:
    lock = world.lock(*world.publish(python(tmp_path / "log", does), greeter()))
    assert world.failure(lock) == f"{world.root}/prefix/bin/python {message}"


@pytest.mark.controller
def test_py_rattler_reads_what_became_of_its_records(world: World, tmp_path: Path) -> None:
    prefix = world.install("lab", world.lock(*world.publish(python(tmp_path / "log"), greeter())), "greeter")
    program = """
        import os, sys
        from rattler import PrefixRecord
        print(*(PrefixRecord.from_path(path).name.normalized for path in sys.argv[1:]), flush=True)
        os._exit(0)
    """
    paths = sorted(map(str, prefix.glob("conda-meta/*.json")))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *paths], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["greeter", "python"]
