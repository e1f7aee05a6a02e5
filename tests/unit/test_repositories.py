# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""dnf repositories: what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.pystack.infra.plugins.module_utils.repositories import is_key_text, repository_problems

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ\n-----END PGP PUBLIC KEY BLOCK-----\n"
VARIABLE = "linux_base_dnf_repositories"


def entry(**keys: Any) -> dict[str, Any]:
    good = {"id": "lan-baseos", "baseurl": "https://mirror.example/$releasever/BaseOS/$basearch/os/", "gpgkey": KEY}
    return {**good, **keys}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"baseurl": "http://mirror.example/os/"},
        {"baseurl": "file:///srv/repo"},
        {"gpgkey": "https://mirror.example/KEY"},
        {"gpgkey": "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release"},
        {"gpgkey": "\n" + KEY},
        {"id": "rhel-9-for-x86_64-baseos-rpms"},
        {"name": "BaseOS", "priority": 10},
    ],
)
def test_accepted(changes: dict[str, Any]) -> None:
    assert repository_problems([entry(**changes)], VARIABLE) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": "lan baseos"}, "[0].id is 'lan baseos': accepted are letters, digits and _.:- without spaces."),
        ({"id": ""}, "[0].id is ''"),
        ({"id": "a]\n[b"}, "[0].id is"),
        (
            {"baseurl": "mirror.example/os"},
            "[0].baseurl is 'mirror.example/os': accepted is one https://",
        ),
        ({"baseurl": "https://a.example https://b.example"}, "[0].baseurl is"),
        ({"baseurl": "https://a.example/\ngpgcheck=0"}, "[0].baseurl is"),
        ({"baseurl": "https://user:hunter2@mirror.example/os"}, "[0].baseurl has credentials"),
        ({"gpgkey": ""}, "[0].gpgkey is missing"),
        ({"gpgkey": None}, "[0].gpgkey is missing"),
        (
            {"gpgkey": "http://mirror.example/KEY"},
            "[0].gpgkey is 'http://mirror.example/KEY': accepted are an https://",
        ),
        ({"gpgkey": "/etc/pki/rpm-gpg/KEY"}, "[0].gpgkey is '/etc/pki/rpm-gpg/KEY'"),
        ({"gpgkey": "https://user:hunter2@mirror.example/KEY"}, "[0].gpgkey has credentials"),
    ],
)
def test_refused(changes: dict[str, Any], sentence: str) -> None:
    (problem,) = repository_problems([entry(**changes)], VARIABLE)
    assert problem.startswith(VARIABLE + sentence)
    assert "hunter2" not in problem


def test_all_problems_at_once_and_each_id_once() -> None:
    problems = repository_problems([entry(), entry(gpgkey=""), entry(id="other", baseurl="x")], VARIABLE)
    assert [problem.split(" ")[0] for problem in problems] == [
        f"{VARIABLE}[1].gpgkey",
        f"{VARIABLE}[2].baseurl",
        VARIABLE,
    ]
    assert problems[-1] == f"{VARIABLE} has the id lan-baseos more than once: accepted is each id once."


def test_key_text_or_where_it_lies() -> None:
    assert is_key_text(KEY)
    assert not is_key_text("https://mirror.example/BEGIN PGP PUBLIC KEY BLOCK")
