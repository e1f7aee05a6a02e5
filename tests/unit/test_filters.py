# Copyright (c) pystack contributors
# Apache License 2.0 (see LICENSE)
"""The filters: which types they take, and what they say about others."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.pystack.infra.plugins.filter import conda, jupyter

from tests.support.pki import issue

FILTERS = {**jupyter.FilterModule().filters(), **conda.FilterModule().filters()}


def test_every_filter_has_its_name() -> None:
    assert sorted(FILTERS) == [
        *("certificate_problems", "environment_problems", "name_constraints", "password_problems", "subject_alt_names")
    ]
    assert all(name == function.__name__ for name, function in FILTERS.items())


def test_answers_are_plain_lists() -> None:
    pair = issue()
    assert FILTERS["password_problems"]("correct horse battery", "v") == []
    assert FILTERS["password_problems"]("short", "v", 6)[0].startswith("v has 5 characters: accepted are 6 or more")
    assert FILTERS["certificate_problems"](pair.pem, pair.key_pem(), "crt", "key") == []
    assert FILTERS["subject_alt_names"](("Lab", "192.0.2.7")) == ["DNS:lab", "IP:192.0.2.7"]
    assert FILTERS["name_constraints"](["IP:192.0.2.7"]) == ["IP:192.0.2.7/32"]
    assert FILTERS["environment_problems"]([{"name": "lab", "packages": ["numpy"]}], ["conda-forge"]) == []


def test_the_default_of_a_passwords_length_is_twelve() -> None:
    assert FILTERS["password_problems"]("elevenchars", "v")
    assert not FILTERS["password_problems"]("twelve-chars", "v")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("password_problems", (None, "v"), "password_problems: a string is needed, not NoneType"),
        ("password_problems", (123456789012, "v"), "password_problems: a string is needed, not int"),
        ("password_problems", (["hunter2"], "v"), "password_problems: a string is needed, not list"),
        ("certificate_problems", (None, "", "c", "k"), "certificate_problems: a string is needed, not NoneType"),
        ("certificate_problems", ("", {"hunter2": 1}, "c", "k"), "certificate_problems: a string is needed, not dict"),
        ("subject_alt_names", ("lab.example",), "subject_alt_names: a list of strings is needed, not str"),
        ("subject_alt_names", (None,), "subject_alt_names: a list of strings is needed, not NoneType"),
        ("subject_alt_names", (["lab", 1],), "subject_alt_names: a list of strings is needed, not list"),
        (
            "subject_alt_names",
            (["a b"],),
            "subject_alt_names: 'a b' is neither a host name nor an IP address (accepted: lab.example, 192.0.2.7)",
        ),
        ("name_constraints", ("IP:192.0.2.7",), "name_constraints: a list of strings is needed, not str"),
        (
            "name_constraints",
            (["IP:lab"],),
            "name_constraints: 'lab' does not appear to be an IPv4 or IPv6 network",
        ),
    ],
)
def test_other_types_are_named_and_never_quoted(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        FILTERS[name](*arguments)
    assert str(error.value) == message
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("environments", "channels", "start"),
    [
        ("lab", [], "environments"),
        ([{"packages": ["numpy"]}], [], "environments[0]"),
        ([{"name": "a/b"}], [], "environments[0].name"),
        ([{"name": "lab"}, {"name": "lab"}], [], "environments"),
        ([{"name": "lab"}], "conda-forge", "channels"),
    ],
)
def test_problems_of_environments_begin_with_their_place(environments: Any, channels: Any, start: str) -> None:
    found = FILTERS["environment_problems"](environments, channels)
    assert found
    assert all(sentence.startswith(start) for sentence in found), found


def test_every_problem_of_environments_is_told_at_once() -> None:
    found = FILTERS["environment_problems"]([{"name": "a/b"}, {"name": "c d"}])
    assert [sentence.split(".")[0] for sentence in found] == ["environments[0]", "environments[1]"]
