# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Whether files are what packages brought, and who is using them: on real files, links and processes."""

from __future__ import annotations

import base64
import hashlib
import json
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.conda import integrity
from ansible_collections.pystack.infra.plugins.module_utils.conda.integrity import (
    Fault,
    check_archives,
    check_files,
    check_manifest,
    manifest,
    processes_using,
)
from ansible_collections.pystack.infra.plugins.module_utils.conda.lock import LockedPackage

OTHER = hashlib.sha256(b"as it was in the package").hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(prefix: Path, path: str, content: bytes = b"content") -> dict[str, Any]:
    """Write a file below the prefix and give the entry that its package has for it."""
    target = prefix / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return {"_path": path, "path_type": "hardlink", "sha256": sha256(content), "size_in_bytes": len(content)}


def record(prefix: Path, name: str, *paths: Any, **more: Any) -> Path:
    """Write the record of a package, which makes the prefix an environment."""
    (prefix / "conda-meta").mkdir(exist_ok=True)
    target = prefix / f"conda-meta/{name}-1.0-0.json"
    data = {"name": name, "files": [], "paths_data": {"paths_version": 1, "paths": list(paths)}}
    target.write_text(json.dumps({**data, **more}))
    return target


def titles(faults: list[Fault]) -> list[str]:
    return [fault.title() for fault in faults]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment with two packages: files, a link, a directory and caches of bytecode."""
    root = tmp_path / "an [odd]* place"
    root.mkdir()
    (root / "lib").mkdir()
    (root / "lib/libx.so").symlink_to("libx.so.1")
    (root / "share/empty").mkdir(parents=True)
    link = {"_path": "lib/libx.so", "path_type": "softlink", "sha256": OTHER, "size_in_bytes": 3}
    caches = [write(root, "site/__pycache__/m.nbi"), {"_path": "site/__pycache__/m.pyc", "path_type": "pyc_file"}]
    write(root, "site/__pycache__/m.pyc")
    record(root, "libx", write(root, "lib/libx.so.1", b"\x7fELF"), link)
    directory = {"_path": "share/empty", "path_type": "directory"}
    record(root, "tool", write(root, "site/m.py"), write(root, "site/pkg/n.py", b"n"), *caches, directory)
    (root / "conda-meta/history").write_text("==> a run <==\n")
    return root


# ---------------------------------------------------------------- every file and its content


def test_a_sound_environment(prefix: Path) -> None:
    assert check_files(str(prefix)) == []


def test_no_environment_has_no_faults(tmp_path: Path) -> None:
    assert (check_files(str(tmp_path)), manifest(str(tmp_path))) == ([], [])


def test_faults_name_the_file_what_happened_and_the_package(prefix: Path) -> None:
    (prefix / "site/m.py").write_bytes(b"Content")  # as long as before
    (prefix / "lib/libx.so.1").unlink()
    assert check_files(str(prefix)) == [
        Fault("lib/libx.so.1", "missing", "libx"),
        Fault("site/m.py", "changed", "tool"),
    ]
    assert titles(check_files(str(prefix))) == ["lib/libx.so.1 is missing (libx)", "site/m.py is changed (tool)"]
    assert Fault("a", "missing").title() == "a is missing"


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def replace_parent_by_file(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.touch()


@pytest.mark.parametrize(
    ("path", "do", "kind"),
    [
        ("site/m.py", replace_by_directory, "changed"),
        ("site/m.py", replace_by_pipe, "changed"),
        ("site/m.py", replace_by_link, "missing"),
        ("site/pkg/n.py", replace_parent_by_file, "missing"),
        ("lib/libx.so", Path.unlink, "missing"),
        ("lib/libx.so", replace_by_directory, "changed"),
        ("share/empty", Path.rmdir, "missing"),
    ],
)
def test_another_kind_of_file_is_a_fault(prefix: Path, path: str, do: Callable[[Path], None], kind: str) -> None:
    do(prefix / path)
    assert [(fault.path, fault.kind) for fault in check_files(str(prefix))] == [(path, kind)]


def test_a_link_that_became_a_file_is_changed(prefix: Path) -> None:
    link = prefix / "lib/libx.so"
    link.unlink()
    link.write_bytes(b"\x7fELF")
    assert titles(check_files(str(prefix))) == ["lib/libx.so is changed (libx)"]


def test_a_directory_that_became_a_file_is_changed(prefix: Path) -> None:
    (prefix / "share/empty").rmdir()
    (prefix / "share/empty").touch()
    assert titles(check_files(str(prefix))) == ["share/empty is changed (tool)"]


def test_a_link_need_not_lead_anywhere(prefix: Path) -> None:
    replace_by_link(prefix / "lib/libx.so")
    assert check_files(str(prefix)) == []


def test_caches_of_bytecode_are_nobodys_concern(prefix: Path) -> None:
    before = manifest(str(prefix))
    (prefix / "site/__pycache__/m.pyc").write_bytes(b"made anew, and longer than before")
    assert check_files(str(prefix)) == check_manifest(str(prefix), before) == []
    shutil.rmtree(prefix / "site/__pycache__")
    assert check_files(str(prefix)) == check_manifest(str(prefix), before) == []


@pytest.mark.parametrize(
    ("hashes", "sound"),
    [
        ({"sha256": OTHER, "sha256_in_prefix": sha256(b"#!/envs/a/bin/python")}, True),
        ({"sha256": sha256(b"#!/envs/a/bin/python"), "sha256_in_prefix": OTHER}, False),
        ({"sha256": OTHER, "sha256_in_prefix": OTHER, "prefix_placeholder": "/opt/placeholder"}, False),
        # What it should be with the prefix written into it, nobody knows.
        ({"sha256": OTHER, "prefix_placeholder": "/opt/placeholder", "file_mode": "text"}, True),
        ({"sha256": OTHER, "prefix_placeholder": ""}, False),
        ({}, True),
    ],
)
def test_the_hash_that_counts(tmp_path: Path, hashes: dict[str, str], sound: bool) -> None:
    entry = write(tmp_path, "bin/run", b"#!/envs/a/bin/python")
    del entry["sha256"]
    record(tmp_path, "tool", {**entry, **hashes})
    assert titles(check_files(str(tmp_path))) == ([] if sound else ["bin/run is changed (tool)"])
    (tmp_path / "bin/run").unlink()
    assert titles(check_files(str(tmp_path))) == ["bin/run is missing (tool)"]


@pytest.mark.parametrize("kind", ["unix_python_entry_point", "a kind of tomorrow", None])
def test_files_of_other_kinds_have_to_be_there(tmp_path: Path, kind: Any) -> None:
    write(tmp_path, "bin/run")
    record(tmp_path, "tool", {"_path": "bin/run", "path_type": kind})
    assert check_files(str(tmp_path)) == []
    (tmp_path / "bin/run").unlink()
    assert titles(check_files(str(tmp_path))) == ["bin/run is missing (tool)"]


def test_a_package_that_was_linked_softly(tmp_path: Path) -> None:
    cache, root = tmp_path / "pkgs", tmp_path / "env"
    entry = write(cache, "lib/a")
    (root / "lib").mkdir(parents=True)
    (root / "lib/a").symlink_to(cache / "lib/a")
    record(root, "a", entry)
    assert check_files(str(root)) == []
    (cache / "lib/a").write_bytes(b"another")
    assert titles(check_files(str(root))) == ["lib/a is changed (a)"]


@pytest.mark.parametrize("data", [{"paths_data": None}, {"paths_data": {}}, {"paths_data": {"paths": []}}])
def test_an_old_record_has_only_names(tmp_path: Path, data: dict[str, Any]) -> None:
    for path in ("bin/run", "lib/a"):
        write(tmp_path, path)
    record(tmp_path, "old", files=["bin/run", "lib/a", "lib/a.pyc"], **data)
    assert check_files(str(tmp_path)) == []
    (tmp_path / "bin/run").unlink()
    assert titles(check_files(str(tmp_path))) == ["bin/run is missing (old)"]


def test_a_path_of_two_packages_may_be_either(tmp_path: Path) -> None:
    one = write(tmp_path, "share/COPYING", b"one")
    two = {**one, "sha256": sha256(b"two")}
    record(tmp_path, "one", one)
    record(tmp_path, "two", two)
    for content, sound in ((b"one", True), (b"two", True), (b"three", False)):
        (tmp_path / "share/COPYING").write_bytes(content)
        assert (check_files(str(tmp_path)) == []) == sound
    record(tmp_path, "three", {"_path": "./share/COPYING"})
    assert check_files(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", " is not readable as JSON: "),
        ('{"paths_data": {"paths": ["lib/a"]}}', " does not list its files as conda does"),
        ('{"paths_data": {"paths": [{"path": "lib/a"}]}}', " does not list its files as conda does"),
        ('{"paths_data": {"paths": 1}}', " does not list its files as conda does"),
        ('{"paths_data": [1]}', " does not list its files as conda does"),
        ('{"files": 1}', " does not list its files as conda does"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, text: str, message: str) -> None:
    damaged = record(tmp_path, "a")
    damaged.write_text(text)
    for read in (check_files, manifest):
        with pytest.raises(ValueError) as error:
            read(str(tmp_path))
        assert str(error.value).startswith(f"{damaged}{message}")


def test_many_and_large_files(tmp_path: Path) -> None:
    large = write(tmp_path, "lib/large", os.urandom(integrity._CHUNK_BYTES * 2 + 1))
    small = [write(tmp_path, f"lib/{number:04}", b"%d" % number) for number in range(2 * integrity._BATCH + 1)]
    record(tmp_path, "big", large, *small)
    assert check_files(str(tmp_path)) == []
    with (tmp_path / "lib/large").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))
    for number in (0, integrity._BATCH, 2 * integrity._BATCH):
        (tmp_path / f"lib/{number:04}").unlink()
    assert [fault.path for fault in check_files(str(tmp_path))] == ["lib/large", "lib/0000", "lib/0256", "lib/0512"]


# ---------------------------------------------------------------- every file, at a glance


def test_a_manifest_survives_json(prefix: Path) -> None:
    entries = json.loads(json.dumps(manifest(str(prefix))))
    assert check_manifest(str(prefix), entries) == []
    names = {str(Path(directory, name)) for _package, directory, names, *_rest in entries for name in names}
    assert names == {
        *("conda-meta/libx-1.0-0.json", "conda-meta/tool-1.0-0.json"),
        *("lib/libx.so", "lib/libx.so.1", "site/m.py", "site/pkg/n.py"),
    }


def test_a_glance_reads_no_file(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = manifest(str(prefix))

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("a file is read")

    monkeypatch.setattr("builtins.open", refuse)
    assert check_manifest(str(prefix), entries) == []


def touch(path: Path) -> None:
    about = path.lstat()
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1), follow_symlinks=False)


def grow(path: Path) -> None:
    about = path.lstat()
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def move_and_link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("path", "do", "title"),
    [
        ("site/m.py", touch, "site/m.py is changed (tool)"),
        ("site/m.py", grow, "site/m.py is changed (tool)"),
        ("site/m.py", Path.unlink, "site/m.py is missing (tool)"),
        ("site/m.py", move_and_link, "site/m.py is changed (tool)"),
        ("site/pkg", shutil.rmtree, "site/pkg/n.py is missing (tool)"),
        ("site/pkg/n.py", replace_parent_by_file, "site/pkg/n.py is missing (tool)"),
        ("lib/libx.so", touch, "lib/libx.so is changed (libx)"),
        ("conda-meta/libx-1.0-0.json", touch, "conda-meta/libx-1.0-0.json is changed (libx)"),
        ("conda-meta/libx-1.0-0.json", Path.unlink, "conda-meta/libx-1.0-0.json is missing (libx)"),
    ],
)
def test_a_glance_sees(prefix: Path, path: str, do: Callable[[Path], None], title: str) -> None:
    entries = manifest(str(prefix))
    do(prefix / path)
    assert titles(check_manifest(str(prefix), entries)) == [title]


def test_a_glance_does_not_mind_what_changes_in_use(prefix: Path) -> None:
    entries = manifest(str(prefix))
    (prefix / "conda-meta/history").write_text("another run\n")
    (prefix / "conda-meta/state").write_text('{"env_vars": {"A": "1"}}')
    (prefix / "conda-meta/last_activated").touch()
    (prefix / "site/pkg/__pycache__").mkdir()
    touch(prefix / "share/empty")
    assert check_manifest(str(prefix), entries) == []


def test_a_glance_at_what_is_gone_altogether(prefix: Path) -> None:
    entries = manifest(str(prefix))
    shutil.rmtree(prefix)
    assert {fault.kind for fault in check_manifest(str(prefix), entries)} == {"missing"}
    assert len(check_manifest(str(prefix), entries)) == 6


def test_there_is_no_manifest_of_half_an_environment(prefix: Path) -> None:
    (prefix / "site/m.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"site/m\.py"):
        manifest(str(prefix))


# ---------------------------------------------------------------- archives in local channels


def archive(channel: Path, name: str, content: bytes, digest: str = "") -> LockedPackage:
    path = channel / "linux-64" / f"{name}-1.0-0.conda"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return LockedPackage.read(f"file://{quote(str(path))}", digest or sha256(content))


def test_archives_of_local_channels(tmp_path: Path) -> None:
    channel = tmp_path / "a channel, 100%"
    good, wrong = archive(channel, "good", b"good"), archive(channel, "wrong", b"wrong", sha256(b"right"))
    gone, inside = archive(channel, "gone", b"gone"), archive(channel / "deep", "inside", b"inside")
    (channel / "linux-64/gone-1.0-0.conda").unlink()
    shutil.rmtree(channel / "deep")
    (channel / "deep").touch()
    far = LockedPackage.read("https://conda.example/forge/linux-64/far-1.0-0.conda", "0" * 64)
    assert check_archives([good, far]) == []
    assert check_archives(iter([good, wrong, gone, inside, far])) == [
        f"wrong: {channel}/linux-64/wrong-1.0-0.conda has the sha256 {sha256(b'wrong')[:12]}… "
        f"where the lock has {sha256(b'right')[:12]}…",
        f"gone: {channel}/linux-64/gone-1.0-0.conda is missing",
        f"inside: {channel}/deep/linux-64/inside-1.0-0.conda is missing",
    ]


# ---------------------------------------------------------------- processes


def process(proc: Path, pid: str, maps: str | None = None, **links: str) -> None:
    (proc / pid).mkdir(parents=True)
    for name, target in links.items():
        (proc / pid / name).symlink_to(target)
    if maps is not None:
        (proc / pid / "maps").write_text(maps)


def test_processes_by_what_they_hold(tmp_path: Path) -> None:
    proc, real = tmp_path / "proc", tmp_path / "a place"
    real.mkdir()
    used = tmp_path / "used"
    used.symlink_to(real)
    head = "7f0000000000-7f0000001000 r-xp 00000000 08:01 42 "
    process(proc, "11", exe=f"{real}/bin/python3.11", cwd="/", root="/")
    process(proc, "9", exe=f"{real}/bin/gone (deleted)", cwd="/", root="/")
    process(proc, "12", exe="/usr/bin/cat", cwd=str(real), root="/", maps=f"{head}/usr/lib/libc.so\n")
    process(proc, "13", exe="/usr/bin/cat", cwd="/", root=str(real))
    process(proc, "14", maps=f"{head}\n{head}[heap]\n{head}   {real}/lib/a library.so (deleted)\n")
    process(proc, "15", exe=f"{real}-old/bin/python", cwd=f"{real}2", root="/", maps=f"{head}{real}.so\n")
    process(proc, "16", cwd="/", maps="\n")
    process(proc, "17")
    process(proc, "self", exe=f"{real}/bin/python", cwd=str(real))
    assert processes_using(str(used), str(proc)) == processes_using(str(real), str(proc)) == [9, 11, 12, 13, 14]
    assert processes_using(str(tmp_path / "nothing"), str(proc)) == []


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its input is closed."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as child:
        yield child
        child.communicate()


MAP = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 0)
print(flush=True)
sys.stdin.read()
"""


