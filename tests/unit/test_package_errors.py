# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""Failures of package managers, as their modules report them, and what a person is told."""

from __future__ import annotations

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.package_errors import package_problem

NAMES, REPOSITORIES = "linux_base_packages", "linux_base_dnf_repositories"


def told(message: str, *failures: str) -> str:
    return package_problem(message, failures, NAMES, REPOSITORIES)


@pytest.mark.parametrize(
    ("message", "failures", "packages"),
    [
        ("No package matching 'htoop' is available", [], "htoop"),
        ("Failed to install some of the specified packages", ["No package htop available."], "htop"),
        (
            "Failed to install some of the specified packages",
            ["No package screen available.", "No package htop available."],
            "htop, screen",
        ),
    ],
)
def test_names_that_the_repositories_do_not_have(message: str, failures: list[str], packages: str) -> None:
    sentence = told(message, *failures)
    assert sentence.startswith(f"The host's repositories have no package {packages}: accepted in {NAMES} are names")
    assert "EPEL" in sentence


def test_no_variable_is_named_where_none_holds_the_name() -> None:
    sentence = package_problem("No package python3-x available.")
    assert sentence == "The host's repositories have no package python3-x: give it a repository that has it."


@pytest.mark.parametrize(
    "message",
    [
        "Failed to download metadata for repo 'lan-baseos': Cannot download repomd.xml: Cannot download"
        " repodata/repomd.xml: All mirrors were tried",
        "Error: Failed to download metadata for repo 'lan-baseos': Cannot prepare internal mirrorlist:\n"
        " Curl error (6): Couldn't resolve host name for https://mirror.example",
    ],
)
def test_a_repository_that_cannot_be_read(message: str) -> None:
    sentence = told("failed to validate", message)
    assert sentence.startswith("The repository lan-baseos cannot be read: Cannot ")
    assert sentence.endswith(f"Correct its baseurl in {REPOSITORIES}, or disable it on the host.")
    assert "\n" not in sentence


def test_the_reason_that_only_dnfs_command_line_gives() -> None:
    sentence = told(
        "failed to validate",
        "Errors during downloading metadata for repository 'lan-baseos':\n"
        "  - Status code: 404 for http://mirror.example/8/repodata/repomd.xml (IP: 192.0.2.7)\n"
        "Error: Failed to download metadata for repo 'lan-baseos': Cannot download repomd.xml: All mirrors tried\n",
    )
    assert sentence.startswith(
        "The repository lan-baseos cannot be read: Status code: 404 for http://mirror.example/8/repodata/repomd.xml"
    )


def test_a_signature_that_is_not_accepted() -> None:
    sentence = told(
        "Failed to validate GPG signature for tool-1.0-1.el9.noarch: Package tool-1.0-1.el9.noarch.rpm is not signed"
    )
    assert sentence == (
        "The package tool-1.0-1.el9.noarch was refused: Package tool-1.0-1.el9.noarch.rpm is not signed. Accepted are"
        f" packages signed by the gpgkey of their repository in {REPOSITORIES}."
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "curl: (37) Couldn't open file /etc/none\ngpgkey unreadable: file:///etc/none\n",
            "curl: (37) Couldn't open file /etc/none",
        ),
        (
            "Task failed: Module failed: Curl error (37): Couldn't read a file:// file for file:///etc/none [Couldn't]",
            "Curl error (37): Couldn't read a file:// file for file:///etc/none [Couldn't]",
        ),
    ],
)
def test_a_key_that_cannot_be_read(message: str, reason: str) -> None:
    assert told(message) == f"The key file:///etc/none cannot be read: {reason}. Correct that gpgkey in {REPOSITORIES}."


def test_a_package_manager_at_work() -> None:
    assert told("lockfile is held by another process").startswith("Another package manager is at work on the host")


def test_what_is_not_known_is_passed_on() -> None:
    assert told("Depsolve Error occurred", "nothing provides x") == "Depsolve Error occurred\nnothing provides x"
