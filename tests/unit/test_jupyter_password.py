# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The module as Ansible calls it, with argon2-cffi of this Python, and with nothing but the standard library."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import argon2
import pytest
from ansible_collections.pystack.infra.plugins.modules import jupyter_password

if TYPE_CHECKING:
    from tests.unit.conftest import Result, RunModule

PASSWORD = "correct horse battery staple"
OTHER = "swordfish-7-canary"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
# printf 'correct horse battery staple0123456789ab' | sha256sum; a salt as short as Jupyter's own.
SHA256 = "sha256:0123456789ab:96e8b0d2b3b7212b8b5c5c43107533a4e71e79afed688de02a9446c259d2c996"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


class Target:
    """The configuration file and the module that keeps it."""

    def __init__(self, directory: Path, run_module: RunModule) -> None:
        directory.mkdir()
        self.path = directory / "jupyter_config.json"
        self.run_module = run_module

    def run(self, password: str | None = PASSWORD, **more: Any) -> Result:
        given = {} if password is None else {"password": password}
        return self.run_module(jupyter_password, **{"path": str(self.path), "python": sys.executable, **given, **more})

    def settings(self, hashed: object, **more: object) -> bytes:
        """Write a file by hand and give its bytes."""
        self.path.write_text(json.dumps({"PasswordIdentityProvider": {"hashed_password": hashed}, **more}))
        return self.path.read_bytes()

    @property
    def hashed(self) -> str:
        settings = json.loads(self.path.read_text())
        assert list(settings) == ["PasswordIdentityProvider"]
        assert list(settings["PasswordIdentityProvider"]) == ["hashed_password"]
        return str(settings["PasswordIdentityProvider"]["hashed_password"])

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.path.stat().st_mode)

    def opens_with(self, password: str) -> bool:
        """As jupyter_server.auth.security.passwd_check does it."""
        if not self.hashed.startswith("argon2:"):
            algorithm, salt, digest = self.hashed.split(":", 2)
            return hashlib.new(algorithm, password.encode() + salt.encode("ascii")).hexdigest() == digest
        try:
            return argon2.PasswordHasher().verify(self.hashed.removeprefix("argon2:"), password)
        except argon2.exceptions.VerifyMismatchError:
            return False


@pytest.fixture
def target(tmp_path: Path, run_module: RunModule) -> Iterator[Target]:
    target = Target(tmp_path / "server", run_module)
    mask = os.umask(0o022)
    yield target
    os.umask(mask)
    assert [path.name for path in target.path.parent.iterdir() if path != target.path] == [], "something was left"


# ---------------------------------------------------------------- set, keep, change


def test_a_password_is_set_and_recognised(target: Target) -> None:
    result = target.run()
    assert (result["changed"], result["reason"]) == (True, "no password is set")
    assert target.hashed.startswith("argon2:$argon2id$v=19$")
    assert target.opens_with(PASSWORD)
    assert not target.opens_with(OTHER)

    before = target.path.stat(), target.path.read_bytes()
    result = target.run()
    assert (result["changed"], result["reason"]) == (False, "")
    assert (target.path.stat(), target.path.read_bytes()) == before


def test_a_hash_of_this_password_stays_byte_for_byte_whoever_made_it(target: Target) -> None:
    before = target.settings("argon2:" + CHEAP.hash(PASSWORD))
    assert target.run()["changed"] is False
    assert target.path.read_bytes() == before


def test_another_password_replaces_the_hash(target: Target) -> None:
    target.settings("argon2:" + CHEAP.hash(PASSWORD))
    result = target.run(OTHER)
    assert (result["changed"], result["reason"]) == (True, "the password is another one")
    assert target.opens_with(OTHER)
    assert not target.opens_with(PASSWORD)


def test_every_character_counts(target: Target) -> None:
    password = "pässwört ☃ \"quoted\" $HOME 'x' \\n"
    target.run(password)
    assert target.opens_with(password)
    assert target.run(password, check=True)["changed"] is False
    assert target.run(password + "!", check=True)["changed"] is True


