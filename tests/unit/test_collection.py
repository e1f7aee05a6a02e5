# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Rules of the house over the files of the repository."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.docs import END, START
from tests.kit.paths import ROOT

ROLES = sorted(path.parent.name for path in ROOT.glob("roles/*/meta"))
OURS = ("roles", "plugins", "playbooks")

# Text that a task hands on by a look-up; no file on a host is made of it.
FRAGMENTS = {
    "roles/jupyter_ssl/templates/summary.j2": "what a play says at its end",
}
# In pieces: this file must pass as well.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "deb." + "debian.org",
    "security." + "debian.org",
    "archive." + "ubuntu.com",
    "registry." + "npmjs.org",
    "registry." + "yarnpkg.com",
    "crates" + ".io",
    "ruby" + "gems.org",
    "proxy." + "golang.org",
]
FORBIDDEN = {
    "certificates unchecked": r"(?i)\bvalidate_certs\s*[:=]\s*['\"]?(false|no|off|0)\b",
    "packages unchecked": r"(?i)\b(allow_unauthenticated|disable_gpg_check)\s*[:=]\s*['\"]?(true|yes|on|1)\b",
    "repositories unchecked": r"(?i)\btrusted\s*=\s*yes\b|\bgpgcheck\s*[:=]\s*['\"]?(false|no|0)\b",
    "a host trusted without its certificate": r"(?i)\btrusted[-_]host\b",
    "a second index, from which a stranger's package may come": r"(?i)extra[-_]index[-_]url\b",
    "downloads unchecked": r"\bcurl\b.*\s(-k|--insecure)\b|\bwget\b.*--no-check-certificate",
}


@cache
def files() -> list[Path]:
    """What is, or is about to be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = [ROOT / name for name in sorted(set(filter(None, names)))]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def below(*folders: str, suffix: str | tuple[str, ...] = "") -> list[Path]:
    inside = [path for path in files() if path.relative_to(ROOT).parts[0] in folders]
    return [path for path in inside if not suffix or path.name.endswith(suffix)]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    """Empty for pictures and the like."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode()


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document, however deep."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from mappings(child)


def hits(pattern: str, paths: list[Path]) -> list[str]:
    """file:line of every match."""
    return [
        f"{named(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if re.search(pattern, line)
    ]