def test_a_process_of_somebody_else_shows_its_command(tmp_path: Path) -> None:
    for pid, words in (("7", ["/envs/lab/1/bin/python", "-m", "ipykernel"]), ("8", ["/bin/sh", "envs/lab/1/x"])):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes("\0".join([*words, ""]).encode())
    assert processes_using("/envs/lab/1", str(tmp_path)) == [7]
    assert processes_using("/envs/lab/10", str(tmp_path)) == []


def test_a_real_process(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for directory in (one, two, three):
        directory.mkdir()
    program = shutil.copy(str(shutil.which("cat")), one / "cat")
    (two / "mapped").write_bytes(b"x" * mmap.PAGESIZE)
    with (
        running([str(program)]) as runs,
        running([sys.executable, "-c", MAP, str(two / "mapped")]) as maps,
        running([sys.executable, "-c", "import sys; sys.stdin.read()"], cwd=three) as works,
    ):
        assert maps.stdout is not None
        maps.stdout.readline()
        for directory, child in ((one, runs), (two, maps), (three, works)):
            assert processes_using(str(directory)) == [child.pid]
    assert [processes_using(str(directory)) for directory in (one, two, three)] == [[], [], []]


# ---------------------------------------------------------------- what pip installed


def test_what_pip_installed_is_looked_at_too(prefix: Path) -> None:
    site = "lib/python3.11/site-packages"
    module = write(prefix, f"{site}/own.py", b"by pip")
    digest = base64.urlsafe_b64encode(bytes.fromhex(module["sha256"])).rstrip(b"=").decode()
    rows = [f"own.py,sha256={digest},6", "../../../bin/own,,", "own-1.0.dist-info/RECORD,,", "__pycache__/own.pyc,,"]
    write(prefix, f"{site}/own-1.0.dist-info/RECORD", "".join(f"{row}\n" for row in rows).encode())
    write(prefix, "bin/own")
    # The same list in a package of conda's is conda's matter: what it says of a file that conda changed does not count.
    listed = write(prefix, f"{site}/theirs-1.0.dist-info/RECORD", b"theirs.py,sha256=AAAA,1\n")
    record(prefix, "theirs", listed)
    assert check_files(prefix=str(prefix)) == []
    entries = manifest(str(prefix))
    (prefix / site / "own.py").write_bytes(b"edited")
    (prefix / "bin/own").unlink()
    expected = [f"{site}/own.py is changed (own)", "bin/own is missing (own)"]
    assert sorted(titles(check_files(str(prefix)))) == sorted(expected)
    assert sorted(titles(check_manifest(str(prefix), entries))) == sorted(expected)


def test_a_package_that_came_later_is_seen_at_a_glance(prefix: Path) -> None:
    entries = manifest(str(prefix))
    assert check_manifest(str(prefix), entries) == []
    record(prefix, "late")
    assert titles(check_manifest(str(prefix), entries)) == ["conda-meta/late-1.0-0.json is new"]