@pytest.mark.parametrize(
    "hashed",
    [
        "",
        PASSWORD,
        "argon2:garbage",
        "argon2:" + argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=argon2.Type.I).hash(PASSWORD),
        CHEAP.hash(PASSWORD),
        "argon2:" + CHEAP.hash(PASSWORD) + "\n",
        "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.",
        "sha1:0123456789ab:0123456789012345678901234567890123456789",
        None,
        [],
    ],
)
def test_a_hash_that_locks_out_or_is_too_weak_is_none(target: Target, hashed: object) -> None:
    target.settings(hashed)
    # Check mode spares argon2's work; the same decision without it is below.
    result = target.run(check=True)
    assert (result["changed"], result["reason"]) == (True, "no password is set")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"1", b"null", b'{"PasswordIdentityProvider": []}', b"\xef\xbb\xbf{}", b"\xff\xfe\x00"],
)
def test_a_file_that_is_not_configuration_has_no_password(target: Target, content: bytes) -> None:
    target.path.write_bytes(content)
    assert target.run(check=True)["reason"] == "no password is set"


@pytest.mark.parametrize(
    "content", [b'{"PasswordIdentityProvider": {"hashed_password": "argon2:garbage"}}', b"\xff\xfe"]
)
def test_what_is_no_password_is_replaced(target: Target, content: bytes) -> None:
    target.path.write_bytes(content)
    assert target.run()["reason"] == "no password is set"
    assert target.opens_with(PASSWORD)


def test_a_second_way_in_beside_the_password_is_taken_out(target: Target) -> None:
    hashed = "argon2:" + CHEAP.hash(PASSWORD)
    target.settings(hashed, IdentityProvider={"token": "backdoor"})
    before = target.path.read_bytes()
    result = target.run(check=True)
    assert (result["changed"], result["reason"]) == (True, "the file holds more than the password")
    assert target.path.read_bytes() == before
    assert target.run()["changed"] is True
    assert target.hashed == hashed, "nobody is logged out by it"


# ---------------------------------------------------------------- algorithms


class Sha256(Target):
    """The same file, with nothing but the standard library: no Python of an environment is named."""

    def __init__(self, target: Target) -> None:
        self.path, self.run_module = target.path, target.run_module

    def run(self, password: str | None = PASSWORD, **more: Any) -> Result:
        given = {} if password is None else {"password": password}
        return self.run_module(jupyter_password, **{"path": str(self.path), "algorithm": "sha256", **given, **more})


@pytest.fixture
def fips(target: Target) -> Sha256:
    return Sha256(target)


def test_a_sha256_password_is_set_and_recognised(fips: Sha256) -> None:
    result = fips.run()
    assert (result["changed"], result["reason"]) == (True, "no password is set")
    assert re.fullmatch(r"sha256:[0-9a-f]{32}:[0-9a-f]{64}", fips.hashed)
    assert fips.opens_with(PASSWORD)
    assert not fips.opens_with(OTHER)

    before = fips.path.stat(), fips.path.read_bytes()
    result = fips.run()
    assert (result["changed"], result["reason"]) == (False, "")
    assert (fips.path.stat(), fips.path.read_bytes()) == before


def test_no_two_salts_are_the_same(fips: Sha256) -> None:
    hashes = set()
    for _ in range(3):
        fips.settings("")
        fips.run()
        hashes.add(fips.hashed)
    assert len(hashes) == 3


def test_a_sha256_hash_of_this_password_stays_byte_for_byte_whoever_made_it(fips: Sha256) -> None:
    before = fips.settings(SHA256)
    assert fips.run()["changed"] is False
    assert fips.path.read_bytes() == before


def test_another_password_replaces_the_sha256_hash(fips: Sha256) -> None:
    fips.settings(SHA256)
    result = fips.run(OTHER)
    assert (result["changed"], result["reason"]) == (True, "the password is another one")
    assert fips.opens_with(OTHER)
    assert not fips.opens_with(PASSWORD)