def options(role: str) -> dict[str, dict[str, Any]]:
    """Names and descriptions of the variables, by entry point."""
    entries = load(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    return {name: entry.get("options", {}) for name, entry in entries.items()}


def test_there_is_something_to_look_at() -> None:
    assert "jupyter_ssl" in ROLES
    assert {named(path).split("/")[0] for path in files()} >= {*OURS, "tests", "galaxy.yml"}
    assert len(below(*OURS)) > 50


# ---------------------------------------------------------------- roles


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_spec_name_the_same_variables(role: str) -> None:
    defaults = load(ROOT / f"roles/{role}/defaults/main.yml")
    for entry, known in options(role).items():
        assert sorted(known) == sorted(defaults), entry


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_spec_give_the_same_values(role: str) -> None:
    defaults = load(ROOT / f"roles/{role}/defaults/main.yml")
    assert {name: option.get("default") for name, option in options(role)["main"].items()} == defaults


@pytest.mark.parametrize("role", ROLES)
def test_every_public_variable_begins_with_the_roles_name(role: str) -> None:
    assert [name for name in options(role)["main"] if not name.startswith(f"{role}_")] == []
    private = [name for path in (ROOT / f"roles/{role}/vars").glob("*.yml") for name in load(path) or {}]
    assert [name for name in private if not name.startswith(f"__{role}_")] == []


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_has_the_generated_variables(role: str) -> None:
    text = (ROOT / f"roles/{role}/README.md").read_text()
    assert (text.count(START), text.count(END)) == (1, 1)
    table = text.partition(START)[2].partition(END)[0]
    assert [name for name in options(role)["main"] if f"`{name}`" not in table] == []


def included(path: Path) -> set[str]:
    """Task files that a task file includes; * stands for what is known at run time only."""
    found = set()
    for task in mappings(load(path)):
        for key, value in task.items():
            if key.rpartition(".")[2] in ("include_tasks", "import_tasks"):
                name = value["file"] if isinstance(value, dict) else value
                found.add(re.sub(r"\{\{.*?\}\}", "*", name))
    return found


@pytest.mark.parametrize("role", ROLES)
def test_every_task_file_is_reached_and_every_name_leads_to_one(role: str) -> None:
    present = {path.name: path for path in (ROOT / f"roles/{role}/tasks").glob("*.yml")}
    waiting = [f"{entry}.yml" for entry in options(role)]
    reached: set[str] = set()
    while waiting:
        pattern = waiting.pop()
        matching = {name for name in present if fnmatchcase(name, pattern)}
        assert matching, f"{pattern} is asked for, but there is no such file"
        waiting += [more for name in matching - reached for more in included(present[name])]
        reached |= matching
    assert sorted(set(present) - reached) == [], "nobody asks for it"


@pytest.mark.parametrize("path", below("roles", suffix=".j2"), ids=named)
def test_a_template_says_first_that_it_is_managed(path: Path) -> None:
    lines = path.read_text().splitlines()
    # What the format itself wants on its first line comes before.
    first = lines[1] if lines[0].startswith(("#!", "<?xml")) else lines[0]
    assert ("ansible_managed" in first) != (named(path) in FRAGMENTS), first


def test_every_fragment_exists() -> None:
    assert [name for name in FRAGMENTS if not (ROOT / name).is_file()] == []


def test_roles_and_plugins_do_not_know_how_they_are_tested() -> None:
    pattern = r"(?i)molecule|testinfra|offline kit|stand-?in\b|tests/kit|\bkit_|pystack-(kit|deb|el9)|\bel9_image"
    assert hits(pattern, below(*OURS)) == []


# ---------------------------------------------------------------- trust


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_is_left_unchecked(what: str) -> None:
    assert hits(FORBIDDEN[what], [*below(*OURS, "inventories"), ROOT / "site.yml"]) == []


def test_no_error_is_ignored() -> None:
    assert hits(r"\bignore_errors\s*:", [*below(*OURS, suffix=(".yml", ".j2")), ROOT / "site.yml"]) == []


def test_every_download_has_a_checksum() -> None:
    downloads = [
        (named(path), task.get("name"), value)
        for path in [*below(*OURS, "molecule", suffix=".yml"), ROOT / "site.yml"]
        for task in mappings(load(path))
        for key, value in task.items()
        if key.rpartition(".")[2] == "get_url"
    ]
    assert downloads
    assert [found for found in downloads if "sha256:" not in str(found[2].get("checksum"))] == []


def test_the_forbidden_is_recognised() -> None:
    """The patterns above find what they are for."""
    samples = {
        "certificates unchecked": ["validate_certs: false", "validate_certs=no", 'validate_certs: "False"'],
        "packages unchecked": ["allow_unauthenticated: true", "disable_gpg_check: yes"],
        "repositories unchecked": ["deb [trusted=yes] http://mirror", "gpgcheck: false", "gpgcheck=0"],
        "a host trusted without its certificate": ["pip install --trusted-host mirror", "trusted_host = mirror"],
        "a second index, from which a stranger's package may come": ["--extra-index-url x", "PIP_EXTRA_INDEX_URL"],
        "downloads unchecked": ["curl -sS -k https://x", "curl --insecure https://x", "wget --no-check-certificate x"],
    }
    assert samples.keys() == FORBIDDEN.keys()
    assert [s for what, lines in samples.items() for s in lines if not re.search(FORBIDDEN[what], s)] == []


# ---------------------------------------------------------------- the repository


def test_galaxy_and_requirements_ask_for_the_same_collections() -> None:
    wanted = {row["name"]: row["version"] for row in load(ROOT / "requirements.yml")["collections"]}
    assert wanted == load(ROOT / "galaxy.yml")["dependencies"]


def test_every_collection_in_use_is_asked_for() -> None:
    used = {
        ".".join(key.split(".")[:2])
        for path in [*below("roles", "playbooks", suffix=".yml"), ROOT / "site.yml"]
        for task in mappings(load(path))
        for key in task
        if re.fullmatch(r"[a-z_]+\.[a-z_]+\.[a-z_]+", str(key))
    }
    assert used - {"ansible.builtin", "pystack.infra"} <= load(ROOT / "galaxy.yml")["dependencies"].keys()


def test_no_file_names_a_public_registrys_host() -> None:
    """Package managers know their registries, and a site that has a mirror says so to them: never to a file of ours."""
    assert hits("|".join(map(re.escape, REGISTRIES)), files()) == []


def test_no_file_has_a_private_key_of_use() -> None:
    """But the one that `cryptography` refuses, in the tests."""
    found = hits(r"^-----BEGIN [A-Z ]*PRIVATE KEY-----$", files())
    assert [line for line in found if not line.startswith("tests/unit/")] == []