def test_every_character_counts_in_sha256(fips: Sha256) -> None:
    password = "pässwört ☃ \"quoted\" $HOME 'x' \\n"
    fips.run(password)
    assert fips.opens_with(password)
    assert fips.run(password, check=True)["changed"] is False
    assert fips.run(password + "!", check=True)["changed"] is True


@pytest.mark.parametrize("check", [True, False])
def test_a_hash_of_the_other_algorithm_is_replaced(target: Target, fips: Sha256, check: bool) -> None:
    before = target.settings("argon2:" + CHEAP.hash(PASSWORD))
    result = fips.run(check=check)
    assert (result["changed"], result["reason"]) == (True, "the hash is argon2id, not sha256")
    assert fips.path.read_bytes() == before if check else fips.opens_with(PASSWORD)

    before = target.settings(SHA256)
    result = target.run(check=check)
    assert (result["changed"], result["reason"]) == (True, "the hash is sha256, not argon2id")
    assert target.path.read_bytes() == before if check else target.opens_with(PASSWORD)


def test_sha256_starts_no_other_program(fips: Sha256, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*given: object, **how: object) -> Any:
        raise AssertionError(given)

    monkeypatch.setattr(subprocess, "run", run)
    fips.settings("argon2:" + CHEAP.hash(OTHER))
    assert fips.run()["changed"] is True
    assert fips.run(python="/nowhere/python")["changed"] is False


def test_argon2id_needs_a_python(run_module: RunModule, target: Target) -> None:
    result = run_module(jupyter_password, path=str(target.path), password=PASSWORD)
    assert result["msg"] == "algorithm is argon2id but all of the following are missing: python"
    assert not target.path.exists()


def test_a_sha256_password_is_not_in_a_result(fips: Sha256) -> None:
    results = [fips.run(OTHER), fips.run(OTHER)]
    assert OTHER not in str(results)
    assert fips.hashed not in str(results)


# ---------------------------------------------------------------- who may read it


@contextmanager
def watched(root: Path, old: bytes = b"") -> Iterator[list[tuple[str, int, int, int]]]:
    """Name, mode, owner and group of every file below root that holds a new hash, after each call into the system."""
    seen: list[tuple[str, int, int, int]] = []

    def look(frame: object, event: str, function: Any) -> None:
        if event != "c_return" or function.__module__ not in ("posix", "_io", None):
            return
        for directory, _, names in os.walk(root):
            for path in (Path(directory, name) for name in names):
                content = path.read_bytes()
                if b"argon2" in content and content != old:
                    about = path.stat()
                    entry = (path.name, stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid)
                    if entry not in seen:
                        seen.append(entry)

    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize(("existing", "mode"), [(None, "0600"), (None, "0640"), (0o666, "0600"), (0o644, "0640")])
def test_the_hash_is_at_no_instant_open_to_more_than_asked(
    target: Target, tmp_path: Path, mode: str, existing: int | None
) -> None:
    os.umask(0)
    old = b""
    if existing is not None:
        old = target.settings("argon2:" + CHEAP.hash(OTHER))
        target.path.chmod(existing)
    with watched(tmp_path, old) as seen:
        assert target.run(mode=mode)["changed"] is True
    assert target.mode == int(mode, 8)
    assert seen, "the watch was blind"
    assert [entry for entry in seen if entry[1] & ~int(mode, 8)] == []
    assert {entry[1] for entry in seen if entry[0] == target.path.name} == {int(mode, 8)}


@needs_root
def test_owner_and_group_are_set_before_the_file_has_its_name(target: Target, tmp_path: Path) -> None:
    nobody, group = 65534, grp.getgrgid(65534).gr_name
    old = target.settings("argon2:" + CHEAP.hash(OTHER))
    os.chown(target.path, nobody, nobody)
    with watched(tmp_path, old) as seen:
        target.run(owner="root", group=group, mode="0640")
    assert {entry[1:] for entry in seen if entry[0] == target.path.name} == {(0o640, 0, nobody)}
    assert {entry[2] for entry in seen} == {0}, "never its old owner's"
    assert [entry for entry in seen if entry[1] & 0o040 and entry[3] != nobody] == []


def test_a_new_file_is_for_its_owner_alone(target: Target) -> None:
    target.run()
    assert target.mode == 0o600


@needs_root
def test_what_is_not_asked_for_stays(target: Target) -> None:
    target.settings("")
    os.chown(target.path, 0, 65534)
    target.path.chmod(0o640)
    target.run()
    about = target.path.stat()
    assert (target.mode, about.st_uid, about.st_gid) == (0o640, 0, 65534)


def test_mode_alone_is_corrected_without_a_new_hash(target: Target) -> None:
    before = target.settings("argon2:" + CHEAP.hash(PASSWORD))
    target.path.chmod(0o666)
    assert target.run(mode="0640", check=True)["changed"] is True
    assert target.mode == 0o666
    result = target.run(mode="0640")
    assert (result["changed"], result["reason"]) == (True, "")
    assert (target.mode, target.path.read_bytes()) == (0o640, before)
    assert target.run(mode="0640")["changed"] is False


# ---------------------------------------------------------------- check mode


def test_check_mode_writes_nothing_where_nothing_is(target: Target) -> None:
    for password in (PASSWORD, None):
        result = target.run(password, check=True, mode="0640")
        assert (result["changed"], result["reason"]) == (True, "no password is set")
        assert not target.path.exists()


def test_check_mode_needs_neither_directory_nor_python_on_a_pristine_host(target: Target, tmp_path: Path) -> None:
    result = target.run(check=True, path=str(tmp_path / "etc/jupyter/x.json"), python="/nowhere/python")
    assert result["changed"] is True
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    ("password", "reason"),
    [(PASSWORD, ""), (OTHER, "the password is another one"), (None, "a password would be generated")],
)
def test_check_mode_tells_what_a_run_does(target: Target, password: str | None, reason: str) -> None:
    target.settings("argon2:" + CHEAP.hash(PASSWORD))
    before = target.path.stat(), target.path.read_bytes()
    result = target.run(password, check=True)
    assert (result["changed"], result["reason"]) == (bool(reason), reason)
    assert (target.path.stat(), target.path.read_bytes()) == before


# ---------------------------------------------------------------- what is refused


def test_a_missing_password(target: Target) -> None:
    assert target.run(None)["msg"] == "password is missing: it may be left out in check mode only"
    assert not target.path.exists()


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("password", ["", " \n"])
def test_an_empty_password(target: Target, password: str, check: bool) -> None:
    assert target.run(password, check=check)["msg"] == "password is empty: it would let everybody in"
    assert not target.path.exists()


def test_a_python_without_argon2(target: Target, tmp_path: Path) -> None:
    before = target.settings("")
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    message = target.run(OTHER, python=str(bare))["msg"]
    assert message.startswith(f"{bare} cannot make an argon2 hash (is argon2-cffi in that environment?): ")
    assert "No module named 'argon2'" in message
    assert target.path.read_bytes() == before


def test_no_python_at_all(target: Target) -> None:
    assert target.run(python="/nowhere/python")["msg"] == "[Errno 2] No such file or directory: '/nowhere/python'"
    assert not target.path.exists()


def test_a_failure_leaves_the_old_file_and_nothing_else(target: Target) -> None:
    before = target.settings("argon2:" + CHEAP.hash(OTHER))
    result = target.run(owner="no-such-user")
    assert result["failed"] is True
    assert target.path.read_bytes() == before


def test_no_directory(target: Target, tmp_path: Path) -> None:
    result = target.run(path=str(tmp_path / "missing/x.json"))
    assert result["failed"] is True
    assert "No such file or directory" in result["msg"]


# ---------------------------------------------------------------- secrets


def test_the_password_is_neither_an_argument_nor_in_a_result(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    real, commands = subprocess.run, []

    def run(command: list[str], **how: Any) -> Any:
        commands.append((command, how.get("env")))
        return real(command, **how)

    monkeypatch.setattr(subprocess, "run", run)
    results = [target.run(OTHER), target.run(OTHER), target.run(OTHER, python="/bin/false")]
    assert len(commands) == 3
    assert OTHER not in str(results + commands)
    assert target.hashed not in str(results)
